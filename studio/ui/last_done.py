"""What a visitor did last in a tab: what came before it is answered too late, and must neither show nor undo anything."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import Any

STAMPED: dict[str, Any] = {
    "js": "(...values) => [...values.slice(0, -1), Date.now()]",
    # Each is sent at once: one that waited for the one before would carry the moment at which it was sent.
    "trigger_mode": "multiple",
}
"""For an event whose last input becomes the moment, in milliseconds, at which the visitor did it."""
MAX_TABS = 1000


class LastDone:
    """The moment of the last thing that was done in each tab of a browser.

    Events of a page are answered beside each other: a clip that is taken away and one that is brought in its place may be
    answered in either order.
    """

    def __init__(self) -> None:
        self._moments: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def is_last(self, tab: str, moment: Any) -> bool:
        """Note what was done at ``moment``; False where something was done after it."""
        at = float(moment) if isinstance(moment, int | float) and math.isfinite(moment) else 0.0
        with self._lock:
            last = max(at, self._moments.pop(tab, at))
            self._moments[tab] = last
            if len(self._moments) > MAX_TABS:
                self._moments.popitem(last=False)
        return at == last
