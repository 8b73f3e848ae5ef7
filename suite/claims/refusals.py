"""What a call ends with that a framework refuses, as figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .claim import Figures


def told(message: str | None) -> Figures:
    """An error by its type and as a whole."""
    if message is None:
        return {"error": "no error"}
    return {"error": message.partition(":")[0], "message": message}


def error_of(call: Callable[[], Any]) -> str | None:
    """The error that a call ends with, whole; ``None`` where it ends well."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
