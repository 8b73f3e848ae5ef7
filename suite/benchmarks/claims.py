"""The leading figure of each claim that people make about adjoints; the verdicts are reported."""

import math

from adjointbench.suite.claims.table import CLAIMS
from adjointbench.suite.claims.tasks import made_of_scaling

from ._ladder import _Ladder

#: asv cannot publish infinity.
_LARGEST = 1e12


class _Claim(_Ladder):
    """Base: the one figure of one claim, from the rows of all."""

    params = ()
    param_names = ()
    claim = CLAIMS[0]

    def setup(self, file):
        mine = (*file.claims, *made_of_scaling(file.rows, file.claims))
        row = next((row for row in mine if row.number == self.claim.key), None)
        if row is None:
            raise NotImplementedError("not measured")
        if row.status != "ok":
            raise NotImplementedError(f"{row.status}: {row.message}")
        figures = row.figures
        self.value = figures.get(self.claim.tracked or self.claim.leading)
        if self.value is None:
            raise NotImplementedError(figures.get("not_measured", "there is no figure"))


def _track_figure(self, file):
    return math.copysign(min(abs(self.value), _LARGEST), self.value)


# asv finds benchmarks by name: one class for each claim, Claim01 … and RedFlag1 ….
for _claim in CLAIMS:
    _name = f"RedFlag{_claim.key[1:]}" if _claim.red_flag else f"Claim{int(_claim.key):02d}"
    globals()[_name] = type(
        _name,
        (_Claim,),
        {
            "__doc__": _claim.sentence,
            "claim": _claim,
            "unit": _claim.unit,
            "track_figure": _track_figure,
            "__module__": __name__,
        },
    )
