"""Make the generated parts of README.md and of docs/ anew, from the code that they tell about.

    python docs/generate.py            # rewrite them: make docs
    python docs/generate.py --check    # say what is missing or no longer true; write nothing

A generated part stands between ``<!-- begin: NAME ... -->`` and ``<!-- end -->``; everything else
is written by hand. Problems are told about by their docstrings, methods by their table: a new
problem needs nothing else, a new method its name in a marker of ``docs/methods.md``.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml
from architecture_map import draw_map
from package_imports import arrows
from render import Maker, code, filled, from_docstring, table, wrapped
from trainings import training_tables, training_verdicts

import adjointbench.problems as zoo
from adjointbench.adjoints.methods import methods
from adjointbench.adjoints.methods.method import FAMILIES, MODELS, Method
from adjointbench.problems import Problem
from adjointbench.problems.reference import Reference, references
from adjointbench.problems.registry import entry
from adjointbench.suite.claims.claim import Claim
from adjointbench.suite.claims.table import CLAIMS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

FAMILY_TITLES = {
    "discrete": ("discrete", "the exact derivative of the steps that the solver took"),
    "continuous": ("continuous", "a differential equation for the gradient, solved in its turn"),
    "blackbox": ("black box", "a solver that the framework cannot see into"),
    "peers": ("peers", "what a user would pick instead, through its own public interface"),
}


def families() -> str:
    """One line a family of methods, for the README."""
    rows = (
        (title, code(m.name for m in methods(family=family)), what)
        for family, (title, what) in FAMILY_TITLES.items()
    )
    return table(("family", "methods", "what they do"), rows)


def overview() -> str:
    """One line a method, linked to where it is told about."""
    rows = (
        (f"[`{m.name}`](#{m.name})", m.family, m.backend, "yes" if m.stiff else "no", m.cost)
        for family in FAMILIES
        for m in methods(family=family)
    )
    return table(("method", "family", "backend", "stiff", "cost"), rows)


#: Columns of the table of features: a title, and whether a method has it.
FEATURES: dict[str, Callable[[Method], bool]] = {
    "stiff": lambda m: m.stiff,
    **{name: (lambda m, name=name: name in m.models) for name in MODELS},
    **{
        title: (lambda m, option=option: option in m.supports)
        for title, option in {
            "estimates": "regularizer",
            "checkpoints": "checkpoints",
            "GPU": "device",
            "sparse": "linear_solver",
        }.items()
    },
}


def features() -> str:
    """What each method can take, from its entry in the table."""
    rows = (
        (
            f"[`{m.name}`](methods.md#{m.name})",
            *("yes" if has(m) else "" for has in FEATURES.values()),
        )
        for family in FAMILIES
        for m in methods(family=family)
    )
    return table(("method", *FEATURES), rows)


def some_methods(*names: str) -> str:
    """What the table knows of these methods."""
    known = {m.name: m for m in methods()}
    if strangers := set(names) - set(known):
        raise ValueError(f"docs/methods.md tells about {', '.join(strangers)}: no such method")
    return "\n\n".join(_method(known[name]) for name in names)


def _method(method: Method) -> str:
    facts = {
        "Cost": f"{method.cost}.",
        "Solvers": _solvers(method),
        "Options": code(sorted(method.supports)),
        "Needs": code(method.requires),
        "Reference": f"{method.reference}.".replace("..", "."),
    }
    lines = (wrapped(f"- {name}: {fact}") for name, fact in facts.items())
    return f"#### `{method.name}`\n\n{wrapped(method.summary)}\n\n" + "\n".join(lines)


def _solvers(method: Method) -> str:
    default = f"{code(method.solvers)}; `{method.solvers[0]}` by default"
    if method.stiff_solver is None:
        return f"{default}, none for stiff problems."
    return f"{default}, `{method.stiff_solver}` where the problem is stiff."


def problems_in_short() -> str:
    """One line a problem, linked to where it is told about."""
    return table(
        ("problem", "what it is", "tags", ">states", ">parameters", "span"), map(_line, _problems())
    )


def _problems() -> Iterator[Problem]:
    return map(zoo.get, zoo.names())


def _line(problem: Problem) -> tuple[str, ...]:
    about = " ".join(_module_summary(problem.name).rstrip(".").split())
    span = "{:g} … {:g}".format(*problem.t_span)
    sizes = (f"{problem.n_states:,}", f"{problem.n_params:,}")
    return f"[`{problem.name}`](#{problem.name})", about, ", ".join(problem.tags), *sizes, span


def _module_summary(name: str) -> str:
    """The first line of a problem's file, which says what is special about it."""
    module = sys.modules[entry(name).factory.__module__]
    return (inspect.getdoc(module) or "").partition("\n")[0]


def each_problem() -> str:
    """All that is known of every problem: its docstring, sizes, settings and references."""
    return "\n\n".join(map(_problem, _problems()))


