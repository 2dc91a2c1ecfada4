"""What this machine is and whether the studio can work on it."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.settings import Settings
from studio.system.programs import outside_programs

PACKAGES = (
    "torch", "torchaudio", "transformers", "ms-swift", "peft", "gradio", "sqlmodel", "faster-whisper", "silero-vad",
    "soundfile", "av", "librosa",
)  # fmt: skip
"""Packages whose versions matter when something goes wrong."""

ATTRIBUTION = (
    "Built with Higgs Materials licensed from Boson AI USA, Inc., Copyright Boson AI USA, Inc., All Rights Reserved and "
    "Meta Llama 3 licensed under the Meta Llama 3 Community License, Copyright Meta Platforms, Inc., All Right Reserved"
)
"""What whoever offers the model must display, word for word (Boson Higgs Audio 2 Community License, 1.b.i)."""

LICENCES = (
    ("Higgs Voice Studio", "Apache-2.0"),
    ("Higgs Audio v2 (model weights)", "Boson Higgs Audio 2 Community License"),
    ("Llama 3 (base of the model)", "Meta Llama 3 Community License"),
    ("Tiny test checkpoint", "Apache-2.0 (random weights made by the studio)"),
    ("Preset voices", "CC0 1.0 and Apache-2.0; NOTICE names each"),
    ("Silero VAD, Whisper, DeepFilterNet 3 (listening models)", "MIT"),
    ("Speaker encoder (weights published with Resemblyzer)", "Apache-2.0"),
    ("Installed packages", "docs/licences.md lists each"),
)
"""What is used and under which licence; NOTICE has the whole text."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. ``ok`` False means that something the studio needs does not work."""

    name: str
    ok: bool
    detail: str


def package_versions() -> dict[str, str]:
    """Installed versions by package; "missing" where there is none. Imports nothing."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "missing"
    return versions


def device_summary() -> dict[str, Any]:
    """Device, its name and its memory in GiB. Imports torch."""
    import psutil
    import torch

    memory = psutil.virtual_memory()
    summary: dict[str, Any] = {
        "device": "cpu",
        "name": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory.total / 2**30, 1),
        "free_gib": round(memory.available / 2**30, 1),
    }
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        summary |= {
            "device": "cuda",
            "name": torch.cuda.get_device_name(),
            "memory_gib": round(total / 2**30, 1),
            "free_gib": round(free / 2**30, 1),
        }
    elif torch.backends.mps.is_available():
        summary |= {"device": "mps", "name": "Apple GPU"}
    return summary


def doctor(settings: Settings) -> list[Check]:
    """Look at everything the studio needs."""
    versions = package_versions()
    checks = [
        Check(f"package {name}", version != "missing", version)
        for name, version in versions.items()
        if name != "python"
    ]
    supported = platform.python_version_tuple()[:2] in (("3", "11"), ("3", "12"))
    checks.insert(0, Check("python", supported, f"{platform.python_version()} (3.11 and 3.12 are supported)"))
    checks += [_imports("transformers.models.higgs_audio_v2"), _imports("swift"), _home(settings)]
    summary = device_summary()
    checks.append(
        Check(
            "device",
            True,
            f"{summary['device']}, {summary['name']}, {summary['free_gib']} of {summary['memory_gib']} GiB free",
        )
    )
    from studio.network import hub_reachable

    checks.append(Check("model hub", True, "reachable" if hub_reachable() else "not reachable: only local checkpoints"))
    checks.append(_checkpoint(settings))
    free = shutil.disk_usage(settings.home if settings.home.exists() else Path.home()).free
    checks.append(Check("disk", free > 2**30, f"{free / 2**30:.1f} GiB free"))
    checks += [
        Check(f"program {program.name}", True, f"{program.path or 'not found'} ({program.use})")
        for program in outside_programs()
    ]
    return checks


def _checkpoint(settings: Settings) -> Check:
    """The configured checkpoint, as far as can be told without fetching anything."""
    from studio.engine.checkpoints import find_checkpoint, is_hub_id

    if settings.checkpoint is None:
        return Check("checkpoint", True, "chosen by the machine")
    if is_hub_id(settings.checkpoint):
        return Check("checkpoint", True, f"{settings.checkpoint}, from the hub when it is first needed")
    try:
        files = find_checkpoint(settings.checkpoint)
    except StudioError as error:
        return Check("checkpoint", False, f"STUDIO_CHECKPOINT={settings.checkpoint}: {error}")
    return Check("checkpoint", True, f"{files.folder} ({files.kind})")


def _imports(module: str) -> Check:
    import importlib

    import studio.engine  # noqa: F401  installs the guard that these imports may need

    try:
        importlib.import_module(module)
    except Exception as error:  # noqa: BLE001  whatever a broken installation raises is the finding
        return Check(f"import {module}", False, f"{type(error).__name__}: {error}".splitlines()[0])
    return Check(f"import {module}", True, "works")


def _home(settings: Settings) -> Check:
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        writable = os.access(settings.home, os.W_OK)
    except OSError as error:
        return Check("home", False, f"{settings.home}: {error.strerror}; set STUDIO_HOME to a folder you may write to")
    return Check(
        "home", writable, str(settings.home) if writable else f"{settings.home} is not writable: set STUDIO_HOME"
    )
