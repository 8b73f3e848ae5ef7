"""How far a gradient is off, told by itself, and gradients to the accuracy that was asked for."""
