"""Processes that begin with their imports done: copies of one process that did them once for a whole worker.

Of a short run of ms-swift or of the command line, importing torch, transformers and ms-swift takes the larger part. Such a
process is still one of its own, with its environment, streams, signals and exit status. That a fresh interpreter finds all
it needs is proved by the runs that begin with one: jobs, torchrun and the script for training, ``in_turn.run`` and the
first commands of ``test_cli`` for the command line, ``app.py`` for the page.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_COPIES = multiprocessing.get_context("forkserver")
_COPIES.set_forkserver_preload(["tests.warm_imports"])


class WarmProcess:
    """``python -c CODE ARGUMENT …``, with what ``subprocess.Popen`` can do that tests ask of it.

    Args:
        output: where the file descriptors 1 and 2 go; they may be one file.
    """

    def __init__(
        self, code: str, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, output: Path, errors: Path,
        start_new_session: bool = False,
    ) -> None:  # fmt: skip
        given = (code, list(arguments), dict(env), str(cwd), str(output), str(errors), start_new_session)
        self._process = _COPIES.Process(target=_be, args=given)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"copy {self.pid}", timeout)
            self._process.join(max(0.0, end - time.monotonic()))
        status = self.poll()
        assert status is not None
        return status

    def kill(self) -> None:
        self._process.kill()


def run(
    code: str, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float, together: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run it to its end; ``together``: what it says on stderr is in ``stdout`` too, in order."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "output")
        errors = output if together else Path(folder, "errors")
        process = WarmProcess(code, arguments, env=env, cwd=cwd, output=output, errors=errors)
        try:
            status = process.wait(timeout)
        finally:
            if process.poll() is None:
                process.kill()
        said, complained = (path.read_text(encoding="utf-8") if path.exists() else "" for path in (output, errors))
    return subprocess.CompletedProcess([code, *arguments], status, said, "" if together else complained)


def _be(
    code: str, arguments: list[str], env: dict[str, str], cwd: str, output: str, errors: str, new_session: bool
) -> None:
    """In the copy: become that process."""
    if new_session:
        os.setsid()
    for path, number in (("/dev/null", 0), (output, 1), (errors, 2)):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["-c", *arguments]
    multiprocessing.set_start_method(None, force=True)  # the system's default again, not that by which this copy began
    try:
        exec(compile(code, "<warm>", "exec"), {"__name__": "__main__"})
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()  # what is begun by ``multiprocessing`` ends without it
