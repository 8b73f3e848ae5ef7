"""Training neural ODEs: tasks, regularisers at work, and what they cost."""
