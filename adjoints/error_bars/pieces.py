"""Steps cut into pieces: into how many, and in what words."""

from __future__ import annotations

from ..program import Settings

#: Into how many pieces a step is cut at most.
MOST_PIECES = 512


def finer_words(settings: Settings) -> str:
    """What is finer in the second of two gradients."""
    if settings.method.family == "continuous":
        return "halved steps and a tighter reverse solve"
    return "halved steps"
