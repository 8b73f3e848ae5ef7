"""From the contents of a report to its page, and to Markdown."""

from __future__ import annotations

from pathlib import Path

import jinja2

from .figures.shown_figure import slug
from .sections.content import Content

TEMPLATES = Path(__file__).parent / "templates"


def render(content: Content, template: str) -> str:
    """The report as text, by ``page.html`` or ``report.md``."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["slug"] = slug
    environment.globals["asset"] = _asset
    return environment.get_template(template).render(c=content)


def _asset(name: str) -> str:
    """A file of the templates as it is."""
    return (TEMPLATES / name).read_text(encoding="utf-8")
