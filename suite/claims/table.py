"""All claims; each subject's file holds its claims, their thresholds and what measures them."""

from __future__ import annotations

from .claim import Claim
from .cost import COST
from .event_flags import EVENT_FLAGS
from .flags import FLAGS
from .jax_control_flow import JAX_CONTROL_FLOW
from .loops import LOOPS
from .many_data import MANY_DATA
from .primitive import PRIMITIVE
from .primitive_costs import PRIMITIVE_COSTS
from .recorded_steps import RECORDED_STEPS
from .reversible import REVERSIBLE_CLAIMS
from .sensitivities import SENSITIVITIES
from .stiff_rival import STIFF_RIVAL
from .stochastic import STOCHASTIC
from .torch_compile import TORCH_COMPILE
from .trained import TRAINED
from .trust_in_ok import TRUST_IN_OK

#: All of them by number, the red flags last.
CLAIMS: tuple[Claim, ...] = tuple(
    sorted(
        (
            *JAX_CONTROL_FLOW,
            *TORCH_COMPILE,
            *SENSITIVITIES,
            *PRIMITIVE,
            *PRIMITIVE_COSTS,
            *LOOPS,
            *COST,
            *TRAINED,
            *REVERSIBLE_CLAIMS,
            *MANY_DATA,
            *RECORDED_STEPS,
            *STIFF_RIVAL,
            *STOCHASTIC,
            *TRUST_IN_OK,
            *FLAGS,
            *EVENT_FLAGS,
        ),
        key=lambda claim: (claim.red_flag, int(claim.key.lstrip("R"))),
    )
)

_BY_KEY = {claim.key: claim for claim in CLAIMS}


def claim_of(key: str) -> Claim:
    """The claim of this number.

    Raises
    ------
    KeyError
        Where there is none.
    """
    return _BY_KEY[key]
