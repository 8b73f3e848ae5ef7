"""One step of a solver, for every backend: coefficients, stages, error test, step size, stops."""
