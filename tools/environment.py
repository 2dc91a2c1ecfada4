"""Makes the environment of `make run` and `make test`, .venv, or repairs it. Standard library alone: it runs before all else.

    python3.11 tools/environment.py run      # what the studio needs
    python3.11 tools/environment.py test     # and what the tests need
    python3.11 tools/environment.py ray      # and Ray, for `make test-ray`

What is installed is what the lock says, by hash. uv installs where it is on the PATH, else pip. An installation that was
interrupted goes on where it stopped; an environment of another Python, or one that was moved or damaged, is made anew.

On Linux x86-64 without an NVIDIA driver torch's CPU build is taken where it can be had: from the package indexes that pip is
set up for, else from pytorch.org; else PyPI's build, which runs as well but brings about 3 GB of NVIDIA's libraries.
``TORCH=cpu`` or ``TORCH=cuda`` in the environment decides it by hand.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOCK, CPU_LOCK, DEV_LOCK, MODELS, RAY_LOCK = (
    ROOT / f"requirements{part}.txt" for part in ("", "-cpu", "-dev", "-test-models", "-ray")
)  # fmt: skip
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
_UNFINISHED = VENV / ".unfinished"
_NAMES = ("run", "test", "ray")
"""Each environment holds those before it."""


class Stopped(Exception):
    """The environment could not be made; the text says why and what to do."""


def main(arguments: list[str]) -> int:
    """Exit code: 0 the environment is there, 1 not, with a sentence on stderr."""
    if len(arguments) != 1 or arguments[0] not in _NAMES:
        say(__doc__ or "")
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        make(arguments[0])
    except Stopped as stopped:
        say(str(stopped))
        return 1
    except KeyboardInterrupt:
        say("Interrupted. Run the same command again: it goes on with what is there.")
        return 1
    return 0


def make(name: str) -> None:
    """Bring .venv to what the lock says for ``"run"``, ``"test"`` or ``"ray"``."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 12):
        raise Stopped(f"This is Python {_dotted(sys.version_info[:2])}; the studio needs 3.11 or 3.12.")
    reason = fault_of_environment()
    if reason is None and is_current(name):
        return
    if reason is not None:
        if VENV.exists():
            say(f"The environment in .venv {reason}: it is made anew.")
            shutil.rmtree(VENV)
        # The interpreter itself, not a link to it: the environment refers to it for as long as it lives.
        done = subprocess.run([os.path.realpath(sys.executable), "-m", "venv", str(VENV)], check=False)
        if done.returncode != 0:
            shutil.rmtree(VENV, ignore_errors=True)
            raise Stopped("Python could not make .venv: see above (on Debian and Ubuntu, install python3-venv).")
    if _UNFINISHED.exists():
        remove_halves(next(VENV.glob("lib/python*/site-packages"), VENV / "Lib" / "site-packages"))
    _UNFINISHED.touch()
    for each in _NAMES:
        _stamp(each).unlink(missing_ok=True)
    install_studio()
    if name != "run":
        install(DEV_LOCK)
        # 150 MB for tests alone: whoever cannot have them tests everything else.
        if not install(MODELS, required=False):
            say("The test models cannot be installed here: the tests that listen will skip.")
    if name == "ray":
        install(RAY_LOCK)
    _UNFINISHED.unlink()
    for each in _NAMES[: _NAMES.index(name) + 1]:
        _stamp(each).write_text(digest(each), encoding="utf-8")


def fault_of_environment() -> str | None:
    """What is wrong with .venv, to be said after its name; None where it works."""
    if not VENV.exists():
        return "is not there"
    code = "import sys, pip; print(sys.version_info[0], sys.version_info[1], sys.prefix)"
    try:
        done = subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True, timeout=60, check=False)
        major, minor, prefix = done.stdout.strip().split(" ", 2)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return "is broken (its Python does not start)"
    if (int(major), int(minor)) != sys.version_info[:2]:
        return f"was made by Python {major}.{minor}, and this is {_dotted(sys.version_info[:2])}"
    if Path(prefix).resolve() != VENV.resolve():
        return "was made in another folder"
    return None


def is_current(name: str) -> bool:
    """Whether what the lock says was installed to the end."""
    try:
        return _stamp(name).read_text(encoding="utf-8") == digest(name)
    except OSError:
        return False


def digest(name: str) -> str:
    """Of the files that decide what is installed for a name, and of the choice of torch."""
    files = [LOCK, CPU_LOCK, *((DEV_LOCK, MODELS) if name != "run" else ()), *((RAY_LOCK,) if name == "ray" else ())]
    content = b"".join(path.read_bytes() for path in files) + os.environ.get("TORCH", "auto").encode()
    return hashlib.sha256(content).hexdigest()


def _stamp(name: str) -> Path:
    return VENV / f".installed-{name}"


