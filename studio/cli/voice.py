"""``python -m studio voice …``: judge a clip, save voices, look at them, change them, take them away."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli.clips import (
    BestWindow,
    ClipFile,
    ClipOptions,
    Denoise,
    GivenTranscript,
    OptionalClipFile,
    SetName,
    Transcribe,
    TrimEnd,
    TrimStart,
    UtteranceId,
    given_clip,
    new_clip,
    read_part,
)
from studio.cli.output import Json, agreed, notice, print_result
from studio.cli.voice_shown import check_lines, voice_lines, voice_table
from studio.errors import StudioError
from studio.services import Services
from studio.settings import get_settings

if TYPE_CHECKING:
    from studio.datasets.as_clip import UtteranceClip
    from studio.voices.library import VoiceLibrary
    from studio.voices.voice import Voice

voice_app = typer.Typer(
    name="python -m studio",
    help="Voices: check a clip, save a voice, list, show, edit and remove voices, withdraw a consent.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="Name of the voice, or its id.")]
Language = Annotated[str, typer.Option(help="Language that is spoken, a code such as en or ar.")]


def _library() -> VoiceLibrary:
    return Services(get_settings()).voices()


@voice_app.command()
def check(
    clip: ClipFile,
    transcript: GivenTranscript = None,
    language: Language = "",
    trim_start: TrimStart = None,
    trim_end: TrimEnd = None,
    as_json: Json = False,
) -> None:
    """Judge a clip as a reference for a voice, and say what to do about it; exit code 1 if it cannot be used.

    All times in the answer count from the beginning of the part that was looked at.
    """
    from studio.voices.coach import examine
    from studio.voices.languages import known_language

    limit = get_settings().max_reference_seconds
    language = known_language(language)
    waveform = read_part(clip, trim_start, trim_end)
    report = examine(waveform, transcript=transcript, language=language or None, max_seconds=limit)
    document = {"clip": str(clip), "trim_start": trim_start, "trim_end": trim_end, **report.as_json()}
    print_result(document, as_json, "\n".join(check_lines(report, trim_start or 0.0)))
    if not report.ok:
        raise StudioError(report.sentence)


@voice_app.command()
def add(
    name: Annotated[str, typer.Argument(help="What the voice is called.")],
    clip: OptionalClipFile = None,
    dataset: SetName = None,
    utterance: UtteranceId = None,
    transcript: GivenTranscript = None,
    transcribe: Transcribe = False,
    speaker_consent: Annotated[
        str | None, typer.Option(help="By what right the voice is used: own, permission or licence.")
    ] = None,
    consent_note: Annotated[str, typer.Option(help="Who gave permission and when, or which licence.")] = "",
    speaker: Annotated[str, typer.Option(help="Who speaks.")] = "",
    language: Language = "",
    notes: Annotated[str, typer.Option(help="Anything worth remembering.")] = "",
    trim_start: TrimStart = None,
    trim_end: TrimEnd = None,
    best_window: BestWindow = False,
    denoise: Denoise = False,
    as_json: Json = False,
) -> None:
    """Save a voice. The clip must be fit for it: `voice check` says why, where it is not.

    The transcript is what is said in the part that is used, not in the whole clip. An utterance of a dataset has one, and the
    consent of its speaker where it was recorded there.
    """
    from studio.voices.consent import SpeakerConsent
    from studio.voices.languages import LANGUAGES, known_language

    settings = get_settings()
    with given_clip(clip, dataset, utterance, settings) as (path, given):
        # Everything that needs no look at the clip first: a model may have to be loaded for that.
        consent = given.consent if given is not None and speaker_consent is None else None
        if speaker_consent is None and consent is None:
            raise StudioError("Say by what right the voice is used: --speaker-consent own, permission or licence.")
        consent = consent or SpeakerConsent.given(speaker_consent, who=speaker, statement=consent_note)
        cut = best_window or trim_start is not None or trim_end is not None
        options = ClipOptions(
            path, _text_of(given, transcript, transcribe or cut), transcribe, trim_start, trim_end, best_window, denoise
        )
        library, language = _library(), known_language(language or (given.language if given else ""))
        name = library.free_name(name)
        prepared = new_clip(options, language, settings)
        # What a model heard it also knows the language of.
        heard = prepared.transcript.language
        language = language or (heard if heard in LANGUAGES else "")
        _tell_saved(library.add(name, [prepared], consent, language=language, notes=notes), as_json)


@voice_app.command("add-clip")
def add_clip(
    name: Name,
    clip: OptionalClipFile = None,
    dataset: SetName = None,
    utterance: UtteranceId = None,
    transcript: GivenTranscript = None,
    transcribe: Transcribe = False,
    trim_start: TrimStart = None,
    trim_end: TrimEnd = None,
    best_window: BestWindow = False,
    denoise: Denoise = False,
    as_json: Json = False,
) -> None:
    """Give a saved voice one more clip of the same speaker, under the same consent."""
    settings = get_settings()
    with given_clip(clip, dataset, utterance, settings) as (path, given):
        cut = best_window or trim_start is not None or trim_end is not None
        options = ClipOptions(
            path, _text_of(given, transcript, transcribe or cut), transcribe, trim_start, trim_end, best_window, denoise
        )
        library = _library()
        voice = library.changeable(name)
        prepared = new_clip(options, voice.language, settings)
        _tell_saved(library.add_clip(voice.id, prepared), as_json)


@voice_app.command("list")
def list_voices(
    search: Annotated[str, typer.Option(help="Only those with this in name, notes, language or transcripts.")] = "",
    as_json: Json = False,
) -> None:
    """List your voices, the newest first, then those that come with the studio."""
    voices = _library().voices(search)
    text = voice_table(voices) if voices else "No voice matches." if search else "No voices yet."
    print_result({"voices": [voice.as_json() for voice in voices]}, as_json, text)


@voice_app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show a voice: its clips, what is said in them, what the coach measured, and the consent."""
    _print_voice(_library().voice(name), as_json)


