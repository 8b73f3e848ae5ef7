"""Events and moving times on JAX: found while a solve goes on, and then stops like any others."""
