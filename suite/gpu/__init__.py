"""The adjoints on an accelerator: whether they agree with the CPU, what they cost, why."""
