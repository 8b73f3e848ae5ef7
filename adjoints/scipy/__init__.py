"""Gradients on top of SciPy's solvers: sensitivities, adjoints, and the plain baselines."""
