"""Studies beside the ladders: how time grows with size, memory against checkpoints."""
