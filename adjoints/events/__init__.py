"""Times that move: events of the state, and declared times that parameters decide."""
