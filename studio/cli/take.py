"""``python -m studio take …``: what was spoken and kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli.output import Json, by_beginning, columns, print_result, say, short_id, shortened
from studio.cli.speak import speak_and_tell, speaking_settings
from studio.errors import StudioError
from studio.services import Services
from studio.settings import get_settings

if TYPE_CHECKING:
    from studio.takes.library import TakeLibrary
    from studio.takes.take import Take

take_app = typer.Typer(
    name="python -m studio",
    help="Takes: list them, show, star, export and delete one, speak one again.",
    no_args_is_help=True,
)

TakeId = Annotated[str, typer.Argument(metavar="ID", help="Id of the take, or how it begins (6 characters or more).")]


def _library() -> TakeLibrary:
    return Services(get_settings()).takes()


def _found(library: TakeLibrary, wanted: str) -> Take:
    """The one take whose id begins like this. Raises StudioError where there is none, or more than one."""
    return by_beginning(library.takes(), wanted, kind="take", listed_by="take list")


@take_app.command("list")
def list_takes(
    search: Annotated[str, typer.Option(help="Only those with this in their text or the names of their voices.")] = "",
    starred: Annotated[bool, typer.Option("--starred", help="Only those with a star.")] = False,
    as_json: Json = False,
) -> None:
    """List the takes, the newest first."""
    takes = _library().takes(search, starred=starred)
    none = "No take matches." if search or starred else "No takes yet."
    text = columns(_line(take) for take in takes) if takes else none
    print_result({"takes": [take.as_json() for take in takes]}, as_json, text)


@take_app.command()
def show(take: TakeId, as_json: Json = False) -> None:
    """Show everything that is known of a take."""
    found = _found(_library(), take)
    print_result(found.as_json(), as_json, _described(found))


@take_app.command()
def export(
    take: TakeId,
    out: Annotated[Path, typer.Argument(help="File to write: .wav, .flac or .mp3.")],
    as_json: Json = False,
) -> None:
    """Write the sound of a take to a file."""
    library = _library()
    found, out = _found(library, take), out.expanduser()
    library.export(found, out)
    text = f"{out}: take {short_id(found.id)}, {found.seconds:.2f} s"
    print_result({**found.as_json(), "path": str(out)}, as_json, text)


@take_app.command()
def star(take: TakeId, as_json: Json = False) -> None:
    """Give a take a star."""
    _set_star(take, True, as_json)


@take_app.command()
def unstar(take: TakeId, as_json: Json = False) -> None:
    """Take the star away."""
    _set_star(take, False, as_json)


def _set_star(take: str, on: bool, as_json: bool) -> None:
    library = _library()
    changed = library.star(_found(library, take).id, on)
    text = f"Take {short_id(changed.id)} has {'a' if on else 'no'} star now."
    print_result(changed.as_json(), as_json, text)


@take_app.command()
def delete(take: TakeId, as_json: Json = False) -> None:
    """Delete a take with its sound."""
    library = _library()
    deleted = library.delete(_found(library, take).id)
    document = {"deleted": True, "id": deleted.id, "text": deleted.text}
    print_result(document, as_json, f"Take {short_id(deleted.id)} was deleted.")


@take_app.command()
def again(
    take: TakeId,
    out: Annotated[Path | None, typer.Option(help="File to write: .wav, .flac or .mp3.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed; without it the same, and so the same audio.")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Local folder or hub id.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    keep: Annotated[bool, typer.Option(help="Keep the new take in the library, too.")] = True,
    as_json: Json = False,
) -> None:
    """Speak a take again: the same text, voices and settings, with the checkpoint that is set now."""
    if out is None:
        raise StudioError("Say where the speech should go: --out FILE.wav.")
    from studio.takes.service import TakeService

    service = TakeService.from_settings(speaking_settings(checkpoint, device, precision), announce=say)
    library = service.takes()
    first = _found(library, take)
    request = library.request_of(first, seed="same" if seed is None else seed)
    speak_and_tell(service, request, out, keep=keep, as_json=as_json, made_with=first.checkpoint)


def _line(take: Take) -> list[str]:
    voices = ", ".join(voice.name for voice in take.voices) or "a voice the model picked"
    marks = "".join(["★" if take.starred else " ", "!" if take.consent_withdrawn_at or not take.is_there else " "])
    made = f"{take.created_at.astimezone():%Y-%m-%d %H:%M}"
    return [short_id(take.id), marks, made, f"{take.seconds:.1f} s", shortened(voices, 30), take.title]


def _described(take: Take) -> str:
    voices = [f"{voice.speaker}={voice.name}" if voice.speaker else voice.name for voice in take.voices]
    settings = [
        f"{key} {value}"
        for key, value in take.settings.items()
        if value not in (None, "", {}) and key not in ("adapter", "adapter_folder")
    ]
    adapter = f"{take.adapter} ({take.adapter_id or take.settings.get('adapter_folder', '')})"
    lines = [
        f"take: {take.id}{' ★' if take.starred else ''}",
        f"made: {take.created_at.astimezone():%Y-%m-%d %H:%M:%S}",
        f"text: {take.text}",
        f"voices: {', '.join(voices) or 'picked by the model'}",
        f"checkpoint: {take.checkpoint}",
        *([f"adapter: {adapter}"] if take.adapter else []),
        *([f"studio: {take.report['studio']}"] if take.report.get("studio") else []),
        f"seed: {take.seed}",
        f"settings: {', '.join(settings)}",
        f"length: {take.seconds:.2f} s, RTF {take.rtf:.2f}",
        f"file: {take.path}",
    ]
    lines += [f"spoken again: {sentence}" for sentence in take.retried]
    lines += [f"heard back by: {take.report['heard_back_by']}"] if take.report.get("heard_back_by") else []
    lines += [f"note: {shortcoming}" for shortcoming in take.shortcomings]
    if take.consent_withdrawn_at:
        lines.append(f"note: the consent for one of its voices was withdrawn on {take.consent_withdrawn_at:%Y-%m-%d}")
    if not take.is_there:
        lines.append("note: its sound is gone from the disk")
    return "\n".join(lines)
