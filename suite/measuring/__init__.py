"""From a method on a problem to measured rows."""
