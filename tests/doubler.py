"""Work for the map over processes and over Ray, some of which fails."""

from __future__ import annotations

import os
import signal

from studio.errors import StudioError


class Doubler:
    """Doubles numbers, cannot double three, and does not survive five."""

    def __call__(self, number: int) -> int:
        if number == 3:
            raise StudioError("three")
        if number == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * number
