"""Which adjoint to use for one problem: measured within a budget of time, and recommended."""
