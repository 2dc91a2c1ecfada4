"""A take: a generation that was kept, with everything that decides how it sounds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from studio import __version__
from studio.engine.speech.result import Speech
from studio.store.tables import now
from studio.takes.casting import Cast, TakeVoice
from studio.takes.request import SpeakRequest

TITLE_CHARS = 60


@dataclass(frozen=True)
class Spoken:
    """What was spoken and how it came about: all that a take is made of.

    Attributes:
        checkpoint: its name as visitors see it.
    """

    speech: Speech
    request: SpeakRequest
    cast: Cast
    checkpoint: str


@dataclass(frozen=True)
class Take:
    """A take as the library gives it out.

    Attributes:
        id: "" where it was spoken into a file only.
        checkpoint: its name as visitors see it.
        adapter: the adapter on top of it; "" for none.
        settings: scene, temperature, top_p, top_k, ras_window, ras_max_repeats, language, descriptions; where it was
            spoken with an adapter its id as adapter, or where that has none its path as adapter_folder, and its strength
            as adapter_strength where that is not 1; retry where parts could be spoken again.
        sample_rate: in Hz.
        elapsed: seconds of computing.
        report: frames, ended, shortcomings and chunks, and the version of the studio; where parts could be spoken again also
            which were, why, and who heard them.
        consent_withdrawn_at: when the consent of one of its voices was withdrawn; None while all hold.
        path: the sound, 16-bit FLAC; for the server only, never for a browser.
    """

    id: str
    owner: str
    created_at: datetime
    text: str
    voices: tuple[TakeVoice, ...]
    checkpoint: str
    seed: int
    seconds: float
    sample_rate: int
    elapsed: float
    path: Path
    adapter: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    starred: bool = False
    consent_withdrawn_at: datetime | None = None

    @classmethod
    def of(cls, spoken: Spoken, *, owner: str, path: Path, id: str = "") -> Take:
        """What was spoken, as of this moment; its sound lies, or is to lie, at ``path``."""
        speech, request, adapter = spoken.speech, spoken.request, spoken.cast.adapter
        trained: dict[str, Any] = {}
        if adapter is not None:
            known = adapter.trained
            trained = {"adapter": known.id} if known is not None else {"adapter_folder": str(adapter.folder)}
            if adapter.strength != 1.0:
                trained["adapter_strength"] = adapter.strength
        return cls(
            id=id,
            owner=owner,
            created_at=now(),
            text=request.text,
            voices=spoken.cast.voices,
            checkpoint=spoken.checkpoint,
            adapter=adapter.name if adapter is not None else "",
            settings={
                "scene": request.scene,
                **asdict(speech.sampling),
                "language": request.language,
                "descriptions": dict(request.descriptions),
                **trained,
                **({"retry": speech.retry} if speech.retry else {}),
            },
            seed=speech.seed,
            seconds=speech.seconds,
            sample_rate=speech.waveform.sample_rate,
            elapsed=speech.elapsed,
            path=path,
            report={
                "frames": speech.num_frames,
                "ended": speech.ended,
                "shortcomings": speech.shortcomings(),
                "studio": __version__,
                "chunks": [
                    {
                        "text": chunk.text,
                        "speaker": chunk.speaker,
                        "frames": chunk.num_frames,
                        "budget": chunk.budget_frames,
                        "ended": chunk.ended,
                        **({"attempts": [each.as_json() for each in chunk.attempts]} if chunk.attempts else {}),
                    }
                    for chunk in speech.chunks
                ],
                **(_retried(speech) if speech.retry else {}),
            },
        )

    @property
    def is_there(self) -> bool:
        return self.path.is_file()

    @property
    def title(self) -> str:
        """The beginning of the text, on one line."""
        line = " ".join(self.text[: 4 * TITLE_CHARS].split())
        return line if len(line) <= TITLE_CHARS else f"{line[: TITLE_CHARS - 1].rstrip()}…"

    @property
    def adapter_id(self) -> str:
        """Of the adapter in the library; "" for none, or one that is in no library."""
        return str(self.settings.get("adapter") or "")

    @property
    def rtf(self) -> float:
        """Real-time factor: computing time divided by duration."""
        return self.elapsed / self.seconds

    @property
    def shortcomings(self) -> list[str]:
        """What a listener should know, a clause each; empty for a take that came out whole."""
        return list(self.report.get("shortcomings", ()))

    @property
    def retried(self) -> list[str]:
        """Which parts were spoken again and why, a sentence each."""
        return list(self.report.get("retried", ()))

    @property
    def can_repeat(self) -> str | None:
        """Why it cannot be spoken again with the same settings, in a sentence; None where it can as far as the take
        itself tells. Whether its voices are still there is asked of the library when they are used.
        """
        if self.consent_withdrawn_at is not None:
            names = ", ".join(voice.name for voice in self.voices if voice.id)
            return f"The consent for a voice of this take ({names}) was withdrawn: choose another voice."
        if strangers := [voice.name for voice in self.voices if not voice.id]:
            return (
                f"This take was spoken with a clip that is not in the library ({', '.join(strangers)}): save the clip as a "
                "voice, and choose it."
            )
        return None

    def as_json(self) -> dict[str, Any]:
        """The take as one JSON object; durations in seconds, rates in Hz, times in UTC."""
        settings, report = self.settings, self.report
        return {
            "id": self.id or None,
            "path": str(self.path),
            "text": self.text,
            "voices": [voice.as_json() for voice in self.voices],
            "sample_rate": self.sample_rate,
            "seconds": round(self.seconds, 6),
            "elapsed": round(self.elapsed, 4),
            "frames": report.get("frames"),
            "rtf": round(self.rtf, 4),
            "ended": report.get("ended"),
            "shortcomings": self.shortcomings,
            "seed": self.seed,
            "checkpoint": self.checkpoint,
            "adapter": self.adapter or None,
            "adapter_id": self.adapter_id or None,
            "adapter_strength": settings.get("adapter_strength", 1.0) if self.adapter else None,
            "scene": settings.get("scene"),
            "temperature": settings.get("temperature"),
            "top_p": settings.get("top_p"),
            "top_k": settings.get("top_k"),
            "ras_window": settings.get("ras_window"),
            "ras_max_repeats": settings.get("ras_max_repeats"),
            "language": settings.get("language"),
            "descriptions": settings.get("descriptions"),
            "chunks": report.get("chunks", []),
            "retry": settings.get("retry", 0),
            "retried": self.retried,
            "heard_back_by": report.get("heard_back_by") or None,
            "studio": report.get("studio"),
            "created_at": self.created_at.isoformat(timespec="seconds"),
            "starred": self.starred,
            "consent_withdrawn_at": self.consent_withdrawn_at
            and self.consent_withdrawn_at.isoformat(timespec="seconds"),
            "missing": not self.is_there,
        }


def _retried(speech: Speech) -> dict[str, Any]:
    """What became of parts that could be spoken again."""
    return {
        "retried": speech.retried(),
        "heard_back_by": speech.heard_back_by,
        "ended_at_once": all(chunk.ended_at_once for chunk in speech.chunks),
    }
