"""One real process in which the commands of the documents run in turn, and a folder that looks like the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import soundfile

from tests.conftest import DATA
from tests.documented import ROOT
from tests.training import TRANSCRIPTS, Example, write_rows

_LINKED = (
    "studio", "swift_plugins", "tools", "tests", "assets", "scripts", "benchmarks", "pyproject.toml", "app.py", "Makefile",
    "Dockerfile", "README.md", "docs", "LICENSE", "NOTICE",
)  # fmt: skip
_LONG: dict[str, str] = json.loads((DATA / "kathleen.json").read_text(encoding="utf-8"))
SPOKEN = " ".join(_LONG.values())
"""What is said in ``my-clip.wav`` and ``clip.wav``."""
_PROCESS = """
import contextlib, io, json, os, runpy, sys, traceback
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
before = dict(os.environ)
names = {}

def do(step):
    os.chdir(step["folder"])
    os.environ.clear()
    os.environ.update(before | step["environment"])
    if "code" in step:
        names.pop("answer", None)
        exec(step["code"], names)
        return names.get("answer")
    if step["module"] == "studio":
        from studio.cli import main
        from studio.settings import get_settings
        get_settings.cache_clear()
        sys.argv[:] = ["python -m studio", *step["arguments"]]
        main()
    elif step["module"].endswith(".py"):
        sys.argv[:] = [step["module"], *step["arguments"]]
        runpy.run_path(step["module"], run_name="__main__")
    else:
        sys.argv[1:] = step["arguments"]
        runpy.run_module(step["module"], run_name="__main__", alter_sys=True)

for line in sys.stdin:
    step = json.loads(line)
    out, error, code, answer = io.StringIO(), io.StringIO(), 0, None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            answer = do(step)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except BaseException:
            traceback.print_exc()
            code = 1
    print(json.dumps([step["number"], code, out.getvalue(), error.getvalue(), answer]), file=answers, flush=True)
"""


class Turns:
    """A process that runs what it is given, one after the other: most of the time of a command goes into starting."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._number = 0

    def module(self, module: str, *arguments: str, folder: Path = ROOT, **environment: str) -> tuple[int, str, str]:
        """``python -m module …``, or ``python module.py …``: exit code, stdout, stderr."""
        code, out, error, _ = self._do(folder, environment, module=module, arguments=arguments)
        return code, out, error

    def code(self, text: str, folder: Path = ROOT, **environment: str) -> Any:
        """Run Python; what it leaves in ``answer`` comes back."""
        code, out, error, answer = self._do(folder, environment, code=text)
        assert code == 0, out + error
        return answer

    def close(self) -> None:
        if self._process:
            self._process.kill()  # it has nothing left to say, and taking a model apart takes its time
            self._process.wait()

    def _do(self, folder: Path, environment: dict[str, str], **step: Any) -> list[Any]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROCESS],
                cwd=self._folder,  # its modules are imported from here
                env=os.environ | {"COLUMNS": "300", "TERMINAL_WIDTH": "300", "NO_COLOR": "1"},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        self._number += 1
        asked = {"number": self._number, "folder": str(folder), "environment": environment, **step}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            number, *answer = json.loads(line)
            if number == self._number:  # what a test did not wait for is nobody's
                return answer
        raise AssertionError(f"the process ended in {step}")


def make_folder(folder: Path) -> Path:
    """A folder that looks like the repository, with the recordings and rows that the documents take for granted."""
    folder.mkdir(parents=True)
    for name in (*_LINKED, *(path.name for path in ROOT.glob("requirements*"))):
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    recordings = folder / "my-recordings"
    (recordings / "wavs").mkdir(parents=True)
    table = []
    for name, text in TRANSCRIPTS.items():
        samples, rate = soundfile.read(DATA / name)
        soundfile.write((recordings / "wavs" / name).with_suffix(".wav"), samples, rate)
        table.append(f"{Path(name).stem}|{text}|{text}")
    (recordings / "metadata.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    long = [soundfile.read(DATA / name) for name in _LONG]
    for name in ("my-clip.wav", "clip.wav"):
        with soundfile.SoundFile(folder / name, "w", long[0][1], 1) as file:
            for samples, _ in long:
                file.write(samples)
    short = list(TRANSCRIPTS)[3:5]
    write_rows(folder / "rows.jsonl", [Example(TRANSCRIPTS[name], name).row() for name in short])
    return folder


def in_shell(text: str, folder: Path, **environment: str) -> tuple[int, str, str]:
    """A line as a person types it, with the Python of the environment first on the PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", text], cwd=folder, env={**os.environ, "PATH": path, **environment}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr
