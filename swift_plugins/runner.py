"""Runs a command of ms-swift in this process, with what it refuses said in a sentence."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from swift_plugins.arguments import Arguments

PLUGIN_FILE = Path(__file__).with_name("register.py")
"""What ``--external_plugins`` is given."""


def run_swift(command: str, arguments: Arguments) -> int:
    """Run an ms-swift command in this process."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    print(f"swift {command} {json.dumps(arguments.argv, ensure_ascii=False)}", file=sys.stderr)  # noqa: T201
    from swift.arguments import ExportArguments, SftArguments
    from swift.pipelines import export_main, sft_main

    if command == "sft":
        from swift.cli.utils import try_use_single_device_mode

        try_use_single_device_mode()
        sft_main(_parsed(SftArguments, arguments))
    else:
        export_main(_parsed(ExportArguments, arguments))
    return 0


def _parsed(kind: type, arguments: Arguments) -> Any:
    """ms-swift's own reading of the arguments. Raises StudioError with its reason where it refuses them."""
    from swift.utils import parse_args

    try:
        parsed, unknown = parse_args(kind, arguments.argv)
    except (ValueError, TypeError, AssertionError, ImportError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StudioError(f"ms-swift does not accept these arguments: {reason}") from error
    if unknown:
        raise StudioError(f"ms-swift has no argument {unknown[0]}: check its spelling.")
    return parsed
