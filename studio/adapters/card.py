"""The card of an adapter: as it is written, and as people read it.

Another version may have written it: what is missing in it is left out.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypedDict, TypeGuard

from studio.voices.consent import VoiceConsent

LOSSES = ("loss", "text_loss", "audio_loss")
"""Logged at a step; with ``eval_`` before them those of held-out rows."""
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


class SpokenSample(TypedDict):
    """A sentence that was spoken at the step; ``file`` from the studio's home, which can be moved."""

    text: str
    file: str
    seconds: float
    ended: bool
    loudness_dbfs: float


def new_card(
    *, run_id: str, run_name: str, preset: str, step: int, max_steps: int,
    base_name: str, base: str, base_folder: str, base_bytes: int,
    source: str, sha256: str, num_rows: int, seconds: float, synthetic_seconds: float, speakers: Sequence[str],
    command: Sequence[str],
    metrics: Mapping[str, float | None], samples: Sequence[SpokenSample],
    consent: Sequence[VoiceConsent], consent_sentence: str, comparison: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """A card, ready for JSON.

    Args:
        base: as it was asked for, a folder or a hub id.
        source: name of the file of rows, and ``sha256`` of its content.
        synthetic_seconds: how much of the ``seconds`` that were learnt a model made.
        metrics: by their names in :data:`LOSSES`, None for one that was not logged.
        comparison: what :func:`studio.adapters.comparison.compare` gave.
    """
    return {
        "run": {"id": run_id, "name": run_name, "preset": preset},
        "step": step,
        "max_steps": max_steps,
        "base": {"name": base_name, "checkpoint": base, "folder": base_folder, "bytes": base_bytes},
        "data": {
            "source": source, "sha256": sha256, "rows": num_rows, "seconds": seconds,
            "synthetic_seconds": synthetic_seconds, "speakers": list(speakers),
        },
        "command": list(command),
        # NaN and infinity have no place in JSON; a run that ended like that is told of by its diagnosis.
        "metrics": {name: value for name, value in metrics.items() if _is_number(value)},
        "samples": list(samples),
        "consent": [each.model_dump() for each in consent],
        "consent_sentence": consent_sentence,
        "comparison": dict(comparison),
    }  # fmt: skip


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
        if _is_number(made := data.get("synthetic_seconds")) and made > 0:
            parts.append(
                "all of it made by a model" if made >= seconds else f"{made / seconds:.0%} of it made by a model"
            )
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
