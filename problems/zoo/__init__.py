"""The zoo: one file a problem, found by the registry."""
