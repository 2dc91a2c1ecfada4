"""Starts and steers the stages in the background: ``python -m tools.demo_checkpoint.run start|status|pause|resume|stop``.

    python -m tools.demo_checkpoint.run start codec --steps 8000      anything after the name goes to the stage
    python -m tools.demo_checkpoint.run pause                         all stages stand still, and keep their memory
    python -m tools.demo_checkpoint.run resume

A stage runs at the lowest priority in a session of its own and outlives the shell. Its log and its process number lie in
``logs`` of the state folder. Started again after whatever ended it, it goes on where it last saved.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from studio.files import atomic_write_bytes
from tools.demo_checkpoint import state

STAGES = ("corpus", "codec", "codes", "language_model")


@dataclass(frozen=True)
class Stage:
    """A stage that was started: its process, known again by when it began, since numbers are used anew."""

    name: str
    pid: int
    began: str

    @property
    def state(self) -> str:
        """``running``, ``paused`` or ``ended``."""
        status = _process(self.pid)
        if status is None or status[1] != self.began:
            return "ended"
        return "paused" if status[0] in "Tt" else "running"

    def signal(self, number: int) -> None:
        """Send a signal to the stage's own session, if it is still the process that was started."""
        if self.state != "ended":
            os.killpg(self.pid, number)


def _process(pid: int) -> tuple[str, str] | None:
    """State letter and start time of a process, as Linux counts it; None if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (fields[0], fields[19]) if fields[0] not in "ZX" else None


def logs() -> Path:
    """Folder of logs and process numbers."""
    return state.state_folder() / "logs"


def stages() -> list[Stage]:
    """All stages that were ever started in this state folder, by name."""
    return [Stage(**json.loads(path.read_text())) for path in sorted(logs().glob("*.pid"))]


def start(name: str, arguments: list[str]) -> Stage:
    """Start a stage. Raises SystemExit if it runs already."""
    known = next((stage for stage in stages() if stage.name == name), None)
    if known is not None and known.state != "ended":
        raise SystemExit(f"{name} is {known.state} already (process {known.pid})")
    logs().mkdir(parents=True, exist_ok=True)
    with (logs() / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            ["nice", "-n", "19", sys.executable, "-m", f"tools.demo_checkpoint.{name}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=Path(__file__).resolve().parents[2],
        )
    # Where Linux groups processes by session, the niceness of a process counts within its session alone.
    with contextlib.suppress(OSError):
        Path(f"/proc/{process.pid}/autogroup").write_text("19")
    return record(name, process.pid)


def record(name: str, pid: int) -> Stage:
    """Remember a process as a stage's."""
    found = _process(pid)
    stage = Stage(name, pid, found[1] if found else "")
    atomic_write_bytes(logs() / f"{name}.pid", json.dumps(vars(stage)).encode())
    return stage


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["start", "status", "pause", "resume", "stop"])
    parser.add_argument("stage", nargs="?", choices=STAGES, help="one stage; without it all (not for start)")
    options, rest = parser.parse_known_args()
    if options.what == "start":
        if options.stage is None:
            raise SystemExit(f"Say which: {', '.join(STAGES)}")
        stage = start(options.stage, rest)
        print(f"{stage.name}: process {stage.pid}, log {logs() / (stage.name + '.log')}")
        return
    number = {"pause": signal.SIGSTOP, "resume": signal.SIGCONT, "stop": signal.SIGTERM}.get(options.what)
    for stage in stages():
        if options.stage not in (None, stage.name):
            continue
        if number is not None:
            if options.what == "stop" and stage.state == "paused":
                stage.signal(signal.SIGCONT)
            stage.signal(number)
        log = logs() / f"{stage.name}.log"
        lines = log.read_text(errors="replace").replace("\r", "\n").strip().splitlines() if log.is_file() else []
        print(f"{stage.name}: {stage.state} (process {stage.pid}); {lines[-1][:200] if lines else 'no log'}")


if __name__ == "__main__":
    main()
