"""Where a row of any form names clips. One walk for whoever looks at the paths and whoever changes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_ADDRESS = re.compile(r"data:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_address(source: str) -> bool:
    """Whether a clip is given as an address of the network, or as its content, in place of a path."""
    return _ADDRESS.match(source) is not None


def map_clip_paths(row: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """A row with every path of a clip changed.

    It reaches whatever could be taken for one, in lists and objects too, also where a row is not well formed: what guards
    paths must not overlook any that a parser might use.
    """
    changed = dict(row)
    for key in ("audios", "reference_audio"):
        if key in changed:
            changed[key] = _mapped(changed[key], change)
    if isinstance(messages := changed.get("messages"), list):
        changed["messages"] = [_mapped_message(message, change) for message in messages]
    return changed


def clip_paths(row: Mapping[str, Any]) -> list[str]:
    """Every path that :func:`map_clip_paths` reaches."""
    found: list[str] = []

    def noted(path: str) -> str:
        found.append(path)
        return path

    map_clip_paths(row, noted)
    return found


def _mapped_message(message: Any, change: Callable[[str], str]) -> Any:
    if not isinstance(message, Mapping):
        return message
    content = message.get("content")
    if isinstance(content, list):
        return {**message, "content": [_mapped_part(part, change) for part in content]}
    return {**message, "content": _mapped_part(content, change)} if isinstance(content, Mapping) else message


def _mapped_part(part: Any, change: Callable[[str], str]) -> Any:
    if not isinstance(part, Mapping):
        return part
    return {key: _mapped(value, change) if key in ("audio", "audio_url") else value for key, value in part.items()}


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value) if value.strip() else value
    if isinstance(value, list):
        return [_mapped(each, change) for each in value]
    if isinstance(value, Mapping):
        return {key: _mapped(each, change) if key in ("url", "path") else each for key, each in value.items()}
    return value
