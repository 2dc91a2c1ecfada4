"""The machine that the tests run on is one that has only what README names."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

BARE = Path(__file__).parents[3] / "tools" / "bare"
BANNED = (
    "ffmpeg", "ffprobe", "ffplay", "sox", "soxi", "play", "lame", "flac", "opusenc", "mpg123", "espeak", "espeak-ng",
    "festival", "node", "npm", "uv", "cc", "gcc", "g++", "c++", "clang", "ld", "cmake", "ninja", "cargo", "rustc", "go",
    "java", "perl", "curl", "wget", "apt-get", "nvidia-smi",
)  # fmt: skip


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, str(BARE), *command]
    return subprocess.run(arguments, capture_output=True, text=True, env=os.environ | variables, check=False)


@pytest.mark.parametrize("program", BANNED)
def test_no_program_is_there_that_a_stranger_may_lack(program: str) -> None:
    found = shutil.which(program)
    assert found is None, f"{found} is on the PATH: run the tests by `make test`, or by `tools/bare --offline …`"


def test_there_is_no_network_while_the_tests_run() -> None:
    if os.environ.get("BARE_OFFLINE") != "1":
        pytest.skip("this system does not let tools/bare cut off the network, or the tests were started without it")
    assert [name for _, name in socket.if_nameindex()] == ["lo"]


def test_a_command_gets_an_empty_home_and_nothing_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    script = (
        "echo $HOME; ls -A $HOME | wc -l; echo ${SECRET-none} $PIP_INDEX_URL $CI; command -v ffmpeg || echo no; "
        "git --version"
    )
    variables = {
        "SECRET": "x",
        "PIP_INDEX_URL": "http://a b/",
        "CI": "true",
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
    }
    done = run("sh", "-c", script, **variables)
    home, entries, kept, ffmpeg, git = done.stdout.splitlines()
    assert done.returncode == 0
    assert home != os.environ.get("HOME")
    assert (entries.strip(), kept, ffmpeg) == ("0", "none http://a b/ true", "no")
    assert git.startswith("git version")
    assert not Path(home).exists()  # gone with the command


def test_the_command_s_own_end_is_told() -> None:
    assert run("sh", "-c", "exit 7").returncode == 7
    assert run("no-such-program").returncode == 127
    assert run().returncode == 2
    assert "tools/bare make run" in run("--help").stderr


def test_being_ended_ends_the_command() -> None:
    process = subprocess.Popen(
        [sys.executable, str(BARE), "sh", "-c", "echo $$; exec sleep 60"], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()


def test_an_environment_made_in_it_outlives_it(tmp_path: Path) -> None:
    """A link to Python in the command's PATH is gone with it: what is left must refer to the interpreter itself."""
    done = run("sh", "-c", f"python3 -c 'import os, sys; print(os.path.realpath(sys.executable))' > {tmp_path}/found")
    assert done.returncode == 0
    assert Path((tmp_path / "found").read_text().strip()).is_file()
