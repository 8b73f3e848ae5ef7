"""The sections of a report: tables and figures in the order in which they are read."""