def _problem(problem: Problem) -> str:
    about = entry(problem.name)
    text = from_docstring(inspect.getdoc(about.factory) or "")
    if "$$" not in text or "Reference" not in text:
        raise ValueError(
            f"the problem {problem.name!r} is not documented: write its equations after "
            "'.. math::' and its source after 'Reference:' into the docstring of its factory"
        )
    facts = (
        f"{_count(problem.n_states, 'state')} of shape `{problem.y0.shape}`, "
        f"{_count(problem.n_params, 'parameter')}, {_count(len(problem.save_at), 'save')}, "
        f"{problem.dtype}{', stiff' if problem.stiff else ''}"
    )
    settings = code(f"{key}={value!r}" for key, value in about.defaults.items())
    lines = [
        wrapped(f"- Size: {facts}."),
        wrapped(f"- Tags: {', '.join(problem.tags)}. Settings and defaults: {settings}."),
        f"- Code: [problems/zoo/{problem.name}.py](../problems/zoo/{problem.name}.py)",
    ]
    certified = map(_reference, references(problem.name))
    columns = ("certified with", ">loss", ">agreement", "by", ">confirmed to", "day")
    agreement = table(columns, certified)
    return f"## `{problem.name}`\n\n{text}\n\n" + "\n".join(lines) + f"\n\n{agreement}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _reference(reference: Reference) -> tuple[str, ...]:
    defaults = entry(reference.problem).defaults
    changed = {k: v for k, v in reference.settings.items() if defaults.get(k) != v}
    by = " and ".join(f"`{c['method']}` by `{c['solver']}`" for c in reference.computations)
    return (
        code(f"{key}={value!r}" for key, value in changed.items()) or "the defaults",
        f"{reference.loss:.10g}",
        f"{reference.agreement:.0e}",
        by,
        "–" if reference.confirmed_to is None else f"{reference.confirmed_to:.0e}",
        reference.date,
    )


def citation() -> str:
    """How to cite adjointbench, as BibTeX."""
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    authors = " and ".join(f"{{{author['name']}}}" for author in facts["authors"])
    return "\n".join(
        [
            "```text",
            "@software{adjointbench,",
            f"  title   = {{{facts['title']}}},",
            f"  author  = {{{authors}}},",
            f"  version = {{{facts['version']}}},",
            f"  date    = {{{facts['date-released']}}},",
            "}",
            "```",
        ]
    )


def sources() -> str:
    """Whom to cite for each method: what was published, and so has a year or a number."""
    methods_of = defaultdict(list)
    for method in methods():
        for source in method.reference.split("; "):
            if re.search(r"\b(19|20)\d\d\b|arXiv", source):
                methods_of[source].append(method.name)
    rows = ((source.rstrip("."), code(names)) for source, names in methods_of.items())
    return table(("source", "methods"), rows)


def claims() -> str:
    """Every claim: what is said, where, how it is measured, and when it holds."""
    return "\n\n".join(map(_claim, CLAIMS))


def _claim(claim: Claim) -> str:
    facts = {
        "Said": claim.source.removeprefix("said "),
        "Measured": claim.measured,
        "Thresholds": "; ".join(
            f"{limit.words} ({limit.value:g})" for limit in claim.limits.values()
        ),
        "Published": claim.published,
    }
    lines = (wrapped(f"- {name}: {fact.rstrip('.')}.") for name, fact in facts.items() if fact)
    return f"{wrapped(f'**{claim.key}. {claim.sentence}**')}\n\n" + "\n".join(lines)


def versions() -> str:
    """The versions that are tested together."""
    pins = dict(
        re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.M | re.I)
    )
    ours, peers = ("numpy", "scipy", "jax", "torch"), ("diffrax", "gradsolve", "torchdiffeq")
    shown = (*ours, *peers, "torchode", "casadi", "pydiffsol")
    return table(shown, [[pins[name] for name in shown]])


def arrows_between_rooms() -> str:
    """What each folder imports, one line a folder."""
    found = arrows("rooms")
    width = max(map(len, found))
    lines = [
        textwrap.fill(
            f"{room:{width}} → {', '.join(sorted(imported))}".rstrip(),
            100,
            subsequent_indent=" " * (width + 3),
        )
        for room, imported in found.items()
    ]
    return "\n".join(["```text", *lines, "```"])


MAKERS: dict[str, Maker] = {
    "families": families,
    "overview": overview,
    "features": features,
    "methods": some_methods,
    "zoo": problems_in_short,
    "problems": each_problem,
    "citation": citation,
    "sources": sources,
    "claims": claims,
    "versions": versions,
    "arrows": arrows_between_rooms,
    "training-tables": training_tables,
    "training-verdicts": training_verdicts,
}


def undocumented() -> list[str]:
    """The methods that docs/methods.md does not tell about, or tells about twice."""
    text = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    parts = re.findall(r"<!-- begin: methods (.*?) -->", text)
    told = Counter(name for part in parts for name in part.split())
    return [method.name for method in methods() if told[method.name] != 1]


def main() -> int:
    """Do as the module says; return the exit code."""
    check = "--check" in sys.argv[1:]
    troubles = [
        f"docs/methods.md must tell about {name} once: write its mathematics, or add the name to "
        "the '<!-- begin: methods ... -->' of its kind, and run make docs"
        for name in undocumented()
    ]
    for document in DOCUMENTS:
        old = document.read_text(encoding="utf-8")
        new = filled(old, MAKERS)
        if check and new != old:
            troubles.append(f"{document.relative_to(ROOT)} is not up to date: run make docs")
        elif new != old:
            document.write_text(new, encoding="utf-8")
            print(f"{document.relative_to(ROOT)} rewritten")
    if not check:
        draw_map(ROOT / "docs" / "architecture.svg")
    for trouble in troubles:
        print(trouble, file=sys.stderr)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
