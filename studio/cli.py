"""The command line: every service without a browser.

With ``--json`` exactly one JSON document goes to stdout; everything else goes to stderr. Exit code 0, or 1 with one
line on stderr that says what is wrong and what to do.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from studio import __version__
from studio.errors import StudioError
from studio.settings import get_settings

app = typer.Typer(
    name="python -m studio",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
checkpoint_app = typer.Typer(
    name="python -m studio", help="Checkpoints: make a tiny one, look at one, convert an old one.", no_args_is_help=True
)
app.add_typer(checkpoint_app, name="checkpoint")

# typer brings its own copy of click, or uses the installed one: these are its exceptions, whichever it is.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def _print(document: Any, as_json: bool, text: str) -> None:
    # ASCII, so that the document survives whatever encoding the pipe has; \\u escapes are the same JSON.
    sys.stdout.write((json.dumps(document, indent=2) if as_json else text) + "\n")


def _say(sentence: str) -> None:
    """Progress for a person who waits; kept from logs and pipes, where stderr is for errors."""
    if sys.stderr.isatty():
        sys.stderr.write(sentence + "\n")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check that this machine can run the studio."""
    from studio.system.report import doctor as examine

    checks = examine(get_settings())
    document = {"ok": all(c.ok for c in checks), "checks": [vars(c) for c in checks]}
    lines = [f"{'ok  ' if c.ok else 'FAIL'}  {c.name}: {c.detail}" for c in checks]
    _print(document, as_json, "\n".join(lines))
    if failed := [c for c in checks if not c.ok]:
        raise StudioError(f"{failed[0].name} does not work: {failed[0].detail}")


