"""The word that the library of voices changed, which the rest of the page hears."""

from __future__ import annotations

from typing import Any

NOTHING_NEW: dict[str, Any] = {"count": 0, "open": None, "listed": True, "select": None, "go": False}


def changed(
    told: dict[str, Any], opened: str | None, *, listed: bool = False, select: str | None = None, go: bool = False
) -> dict[str, Any]:  # fmt: skip
    """What is told next.

    Args:
        told: what was told last.
        opened: the voice that the library is to show.
        listed: the library shows it already.
        select: a voice for *Speak* to choose.
        go: to *Speak* as well.
    """
    return {"count": told["count"] + 1, "open": opened, "listed": listed, "select": select, "go": go}
