"""Writes docs/licences.md: the licence of every package of the lock, as its own metadata states it.

    python -m tools.licences            # or: make docs
    python -m tools.licences --check    # exit code 1 where the file is not what it would be, or a licence is not known

Packages that are not installed here, because they belong to another platform, to CUDA or to an extra, are named in the
program with what their metadata states.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-ray.txt")
TARGET = ROOT / "docs" / "licences.md"

# Of other platforms, of torch's CUDA build, or of an extra; read off PyPI.
ELSEWHERE = {
    "colorama": "BSD",
    "cuda-bindings": "Apache-2.0",
    "cuda-pathfinder": "Apache-2.0",
    "cuda-toolkit": "NVIDIA Proprietary Software",
    "nvidia-nvtx": "Apache-2.0",
    "pywin32": "PSF-2.0",
    "ray": "Apache-2.0",
    "triton": "MIT",
}
# Where the metadata names a file or says nothing: read in the package.
READ_IN_PACKAGE = {"rouge": "Apache-2.0"}
# From the names that packages use to SPDX, where that is unambiguous.
NAMES = {
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License v2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache": "Apache-2.0",
    "Apache-2": "Apache-2.0",
    "BSD License": "BSD",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD 3-Clause": "BSD-3-Clause",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
WEAK_COPYLEFT = re.compile(r"\b(LGPL|MPL|EPL)")
STRONG_COPYLEFT = re.compile(r"\b(A?GPL)\b|GNU (Affero )?General Public License")


@dataclass(frozen=True)
class Package:
    """One line of the list."""

    name: str
    version: str
    licence: str
    binds: str


def pins(lock: str) -> dict[str, list[str]]:
    """Names of a lock, with their versions: where an older Python needs another one, there are two."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"(?m)^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock):
        found.setdefault(name, []).append(version)
    return found


def licence_of(name: str) -> str:
    """What a package's metadata states; "" where it says nothing."""
    if name in READ_IN_PACKAGE | ELSEWHERE:
        return (READ_IN_PACKAGE | ELSEWHERE)[name]
    if name.startswith("nvidia-"):
        return "NVIDIA Proprietary Software"
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    if expression := found.get("License-Expression"):
        return expression
    classifiers = [text.rsplit(" :: ", 1)[-1] for text in found.get_all("Classifier") or () if "License ::" in text]
    named = [NAMES.get(text, text) for text in classifiers if text not in ("OSI Approved", "DFSG approved")]
    if named:
        return ", ".join(dict.fromkeys(named))
    text = (found.get("License") or "").strip().splitlines()
    return NAMES.get(text[0].strip(), text[0].strip()) if text else ""


def what_binds(licence: str) -> str:
    """What a licence asks of a product that uses the package unmodified, as an installed library."""
    choices = re.split(r"\bOR\b|, ", licence)
    if licence and all(STRONG_COPYLEFT.search(choice) and "exception" not in choice for choice in choices):
        return "copyleft"
    if WEAK_COPYLEFT.search(licence):
        return "the package itself stays free; nothing of ours is bound"
    return ""


def packages() -> list[Package]:
    """Every package of the locks, in order of its name."""
    found: dict[str, list[str]] = {}
    for lock in LOCKS:
        found |= pins((ROOT / lock).read_text(encoding="utf-8"))
    licences = {name: licence_of(name) for name in sorted(found)}
    return [Package(name, ", ".join(found[name]), licence, what_binds(licence)) for name, licence in licences.items()]


def document(listed: list[Package]) -> str:
    """The text of docs/licences.md."""
    rows = "\n".join(f"| {each.name} | {each.version} | {each.licence} | {each.binds} |" for each in listed)
    return f"""# Licences of what is installed

Written by `make docs` from the metadata of the packages that `requirements.txt`, `requirements-dev.txt` and
`requirements-ray.txt` pin; not to be edited. None is copied into this repository, and none is under a licence that extends
to a program that uses it as an installed library. Libraries inside wheels have licences of their own, which matter to
whoever passes on an image in which they are installed: [NOTICE](../NOTICE) names them. The models' licences are there too.

| Package | Version | Licence | What it asks of a program that uses it |
| --- | --- | --- | --- |
{rows}
"""


def main() -> int:
    """Exit code: 0 written or unchanged, 1 a licence is unknown, binds, or the file is stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    listed = packages()
    if unknown := [each.name for each in listed if not each.licence]:
        print(f"No licence is known of {', '.join(unknown)}: read it and add it to the program.", file=sys.stderr)
        return 1
    if binding := [f"{each.name} ({each.licence})" for each in listed if each.binds == "copyleft"]:
        print(f"A copyleft licence would bind the product: {', '.join(binding)}.", file=sys.stderr)
        return 1
    text = document(listed)
    if options.check:
        if TARGET.read_text(encoding="utf-8") != text:
            print("docs/licences.md is not what the lock says: run `make docs`.", file=sys.stderr)
            return 1
    else:
        TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