def remove_halves(packages: Path) -> None:
    """Remove packages that an interrupted installation left incomplete, so that they are installed again.

    An installer writes a package's list of files (RECORD) last; a file of the list can still be missing after a crash.
    """
    for folder in packages.glob("*.dist-info"):
        try:
            files = [line.split(",")[0] for line in (folder / "RECORD").read_text(encoding="utf-8").splitlines()]
        except OSError:
            files = None
        complete = files is not None and all(
            (packages / file).exists() for file in files if file and not file.endswith((".pyc", '"'))
        )
        if not complete:
            shutil.rmtree(folder, ignore_errors=True)


def install_studio() -> None:
    """Install what the studio needs, with the build of torch that fits this machine."""
    wanted = os.environ.get("TORCH", "auto")
    if wanted not in ("auto", "cpu", "cuda"):
        raise Stopped(f"TORCH={wanted} is not known: use cpu, cuda or auto.")
    takes_cpu_build = sys.platform == "linux" and platform.machine() == "x86_64" and wanted != "cuda"
    if takes_cpu_build and (wanted == "cpu" or not has_nvidia_driver()):
        say("Installing the studio (the first time this takes some minutes).")
        if install_cpu_torch():
            install(CPU_LOCK)
            return
        if wanted == "cpu":
            raise Stopped("torch's CPU build cannot be had: neither the package indexes nor pytorch.org offer it here.")
        say("torch's CPU build cannot be had here, so PyPI's is installed: about 3 GB more, and it runs as well.")
    else:
        say("Installing the studio (the first time this takes some minutes).")
    install(LOCK)


def has_nvidia_driver() -> bool:
    """Whether an NVIDIA GPU can be used here."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def install_cpu_torch() -> bool:
    """Install torch's CPU build by the hash in the lock; False where nobody offers it."""
    entry = re.search(r"(?m)^torch==(\S+)((?: \\\n\s+--hash=\S+)+)", CPU_LOCK.read_text(encoding="utf-8"))
    assert entry is not None, f"{CPU_LOCK.name} has no torch"
    version, hashes = entry[1], " ".join(re.findall(r"--hash=\S+", entry[2]))
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    address = f"{CPU_WHEELS}/torch-{version.replace('+', '%2B')}-{tag}-{tag}-manylinux_2_28_x86_64.whl"
    for requirement in (f"torch=={version}", f"torch @ {address}"):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "torch.txt"
            file.write_text(f"{requirement} {hashes}\n", encoding="utf-8")
            if install(file, required=False, patient=False):
                return True
    return False


def install(requirements: Path, *, required: bool = True, patient: bool = True) -> bool:
    """Install a complete list of pinned and hashed packages; nothing else comes along.

    Args:
        required: raise if it fails; else say nothing and return False.
        patient: try again when the network fails.
    """
    options = ["--require-hashes", "--no-deps", "-r", str(requirements)]
    environment = dict(os.environ)
    if uv := shutil.which("uv"):
        command = [uv, "pip", "install", "--quiet", "--python", str(PYTHON), *options]
        # uv does not read pip's settings: a mirror or a folder of wheels must count for both.
        for ours, pips in (("UV_DEFAULT_INDEX", "PIP_INDEX_URL"), ("UV_INDEX", "PIP_EXTRA_INDEX_URL"),
                           ("UV_FIND_LINKS", "PIP_FIND_LINKS"), ("SSL_CERT_FILE", "PIP_CERT")):  # fmt: skip
            if pips in environment:
                environment.setdefault(ours, environment[pips])
        environment.setdefault("UV_HTTP_RETRIES", "5" if patient else "0")
    else:
        retries = ["--retries", "5" if patient else "0", "--timeout", "60" if patient else "10"]
        # Not compiled, as by uv: a module is compiled when it is first imported.
        quick = ["--quiet", "--disable-pip-version-check", "--no-compile"]
        command = [str(PYTHON), "-m", "pip", "install", *quick, *retries, *options]
    # Four packages exist as source alone; uv, and pip from 25.3 on, build them with the lock's setuptools. An older pip, such
    # as Python 3.11 brings, takes the newest.
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "build.txt"
        pins = re.findall(r"(?m)^((?:setuptools|wheel)==\S+)", LOCK.read_text(encoding="utf-8"))
        constraints.write_text("\n".join(pins) + "\n", encoding="utf-8")
        environment |= dict.fromkeys(("PIP_BUILD_CONSTRAINT", "UV_BUILD_CONSTRAINT"), str(constraints))
        quiet = None if required else subprocess.DEVNULL
        done = subprocess.run(command, env=environment, stdout=quiet, stderr=quiet, check=False)
    if done.returncode != 0 and required:
        raise Stopped(
            "The installation did not finish; the lines above say why. If it was the network, run the same command "
            "again: it goes on with what is there."
        )
    return done.returncode == 0


def say(sentence: str) -> None:
    """To people, on stderr."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