@app.command()
def speak(
    text: Annotated[str | None, typer.Argument(help="What to say; or use --script.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write: .wav, .flac or .mp3.")] = None,
    script: Annotated[
        Path | None, typer.Option(help="Text file to speak; lines '[Name] text' make a dialogue.")
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
    seed: Annotated[int | None, typer.Option(help="Same seed and settings, same audio.")] = None,
    scene: Annotated[str | None, typer.Option(help="Where it is spoken, in words; '' for none.")] = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy; higher is livelier.")] = 0.3,
    top_p: Annotated[float, typer.Option(help="Keep the most probable codes up to this sum.")] = 0.95,
    top_k: Annotated[int, typer.Option(help="Keep this many most probable codes; 0 keeps all.")] = 50,
    ras_window: Annotated[int, typer.Option(help="Rows looked back on for repetitions; 0 is off.")] = 7,
    ras_max_repeats: Annotated[int, typer.Option(help="Repetitions after which a code is drawn again.")] = 2,
    language: Annotated[str | None, typer.Option(help="Language code such as en or ar; found from the script.")] = None,
    trim_start: Annotated[float | None, typer.Option(help="Use the clip from this second on.")] = None,
    trim_end: Annotated[float | None, typer.Option(help="Use the clip up to this second.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    as_json: Json = False,
) -> None:
    """Speak a text, in the voice of a clip or in a voice the model picks."""
    if out is None:
        raise StudioError("Say where the speech should go: --out FILE.wav.")
    from studio.engine.generation import Sampling
    from studio.engine.prompt import DEFAULT_SCENE
    from studio.takes.request import SpeakRequest
    from studio.takes.service import TakeService

    request = SpeakRequest(
        text=_text(text, script),
        references=_references(reference, transcript, speaker_consent, consent_note, trim_start, trim_end),
        scene=DEFAULT_SCENE if scene is None else scene,
        sampling=Sampling(temperature, top_p, top_k, ras_window, ras_max_repeats),
        seed=seed,
        language=language,
        descriptions=dict(_named(entry, "--describe") for entry in describe or ()),
    )
    overrides = {"checkpoint": checkpoint, "device": device, "precision": precision}
    settings = get_settings().with_changes(**{key: value for key, value in overrides.items() if value is not None})
    service = TakeService.from_settings(settings, announce=_say)
    take = service.speak(request, out.expanduser())
    for notice in service.host.status.notices:
        sys.stderr.write(f"{notice}\n")  # in logs too: noise must not pass for speech
    speech = take.speech
    summary = f"{take.path}: {speech.seconds:.2f} s, RTF {speech.rtf:.2f}, seed {speech.seed}"
    summary += "".join(f"; {shortcoming}" for shortcoming in speech.shortcomings())
    _print({**take.as_json(), "notices": list(service.host.status.notices)}, as_json, summary)


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
    from studio.engine.reference import Consent
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
    grounds, notes = (
        _one_for_each(grounds, len(clips), "--speaker-consent"),
        _one_for_each(notes, len(clips), "--consent-note"),
    )
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


@checkpoint_app.command("tiny")
def checkpoint_tiny(
    folder: Annotated[Path, typer.Argument(help="New folder.")],
    seed: Annotated[int, typer.Option(help="Same seed, same weights.")] = 0,
    as_json: Json = False,
) -> None:
    """Write a complete checkpoint with random weights: it makes noise, for tests and trials."""
    from studio.engine.tiny import build_tiny_checkpoint

    build_tiny_checkpoint(folder, seed)
    _print({"path": str(folder), "seed": seed}, as_json, f"{folder}: tiny checkpoint with random weights, seed {seed}")


@checkpoint_app.command("info")
def checkpoint_info(
    checkpoint: Annotated[str, typer.Argument(help="Local folder or hub id.")], as_json: Json = False
) -> None:
    """Show what a checkpoint is, from its files alone."""
    from studio.engine.checkpoint import describe_checkpoint, find_checkpoint

    facts = describe_checkpoint(find_checkpoint(checkpoint))
    _print(facts, as_json, "\n".join(f"{key}: {value}" for key, value in facts.items()))


@checkpoint_app.command("convert")
def checkpoint_convert(
    old: Annotated[
        Path, typer.Argument(help="Folder or weights file in the original boson format, or its LoRA adapter.")
    ],
    new: Annotated[Path, typer.Argument(help="New folder for the native format.")],
    base: Annotated[
        Path | None, typer.Option(help="Native checkpoint to take the tokenizer, codec and templates from.")
    ] = None,
    codec: Annotated[Path | None, typer.Option(help="Native codec folder, where the base has none.")] = None,
    as_json: Json = False,
) -> None:
    """Convert a checkpoint of the original boson format into the native one, and check the result."""
    from studio.engine.conversion import convert_checkpoint

    report = convert_checkpoint(old, new, base=base, codec=codec)
    _print(report.as_json(), as_json, report.message)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"{__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Clone voices with Higgs Audio v2."""


def _quieten() -> None:
    """Libraries must not write to stdout, nor clutter stderr, where one line says what is wrong."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.disable(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a pipe's encoding must not lose a finished take
    warnings.filterwarnings("ignore")


def _fail(message: str) -> NoReturn:
    sys.stderr.write(" ".join(message.split()) + "\n")
    raise SystemExit(1)


def main() -> None:
    """Run the command line; every error the user can mend becomes one line on stderr and exit code 1."""
    _quieten()
    try:
        code = app(standalone_mode=False)
    except StudioError as error:
        _fail(str(error))
    except _ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" See `{context.command_path} --help`." if isinstance(error, _UsageError) and context else ""
        if type(error).__name__ == "NoArgsIsHelpError":  # the help was asked for, and has been shown
            raise SystemExit(0) from None
        _fail(f"{error.format_message().rstrip('.')}.{hint}")  # type: ignore[attr-defined]
    except (typer.Abort, KeyboardInterrupt):
        _fail("Stopped.")
    except Exception as error:
        if os.environ.get("STUDIO_DEBUG"):
            raise
        what = f"{type(error).__name__}: {error}".strip(": ")
        _fail(
            f"This should not have happened ({what[:300]}): run it again with STUDIO_DEBUG=1 to see where, and report it."
        )
    raise SystemExit(code or 0)
