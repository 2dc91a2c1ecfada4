"""An import of an upload in a process that is killed in the middle, as by a crash of the machine."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_SCRIPT = """
import sys, time
from pathlib import Path
from studio.datasets.imports.importer import begin_upload, go_on
from studio.datasets.library import DatasetLibrary
from studio.datasets.sources import SourceOptions
from studio.settings import Settings
from studio.store.store import Store

home, name, kind, upload = sys.argv[1:]
settings = Settings(home=Path(home))
library = DatasetLibrary(settings, Store(settings.store_file))
dataset = begin_upload(library, name, kind, [Path(upload)], SourceOptions(speaker="Kathleen"), language="en")
read = []

def announce(done, what):
    # In the middle of the second: the first is written, and nothing of this one.
    if "a.flac" not in what and not read:
        read.append(what)
        print("now", flush=True)
        time.sleep(60)

go_on(library, dataset, announce=announce)
"""


def begin_and_kill(home: Path, name: str, kind: str, upload: Path) -> None:
    """Import an upload of recordings, of which the first is ``a.flac``, and be killed when it has been read."""
    command = [sys.executable, "-c", _SCRIPT, str(home), name, kind, str(upload)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "now\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
