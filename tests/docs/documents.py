"""The documents, and what stands in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    str(file.relative_to(ROOT))
    for file in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"))
)
FENCE = re.compile(r"^```(\w*)[ ]*(.*?)\n(.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """A fenced block: its language, what stands after that, the code, and its first line."""

    language: str
    title: str
    code: str
    line: int


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, language: str | None = None) -> list[Block]:
    """The fenced blocks of a document, in one language or in all."""
    text = text_of(document)
    found = [Block(*m.groups(), text[: m.start()].count("\n") + 2) for m in FENCE.finditer(text)]
    return [block for block in found if language in (None, block.language)]


def write_files(document: str, folder: Path) -> None:
    """Write the blocks that name a file into `folder`."""
    for block in blocks(document):
        if block.title:
            (folder / block.title).write_text(block.code)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every line of every console block, without its comment and its environment variables."""
    for document in DOCUMENTS:
        for block in blocks(document, "console"):
            for line in block.code.splitlines():
                words = shlex.split(line, comments=True)
                if words := [word for word in words if not re.match(r"[A-Z_]+=", word)]:
                    yield document, words


def prose(document: str) -> str:
    """The document without its blocks of code."""
    return FENCE.sub("", text_of(document))


def anchors(document: str) -> set[str]:
    """The anchors that a Git hosting page gives to the headings."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