@voice_app.command()
def edit(
    voice: Annotated[str, typer.Argument(metavar="NAME", help="Name of the voice, or its id.")],
    name: Annotated[str | None, typer.Option(help="New name.")] = None,
    language: Annotated[str | None, typer.Option(help="Language code such as en or ar; '' for none.")] = None,
    notes: Annotated[str | None, typer.Option(help="New notes; '' for none.")] = None,
    as_json: Json = False,
) -> None:
    """Change what is said about a voice."""
    if name is None and language is None and notes is None:
        raise StudioError("Say what should change: --name, --language or --notes.")
    _print_voice(_library().edit(voice, name=name, language=language, notes=notes), as_json)


@voice_app.command("transcript")
def correct_transcript(
    name: Name,
    text: Annotated[str, typer.Argument(help="What is said in the clip, word for word.")],
    clip: Annotated[
        str | None, typer.Option(help="Id of the clip, where the voice has several: see `voice show`.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Correct what is said in a clip."""
    from studio.listening.transcript_editing import retimed

    library = _library()
    voice = library.changeable(name)
    found = [present for present in voice.clips if clip is None or present.id.startswith(clip)]
    if len(found) != 1:
        ids = ", ".join(present.id for present in voice.clips)
        which = "which of its clips" if clip is None else f"one clip; '{clip}' is none or several of them"
        raise StudioError(f"{voice.name} has {len(voice.clips)} clips: say {which}, with --clip and one of {ids}.")
    corrected = retimed(found[0].transcript, text, duration=found[0].seconds)
    _print_voice(library.correct_transcript(voice.id, found[0].id, corrected), as_json)


@voice_app.command()
def remove(
    name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False, as_json: Json = False
) -> None:
    """Delete a voice with its clips. What was spoken with it stays."""
    library = _library()
    voice = library.changeable(name)
    # Only a person at a terminal can answer; a script means what it says.
    if not yes and sys.stdin.isatty() and not agreed(f"Delete {voice.name} with its clips?"):
        raise StudioError(f"{voice.name} was not deleted.")
    library.remove(voice.id)
    print_result({"removed": True, "id": voice.id, "name": voice.name}, as_json, f"{voice.name} was deleted.")


@voice_app.command()
def wear(
    name: Name,
    adapter: Annotated[str, typer.Argument(help="A trained voice, by id or name; 'none' for the base alone.")],
    strength: Annotated[float, typer.Option(help="Share of what was trained, above 0 and up to 2.")] = 1.0,
    as_json: Json = False,
) -> None:
    """Let a voice be spoken with a trained voice from now on, wherever nobody asks for another."""
    from studio.takes.wearing import put_on

    services = Services(get_settings())
    wanted = "" if adapter.strip().lower() == "none" else adapter
    voice = put_on(services.voices(), services.adapters(), name, wanted, strength)
    _print_voice(voice, as_json)


@voice_app.command("withdraw-consent")
def withdraw_consent(name: Name, as_json: Json = False) -> None:
    """End the right to use a voice: from now on nobody can speak with it, and its takes are marked."""
    voice = _library().withdraw_consent(name)
    text = f"The consent for {voice.name} is withdrawn: nobody can speak with it any more, and its takes are marked."
    print_result(voice.as_json(), as_json, text)


def _text_of(given: UtteranceClip | None, transcript: str | None, otherwise: bool) -> str | None:
    """The transcript of a clip: as it was given, or that of the whole utterance, unless it comes ``otherwise``."""
    return given.text if given is not None and given.text and transcript is None and not otherwise else transcript


def _tell_saved(voice: Voice, as_json: bool) -> None:
    if (clip := voice.clips[-1]).needs_check:
        notice(
            f"Check the transcript: it must be what is said in the part of {clip.seconds:.1f} s that was saved; correct it "
            f"with `python -m studio voice transcript '{voice.name}' TEXT --clip {clip.id}`."
        )
    _print_voice(voice, as_json)


def _print_voice(voice: Voice, as_json: bool) -> None:
    from studio.takes.wearing import worn_by

    lines = list(voice_lines(voice))
    if voice.adapter:
        worn = worn_by(voice, Services(get_settings()).adapters())
        told = worn.adapter and f"spoken with: {worn.adapter.name}" + (
            f" at {worn.strength:g}" * (worn.strength != 1.0)
        )
        lines.append(told or f"note: {worn.notice}")
    print_result(voice.as_json(), as_json, "\n".join(lines))
