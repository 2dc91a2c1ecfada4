"""What is filled in on the *Speak* tab, and the request that comes of it. All of it is from a browser: nothing is trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from studio.adapters.adapter import TrainedAdapter
from studio.adapters.library import AdapterLibrary
from studio.engine.model.sampling import MAX_SEED, Sampling
from studio.engine.prompt import DEFAULT_SCENE
from studio.engine.speech.retrying import DEFAULT_RETRIES
from studio.engine.text import Script, expected_seconds
from studio.errors import StudioError
from studio.takes.queue import MAX_VARIATIONS
from studio.takes.request import MAX_STRENGTH, SpeakRequest, VoiceChoice
from studio.takes.take import Take
from studio.ui.tabs.speak.voice_picker import DESCRIBED, MODEL_PICKS
from studio.voices.languages import LANGUAGES
from studio.voices.library import VoiceLibrary
from studio.voices.voice import Voice

ONE_VOICE, DIALOGUE = "one", "dialogue"
MAX_LINES = 20
EMPTY_DIALOGUE = ({"voice": "model:feminine", "text": ""}, {"voice": "model:masculine", "text": ""})
_DEFAULTS = Sampling()
HEARD_WHERE_LONG = ""
RETRIES = {
    "Long texts, where a recogniser is here": HEARD_WHERE_LONG, "Always": str(DEFAULT_RETRIES), "Never": "0",
}  # fmt: skip
"""When parts are heard back and spoken again: what the form offers."""
_MAX_TYPED_CHARS = 200_000
"""More than any limit of a text: what a browser may send before it is cut."""


@dataclass(frozen=True)
class Form:
    """The fields, in the order in which the page sends them and a tab remembers them."""

    mode: str = ONE_VOICE
    voice: str = MODEL_PICKS
    text: str = ""
    dialogue: tuple[dict[str, str], ...] = EMPTY_DIALOGUE
    scene: str = DEFAULT_SCENE
    temperature: Any = _DEFAULTS.temperature
    top_p: Any = _DEFAULTS.top_p
    top_k: Any = _DEFAULTS.top_k
    ras_window: Any = _DEFAULTS.ras_window
    ras_max_repeats: Any = _DEFAULTS.ras_max_repeats
    seed: str = ""
    language: str = ""
    variations: Any = 1
    retry: str = HEARD_WHERE_LONG
    adapter: str = ""
    strength: Any = 1.0

    @classmethod
    def of(cls, values: Sequence[Any]) -> Form:
        """The fields as a browser sent them; what is no value of its kind becomes the default.

        Numbers are checked in :meth:`request`, so that a slip of the finger is said and not silently changed.
        """
        given = dict(zip(cls.__dataclass_fields__, values, strict=False))
        checked: dict[str, Any] = {"dialogue": _lines(given.get("dialogue"))}
        checked |= {name: _text(value) for name, value in given.items() if name in _TEXTS and value is not None}
        checked |= {name: value for name, value in given.items() if name in _NUMBERS and value is not None}
        form = cls(**checked)
        return replace(
            form,
            mode=form.mode if form.mode in (ONE_VOICE, DIALOGUE) else ONE_VOICE,
            language=form.language if form.language in LANGUAGES else "",
            retry=form.retry if form.retry in RETRIES.values() else HEARD_WHERE_LONG,
        )

    @classmethod
    def remembered(cls, values: Any) -> Form | None:
        """What a tab remembered before it was reloaded; None where that is nothing usable."""
        if not isinstance(values, list) or len(values) != len(cls.__dataclass_fields__):
            return None
        form = cls.of(values)
        for name, (_, low, high, _) in _NUMBERS.items():
            value = getattr(form, name)
            if not _is_number(value) or not low <= value <= high:
                form = replace(form, **{name: getattr(cls(), name)})
        return form

    @classmethod
    def of_take(cls, take: Take) -> Form:
        """The fields with which a take was spoken, its seed included."""
        settings = take.settings
        form = cls(
            voice=take.voices[0].id if take.voices else MODEL_PICKS,
            text=take.text,
            scene=settings.get("scene", DEFAULT_SCENE),
            temperature=settings.get("temperature", _DEFAULTS.temperature),
            top_p=settings.get("top_p", _DEFAULTS.top_p),
            top_k=settings.get("top_k", _DEFAULTS.top_k),
            ras_window=settings.get("ras_window", _DEFAULTS.ras_window),
            ras_max_repeats=settings.get("ras_max_repeats", _DEFAULTS.ras_max_repeats),
            seed=str(take.seed),
            language=settings.get("language") or "",
            retry=str(DEFAULT_RETRIES) if settings.get("retry") else "0",
            adapter=take.adapter_id,
            strength=settings.get("adapter_strength", 1.0),
        )
        lines = _script_of(take)
        return replace(form, mode=DIALOGUE, dialogue=lines, text="", voice=MODEL_PICKS) if lines else form

    def says_all_of(self, take: Take) -> bool:
        """Whether the fields hold every voice of a take; those described freely on the command line they cannot."""
        voices = {line["voice"] for line in self.dialogue} if self.mode == DIALOGUE else {self.voice}
        described = set((take.settings.get("descriptions") or {}).values())
        return {voice.id for voice in take.voices} <= voices and described <= {words for _, words in DESCRIBED.values()}

    def with_voices_of(self, voices: Sequence[Voice]) -> tuple[Form, bool]:
        """The form without voices that are not among these, and whether it had any."""
        ids = {MODEL_PICKS, *DESCRIBED, *(each.id for each in voices)}
        lines = tuple(line if line["voice"] in ids else {**line, "voice": ""} for line in self.dialogue)
        form = replace(self, voice=self.voice if self.voice in ids else MODEL_PICKS, dialogue=lines)
        return form, form != self

    def with_adapters_of(self, adapters: Sequence[TrainedAdapter]) -> tuple[Form, bool]:
        """The form without a trained voice that is not among these, and whether it had one."""
        gone = bool(self.adapter) and self.adapter not in {each.id for each in adapters}
        return (replace(self, adapter="") if gone else self), gone

    @property
    def values(self) -> list[Any]:
        """As the page takes them, in order."""
        return [
            list(value) if name == "dialogue" else value
            for name, value in ((name, getattr(self, name)) for name in self.__dataclass_fields__)
        ]

    def request(self, voices: VoiceLibrary, adapters: AdapterLibrary) -> SpeakRequest:
        """The request to speak this.

        Raises:
            StudioError: a number out of its range, a seed that is none, a voice, trained or not, that is not there, an
                empty line.
        """
        numbers = {name: self._number(name) for name in _NUMBERS}
        sampling = Sampling(
            temperature=numbers["temperature"],
            top_p=numbers["top_p"],
            top_k=int(numbers["top_k"]),
            ras_window=int(numbers["ras_window"]),
            ras_max_repeats=int(numbers["ras_max_repeats"]),
        )
        shared: dict[str, Any] = {
            "scene": self.scene.strip(),
            "sampling": sampling,
            "seed": self._seed(),
            "language": self.language or None,
            "retry": int(self.retry) if self.retry else None,
            "adapter": adapters.adapter(self.adapter).id if self.adapter else "",
            "adapter_strength": numbers["strength"] if self.adapter else 1.0,
        }
        if self.mode == DIALOGUE:
            text, choices, descriptions = self._script(voices)
            return SpeakRequest(text, voices=choices, descriptions=descriptions, **shared)
        if not self.voice:
            return SpeakRequest(self.text, **shared)
        return SpeakRequest(self.text, voices=(VoiceChoice(voices.voice(self.voice).id),), **shared)

    @property
    def takes(self) -> int:
        """How many takes are asked for. Raises StudioError where that is no number the studio takes."""
        return int(self._number("variations"))

    @property
    def expected_seconds(self) -> float:
        """Duration to expect at a normal pace."""
        if self.mode == DIALOGUE:
            return sum(expected_seconds(line["text"], self.language or None) for line in self.dialogue)
        return expected_seconds(self.text, self.language or None)

    @property
    def spoken(self) -> str:
        """What is to be said, a line of a dialogue on each line."""
        return self.text if self.mode == ONE_VOICE else "\n".join(line["text"] for line in self.dialogue)

    @property
    def num_chars(self) -> int:
        return len(self.text) if self.mode == ONE_VOICE else sum(len(line["text"]) for line in self.dialogue)

    # Inside

    def _number(self, name: str) -> float:
        label, low, high, whole = _NUMBERS[name]
        value = getattr(self, name)
        if not _is_number(value) or not low <= value <= high or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            where = "beside the trained voice" if name == "strength" else "under Advanced"
            raise StudioError(f"{label} must be {kind} from {low:g} to {high:g}: look {where}.")
        return value

    def _seed(self) -> int | None:
        typed = self.seed.strip()
        if not typed:
            return None
        if not (typed.isascii() and typed.isdigit()):
            raise StudioError(
                f"The seed '{typed[:40]}' is no whole number: type one from 0 to {MAX_SEED}, or leave it empty."
            )
        return int(typed)

    def _script(self, voices: VoiceLibrary) -> tuple[str, tuple[VoiceChoice, ...], dict[str, str]]:
        """The lines as a script, who speaks in it, and the voices given in words."""
        spoken = [(number, line) for number, line in enumerate(self.dialogue, 1) if line["text"].strip()]
        if not spoken:
            raise StudioError("There is no text: type what the first voice says.")
        names: dict[str, str] = {}
        choices: list[VoiceChoice] = []
        descriptions: dict[str, str] = {}
        # Names of the library first: a described voice must not take one away.
        for number, line in spoken:
            chosen = line["voice"]
            if chosen in names or chosen in DESCRIBED:
                continue
            if not chosen:
                raise StudioError(f"Line {number} has no voice: choose one for it.")
            voice = voices.voice(chosen)
            names[chosen] = voice.name
            choices.append(VoiceChoice(voice.id, voice.name))
        for _, line in spoken:
            chosen = line["voice"]
            if chosen in DESCRIBED and chosen not in names:
                name, description = DESCRIBED[chosen]
                taken = {present.casefold() for present in names.values()}
                names[chosen] = next(
                    free for free in (name, *(f"{name} {n}" for n in range(2, 99))) if free.casefold() not in taken
                )
                descriptions[names[chosen]] = description
        script = "\n".join(f"[{names[line['voice']]}] {' '.join(line['text'].split())}" for _, line in spoken)
        return script, tuple(choices), descriptions


_TEXTS = ("mode", "voice", "text", "scene", "seed", "language", "retry", "adapter")
_NUMBERS: dict[str, tuple[str, float, float, bool]] = {
    "temperature": ("Temperature", 0.0, 1.5, False),
    "top_p": ("Top-p", 0.05, 1.0, False),
    "top_k": ("Top-k", 0, 500, True),
    "ras_window": ("The repetition window", 0, 100, True),
    "ras_max_repeats": ("The number of repeats", 1, 20, True),
    "variations": ("The number of takes", 1, MAX_VARIATIONS, True),
    "strength": ("The strength", 0.05, MAX_STRENGTH, False),
}
"""Label, smallest and largest value, and whether it is a whole number."""


def limits(name: str) -> tuple[float, float]:
    """Smallest and largest value of a number on the form."""
    _, low, high, _ = _NUMBERS[name]
    return low, high


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: Any) -> str:
    return value[:_MAX_TYPED_CHARS] if isinstance(value, str) else ""


def _lines(value: Any) -> tuple[dict[str, str], ...]:
    if not isinstance(value, list | tuple):
        return EMPTY_DIALOGUE
    lines = [line for line in value if isinstance(line, dict)][:MAX_LINES]
    return tuple({"voice": _text(line.get("voice")), "text": _text(line.get("text"))} for line in lines)


def lines_of(text: str, voices: VoiceLibrary) -> tuple[dict[str, str], ...]:
    """A text as lines of the dialogue editor: a script line by line, each name as the voice that is called so."""
    try:
        script = Script(text).lines
    except StudioError:
        return ()
    if not any(line.speaker for line in script):
        return ()
    known = {voice.name.casefold(): voice.id for voice in voices.voices()}
    free = iter(DESCRIBED)
    chosen: dict[str, str] = {}
    for line in script:
        if line.speaker is not None and line.speaker not in chosen:
            chosen[line.speaker] = known.get(line.speaker.casefold()) or next(free, "")
    return tuple({"voice": chosen.get(line.speaker or "", ""), "text": line.text} for line in script[:MAX_LINES])


def _script_of(take: Take) -> tuple[dict[str, str], ...]:
    """A take's script as lines of the dialogue editor; empty where it was none, or has voices that the editor lacks."""
    by_description = {description: chosen for chosen, (_, description) in DESCRIBED.items()}
    voice_of = {voice.speaker.casefold(): voice.id for voice in take.voices if voice.speaker}
    for name, description in (take.settings.get("descriptions") or {}).items():
        voice_of[name.casefold()] = by_description.get(description, "")
    try:
        script = Script(take.text).lines
    except StudioError:
        return ()
    if (
        not script
        or len(script) > MAX_LINES
        or not all(voice_of.get((line.speaker or "").casefold()) for line in script)
    ):
        return ()
    return tuple({"voice": voice_of[(line.speaker or "").casefold()], "text": line.text} for line in script)
