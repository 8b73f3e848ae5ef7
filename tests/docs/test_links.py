"""Links lead somewhere, pages are reached, and blocks say what they are."""

import re

import pytest
from documents import DOCUMENTS, ROOT, anchors, blocks, prose


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    here = (ROOT / document).parent
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        file = here / name if name else ROOT / document
        assert file.exists(), link
        assert not anchor or anchor in anchors(str(file.resolve().relative_to(ROOT))), link


def test_the_contents_list_every_page() -> None:
    contents = prose("docs/README.md")
    for document in DOCUMENTS:
        name = document.removeprefix("docs/")
        assert name in ("README.md", document) or f"({name})" in contents, document


@pytest.mark.parametrize("document", DOCUMENTS)
def test_blocks_are_code_that_runs_or_text(document: str) -> None:
    fences = re.findall(r"^ *```", (ROOT / document).read_text(), re.M)
    found = blocks(document)
    assert len(fences) == 2 * len(found)
    assert {block.language for block in found} <= {"python", "console", "text"}
