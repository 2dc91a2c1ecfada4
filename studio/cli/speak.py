"""``python -m studio speak``: a text in saved voices, in the voices of clips, or in voices that the model picks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.cli.output import Json, notice, print_result, say, short_id
from studio.errors import StudioError
from studio.settings import Settings, get_settings

if TYPE_CHECKING:
    from studio.takes.request import SpeakRequest
    from studio.takes.service import TakeService


def speak(
    text: Annotated[str | None, typer.Argument(help="What to say; or use --script.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write: .wav, .flac or .mp3.")] = None,
    script: Annotated[
        Path | None, typer.Option(help="Text file to speak; lines '[Name] text' make a dialogue.")
    ] = None,
    voice: Annotated[
        list[str] | None,
        typer.Option(help="A voice of the library; in a dialogue SPEAKER=VOICE. May be repeated: see `voice list`."),
    ] = None,
    reference: Annotated[
        list[str] | None, typer.Option(help="Clip of the voice; in a dialogue NAME=CLIP. May be repeated.")
    ] = None,
    transcript: Annotated[
        list[str] | None, typer.Option(help="What is said in the clip, word for word; one for each --reference.")
    ] = None,
    speaker_consent: Annotated[
        list[str] | None,
        typer.Option(help="By what right the voice is used: own, permission or licence; one for all, or one for each."),
    ] = None,
    consent_note: Annotated[list[str] | None, typer.Option(help="Who gave permission, or which licence.")] = None,
    describe: Annotated[
        list[str] | None, typer.Option(help="A voice in words instead of a clip: NAME=DESCRIPTION. May be repeated.")
    ] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Local folder or hub id.")] = None,
    adapter: Annotated[
        str | None,
        typer.Option(
            help="A trained voice, by id or name; or the folder of a LoRA checkpoint; 'none' for the base alone. Without it "
            "what the voice is spoken with: see `voice wear`."
        ),
    ] = None,
    strength: Annotated[
        float, typer.Option(help="Share of what the trained voice learnt that is added to the base; 1 for all of it.")
    ] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Same seed and settings, same audio.")] = None,
    scene: Annotated[str | None, typer.Option(help="Where it is spoken, in words; '' for none.")] = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy; higher is livelier.")] = 0.3,
    top_p: Annotated[float, typer.Option(help="Keep the most probable codes up to this sum.")] = 0.95,
    top_k: Annotated[int, typer.Option(help="Keep this many most probable codes; 0 keeps all.")] = 50,
    ras_window: Annotated[int, typer.Option(help="Rows looked back on for repetitions; 0 is off.")] = 7,
    ras_max_repeats: Annotated[int, typer.Option(help="Repetitions after which a code is drawn again.")] = 2,
    language: Annotated[str | None, typer.Option(help="Language code such as en or ar; found from the script.")] = None,
    retry: Annotated[
        int | None,
        typer.Option(
            help="Speak a part that comes out badly again, at most so often; 0 never. Without it twice for long texts, where "
            "a recogniser is on this machine."
        ),
    ] = None,
    trim_start: Annotated[float | None, typer.Option(help="Use the clip from this second on.")] = None,
    trim_end: Annotated[float | None, typer.Option(help="Use the clip up to this second.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    keep: Annotated[bool, typer.Option(help="Keep the take in the library, too: see `take list`.")] = True,
    as_json: Json = False,
) -> None:
    """Speak a text, in a saved voice, in the voice of a clip or in a voice the model picks."""
    if out is None:
        raise StudioError("Say where the speech should go: --out FILE.wav.")
    from studio.engine.model.sampling import Sampling
    from studio.engine.prompt import DEFAULT_SCENE
    from studio.takes.request import SpeakRequest
    from studio.takes.service import TakeService

    if strength != 1.0 and adapter is None:
        raise StudioError("--strength is that of a trained voice: add --adapter, or leave it out.")
    request = SpeakRequest(
        text=_text(text, script),
        references=_references(reference, transcript, speaker_consent, consent_note, trim_start, trim_end),
        scene=DEFAULT_SCENE if scene is None else scene,
        sampling=Sampling(temperature, top_p, top_k, ras_window, ras_max_repeats),
        seed=seed,
        language=language,
        descriptions=dict(_named(entry, "--describe") for entry in describe or ()),
        voices=tuple(_chosen(entry) for entry in voice or ()),
        retry=retry,
        **_adapter(adapter),
        adapter_strength=strength,
    )
    _refuse_mixture(request)
    service = TakeService.from_settings(speaking_settings(checkpoint, device, precision), announce=say)
    for choice in request.voices:  # before the model is loaded
        try:
            service.voices().voice(choice.voice)
        except StudioError as error:
            raise StudioError(f"--voice {choice.voice}: {error}") from error
    if adapter is None:
        from studio.takes.wearing import dressed

        request, told = dressed(request, service.voices(), service.adapters())
        if told:
            notice(told)
    elif request.adapter:
        try:
            service.adapters().usable(request.adapter)
        except StudioError as error:
            raise StudioError(f"--adapter {request.adapter}: {error}") from error
    speak_and_tell(service, request, out, keep=keep, as_json=as_json)


def speaking_settings(checkpoint: str | None, device: str | None, precision: str | None) -> Settings:
    """The settings with what was asked for on the command line."""
    overrides = {"checkpoint": checkpoint, "device": device, "precision": precision}
    return get_settings().with_changes(**{key: value for key, value in overrides.items() if value is not None})


def speak_and_tell(
    service: TakeService, request: SpeakRequest, out: Path, *, keep: bool, as_json: bool, made_with: str | None = None
) -> None:
    """Speak into a file and say what came of it.

    Args:
        made_with: the checkpoint of an earlier take that this one repeats.
    """
    spoken = service.speak(request, out.expanduser(), keep=keep)
    notices = list(service.host.status.notices)
    if made_with not in (None, spoken.take.checkpoint):
        notices.append(
            f"The first take was made with {made_with} and this one with {spoken.take.checkpoint}: it sounds "
            "different. For the same audio give the first one's with --checkpoint."
        )
    for sentence in notices:
        notice(sentence)  # in logs too: noise must not pass for speech
    speech = spoken.speech
    summary = f"{spoken.path}: {speech.seconds:.2f} s, RTF {speech.rtf:.2f}, seed {speech.seed}"
    summary += "".join(f"; {sentence[0].lower()}{sentence[1:].rstrip('.')}" for sentence in speech.retried())
    summary += "".join(f"; {shortcoming}" for shortcoming in speech.shortcomings())
    if spoken.take.id:
        summary += f"; take {short_id(spoken.take.id)}"
    print_result({**spoken.as_json(), "notices": notices}, as_json, summary)


def _chosen(entry: str) -> Any:
    from studio.takes.request import VoiceChoice

    # From the right: the name of a voice has no "=" in it, that of a speaker may.
    speaker, separator, voice = entry.rpartition("=")
    if not voice.strip() or (separator and not speaker.strip()):
        raise StudioError(f"--voice '{entry}' is not of the form VOICE or SPEAKER=VOICE.")
    return VoiceChoice(voice.strip(), speaker.strip() or None)


def _adapter(given: str | None) -> dict[str, Any]:
    """The fields of a request for what was given: a folder as it is, anything else is looked up in the library."""
    if given is None:
        return {}
    if not given.strip():
        raise StudioError("--adapter is empty: give the id or the name of a trained voice, or leave it out.")
    if given.strip().lower() == "none":
        return {}
    try:
        folder = Path(given).expanduser().absolute()
        if folder.is_dir():
            return {"adapter_folder": folder}
    except (OSError, ValueError, RuntimeError):  # longer than a path may be, or no path at all
        pass
    return {"adapter": given.strip()}


def _refuse_mixture(request: SpeakRequest) -> None:
    """Two voices in a text of one voice would be mixed into one that nobody has."""
    if len(request.voices) + bool(request.references) < 2:
        return
    if len(request.script.speakers) < 2:
        raise StudioError(
            "One voice speaks in this text, and several are given: leave all --voice and --reference but one out, or write "
            "a dialogue of lines '[Name] text'."
        )


def _text(text: str | None, script: Path | None) -> str:
    if (text is None) == (script is None):
        raise StudioError("Give either a text or --script FILE.")
    if script is None:
        return text or ""
    try:
        return script.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise StudioError(f"{script.name} is not a UTF-8 text file: save the script as UTF-8.") from None
    except OSError as error:
        raise StudioError(f"{script.name} cannot be read ({error.strerror}): check the path of the script.") from None


def _references(
    clips: list[str] | None,
    transcripts: list[str] | None,
    grounds: list[str] | None,
    notes: list[str] | None,
    start: float | None,
    end: float | None,
) -> tuple[Any, ...]:
    from studio.engine.speech.reference import Consent
    from studio.takes.request import ReferenceClip

    clips, transcripts, grounds, notes = clips or [], transcripts or [], grounds or [], notes or []
    if not clips:
        if transcripts or grounds or notes:
            raise StudioError("There is no clip to clone: add --reference CLIP, or leave the options about it out.")
        return ()
    if len(transcripts) != len(clips):
        raise StudioError(
            f"Each --reference needs its own --transcript: {len(clips)} of one, {len(transcripts)} of the other."
        )
    if not grounds:
        raise StudioError("Say by what right the voice is used: --speaker-consent own, permission or licence.")
    grounds = _one_for_each(grounds, len(clips), "--speaker-consent")
    notes = _one_for_each(notes, len(clips), "--consent-note")
    references = []
    for clip, transcript, ground, note in zip(clips, transcripts, grounds, notes, strict=True):
        speaker, path = (None, clip) if "=" not in clip or _is_file(clip) else _named(clip, "--reference")
        consent = Consent(ground, note)  # type: ignore[arg-type]  Consent refuses what is no ground
        references.append(ReferenceClip(Path(path), transcript, consent, speaker, start, end))
    return tuple(references)


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # longer than a path may be, or no path at all
        return False


def _one_for_each(values: list[str], count: int, option: str) -> list[str]:
    if len(values) <= 1:
        return (values or [""]) * count
    if len(values) != count:
        raise StudioError(f"{option} was given {len(values)} times for {count} clips: give it once, or once for each.")
    return values


def _named(entry: str, option: str) -> tuple[str, str]:
    name, separator, value = entry.partition("=")
    if not separator or not name.strip() or not value.strip():
        raise StudioError(f"{option} '{entry}' is not of the form NAME=VALUE.")
    return name.strip(), value.strip()
