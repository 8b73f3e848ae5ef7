"""The patterns of neighbours on grids."""

import numpy as np

from adjointbench.adjoints.linear_systems.pattern import Pattern


def grid(n: int, dimensions: int) -> Pattern:
    """Each point of a square or a cube and its neighbours along the sides."""
    points = np.arange(n**dimensions).reshape((n,) * dimensions)
    pairs = [
        (np.delete(points, 0, axis).ravel(), np.delete(points, -1, axis).ravel())
        for axis in range(dimensions)
    ]
    one, other = np.concatenate(pairs, axis=1)
    return Pattern(points.size, np.append(one, other), np.append(other, one))
