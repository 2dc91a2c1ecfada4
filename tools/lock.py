"""Compiles what we choose (requirements.in, -dev.in and -ray.in) to what is installed, pinned by version and hash.

    python -m tools.lock             # keeps every version that still fits
    python -m tools.lock --upgrade   # takes the newest that fit

Needs uv and the network. Written whole: a lock that cannot be compiled changes nothing.

The first line of each compiled file carries a digest of its source, comments left out: a test can tell without a network
when the two disagree.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILED = {
    "requirements.in": "requirements.txt", "requirements-dev.in": "requirements-dev.txt",
    "requirements-ray.in": "requirements-ray.txt",
}  # fmt: skip
CPU = "requirements-cpu.txt"
PYTHON = "3.11"
"""The oldest Python that README names; newer ones are told apart by markers."""

CPU_TORCH_SHA256 = (
    "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
    "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",
)
"""torch-2.13.0+cpu of pytorch.org for Linux on x86-64, CPython 3.11 and 3.12. PyPI does not have these builds."""

# Where the studio may run: a package for none of these, say for Python 3.13, is left out.
ENVIRONMENTS = [
    {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": platform, "platform_machine": machine,
     "platform_system": system, "os_name": "nt" if platform == "win32" else "posix",
     "implementation_name": "cpython", "platform_python_implementation": "CPython"}
    for python in ("3.11", "3.12")
    for platform, system, machine in (
        ("linux", "Linux", "x86_64"), ("linux", "Linux", "aarch64"), ("darwin", "Darwin", "arm64"),
        ("win32", "Windows", "AMD64"),
    )
]  # fmt: skip

_CUDA_ONLY = re.compile(r"(nvidia-|cuda-|triton)")


def digest_of(source: str) -> str:
    """SHA-256 of what a requirements file asks for: its lines without comments and blank ones."""
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in source.splitlines())
    return hashlib.sha256("\n".join(line for line in lines if line).encode()).hexdigest()


def entries(lock: str) -> tuple[str, list[str]]:
    """What stands before the first package of a compiled lock, and the lines of each package."""
    head, *found = re.split(r"(?m)^(?=[A-Za-z0-9])", lock)
    return head, found


def for_our_machines(lock: str) -> str:
    """The lock without packages that are for none of :data:`ENVIRONMENTS`."""
    from packaging.requirements import Requirement

    head, found = entries(lock)
    kept = [head]
    for entry in found:
        marker = Requirement(entry.split(" \\\n")[0]).marker
        if marker is None or any(marker.evaluate(each) for each in ENVIRONMENTS):
            kept.append(entry)
    return "".join(kept)


def cpu_lock(lock: str) -> str:
    """The lock for torch's CPU build: without NVIDIA's libraries and Triton, which only the CUDA build asks for."""
    head, found = entries(lock)
    kept = [head]
    for entry in found:
        if _CUDA_ONLY.match(entry):
            continue
        if pin := re.match(r"torch==([\w.]+)", entry):
            hashes = " \\\n".join(f"    --hash=sha256:{digest}" for digest in CPU_TORCH_SHA256)
            entry = f"torch=={pin[1]}+cpu \\\n{hashes}\n"
        kept.append(entry)
    return "".join(kept)


def compile_lock(source: Path, upgrade: bool, folder: Path) -> str:
    """The compiled text of ``source``, made in ``folder``, which holds the lock as it is."""
    uv = shutil.which("uv")
    if uv is None:
        raise SystemExit("uv is needed to renew the lock: pip install uv")
    target = folder / COMPILED[source.name]
    command = [
        uv, "pip", "compile", "--universal", "--python-version", PYTHON, "--generate-hashes", "--no-header", "--quiet",
        *(["--upgrade"] if upgrade else []), "--output-file", target.name, source.name,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{source.name} could not be compiled; nothing was changed.")
    head = f"# Compiled by `make lock` from {source.name}, {digest_of(source.read_text())}\n"
    return head + for_our_machines(target.read_text())


def main() -> int:
    """Exit code: 0 all written, else a sentence on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    options = parser.parse_args()
    written: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in ROOT.glob("requirements*"):
            shutil.copy(path, folder)
        for source, target in COMPILED.items():
            written[target] = compile_lock(ROOT / source, options.upgrade, folder)
            (folder / target).write_text(written[target])
    written[CPU] = cpu_lock(written["requirements.txt"])
    for target, text in written.items():
        new = ROOT / f".{target}.new"
        new.write_text(text)
        new.replace(ROOT / target)
        print(f"{target}: {len(re.findall(r'(?m)^[A-Za-z0-9].*==', text))} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
