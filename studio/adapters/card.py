"""The card of an adapter, for people. It was written by another process: what is missing in it is left out."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, TypeGuard

_METRICS = {
    "loss": "loss",
    "text_loss": "text loss",
    "audio_loss": "audio loss",
    "eval_loss": "loss on held-out rows",
    "eval_text_loss": "text loss on held-out rows",
    "eval_audio_loss": "audio loss on held-out rows",
}
"""What was logged at the step, in this order, and how it is called."""
_HASH_CHARS = 12


def part_of(card: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A part of the card, {} where it has none."""
    found = card.get(name)
    return found if isinstance(found, dict) else {}


def facts_line(card: Mapping[str, Any]) -> str:
    """What it was trained on, on one short line."""
    data, metrics, run = part_of(card, "data"), part_of(card, "metrics"), part_of(card, "run")
    speakers = [str(each) for each in data.get("speakers") or ()]
    loss = metrics.get("audio_loss", metrics.get("loss"))
    facts = [
        ", ".join(speakers) if len(speakers) <= 2 else f"{len(speakers)} speakers",
        _amount(data),
        _step(card),
        f"{run['preset']} preset" if run.get("preset") else "",
        f"audio loss {loss:.2f}" if "audio_loss" in metrics and _is_number(loss) else "",
    ]
    return " · ".join(fact for fact in facts if fact)


def card_rows(
    card: Mapping[str, Any], *, base: str, comparison: str, consent: str, whole: bool
) -> list[tuple[str, str]]:
    """The whole card: labels and texts.

    Args:
        whole: the command with its folders, which are nobody's business but of whoever runs the studio.
    """
    data, run = part_of(card, "data"), part_of(card, "run")
    speakers = ", ".join(str(each) for each in data.get("speakers") or ())
    rows = [
        ("Run", str(run.get("name") or "")),
        ("Preset", str(run.get("preset") or "")),
        ("Step", _step(card).removeprefix("step ")),
        ("Trained on", "; ".join(part for part in (_amount(data), speakers, _source(data)) if part)),
        ("Data hash", str(data.get("sha256") or "")[:_HASH_CHARS]),
        ("Base", base),
        ("Metrics", _metrics(part_of(card, "metrics"))),
        ("Compared with the base", comparison),
        ("Consent", consent),
        ("Samples", _samples(card.get("samples"))),
        ("Command", shlex.join(_shown(str(part), whole) for part in card.get("command") or ())),
    ]
    return [(label, text) for label, text in rows if text]


def _shown(part: str, whole: bool) -> str:
    return part if whole or not part.startswith("/") else PurePath(part).name


def _step(card: Mapping[str, Any]) -> str:
    if "step" not in card:
        return ""
    return f"step {card['step']}" + (f" of {card['max_steps']}" if card.get("max_steps") else "")


def _amount(data: Mapping[str, Any]) -> str:
    parts = []
    if isinstance(rows := data.get("rows"), int):
        parts.append(f"{rows} row{'s' if rows != 1 else ''}")
    if _is_number(seconds := data.get("seconds")):
        parts.append(f"{seconds:.0f} s of speech" if seconds < 90 else f"{seconds / 60:.0f} min of speech")
    return ", ".join(parts)


def _source(data: Mapping[str, Any]) -> str:
    return f"from {data['source']}" if data.get("source") else ""


def _metrics(metrics: Mapping[str, Any]) -> str:
    known = [f"{label} {metrics[name]:.3g}" for name, label in _METRICS.items() if _is_number(metrics.get(name))]
    return ", ".join(known)


def _samples(samples: Any) -> str:
    found = [each for each in samples or () if isinstance(each, dict)]
    return "; ".join(
        f"“{each.get('text', '')}” ({each['seconds']:.1f} s, {'ended by itself' if each.get('ended') else 'did not stop'})"
        for each in found
        if _is_number(each.get("seconds"))
    )


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
