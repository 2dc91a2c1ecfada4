"""Runs a command of ms-swift in this process, with what it refuses said in a sentence."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from studio.engine.devices import importing_much
from studio.errors import StudioError
from studio.files import read_json
from swift_plugins.arguments import Arguments
from swift_plugins.refused import refuse_unsupported

PLUGIN_FILE = Path(__file__).with_name("register.py")
"""What ``--external_plugins`` is given."""


def run_swift(command: str, arguments: Arguments) -> int:
    """Run an ms-swift command in this process.

    Raises:
        StudioError: an argument that ms-swift or the plugin refuses, or a checkpoint that would run code of its own.
    """
    _refuse_remote_code(arguments.value("model"))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    print(f"swift {command} {json.dumps(arguments.argv, ensure_ascii=False)}", file=sys.stderr)  # noqa: T201
    with importing_much():
        from swift.arguments import ExportArguments, SftArguments
        from swift.pipelines import export_main, sft_main

    if command == "sft":
        from swift.cli.utils import try_use_single_device_mode

        try_use_single_device_mode()
        parsed = _parsed(SftArguments, arguments)
        refuse_unsupported(parsed)
        sft_main(parsed)
    else:
        export_main(_parsed(ExportArguments, arguments))
    return 0


def _refuse_remote_code(model: str | None) -> None:
    """ms-swift reads every config with ``trust_remote_code=True``, also where the plugin's loader does not."""
    config = Path(model or "").expanduser() / "config.json"
    if config.is_file() and "auto_map" in read_json(config):
        raise StudioError(
            f"The config.json of {config.parent.name} names Python code of its own (auto_map), which ms-swift would run: "
            "take auto_map out of it, or choose another checkpoint."
        )


def _parsed(kind: type, arguments: Arguments) -> Any:
    """ms-swift's own reading of the arguments. Raises StudioError with its reason where it refuses them."""
    from swift.utils import parse_args

    try:
        with _mistakes_raised():
            parsed, unknown = parse_args(kind, arguments.argv)
    except (OSError, ValueError, TypeError, AssertionError, ImportError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StudioError(f"ms-swift does not accept these arguments: {reason}") from error
    if unknown:
        raise StudioError(f"ms-swift has no argument {unknown[0]}: check its spelling.")
    return parsed


@contextmanager
def _mistakes_raised() -> Iterator[None]:
    """What argparse cannot read raises ValueError, where it would print 300 lines of usage and leave the process."""
    from transformers import HfArgumentParser

    def refuse(self: Any, message: str) -> NoReturn:
        raise ValueError(message)

    original = HfArgumentParser.error
    HfArgumentParser.error = refuse
    try:
        yield
    finally:
        HfArgumentParser.error = original
