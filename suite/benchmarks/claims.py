"""The leading figure of each claim that people make about adjoints; the verdicts are reported."""

import math

from ._checkout import CHOSEN, TASKS, of_checkout
from ._ladder import SPARE_S, _Measured, selected
from ._rows import rows_of
from .scaling import Crossover as _Crossover
from .scaling import study as _study

#: asv cannot publish infinity.
_LARGEST = 1e12

_CLAIMS = of_checkout("suite.claims.table").CLAIMS


def _with_its_group(key):
    """The claims that are measured together with one, by the same process."""
    groups = {claim.key: claim.group or claim.key for claim in _CLAIMS}
    return [other for other in CHOSEN.claims if groups[other] == groups[key]]


def row_of(file, key):
    """The row of a claim; not implemented where it was not asked for, or this commit has it not."""
    from adjointbench.suite.claims.table import CLAIMS

    selected(key in CHOSEN.claims, "ADJOINTBENCH_CLAIMS")
    known = {claim.key: claim for claim in CLAIMS}
    if key not in known:
        raise NotImplementedError("this commit does not have the claim")
    members = [other for other in _with_its_group(key) if other in known]
    (task,) = TASKS.claim_tasks(members, CHOSEN.quick)
    (row,) = rows_of(file, task, task.key._replace(problem=known[key].name))
    if row.status != "ok":
        raise NotImplementedError(f"{row.status}: {row.message}")
    return row


class _Claim(_Measured):
    """Base: the one figure of one claim."""

    claim = _CLAIMS[0]

    def setup(self, file):
        figures = self.figures(file)
        self.value = figures.get(self.claim.tracked or self.claim.leading)
        if self.value is None:
            raise NotImplementedError(figures.get("not_measured", "there is no figure"))

    def figures(self, file):
        return row_of(file, self.claim.key).figures


class _OfScaling(_Claim):
    """Base: the one claim that is measured by the study of sizes, where there is one."""

    timeout = _Crossover.timeout

    def figures(self, file):
        from adjointbench.suite.claims.cost import figures_of_scaling
        from adjointbench.suite.claims.tasks import plain

        selected(self.claim.key in CHOSEN.claims, "ADJOINTBENCH_CLAIMS")
        return plain(figures_of_scaling(_study(file)))


def _track_figure(self, file):
    return math.copysign(min(abs(self.value), _LARGEST), self.value)


def _benchmark(claim):
    """The class of one claim, Claim01 … or RedFlag1 …: asv finds benchmarks by name."""
    by_size = claim.key == TASKS.OF_SCALING and CHOSEN.sizes
    members = _with_its_group(claim.key)
    about = {
        "__doc__": claim.sentence,
        "__module__": __name__,
        "claim": claim,
        "unit": claim.unit,
        "track_figure": _track_figure,
    }
    if not by_size:
        tasks = TASKS.claim_tasks(members, CHOSEN.quick)
        about["timeout"] = sum(task.timeout_s for task in tasks) + SPARE_S
    name = f"RedFlag{claim.key[1:]}" if claim.red_flag else f"Claim{int(claim.key):02d}"
    return type(name, (_OfScaling if by_size else _Claim,), about)


for _claim in _CLAIMS:
    _class = _benchmark(_claim)
    globals()[_class.__name__] = _class
