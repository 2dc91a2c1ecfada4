"""``python -m studio.training.execution.supervisor FOLDER``: runs one job, whatever becomes of the studio.

It leads a session of its own, starts the trainer in a process group of its own, tells it to stop when asked, and writes down
how it ended: first into the job's folder, then into the store, then it starts the next job of the device. It loads no
model and imports neither torch nor Gradio.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from studio.engine.leases import holders
from studio.errors import StudioError
from studio.files import write_json
from studio.processes import process_of, signal_all, tree_memory_bytes, with_variable
from studio.settings import PROJECT, Settings, get_settings
from studio.store import jobs as queries
from studio.store.store import Store
from studio.store.tables import JobRecord, now
from studio.training.execution.local import JOB_VARIABLE
from studio.training.execution.outcome import Outcome, outcome_of
from studio.training.execution.queue import advance
from studio.training.folder import JobFolder
from studio.training.spec import TrainingSpec

LOOK_SECONDS = 0.25
STATUS_SECONDS = 2.0
CLAIM_SECONDS = 30.0
"""How long it waits for the record that says that this process has the job."""
LEASE_SECONDS = 60.0
"""How long it waits for others to give back their memory on the device."""
STOP_SECONDS = 1800.0
"""How long the trainer may take to finish its step, evaluate, save and speak after it was asked to stop."""
STORE_SECONDS = 3600.0
"""How long it tries to tell a store that another program keeps locked."""
REGISTER_SECONDS = 3600.0


class Supervisor:
    """One job, once.

    Args:
        folder: of the job; the folder above the one above is the home of the studio.
    """

    def __init__(self, folder: JobFolder, settings: Settings) -> None:
        self._folder, self._settings, self._store = folder, settings, Store(settings.store_file)
        self._id = folder.root.name
        self._stop_asked = False
        self._peak_bytes = 0
        self._status_at = 0.0
        self._status: dict[str, Any] = {"stage": "waiting"}
        # The machine is being shut down, or somebody ended it by hand: the trainer shall save what it has.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, number: int, frame: Any) -> None:
        self._stop_asked = True

    def run(self) -> int:
        """Run the job, and return an exit status that nobody reads."""
        record = self._claimed()
        if record is None:
            return 1
        outcome: Outcome | None = None
        try:
            outcome = self._run(record)
        except Exception as error:  # noqa: BLE001  whatever happens, the job must not be left without an end
            outcome = Outcome("failed", None, f"Its supervisor failed ({type(error).__name__}: {error}): retry it.")
        finally:
            signal_all(with_variable(JOB_VARIABLE, self._id), signal.SIGKILL)
            self._finish(outcome or Outcome("failed", None, "Its supervisor was interrupted: retry it."))
        return 0

    # The parts of a run, in order

    def _claimed(self) -> JobRecord | None:
        """The job's record once it names this process; None where it does not in time."""
        deadline = time.monotonic() + CLAIM_SECONDS
        while time.monotonic() < deadline:
            with suppress(StudioError), self._store.reading() as session:
                record = queries.job_by_id(session, self._id)
                if record is not None and record.pid == os.getpid() and record.state in ("running", "stopping"):
                    return record
            time.sleep(0.1)
        return None

    def _run(self, record: JobRecord) -> Outcome:
        spec = TrainingSpec.model_validate(record.spec)
        if not self._device_given_back(spec.device):
            return Outcome("stopped", None, "Stopped before it began.")
        command = spec.command(self._folder, resume_from=self._resume_from(record))
        outcome = self._trained(command, spec.device)
        if not spec.full_parameter and not spec.program and self._folder.checkpoints():
            self._tell(stage="comparing")
            outcome = outcome.with_more(self._registered(spec.device))
        return outcome

    def _device_given_back(self, device: str) -> bool:
        """Wait until no other process of this home has a model on the device; False where it was stopped meanwhile."""
        deadline = time.monotonic() + LEASE_SECONDS
        waited = False
        while holders(self._settings.leases_folder, device):
            waited = True
            if self._stop_wanted():
                return False
            if time.monotonic() > deadline:
                self._say(f"a model is still in the memory of {device}; training begins all the same")
                return True
            self._tell(stage="waiting")
            time.sleep(LOOK_SECONDS)
        if waited:
            self._say(f"the voice model gave back its memory on {device}")
        return not self._stop_wanted()

    def _resume_from(self, record: JobRecord) -> Path | None:
        """The checkpoint to go on from, where this is not the first time."""
        if record.runs <= 1:
            return None
        import shutil

        for broken in self._folder.broken_checkpoints():  # cut off while it was written: its step is made again
            shutil.rmtree(broken, ignore_errors=True)
        return next(reversed(self._folder.checkpoints().values()), None)

    def _trained(self, command: list[str], device: str) -> Outcome:
        began = _size(self._folder.log_file)
        self._say(" ".join(command))
        logged = _size(self._folder.metrics_file)
        trainer = self._child(command, device)
        identity = process_of(trainer.pid)
        self._tell(stage="loading", trainer=vars(identity) if identity else None)
        asked_at: float | None = None
        killed = False
        while trainer.poll() is None:
            wanted = self._stop_wanted()
            if wanted and asked_at is None:
                asked_at = time.monotonic()
                _signal_group(trainer.pid, signal.SIGTERM)
            late = asked_at is not None and time.monotonic() - asked_at > STOP_SECONDS
            if (wanted == "now" or late) and not killed:
                killed = True
                _signal_group(trainer.pid, signal.SIGKILL)
            stage = "training" if _size(self._folder.metrics_file) != logged else "loading"
            self._tell(stage=stage, memory_bytes=tree_memory_bytes(trainer.pid))
            time.sleep(LOOK_SECONDS)
        return outcome_of(trainer.returncode, self._folder, log_offset=began, stop=asked_at is not None, killed=killed)

    def _registered(self, device: str) -> str:
        """Compare the checkpoints with the base and make them known; returns what went wrong, "" for nothing."""
        began = _size(self._folder.log_file)
        module = "studio.training.execution.registration"
        child = self._child([sys.executable, "-m", module, str(self._folder.root)], device)
        deadline = time.monotonic() + REGISTER_SECONDS
        while child.poll() is None:
            if time.monotonic() > deadline:
                _signal_group(child.pid, signal.SIGKILL)
            self._tell(stage="comparing", memory_bytes=tree_memory_bytes(child.pid))
            time.sleep(LOOK_SECONDS)
        if child.returncode == 0:
            return ""
        why = outcome_of(child.returncode, self._folder, log_offset=began, stop=False, killed=False).sentence
        return f"Its checkpoints could not be compared with the base: {why}"

    def _finish(self, outcome: Outcome) -> None:
        """Write the end down, in the folder and in the store, and start the next job of the device."""
        ended_at = now()
        document = {**outcome.as_json(), "ended_at": ended_at.isoformat()}
        with suppress(StudioError):  # the disk is full: then the store is told alone
            write_json(self._folder.outcome_file, document)
        with suppress(OSError):
            self._folder.stop_file.unlink(missing_ok=True)
        self._insistently(lambda: self._record(outcome, ended_at))
        self._tell(stage="ended")

    def _record(self, outcome: Outcome, ended_at: datetime) -> None:
        with self._store.writing() as session:
            record = queries.job_by_id(session, self._id)
            if record is not None and record.pid == os.getpid():
                record.state, record.exit_code, record.sentence = outcome.state, outcome.exit_code, outcome.sentence
                record.ended_at, record.pid, record.pid_started = ended_at, None, None
                queries.save(session, record)
            advance(self._settings, session)

    def _insistently(self, do: Callable[[], None]) -> None:
        """Try until the store takes it: another program may have it locked, or the disk may be full for a while."""
        deadline = time.monotonic() + STORE_SECONDS
        while True:
            try:
                return do()
            except StudioError as error:
                self._say(str(error))
                if time.monotonic() > deadline:
                    return None
                time.sleep(1.0)

    # Small things

    def _child(self, command: list[str], device: str) -> subprocess.Popen[bytes]:
        """A process on the device, with a group of its own, that writes into the log and does not outlive this one."""
        with self._folder.log_file.open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=PROJECT,
                env=environment_for(self._settings, device),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # safe: this process has one thread
            )

    def _stop_wanted(self) -> str:
        """ "save", "now", or "" where nobody wants it to stop."""
        try:
            said = self._folder.stop_file.read_text(encoding="utf-8").strip()
        except OSError:
            said = ""
        return said or ("save" if self._stop_asked else "")

    def _tell(self, **changes: Any) -> None:
        """Put into the status file what is new, at once for another stage and else from time to time."""
        self._peak_bytes = max(self._peak_bytes, changes.get("memory_bytes", 0))
        new_stage = changes.get("stage", self._status["stage"]) != self._status["stage"] or "trainer" in changes
        self._status.update(changes, peak_memory_bytes=self._peak_bytes)
        if new_stage or time.monotonic() - self._status_at > STATUS_SECONDS:
            self._status_at = time.monotonic()
            with suppress(StudioError):
                write_json(self._folder.status_file, self._status)

    def _say(self, sentence: str) -> None:
        """A line of its own into the job's log."""
        with suppress(OSError), self._folder.log_file.open("a", encoding="utf-8") as output:
            output.write(f"[studio {datetime.now():%Y-%m-%d %H:%M:%S}] {sentence}\n")


def environment_for(settings: Settings, device: str) -> dict[str, str]:
    """The trainer's: it sees one device, and every cache lies below the home."""
    environment = {**os.environ, "MODELSCOPE_CACHE": str(settings.home / "cache" / "modelscope")}
    if device.startswith("cuda:"):
        # Numbers count what this process sees, which may itself be a part of the machine's.
        index, seen = int(device.removeprefix("cuda:")), os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        environment["CUDA_VISIBLE_DEVICES"] = seen[index].strip() if index < len(seen) and seen[index] else str(index)
    elif device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return environment


def _die_with_parent() -> None:
    """In the child: if the supervisor is killed, the trainer gets the signal at which it saves and ends."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _signal_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def main(argv: list[str]) -> int:
    """Run the job whose folder is named."""
    return Supervisor(JobFolder(Path(argv[0]).resolve()), get_settings()).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
