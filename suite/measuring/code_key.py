"""What measured numbers depend on, as one hash: the same code, the same hash.

It tells whether rows that were measured before still stand. What counts is every module that a
measuring process may run: all problems, adjoints and trainings, and of the suite what the
tasks of :mod:`.child` import, however far; what adjoints have in C; and the numbers of the
certified references. Modules count as syntax trees, so that comments, docstrings and layout do
not, and what is written for people does not either: texts of :data:`SENTENCE` words or more, the
verdicts on figures and all that a claim has beside its measurement.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .child import TASKS

#: Folders that count as a whole, since the table of methods and the zoo import by name.
WHOLE = ("problems", "adjoints", "training")

#: Modules of the suite that hand rows on and make none.
_CARRIERS = frozenset({"row", "rows", "machine", "code_key"})

#: From so many words on a text is a sentence.
SENTENCE = 5

#: What of a claim a measurement depends on, of the calls that define one.
_OF_CLAIM = frozenset({"key", "measure", "group"})
#: Calls and results that say something of figures, and change none.
_SAYING = frozenset({"Verdict", "Decide", "Limit", "Plot"})


@functools.cache
def code_hash() -> str:
    """The hash, of 16 hexadecimal digits; files that change later are no code of this process."""
    return hash_of(Path(__file__).resolve().parents[2])


def hash_of(root: Path) -> str:
    """The hash of the code below a folder that holds ``problems``, ``suite`` and the others."""
    digest = hashlib.sha256()
    for path in sorted(modules_of(root)):
        digest.update(f"{path.relative_to(root)}: {_tree(path)}\n".encode())
    for path in sorted((root / "adjoints").rglob("*.c")):
        digest.update(f"{path.name}: ".encode() + path.read_bytes())
    for path in sorted((root / "problems" / "references").glob("*.json")):
        digest.update(f"{path.name}: {_numbers(path)}\n".encode())
    for path in sorted((root / "problems" / "data").glob("*.json")):
        digest.update(f"{path.name}: ".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def modules_of(root: Path) -> set[Path]:
    """The files of all modules that count."""
    whole = {path for part in WHOLE for path in (root / part).rglob("*.py")}
    suite = root / "suite"
    found: set[Path] = set()
    roots = ["measuring.child", *(target.partition(":")[0] for target in TASKS.values())]
    waiting = [_file(suite, module) for module in roots]
    while waiting:
        path = waiting.pop()
        if path is None or path in found or not path.is_relative_to(suite):
            continue
        if path.stem in _CARRIERS:
            continue
        found.add(path)
        waiting += _imported(path)
    return whole | found


def _file(folder: Path, module: str) -> Path | None:
    """The file of a module, by its dotted name below a folder."""
    path = folder.joinpath(*module.split(".")) if module else folder
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def _imported(path: Path) -> Iterator[Path | None]:
    """The modules that a file imports by relative imports, within functions too."""
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1]
            start = [node.module] if node.module else []
            for alias in node.names:
                module = _file(folder, ".".join([*start, alias.name]))
                yield _file(folder, ".".join(start)) if module is None else module


@functools.lru_cache(maxsize=1024)
def _parsed_as_of(path: Path, changed: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _parsed(path: Path) -> ast.Module:
    return _parsed_as_of(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _tree_as_of(path: Path, changed: int) -> str:
    return _dump(_parsed_as_of(path, changed))


def _tree(path: Path) -> str:
    return _tree_as_of(path, path.stat().st_mtime_ns)


def _dump(node: Any) -> str:
    """A syntax tree as text, without what is written for people."""
    if isinstance(node, list):
        return f"[{','.join(_dump(child) for child in node if not _is_wording(child))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if _is_sentence(node):
        return "sentence"
    fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
    if isinstance(node, ast.Call) and _name(node.func) == "Claim":
        kept = [keyword for keyword in node.keywords if keyword.arg in _OF_CLAIM]
        fields = [("func", node.func), ("keywords", kept)]
    return f"{type(node).__name__}({','.join(f'{name}={_dump(value)}' for name, value in fields)})"


def _is_wording(node: Any) -> bool:
    """Whether one of a list of nodes says something, and computes nothing."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.FunctionDef):
        return _name(node.returns) in _SAYING
    return isinstance(node, ast.Call) and _name(node.func) in _SAYING


def _is_sentence(node: ast.AST) -> bool:
    """Whether it is a text of some words, with values put in or not."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]
    return len(" ".join(texts).split()) >= SENTENCE


def _name(node: Any) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _numbers(path: Path) -> str:
    """What errors are taken against, whatever else a file of references says."""
    counted = ("definition_hash", "loss", "dparams", "dy0")
    stored = json.loads(path.read_text(encoding="utf-8"))
    return json.dumps([{key: record[key] for key in counted} for record in stored])
