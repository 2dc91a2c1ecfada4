"""A set, and work on it, in words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from studio.cli.output import say, short_id, shortened
from studio.formatting import duration

if TYPE_CHECKING:
    from studio.datasets.dataset import Dataset
    from studio.datasets.spreading.pace import Pace


def progress(pace: Pace | None = None) -> Any:
    """Says now and then how far something is, and how long it will still take where a pace tells."""
    told = [time.monotonic()]

    def announce(done: int, what: str) -> None:
        if time.monotonic() - told[0] > 2:
            told[0] = time.monotonic()
            say(f"{done:,} utterances, {what}{pace.words if pace else ''} …")

    return announce


def line_of(dataset: Dataset) -> list[str]:
    """A set in the list of all."""
    speakers = [speaker.name or "one speaker" for speaker in dataset.speakers if speaker.num_utterances]
    state = "" if dataset.state == "ready" else "importing"
    return [
        short_id(dataset.id), dataset.name, f"{dataset.num_utterances:,} utterances", duration(dataset.seconds),
        shortened(", ".join(speakers), 30), state,
    ]  # fmt: skip


def lines_of(dataset: Dataset) -> list[str]:
    """What there is to know about a set."""
    left_out = dataset.report.get("left_out", {})
    lines = [
        f"dataset: {dataset.name} ({dataset.id})" + ("" if dataset.state == "ready" else ", importing"),
        f"utterances: {dataset.num_utterances:,}, {duration(dataset.seconds)}"
        + (f"; {dataset.num_dropped:,} dropped" if dataset.num_dropped else ""),
        f"source: {dataset.source.get('type')} {dataset.source.get('name')}",
    ]
    if dataset.synthetic:
        lines.append(f"made by a model: {dataset.synthetic}")
    if unsliced := dataset.report.get("unsliced"):
        lines.append(
            "in no utterance: " + ", ".join(f"{duration(each)} of {reason}" for reason, each in unsliced.items())
        )
    if left_out:
        lines.append("left out: " + ", ".join(f"{count:,} {reason}" for reason, count in left_out.items()))
    for speaker in dataset.speakers:
        right = speaker.consent.shown_ground if speaker.consent else "consent not recorded"
        if speaker.consent and speaker.consent.withdrawn_at:
            right = "consent withdrawn"
        name = speaker.name or "(no name)"
        lines.append(f"speaker: {name}, {speaker.num_utterances:,} utterances, {duration(speaker.seconds)}, {right}")
    return lines
