"""A comparison as a YAML file says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.evaluation.comparison.plan import ComparisonPlan, checked_plan
from studio.files import shown_name

_MAX_BYTES = 2**20


def read_plan(path: Path) -> ComparisonPlan:
    """Read a file. Recordings and folders in it are looked for from where it lies.

    ``texts`` may be a list, or the name of a text file with one on each line. ``adapter`` may be a folder.

    Raises:
        StudioError: it cannot be read, or something in it cannot be used, with the file and the place in it.
    """
    import yaml

    name = shown_name(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise StudioError(f"{name} is larger than a comparison can be: is it the right file?")
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise StudioError(f"{name} cannot be read ({error.strerror}): check its path.") from error
    except UnicodeDecodeError as error:
        raise StudioError(f"{name} is not a UTF-8 text file: save it as UTF-8.") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise StudioError(f"{name}{line}: this is no YAML ({problem}).") from error
    if not isinstance(content, dict):
        raise StudioError(f"{name}: fields with values are expected, such as texts and systems.")
    try:
        return checked_plan(_resolved({str(field): value for field, value in content.items()}, path.parent))
    except StudioError as error:
        raise StudioError(f"{name}: {error}") from error


def _resolved(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    if isinstance(texts := content.get("texts"), str):
        content["texts"] = _lines(folder / texts)
    if isinstance(checkpoint := content.get("checkpoint"), str):
        content["checkpoint"] = _placed(checkpoint, folder)
    references = content.get("references")
    for clip in references if isinstance(references, list) else ():
        if isinstance(clip, dict) and isinstance(clip.get("clip"), str):
            clip["clip"] = str((folder / clip["clip"]).absolute())
    systems = content.get("systems")
    for system in systems if isinstance(systems, list) else ():
        if not isinstance(system, dict):
            continue
        if isinstance(recordings := system.get("recordings"), list):
            system["recordings"] = [str(folder / each) if isinstance(each, str) else each for each in recordings]
        if isinstance(checkpoint := system.get("checkpoint"), str):
            system["checkpoint"] = _placed(checkpoint, folder)
        if isinstance(adapter := system.get("adapter"), str) and adapter and _is_folder(folder / adapter):
            system["adapter_folder"] = str((folder / adapter).absolute())
            del system["adapter"]
    return content


def _placed(given: str, folder: Path) -> str:
    """A folder beside the file, or whatever else a checkpoint is called."""
    return str((folder / given).absolute()) if given and _is_folder(folder / given) else given


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # longer than a path may be, or no path at all
        return False


def _lines(path: Path) -> list[str]:
    try:
        found = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise StudioError(f"texts: {shown_name(path)} is not a UTF-8 text file: save it as UTF-8.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not valid"
        raise StudioError(f"texts: {shown_name(path)} cannot be read ({reason}): check its path.") from error
    return [line for line in found if line]
