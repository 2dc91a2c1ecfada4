"""What the running studio does for its jobs: moves the queue on, and gives the engine's memory back before one starts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from studio.engine.host import EngineHost
from studio.engine.leases import numbered
from studio.errors import StudioError
from studio.settings import Settings
from studio.store import jobs as queries
from studio.store.store import Store
from studio.training.execution.queue import folder_of, tidy
from studio.training.job import PRESENT
from studio.training.monitoring.progress import status_of

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 45.0
"""How long somebody who is being spoken to may go on before the training takes the device."""

GIVEN_BACK = (
    "The model gave its memory back to a training on this device: the next text loads it again, if there is room."
)


class Scheduler:
    """A thread that ends with the process. Nothing depends on it: without the studio, jobs go on all the same.

    Args:
        speaking: whether a text is being spoken at this moment.
    """

    def __init__(
        self, settings: Settings, store: Store, host: EngineHost, speaking: Callable[[], bool] = lambda: False
    ) -> None:
        self._settings, self._store, self._host, self._speaking = settings, store, host, speaking
        self._wanted_since: float | None = None

    def start(self) -> None:
        """Begin to look, now and then from time to time."""
        threading.Thread(target=self._look_on, name="scheduler", daemon=True).start()

    def _look_on(self) -> None:
        while True:
            try:
                self.look()
            except StudioError as error:
                log.warning("the jobs were not looked after: %s", error)
            except Exception:  # whatever it is, the next look must come
                log.exception("the jobs were not looked after")
            time.sleep(LOOK_SECONDS)

    def look(self) -> None:
        if not self._settings.store_file.exists():
            return
        tidy(self._settings, self._store)
        device = self._host.status.device
        if self._host.status.state != "ready" or device is None or not self._is_wanted(device):
            self._wanted_since = None
            return
        self._wanted_since = self._wanted_since or time.monotonic()
        if self._speaking() and time.monotonic() - self._wanted_since < PATIENCE_SECONDS:
            return
        self._host.unload(GIVEN_BACK)
        log.info("%s", GIVEN_BACK)

    def _is_wanted(self, device: str) -> bool:
        """Whether a job waits for the memory of this device."""
        with self._store.reading() as session:
            records = [
                record for record in queries.in_states(session, PRESENT) if numbered(record.device) == numbered(device)
            ]
        return any(status_of(folder_of(self._settings, record)).get("stage") == "waiting" for record in records)
