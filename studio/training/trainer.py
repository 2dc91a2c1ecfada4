"""The trainer: how ms-swift with the plugin is called, and what it says when it fails."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Literal

_REFUSAL = re.compile(r"^Error: (.+)$", re.MULTILINE)


def command(task: Literal["sft", "export"], arguments: Mapping[str, Sequence[str]]) -> list[str]:
    """The command of a run of ms-swift, as a list for a process."""
    given = [part for name, values in arguments.items() for part in (f"--{name}", *values)]
    return [sys.executable, "-m", "swift_plugins.launch", task, *given]


def reason(said: str) -> str:
    """The sentence with which it refused, the last one in what it printed; "" where it failed without one."""
    return next(reversed(_REFUSAL.findall(said)), "").strip()


def last_line(said: str) -> str:
    """The last line of what it printed; "" where it printed nothing."""
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
