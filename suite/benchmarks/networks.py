"""Gradients of networks through the user's own `solve`, at its defaults, beside torchdiffeq."""

import statistics

from ._checkout import CHOSEN, VERSION, of_checkout
from ._warm import Warm as _Warm

_NETWORKS = of_checkout("suite.measuring.user_networks")

ALL = tuple(_NETWORKS.NETWORKS)
CHOSEN_NETWORKS = ALL[:1] if CHOSEN.quick else ALL
ROUNDS = 15


class Torch(_Warm):
    """``backward`` with PyTorch's own operations; beside it the same module in torchdiffeq."""

    params = (CHOSEN_NETWORKS, ("solve", "torchdiffeq"))
    param_names = ("network", "by")

    def prepare(self, network, by):
        return _call(network, by)

    def time_gradient(self, network, by):
        self.next_call()


class OverTorchdiffeq:
    """A gradient by PyTorch's `solve` over torchdiffeq's at the same tolerance, in turn."""

    params = (CHOSEN_NETWORKS,)
    param_names = ("network",)
    timeout = 300
    version = VERSION

    def track_time_over_torchdiffeq(self, network):
        calls = [_call(network, by) for by in ("solve", "torchdiffeq")]
        return _ratio(calls)

    track_time_over_torchdiffeq.unit = "ratio"


class Jax:
    """A gradient by JAX's `solve` over the loss alone, in turn, at the default settings."""

    params = (ALL[:1] if CHOSEN.quick else (ALL[0], ALL[-1]),)
    param_names = ("network",)
    timeout = 300
    version = VERSION

    def track_gradient_over_primal(self, network):
        networks = _of_commit()
        chosen = networks.NETWORKS[network]
        return _ratio([networks.by_jax(chosen), networks.by_jax(chosen, primal=True)])

    track_gradient_over_primal.unit = "ratio"


def _call(network, by):
    networks = _of_commit()
    own = {"engine": "torch"} if by == "solve" else {}
    make = networks.by_torch if by == "solve" else networks.by_torchdiffeq
    return make(networks.NETWORKS[network], **own)


def _ratio(calls):
    """The median of the first call's time over the second's."""
    rounds = [[call(number) for call in calls] for number in range(ROUNDS)]
    return statistics.median(first / second for first, second in rounds)


def _of_commit():
    try:
        from adjointbench.suite.measuring import user_networks
    except ImportError:
        raise NotImplementedError("this commit has no networks of its users") from None
    return user_networks
