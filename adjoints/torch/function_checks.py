"""What a user's functions are asked before a solve: their shapes, and what they close over.

Tensors that are not passed would get no gradient without a word, so they are found. One call with
gradients on and inputs that need none shows them: what its result depends on came in by the
closure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..arguments import check_jacobian, check_like_state
from ..events.when_event import WhenEvent
from .closures import names_in
from .recorded_function import MOST_MET, RecordedFunction
from .schedule import Schedule
from .state import Config, Tensors
from .transforms import carries_derivative, is_batched, is_wrapped, unwrapped

#: Right-hand sides with known operations that have passed the checks.
_PASSED: dict[Any, None] = {}

REMEDY = (
    "pass the module itself as rhs, or the tensors in params and take them from there (of a module "
    "dict(module.named_parameters()), with torch.func.functional_call(module, params, inputs) in "
    "place of its call); or, if they are not to be trained, detach them, or call solve under "
    "torch.no_grad()"
)


def check_functions(
    config: Config,
    schedule: Schedule,
    y0: torch.Tensor,
    smooth: Tensors,
    others: Tensors,
    *,
    hidden: bool,
) -> None:
    """Call every function once: refuse a misshapen result, and weights that are not passed.

    Parameters
    ----------
    config, schedule, y0
    smooth, others : tuple of tensor
        Parameters and constants.
    hidden : bool
        Whether tensors in a closure are hidden from the adjoint, which is not autograd's own.
    """
    known = _known(config, schedule, y0, hidden=hidden)
    if known is not None and known in _PASSED:
        return
    params = (tuple(p.detach() for p in smooth), tuple(c.detach() for c in others))
    inputs = (schedule.t0, y0.detach(), params)
    given = (schedule.t0, inputs[1], *params[0], *params[1])

    def called(function: Callable[..., Any], name: str, *number: int) -> torch.Tensor | None:
        def call() -> Any:
            return function(*number, *inputs)

        before = _generators(y0)
        try:
            found = check_closure(name, call, given, user=function) if hidden else _called(call)
        except RuntimeError:
            if not any(is_wrapped(x) for x in given):
                raise
            # What takes gradients inside can be called outside of a transform, as solves are.
            return None
        if not all(map(torch.equal, before, _generators(y0))):
            raise ValueError(
                f"{name} draws random numbers, as dropout does in training, so that it is no "
                "function of its arguments and has no gradient; call eval() on the module, or draw "
                "the numbers before the solve and pass them in params"
            )
        if not isinstance(found, torch.Tensor):
            raise ValueError(f"{name} returned a {type(found).__name__}; it must return a tensor")
        return found

    for name, function, number in (("rhs", config.rhs, ()), ("jump", schedule.jump, (0,))):
        if function is not None and (found := called(function, name, *number)) is not None:
            check_like_state(name, found, y0)
    _check_events(schedule.events, y0, called)
    if config.jacobian is not None:
        matrix = called(config.jacobian, "jacobian")
        if matrix is not None:
            check_jacobian(tuple(matrix.shape), y0.numel())
    if known is not None:
        while len(_PASSED) >= MOST_MET:
            _PASSED.pop(next(iter(_PASSED)))
        _PASSED[known] = None


def _check_events(
    events: Sequence[WhenEvent],
    y0: torch.Tensor,
    called: Callable[..., torch.Tensor | None],
) -> None:
    """Call the functions of every event."""
    for event in events:
        value = called(event.when, "when")
        if value is not None and value.shape != ():
            raise ValueError(
                f"when returned shape {tuple(value.shape)}; it must be (), one number that passes "
                "through zero at the event"
            )
        if event.jump is not None and (after := called(event.jump, "event jump")) is not None:
            check_like_state("event jump", after, y0)


def _known(config: Config, schedule: Schedule, y0: torch.Tensor, *, hidden: bool) -> Any:
    """What the checks depend on, where they read no more than operations that are known."""
    rhs = config.rhs
    if not isinstance(rhs, RecordedFunction) or schedule.jump or config.jacobian:
        return None
    return (rhs.operations, y0.shape, y0.dtype, hidden, torch.is_grad_enabled())


def check_closure(
    name: str,
    call: Callable[[], Any],
    given: Sequence[torch.Tensor],
    remedy: str = REMEDY,
    user: Any = None,
) -> Any:
    """What `call` returns; refused where it depends on tensors that were not passed.

    Parameters
    ----------
    name : str
        Of the function, for the refusal.
    call : callable
    given : sequence of tensor
        What it is called with; none needs a gradient.
    remedy : str
        What would do, for the refusal.
    user : UserFunction, optional
        What `call` calls, for the tensors' names.
    """
    found = _called(call)
    if isinstance(found, torch.Tensor) and is_batched(found) and not any(map(is_batched, given)):
        raise ValueError(
            f"{name} closes over a tensor that differs from lane to lane under vmap; pass it in "
            "params"
        )
    if not torch.is_grad_enabled():
        return found
    hidden = _leaves(found, given)
    if hidden:
        # What was made inside is another tensor at the next call.
        again = _leaves(call(), given)
        hidden = [x for x in hidden if any(x is y for y in again)]
    if hidden:
        raise ValueError(
            f"{name} closes over {_listed(hidden, user)} that would get no gradient; {remedy}"
        )
    if isinstance(found, torch.Tensor) and is_wrapped(found) and carries_derivative(found):
        raise ValueError(
            f"{name} closes over a tensor that a transform of torch.func differentiates, which "
            f"would get no derivative; {remedy}"
        )
    return found


def _listed(hidden: list[torch.Tensor], user: Any) -> str:
    """Tensors by their number, their shapes, and their names where these are known."""
    plural, more = ("s" if len(hidden) > 1 else ""), (", ..." if len(hidden) > 5 else "")
    shapes = ", ".join(str(tuple(x.shape)) for x in hidden[:5])
    known = {} if user is None else names_in(user.function)
    names = [known[id(x)] for x in hidden[:5] if id(x) in known]
    told = f" ({', '.join(names)}{more})" if names else ""
    return f"{len(hidden)} tensor{plural} of shape{plural} {shapes}{more}{told}"


def _generators(like: torch.Tensor) -> list[torch.Tensor]:
    """The states of the generators that random numbers on the device of a state come from."""
    states = [torch.get_rng_state()]
    if like.is_cuda:
        states.append(torch.cuda.get_rng_state(like.device))
    return [unwrapped(state) for state in states]


def _called(call: Callable[[], Any]) -> Any:
    """What `call` returns, with gradients on where it needs them inside."""
    try:
        return call()
    except RuntimeError:
        if torch.is_grad_enabled():
            raise
        with torch.enable_grad():
            return call()


def _leaves(found: Any, given: Sequence[Any]) -> list[torch.Tensor]:
    """The leaves of the graph of `found` that need a gradient and were not given."""
    if not isinstance(found, torch.Tensor) or not found.requires_grad:
        return []
    node = found.grad_fn
    if node is None:
        return [] if any(found is x for x in given) else [found]
    waiting, seen, leaves = [node], {node}, []
    while waiting:
        node = waiting.pop()
        leaf = getattr(node, "variable", None)
        if leaf is not None and not any(leaf is x for x in given):
            leaves.append(leaf)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)
    return leaves
