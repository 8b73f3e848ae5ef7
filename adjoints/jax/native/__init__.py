"""JAX programs as expressions: the front end of the native loop."""
