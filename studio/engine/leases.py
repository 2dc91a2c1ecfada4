"""Who has a model in the memory of a device: a file for each process, so that a training can wait until it is given back."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from studio.files import read_json
from studio.processes import Process, process_of


class Lease:
    """This process's file in a folder that all processes of a home share.

    A missing or unwritable folder changes nothing: a lease is a courtesy, no lock.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / f"{os.getpid()}.json"

    def hold(self, device: str) -> None:
        """Say that this process has a model on the device ("cpu", "mps", "cuda" or "cuda:N")."""
        own = process_of(os.getpid())
        if own is not None:
            with suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.write_text(json.dumps({"pid": own.pid, "started": own.started, "device": device}))

    def release(self) -> None:
        """Say that it has none any more."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)


def holders(folder: Path, device: str) -> list[Process]:
    """The processes that have a model on the device. Files of processes that have ended are removed."""
    found = []
    for file in folder.glob("*.json") if folder.is_dir() else ():
        try:
            held = read_json(file)
            process = Process(int(held["pid"]), float(held["started"]))
            on = str(held["device"])
        except (OSError, ValueError, TypeError, KeyError):
            continue  # being written at this moment
        if not process.is_alive:
            with suppress(OSError):
                file.unlink(missing_ok=True)
        elif numbered(on) == numbered(device):
            found.append(process)
    return found


def numbered(device: str) -> str:
    """ "cuda" means the first GPU."""
    return "cuda:0" if device == "cuda" else device
