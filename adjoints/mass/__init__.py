"""Mass matrices: ``M y' = f(t, y, p)``, their algebraic equations and consistent values."""
