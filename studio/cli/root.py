"""The command ``python -m studio`` itself: its parts, ``doctor``, and how every error becomes one line."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from typing import Annotated, NoReturn

import typer

from studio import __version__
from studio.cli.audition import audition
from studio.cli.checkpoint import checkpoint_app
from studio.cli.compare import compare_app
from studio.cli.dataset import dataset_app
from studio.cli.evaluate import evaluate
from studio.cli.evaluate_list import evaluate_list, evaluate_merge
from studio.cli.output import Json, print_result
from studio.cli.speak import speak
from studio.cli.take import take_app
from studio.cli.train import train_app
from studio.cli.voice import voice_app
from studio.errors import StudioError
from studio.settings import get_settings

app = typer.Typer(name="python -m studio", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

# typer brings its own copy of click, or uses the installed one: these are its exceptions, whichever it is.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check that this machine can run the studio."""
    from studio.system.report import doctor as examine

    checks = examine(get_settings())
    document = {"ok": all(c.ok for c in checks), "checks": [vars(c) for c in checks]}
    lines = [f"{'ok  ' if c.ok else 'FAIL'}  {c.name}: {c.detail}" for c in checks]
    print_result(document, as_json, "\n".join(lines))
    if failed := [c for c in checks if not c.ok]:
        raise StudioError(f"{failed[0].name} does not work: {failed[0].detail}")


app.command()(speak)
app.command()(evaluate)
app.command()(audition)
app.command("evaluate-list")(evaluate_list)
app.command("evaluate-merge")(evaluate_merge)
app.add_typer(voice_app, name="voice")
app.add_typer(take_app, name="take")
app.add_typer(dataset_app, name="dataset")
app.add_typer(train_app, name="train")
app.add_typer(compare_app, name="compare")
app.add_typer(checkpoint_app, name="checkpoint")


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
