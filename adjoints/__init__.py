"""How gradients are taken: the methods table, open solvers, three families, peers."""
