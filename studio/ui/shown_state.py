"""What a page already shows of a run or a comparison, so that only news are sent."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any


class Seen:
    """What the page itself keeps and sends along with each look.

    Kept on the server it would say what was *sent*: an answer that was lost, or came after a later one, would then never
    be made good.

    Args:
        kept: :attr:`value` as a browser sends it back; whatever is no such thing counts as nothing shown.
    """

    def __init__(self, kept: Any = None) -> None:
        given = kept if isinstance(kept, dict) else {}
        self.chosen = given["chosen"] if isinstance(given.get("chosen"), str) else ""
        parts = given.get("parts")
        self._parts = {k: v for k, v in parts.items() if isinstance(v, str)} if isinstance(parts, dict) else {}

    @property
    def value(self) -> dict[str, Any]:
        """For the page to keep: what is in the panel, and for each part of the page what it was drawn from, as a hash."""
        return {"chosen": self.chosen, "parts": dict(self._parts)}

    def is_news(self, part: str, drawn_from: Any) -> bool:
        """Whether a part would be drawn from something else than before; from now on it counts as drawn."""
        mark = hashlib.sha256(repr(drawn_from).encode()).hexdigest()[:16]
        if self._parts.get(part) == mark:
            return False
        self._parts[part] = mark
        return True

    def turned_to(self, chosen: str) -> bool:
        """Another one: whatever was drawn of the one before is no longer there. The list stays."""
        if chosen == self.chosen:
            return False
        self.chosen, self._parts = chosen, {name: of for name, of in self._parts.items() if name in ("list", "trouble")}
        return True

    def forget(self, trouble: str) -> bool:
        """Nothing counts as drawn but a sentence about why; returns whether that one is news."""
        before = self._parts.get("trouble")
        self.chosen, self._parts = "", {}
        self.is_news("trouble", trouble)
        return self._parts["trouble"] != before


def stamp(path: Path) -> str:
    """Another one whenever a file was written anew."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"
