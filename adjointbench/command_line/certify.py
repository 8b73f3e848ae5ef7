"""``adjointbench certify``: recompute a reference gradient and compare it with the stored one."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adjointbench.problems.locate import is_locator

from .. import problems as zoo
from .output import OK, WRONG, AsJson, print_json, refusing, say_beside
from .settings import PROBLEM, Settings, find_problem

if TYPE_CHECKING:
    from adjointbench.problems import Problem

#: Relative differences that float64 makes of one number computed in two orders.
_ROUNDING = 1e-14


def certify(
    names: Annotated[list[str], typer.Argument(help=PROBLEM)],
    settings: Settings = None,
    write: Annotated[
        bool, typer.Option("--write", help="Store it in problems/references/.")
    ] = False,
    hessian: Annotated[
        bool, typer.Option("--hessian", help="The second derivative by the parameters too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compute the gradient twice, independently, and compare with the stored reference.

    Differences of the loss itself confirm it, or there is no certificate: they see what no
    gradient does, as how a time at which the equations switch moves with a parameter.

    A gradient by another solver that estimates its own error is one more witness, where that
    takes little of the time.

    Ends with 1 where a computation breaks down, where the loss contradicts the two, where they
    differ from the stored reference, or, where nothing is stored, from each other.

    For example:

        adjointbench certify robertson
        adjointbench certify van_der_pol --set mu=10 --write
        adjointbench certify my_model.py
    """
    with refusing(extra="jax"):
        from adjointbench.problems.reference import check_writable

        if write:
            check_writable()
            _check_of_the_zoo(names)
        chosen = [find_problem(name, settings) for name in names]
        records = [_certify(problem, write=write, hessian=hessian) for problem in chosen]
    if as_json:
        print_json(records)
    else:
        print("\n\n".join(map(_text, records)))
    raise typer.Exit(OK if all(record["certified"] for record in records) else WRONG)


def _check_of_the_zoo(names: list[str]) -> None:
    own = [name for name in names if is_locator(name)]
    if own:
        raise ValueError(
            f"--write stores references of the zoo, not of {own[0]}; leave it out, or use "
            f"adjointbench compare {own[0]}, which keeps one beside its results"
        )


def _certify(problem: Problem, *, write: bool, hessian: bool) -> dict[str, Any]:
    from adjointbench.adjoints.certify import TARGET, CertificationError, certify, compare
    from adjointbench.adjoints.certify_hessian import with_hessian
    from adjointbench.problems.reference import write_reference

    record: dict[str, Any] = {"problem": problem.name, "settings": problem.settings}
    try:
        found = certify(problem, progress=say_beside)
    except CertificationError as error:
        return record | {"certified": False, "error": str(error)}
    stored = problem.reference
    if hessian:
        found = replace(found, hessian=with_hessian(problem, found))
    elif stored is not None:
        found = replace(found, hessian=stored.hessian)
    allowed, difference, largest = TARGET, None, found.agreement
    if stored is not None:
        allowed = max(TARGET, 10 * stored.agreement)
        difference = compare(found, stored)
        largest = max(largest, difference.largest)
    return record | {
        "certified": largest <= allowed and (found.witness or {}).get("agrees") is not False,
        "found": asdict(found),
        "allowed": allowed,
        "stored": None if stored is None else stored.date,
        "from_stored": None if difference is None else asdict(difference),
        "written": str(write_reference(found)) if write else None,
    }


def _text(record: dict[str, Any]) -> str:
    settings = ", ".join(f"{key}={value!r}" for key, value in record["settings"].items())
    lines = [f"{record['problem']}({settings})"]
    if "error" in record:
        return "\n".join([*lines, f"  NOT certified: {record['error']}"])
    found = record["found"]
    lines += [
        f"  {run['method']} by {run['solver']}, {run['steps']} steps: loss {run['loss']:.12g}"
        for run in found["computations"]
    ]
    lines.append(
        f"  the two agree to {found['agreement']:.1e}, in the worst component to "
        f"{found['worst_component']:.1e}"
    )
    by_loss = found["loss_computation"]
    lines.append(
        f"  {by_loss['solves']} losses by {by_loss['solver']} differ from it by "
        f"{found['loss_disagreement']:.1e}, known to {found['loss_error']:.1e}"
    )
    lines += _witness_line(found["witness"] or {})
    if found["hessian"] is not None:
        lines.append(f"  its Hessian in two ways agrees to {found['hessian']['agreement']:.1e}")
    if record["stored"] is not None:
        lines.append(f"  the reference of {record['stored']} {_beside_stored(record)}")
    elif record["problem"] in zoo.names():
        lines.append("  nothing is stored for this definition; --write stores it")
    if record["written"]:
        lines[-1] = f"  written to {record['written']}"
    verdict = "certified" if record["certified"] else "NOT certified"
    return "\n".join([*lines, f"  {verdict}: {record['allowed']:.0e} was allowed"])


def _witness_line(witness: dict[str, Any]) -> list[str]:
    """What a gradient that estimates its own error says of it."""
    if not witness:
        return []
    verdict = {True: "it agrees", False: "it does NOT agree", None: "which is not reliable"}
    return [
        f"  {witness['method']} by {witness['solver']}, refined, is {witness['distance']:.1e} from "
        f"it and estimates {witness['estimate']:.1e}: {verdict[witness['agrees']]}"
    ]


def _beside_stored(record: dict[str, Any]) -> str:
    """Whether the stored reference agrees, and to what."""
    apart = record["from_stored"]
    largest = max(apart[name] for name in ("loss", "dparams", "dy0"))
    if largest > record["allowed"]:
        return "differs: " + ", ".join(f"{name} {value:.1e}" for name, value in apart.items())
    if max(apart.values()) <= _ROUNDING:
        return "agrees to rounding"
    return f"agrees to {largest:.1e}, in the worst component to {apart['worst_component']:.1e}"
