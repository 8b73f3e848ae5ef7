"""Events and moving times on PyTorch: found as a solve goes on, and then stops like any others."""
