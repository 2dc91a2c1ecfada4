"""The command line in real processes: one command each, or several in turn, because most of the time goes into starting."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.warm import run as run_warm

ROOT = Path(__file__).parents[2]
Result = subprocess.CompletedProcess[str]

FIRST_ID = "{first id}"
"""In the arguments of a command: the id in the document that the first one printed."""
FULL_DISK = "MAX_FILE_BYTES=16384"
"""Before a command: no file may grow beyond this while it runs."""
_IN_TURN = """
import contextlib, io, json, os, resource, sys
from studio.cli import main
from studio.settings import get_settings

@contextlib.contextmanager
def surroundings(variables):
    before, limits = dict(os.environ), resource.getrlimit(resource.RLIMIT_FSIZE)
    os.environ.update(variables)
    if "MAX_FILE_BYTES" in variables:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(variables["MAX_FILE_BYTES"]), limits[1]))
    get_settings.cache_clear()
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    os.environ.clear()
    os.environ.update(before)

results = []
for arguments in json.loads(sys.argv.pop()):
    if results and any("{first id}" in part for part in arguments):
        first = json.loads(results[0][1])["id"]
        arguments = [part.replace("{first id}", first) for part in arguments]
    variables = []
    while "=" in arguments[0]:
        variables.append(arguments.pop(0).split("=", 1))
    sys.argv[1:] = arguments
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error), surroundings(dict(variables)):
        try:
            main()
        except SystemExit as end:
            code = end.code
    results.append((code, out.getvalue(), error.getvalue()))
json.dump([results, sorted(sys.modules)], sys.stdout)
"""
HEAVY = {"torch", "transformers", "gradio", "librosa"}
"""Modules that a command without a model does without."""


class InTurn(NamedTuple):
    """What several commands gave, and the modules that they needed together."""

    results: list[Result]
    modules: set[str]


def run(home: Path, *arguments: str | Path, **options: Any) -> Result:
    """``python -m studio …`` with this home, as a script would run it."""
    return subprocess.run(
        [sys.executable, "-m", "studio", *map(str, arguments)],
        **{"stdin": subprocess.DEVNULL, "env": os.environ | {"STUDIO_HOME": str(home)}, **options},
        capture_output=True,
        text=True,
        timeout=240,
    )


def run_in_turn(
    home: Path, commands: Sequence[Sequence[str | Path]], *, warm: bool = False, **environment: str
) -> InTurn:
    """Several commands with this home, one after the other in one process.

    As in a shell, ``NAME=value`` before a command sets a variable for it alone.

    Args:
        warm: for commands that load a model: the process begins with their imports done, see ``tests/warm.py``.
    """
    arguments = json.dumps([[str(part) for part in command] for command in commands])
    env = os.environ | {"STUDIO_HOME": str(home)} | environment
    if warm:
        done = run_warm(_IN_TURN, [arguments], env=env, cwd=ROOT, timeout=280)
    else:
        done = subprocess.run(
            [sys.executable, "-c", _IN_TURN, arguments],
            env=env,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
        )
    assert done.returncode == 0, done.stderr
    results, modules = json.loads(done.stdout)
    completed = [
        subprocess.CompletedProcess(command, *result) for command, result in zip(commands, results, strict=True)
    ]
    return InTurn(completed, set(modules))


def by_name(home: Path, commands: Mapping[str, Sequence[str | Path]], *, warm: bool = True) -> dict[str, Result]:
    """The same with a name for each; most of what is named here loads a model."""
    return dict(zip(commands, run_in_turn(home, list(commands.values()), warm=warm).results, strict=True))


def document(result: Result, *, said: str = "") -> dict[str, Any]:
    """The one JSON document on stdout; all of stderr matches ``said``."""
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(said, result.stderr), result.stderr
    return json.loads(result.stdout)


def assert_refused(result: Result, says: str) -> None:
    """Nothing on stdout, and one line on stderr that has ``says`` in it."""
    assert (result.returncode, result.stdout) == (1, ""), result.stdout
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.endswith(".\n")
    assert says in result.stderr
