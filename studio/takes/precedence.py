"""Whoever waits for a take comes first: makers of takes in the background, in whatever process, stand back meanwhile."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from studio.files import read_json
from studio.processes import Process, process_of

_SUFFIX = ".speaking"


@contextmanager
def first(leases: Path) -> Iterator[None]:
    """Say that somebody waits for what is spoken within.

    Args:
        leases: the folder that all processes of a home share. One that cannot be written changes nothing.
    """
    own, file = process_of(os.getpid()), leases / f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
    with suppress(OSError):
        leases.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"pid": own.pid, "started": own.started} if own else {}))
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def somebody_waits(leases: Path) -> bool:
    """Whether somebody waits for speech now. Files of processes that have ended are removed."""
    for file in leases.glob(f"*{_SUFFIX}") if leases.is_dir() else ():
        try:
            said = read_json(file)
            process = Process(int(said["pid"]), float(said["started"]))
        except (OSError, ValueError, TypeError, KeyError):
            continue  # being written at this moment, or it ends just now
        if process.is_alive:
            return True
        with suppress(OSError):
            file.unlink(missing_ok=True)
    return False
