"""Figures in words for people."""

from __future__ import annotations

from datetime import datetime

_GIB = 2**30


def seconds(length: float) -> str:
    """The length of a clip, in seconds, as people write it: ``"12 s"``, ``"0.2 s"``, ``"0.04 s"``."""
    if length < 0.095:
        return f"{length:.2f}".rstrip("0").rstrip(".") + " s"
    return f"{length:.1f}".removesuffix(".0") + " s"


def duration(length: float) -> str:
    """How long something takes or took, in seconds: ``"12 s"``, ``"3 min 05 s"``, ``"2 h 10 min"``."""
    whole = max(round(length), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def estimate(length: float) -> str:
    """A time in seconds that is only an estimate: ``"85 s"``, ``"12 min"``, ``"1.5 h"``."""
    if length < 90:
        return f"{length:.0f} s"
    if length < 90 * 60:
        return f"{length / 60:.0f} min"
    return f"{length / 3600:.1f} h"


def size(num_bytes: float) -> str:
    """The size of files, in powers of ten as disks and downloads have it: ``"12 MB"``."""
    for unit in ("bytes", "KB", "MB"):
        if num_bytes < 1000:
            return f"{num_bytes:.0f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} GB"


def memory(num_bytes: float) -> str:
    """An amount of memory, in powers of two as devices have it: ``"1.5 GiB"``."""
    if num_bytes >= _GIB / 10:
        return f"{num_bytes / _GIB:.1f} GiB"
    return f"{num_bytes / 2**20:.0f} MiB" if num_bytes >= 2**20 else f"{num_bytes / 2**10:.0f} KiB"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago that was, so coarse that a list changes once a minute at most."""
    passed = (now - moment).total_seconds()
    if passed < 60:
        return "just now"
    if passed < 3600:
        return f"{passed // 60:.0f} min ago"
    if passed < 86_400:
        return f"{passed // 3600:.0f} h ago"
    return f"{moment:%d %b %Y}".lstrip("0")
