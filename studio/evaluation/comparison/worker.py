"""``python -m studio.evaluation.comparison.worker ID``: makes the takes of one comparison, whatever becomes of the studio."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress

from studio.errors import StudioError
from studio.evaluation.comparison.comparison import PRESENT
from studio.evaluation.comparison.generation import Ended, TakeMaker
from studio.evaluation.comparison.measuring import TakeMeasurer
from studio.evaluation.comparison.running import advance, begin, settle
from studio.settings import Settings, get_settings
from studio.store import comparisons as queries
from studio.store.store import Store

CLAIM_SECONDS = 30.0
"""How long it waits for the record that says that this process has the comparison."""
STORE_SECONDS = 3600.0
"""How long it tries to tell a store that another program keeps locked."""


def work(settings: Settings, store: Store, comparison_id: str, stop: threading.Event) -> int:
    """Make the takes and measure them, write down how it ended, and start the next comparison; returns an exit status."""
    if not _claimed(store, comparison_id):
        return 1
    ended = Ended("failed", "The process that made its takes was interrupted: resume it to make the rest.")
    try:
        ended = TakeMaker(settings, store, comparison_id, stop=stop).run()
        ended = TakeMeasurer(settings, store, comparison_id, stop=stop).run(ended)
    except Exception as error:  # noqa: BLE001  whatever happens, the comparison must not be left without an end
        ended = Ended("failed", f"Making its takes failed ({type(error).__name__}: {error}): resume it to try again.")
    finally:
        _tell(settings, store, comparison_id, ended)
    return 0


def _claimed(store: Store, comparison_id: str) -> bool:
    """Whether the comparison is this process's: whoever started it wrote that down, or it waits and nobody else makes one."""
    deadline = time.monotonic() + CLAIM_SECONDS
    while time.monotonic() < deadline:
        with suppress(StudioError), store.writing() as session:
            record = queries.comparison_by_id(session, comparison_id)
            if record is None:
                return False
            if record.state in PRESENT:
                return record.pid == os.getpid()
            if record.state == "queued" and not queries.in_states(session, PRESENT):
                begin(session, record, os.getpid())
                return True
        time.sleep(0.1)
    return False


def _tell(settings: Settings, store: Store, comparison_id: str, ended: Ended) -> None:
    deadline = time.monotonic() + STORE_SECONDS
    while time.monotonic() < deadline:
        with suppress(StudioError), store.writing() as session:
            record = queries.comparison_by_id(session, comparison_id)
            if record is not None and record.pid == os.getpid():
                settle(session, record, ended.state, ended.sentence)
            advance(settings, session)
            return
        time.sleep(1.0)


def main(argv: list[str]) -> int:
    """Work on the comparison that is named."""
    stop, settings = threading.Event(), get_settings()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    return work(settings, Store(settings.store_file), argv[0], stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
