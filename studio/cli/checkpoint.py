"""``python -m studio checkpoint …``: make a tiny one, look at one, convert an old one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studio.cli.output import Json, print_result

checkpoint_app = typer.Typer(
    name="python -m studio", help="Checkpoints: make a tiny one, look at one, convert an old one.", no_args_is_help=True
)


@checkpoint_app.command("tiny")
def tiny(
    folder: Annotated[Path, typer.Argument(help="New folder.")],
    seed: Annotated[int, typer.Option(help="Same seed, same weights.")] = 0,
    as_json: Json = False,
) -> None:
    """Write a complete checkpoint with random weights: it makes noise, for tests and trials."""
    from studio.engine.checkpoints import build_tiny_checkpoint

    build_tiny_checkpoint(folder, seed)
    text = f"{folder}: tiny checkpoint with random weights, seed {seed}"
    print_result({"path": str(folder), "seed": seed}, as_json, text)


@checkpoint_app.command("info")
def info(checkpoint: Annotated[str, typer.Argument(help="Local folder or hub id.")], as_json: Json = False) -> None:
    """Show what a checkpoint is, from its files alone."""
    from studio.engine.checkpoints import describe_checkpoint, find_checkpoint

    facts = describe_checkpoint(find_checkpoint(checkpoint))
    print_result(facts, as_json, "\n".join(f"{key}: {value}" for key, value in facts.items()))


@checkpoint_app.command("convert")
def convert(
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
    print_result(report.as_json(), as_json, report.message)
