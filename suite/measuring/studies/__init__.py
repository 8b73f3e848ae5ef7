"""Studies beside the ladders: how time grows with size, memory by checkpoints, ensembles."""
