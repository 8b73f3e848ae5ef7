"""How much two times of the same thing differ by chance, between two runs on one machine.

A machine is slower on some days than on others, and the whole machine is: libraries that neither
run has changed show by how much. They are the control group: the median of their times, new over
old, is the drift of the machine, and their spread about it is chance.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...adjoints.methods import METHODS
from ...adjoints.methods.method import PEERS
from ...suite.measuring.equal_times import NOISE

if TYPE_CHECKING:
    import pandas as pd

#: Fewer controls than this tell nothing.
FEWEST_CONTROLS = 4

#: The share of the controls that the band holds.
HELD = 0.95

#: What lies beneath the packages that methods name as theirs.
BENEATH = {"jax": {"jaxlib"}, "diffrax": {"equinox"}, "scipy": {"numpy"}}


@dataclass(frozen=True)
class Noise:
    """What chance does to times.

    Attributes
    ----------
    drift : float
        By which factor the machine as a whole is slower in the new run; 1 where unknown.
    band : float
        The factor within which times that are put right by the drift are equal.
    controls : int
        How many pairs of times that nobody has changed tell this.
    """

    drift: float = 1.0
    band: float = NOISE
    controls: int = 0

    @property
    def sentence(self) -> str:
        """What is known of the noise, in words."""
        if not self.controls:
            return (
                f"Times within a factor of {NOISE:g} are called equal; no library that is the same "
                "on both sides was measured on both, which would tell how much the machine itself "
                "has changed."
            )
        return (
            f"Between the two runs {self.controls} times of libraries that are the same on both "
            f"sides have changed by a factor of {self.drift:.2f} in the median: the machine, not "
            "the code. Times are put right by it, and called equal within a factor of "
            f"{self.band:.2f}, in which {HELD:.0%} of those lie."
        )


def packages_of(backend: str) -> set[str]:
    """The packages that the times of the peers on a backend depend on."""
    named = {p for m in METHODS if m.is_peer and m.backend == backend for p in m.requires}
    return named.union(*(BENEATH.get(package, set()) for package in named))


def noise(both: pd.DataFrame, changed: Collection[str] = ()) -> Noise:
    """The noise between two runs on one machine, as the peers that did not change tell it.

    Parameters
    ----------
    both : DataFrame
        One line a (problem, method): ``family``, ``backend``, and ``time``, new over old.
    changed : collection of str
        The packages whose versions differ between the two runs.

    Returns
    -------
    Noise
        No drift and a band of :data:`NOISE` where too little tells more.
    """
    changed = set(changed)
    same = both["backend"].map(lambda backend: not packages_of(backend) & changed)
    ratios = both.loc[both["family"].eq(PEERS) & same & both["time"].gt(0), "time"].to_numpy()
    if len(ratios) < FEWEST_CONTROLS:
        return Noise()
    drift = float(np.median(ratios))
    distances = np.exp(np.abs(np.log(ratios / drift)))
    return Noise(drift, max(NOISE, float(np.quantile(distances, HELD))), len(ratios))
