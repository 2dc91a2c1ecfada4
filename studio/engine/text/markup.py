"""Tags within a text: who speaks, and sounds that are no words."""

from __future__ import annotations

import re

_NATIVE_TAG = re.compile(r"SPEAKER(\d{1,2})", re.IGNORECASE)


def speaker_tags(names: list[str]) -> dict[str, str]:
    """The model's tag (``SPEAKER0``, …) for each name, in order of appearance; names that are such tags keep theirs."""
    native = {name: match for name in names if (match := _NATIVE_TAG.fullmatch(name))}
    if len(native) == len(names):
        return {name: f"SPEAKER{int(match[1])}" for name, match in native.items()}
    return {name: f"SPEAKER{index}" for index, name in enumerate(names)}


SOUND_TAGS = {
    "[laugh]": "<SE>[Laughter]</SE>",
    "[humming start]": "<SE>[Humming]</SE>",  # Not <SE_s>: so in the original.
    "[humming end]": "<SE_e>[Humming]</SE_e>",
    "[music start]": "<SE_s>[Music]</SE_s>",
    "[music end]": "<SE_e>[Music]</SE_e>",
    "[music]": "<SE>[Music]</SE>",
    "[sing start]": "<SE_s>[Singing]</SE_s>",
    "[sing end]": "<SE_e>[Singing]</SE_e>",
    "[applause]": "<SE>[Applause]</SE>",
    "[cheering]": "<SE>[Cheering]</SE>",
    "[cough]": "<SE>[Cough]</SE>",
}
"""The sound effects a user can ask for, and the tags the model knows them by."""

SOUND_TAG_PATTERN = r"<SE(?:_[se])?>\[[^\]\n]*\]</SE(?:_[se])?>"

SPEAKER_TAG_PATTERN = r"\[SPEAKER\d+\]"

SOUND_NAME = re.compile("|".join(re.escape(tag) for tag in SOUND_TAGS), re.IGNORECASE)

MARKUP = re.compile(f"{SOUND_TAG_PATTERN}|{SPEAKER_TAG_PATTERN}|{SOUND_NAME.pattern}", re.IGNORECASE)
