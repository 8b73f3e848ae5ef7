"""From measured rows to the tables of a report."""
