"""What is chosen, what is pinned, what is installed and under which licence: all of it agrees."""

from __future__ import annotations

import re
import sys
from importlib import metadata

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import licences, lock, space

SOURCES = list(lock.COMPILED.items())


def chosen(source: str) -> list[Requirement]:
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in (lock.ROOT / source).read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def pinned(name: str) -> list[Requirement]:
    _, found = lock.entries((lock.ROOT / name).read_text())
    return [Requirement(entry.split(" \\\n")[0]) for entry in found]


@pytest.mark.parametrize(("source", "compiled"), SOURCES)
def test_the_lock_is_that_of_its_source(source: str, compiled: str) -> None:
    first = (lock.ROOT / compiled).read_text().splitlines()[0]
    digest = lock.digest_of((lock.ROOT / source).read_text())
    assert first == f"# Compiled by `make lock` from {source}, {digest}", f"{source} was changed: run `make lock`"


def test_a_comment_does_not_make_a_lock_old() -> None:
    text = (lock.ROOT / "requirements.in").read_text()
    assert lock.digest_of(text + "\n# a reason\n") == lock.digest_of(text)
    assert lock.digest_of(text.replace("peft==0.20.0", "peft==0.20.0  # why")) == lock.digest_of(text)
    assert lock.digest_of(text.replace("peft==0.20.0", "peft==0.21.0")) != lock.digest_of(text)


@pytest.mark.parametrize(("source", "compiled"), SOURCES)
def test_every_choice_is_pinned_to_a_version_that_fits(source: str, compiled: str) -> None:
    pins = pinned(compiled)
    for wanted in chosen(source):
        found = [pin for pin in pins if canonicalize_name(pin.name) == canonicalize_name(wanted.name)]
        assert found, f"{wanted.name} is not in {compiled}"
        assert all(wanted.specifier.contains(str(pin.specifier).removeprefix("==")) for pin in found), wanted


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-cpu.txt", "requirements-dev.txt", "requirements-ray.txt"]
)
def test_everything_is_pinned_and_hashed(name: str) -> None:
    _, found = lock.entries((lock.ROOT / name).read_text())
    assert found
    for entry in found:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_lock_for_the_cpu_is_made_from_the_other() -> None:
    text = (lock.ROOT / "requirements.txt").read_text()
    cpu = (lock.ROOT / lock.CPU).read_text()
    assert cpu == lock.cpu_lock(text)
    assert "nvidia" not in cpu
    assert "torch==2.13.0+cpu" in cpu
    assert {pin.name for pin in pinned("requirements.txt")} - {pin.name for pin in pinned(lock.CPU)} >= {"triton"}


def test_an_extra_brings_itself_and_changes_nothing_else() -> None:
    pins = {pin.name: str(pin.specifier) for pin in pinned("requirements.txt")}
    assert {pin.name for pin in pinned("requirements-ray.txt") if pins.get(pin.name) != str(pin.specifier)} == {"ray"}


def test_what_is_installed_here_is_what_the_lock_says() -> None:
    """So the tests that pass here pass with what others get."""
    here = default_environment()
    for pin in [*pinned("requirements.txt"), *pinned("requirements-dev.txt")]:
        if pin.marker is not None and not pin.marker.evaluate(dict(here)):
            continue
        try:
            installed = metadata.version(pin.name)
        except metadata.PackageNotFoundError:
            assert lock._CUDA_ONLY.match(pin.name), f"{pin.name} is in the lock and not installed: run `make test`"
            continue
        assert pin.specifier.contains(installed), f"{pin.name} {installed} is installed, the lock says {pin.specifier}"


def test_everything_a_package_asks_for_is_in_the_lock() -> None:
    """It is installed without looking for more, so nothing may be missing."""
    names = {canonicalize_name(pin.name) for pin in [*pinned("requirements.txt"), *pinned("requirements-dev.txt")]}
    missing = set()
    for name in names:
        try:
            asked = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for text in asked:
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                if canonicalize_name(wanted.name) not in names:
                    missing.add(f"{wanted.name}, for {name}")
                elif not lock._CUDA_ONLY.match(wanted.name):
                    assert wanted.specifier.contains(metadata.version(wanted.name), prereleases=True), f"{text}: {name}"
    assert missing == set()


def test_licences_are_listed_and_none_binds() -> None:
    listed = licences.packages()
    assert [each.name for each in listed if not each.licence] == []
    assert [each.name for each in listed if each.binds == "copyleft"] == []
    text = licences.TARGET.read_text()
    for each in listed:
        assert f"| {each.name} | {each.version} | " in text, "run `make docs`"
    if (
        f"{sys.version_info[0]}.{sys.version_info[1]}" == lock.PYTHON
    ):  # another Python has other versions of some packages
        assert text == licences.document(listed), "run `make docs`"


@pytest.mark.parametrize(
    ("licence", "binds"),
    [
        ("MIT", False),
        ("GPL-3.0-or-later", True),
        ("AGPL-3.0-only", True),
        ("GNU General Public License v3 (GPLv3)", True),
        ("MIT OR GPL-2.0-only", False),
        ("LGPL-2.1-or-later", False),
        ("MPL-2.0 AND MIT", False),
    ],
)
def test_a_licence_that_binds_is_told_from_one_that_does_not(licence: str, binds: bool) -> None:
    assert (licences.what_binds(licence) == "copyleft") is binds


def test_a_space_gets_the_same_versions_without_hashes() -> None:
    text = space.without_hashes((lock.ROOT / "requirements.txt").read_text())
    assert "--hash" not in text
    assert "\\" not in text
    lines = [Requirement(line) for line in text.splitlines() if not line.startswith("#")]
    assert [(each.name, str(each.specifier), str(each.marker)) for each in lines] == [
        (each.name, str(each.specifier), str(each.marker)) for each in pinned("requirements.txt")
    ]
