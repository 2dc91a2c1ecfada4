"""Something that takes some seconds behind a press of a button, and tells meanwhile what it is doing."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Generic, TypeVar

T = TypeVar("T")
_TICK_SECONDS = 1.0


@dataclass(frozen=True)
class Done(Generic[T]):
    """How it came out: a result, or what was raised."""

    result: T | None
    error: Exception | None


def told(do: Callable[[Callable[[str], None]], T]) -> Iterator[str | Done[T]]:
    """Run ``do`` in a thread of its own: a sentence whenever it announces one, then the outcome.

    Whoever stops listening stops nothing: what was begun is done to its end.
    """
    said: queue.SimpleQueue[str | Done[T]] = queue.SimpleQueue()

    def work() -> None:
        try:
            said.put(Done(do(said.put), None))
        except Exception as error:  # noqa: BLE001  handed over to whoever listens
            said.put(Done(None, error))

    threading.Thread(target=work, daemon=True).start()
    while True:
        try:
            news = said.get(timeout=_TICK_SECONDS)
        except queue.Empty:
            continue
        yield news
        if isinstance(news, Done):
            return


def at_work(sentence: str) -> str:
    """A sentence with a bar that moves without an end in sight."""
    return (
        f'<div class="card info progress"><strong role="status">Working</strong> <span>{escape(sentence)}</span>'
        '<progress aria-label="Working"></progress></div>'
    )
