"""What a voice may be called."""

from __future__ import annotations

import re
import unicodedata

from studio.engine.text import SOUND_TAGS
from studio.errors import StudioError

MAX_NAME_CHARS = 60
"""A dialogue script takes no longer names."""
# Brackets would break a script, "=" the command line; slashes and leading dots look like paths and invite mistakes.
_FORBIDDEN = re.compile(r"[\[\]<>|=:\\/\"]|\.\.|^\.")


def checked_name(name: str | None) -> str:
    """The name, tidied. Raises StudioError if it is empty, too long, or a script or command line would misread it."""
    tidy = " ".join(unicodedata.normalize("NFC", name or "").split())
    if not tidy:
        raise StudioError("The voice has no name: type one, such as that of the person who speaks.")
    if len(tidy) > MAX_NAME_CHARS:
        raise StudioError(f"The name has {len(tidy)} characters: use at most {MAX_NAME_CHARS}.")
    found = _FORBIDDEN.search(tidy)
    if found or any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co") for character in tidy):
        what = f"'{found.group()}'" if found else "an invisible character"
        raise StudioError(f"The name has {what} in it: use letters, digits, spaces and hyphens.")
    if f"[{tidy.lower()}]" in SOUND_TAGS:
        raise StudioError(f"'{tidy}' is the name of a sound effect in scripts: choose another name.")
    if not any(character.isalnum() for character in tidy):
        raise StudioError("The name has neither a letter nor a digit: choose one that can be read out.")
    return tidy


def name_key(name: str) -> str:
    """The name as it is compared: two that differ only in capitals, spaces or width are one."""
    return unicodedata.normalize("NFKC", " ".join(name.split())).casefold()
