"""Other libraries' adjoints, through their public interfaces, unchanged."""
