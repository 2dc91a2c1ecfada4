"""``python -m swift_plugins.prepare``: a folder of recordings with a table of texts becomes a file of training rows.

    python -m swift_plugins.prepare --dataset_type ljspeech --input_dir LJSpeech-1.1 --output_file rows.jsonl --split
    python -m swift_plugins.prepare --dataset_type csv --input_dir clips --csv_file list.csv --output_file rows.jsonl

A data set of type ``ljspeech`` has ``metadata.csv`` with lines ``id|text|normalised text`` and recordings ``wavs/id.wav``.
One of type ``csv`` (or ``custom``) has a table with a header, and a path inside ``--input_dir`` on each line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from studio.audio import read_audio
from studio.datasets.sources import Found, SourceOptions, read_source
from studio.datasets.sources.tables import COLUMNS
from studio.engine.prompt import DEFAULT_SCENE, Conversation, refuse_control_tokens
from studio.engine.rows import RowTurn, TrainingRow, parse_row
from studio.errors import StudioError
from studio.files import atomic_write_bytes, refuse_unwritable, shown_name

RANDOM = "random"
_COLUMNS = ("text", "audio", "speaker")
_NAMED_ROWS = 20
"""Bad rows that are named one by one."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 the rows are written, 1 they are not and the last line on stderr says why."""
    try:
        prepare(_parser().parse_args(argv))
    except StudioError as error:
        _say(str(error))
        return 1
    return 0


def prepare(args: argparse.Namespace) -> None:
    """Read, check, split and write; the arguments are those of the command line.

    Raises:
        StudioError: what is wrong with the arguments, the table or a row; then nothing was written.
    """
    folder, output = Path(args.input_dir), Path(args.output_file)
    table = Path(args.csv_file or folder / "metadata.csv")
    if not table.exists() and (folder / table).exists():
        table = folder / table
    refuse_control_tokens(args.scene, "scene")
    refuse_control_tokens(str(folder.absolute()), "path of the input folder")  # it stands in every row
    if not 0 < args.val_ratio < 1 or (args.limit is not None and args.limit < 1):
        raise StudioError("--val_ratio must lie between 0 and 1, and --limit must be at least 1: correct them.")
    if not folder.is_dir():
        raise StudioError(f"The input folder {shown_name(folder)} does not exist: check --input_dir.")
    outputs = [output, output.with_name(f"{output.stem}_val{output.suffix}")][: 2 if args.split else 1]
    for path in outputs:
        refuse_unwritable(path)  # before everything that takes long

    columns = {f"{kind}_column": getattr(args, f"{kind}_column") or "" for kind in _COLUMNS}
    options = replace(SourceOptions(table=str(table), inside_only=False), **columns)
    utterances, reference = (
        list(read_source("ljspeech" if args.dataset_type == "ljspeech" else "csv", folder, options)),
        None,
    )
    if args.reference and args.reference != RANDOM:
        reference = _named(args.reference, utterances, folder)
        checked_seconds(reference, decode=args.validate)
        utterances = [entry for entry in utterances if entry.path != reference.path]
    seconds = _checked(args, table, utterances)
    if reference and (strangers := [entry for entry in seconds if entry.speaker != reference.speaker]):
        others = _count(len(strangers), "row")
        _say(f"{others} of other speakers than the reference teach not to copy it: rather give --reference {RANDOM}")
    parts = _split(list(seconds), args.val_ratio, args.seed) if args.split else [list(seconds)]
    # What is held out is nobody's reference, unless its speaker has only one other recording.
    pools = [_by_speaker(parts[0]), _by_speaker(list(seconds))] if args.reference == RANDOM else []
    for path, part in zip(outputs, parts, strict=True):
        references = [_other(target, pools, args.seed) if pools else reference for target in part]
        rows = [training_row(*pair, args.scene).as_row() for pair in zip(part, references, strict=True)]
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        atomic_write_bytes(path, "".join(lines).encode())
        minutes, speakers = sum(seconds[target] for target in part) / 60, len(_by_speaker(part))
        _say(f"{path.name}: {_count(len(part), 'row')}, {minutes:.1f} minutes, {_count(speakers, 'speaker')}")


def training_row(target: Found, reference: Found | None, scene: str) -> TrainingRow:
    """The row that teaches to speak ``target``, in the voice of ``reference`` where there is one."""
    turns: list[RowTurn] = []
    for utterance, trained in ((reference, False), (target, True)):
        if utterance is not None:
            turns += [RowTurn("user", utterance.text), RowTurn("assistant", clip=utterance.path, trained=trained)]
    return TrainingRow(tuple(turns), Conversation((), scene=scene).system_content, target.speaker)


def checked_seconds(utterance: Found, *, decode: bool) -> float:
    """The length of an utterance, in seconds.

    Args:
        decode: read the whole recording, not only the length in its header.

    Raises:
        StudioError: why it cannot be trained on.
    """
    import soundfile

    if utterance.flaw:
        raise StudioError(utterance.flaw)
    if not utterance.text:
        raise StudioError("The text is empty: write what is said in the recording.")
    if utterance.path is None:
        raise StudioError(f"The recording {shown_name(utterance.name)} does not exist: correct its name.")
    row = training_row(utterance, None, DEFAULT_SCENE)
    if parse_row(row.as_row(), folder=utterance.path.parent) != row or not row.conversation().turns:
        raise StudioError("The text would not be trained as it is written: leave instructions to the model out.")
    if not decode:
        try:
            return soundfile.info(utterance.path).duration
        except (RuntimeError, OSError):
            pass  # no format of libsndfile, or damaged: reading tells
    return read_audio(utterance.path).duration


def _checked(args: argparse.Namespace, table: Path, utterances: Sequence[Found]) -> Mapping[Found, float]:
    """The utterances that are good, each with its length in seconds; the bad ones are named, or end it."""
    good: dict[Found, float] = {}
    bad: list[str] = []

    def refuse(utterance: Found, sentence: str) -> None:
        bad.append(f"{utterance.place}: {sentence}")
        if not (args.skip_bad_rows or args.validate):
            raise StudioError(bad[-1])

    for utterance in utterances:
        if len(good) == args.limit:
            break
        try:
            good[utterance] = checked_seconds(utterance, decode=args.validate)
        except StudioError as error:
            refuse(utterance, str(error))
    if args.reference == RANDOM:
        for spoken in _by_speaker(list(good)).values():
            if len({utterance.path for utterance in spoken}) == 1:
                for utterance in spoken:
                    refuse(utterance, "No other recording of the speaker can be its reference: add one.")
                    del good[utterance]
    for line in bad[:_NAMED_ROWS]:
        _say(line)
    if bad and not args.skip_bad_rows:
        raise StudioError(f"{_count(len(bad), 'bad row')}, so nothing was written: mend them, or give --skip_bad_rows.")
    if bad:
        _say(f"{_count(len(bad), 'bad row')} left out")
    if not good:
        raise StudioError(f"There is no row to write: {table.name} names no recording that can be trained on.")
    return good


def _named(wanted: str, utterances: Sequence[Found], folder: Path) -> Found:
    """The utterance that an id, a file name or a path inside ``folder`` means. Raises StudioError for none or several."""
    paths = {(folder / wanted).absolute(), Path(wanted).absolute()}
    found = [entry for entry in utterances if entry.name == wanted or entry.path in paths]
    found = found or [entry for entry in utterances if entry.path and wanted in (entry.path.name, entry.path.stem)]
    if not found:
        raise StudioError(
            f"{shown_name(wanted)} is not in the table, so what is said in it is not known: add it there."
        )
    if len({entry.path for entry in found}) > 1:
        raise StudioError(f"{shown_name(wanted)} could be one of {len(found)} recordings: give its path.")
    return found[0]


def _split(targets: list[Found], ratio: float, seed: int) -> list[list[Found]]:
    """Training and validation, each in the order of the table."""
    num_held_out = max(1, round(len(targets) * ratio))
    if num_held_out >= len(targets):
        raise StudioError(f"{_count(len(targets), 'row')} cannot be split: add recordings, or lower --val_ratio.")
    held_out = set(sorted(targets, key=lambda target: _number(seed, target.name))[:num_held_out])
    return [[target for target in targets if (target in held_out) is wanted] for wanted in (False, True)]


def _by_speaker(utterances: list[Found]) -> dict[str | None, list[Found]]:
    grouped: dict[str | None, list[Found]] = defaultdict(list)
    for utterance in utterances:
        grouped[utterance.speaker].append(utterance)
    return grouped


def _other(target: Found, pools: Sequence[dict[str | None, list[Found]]], seed: int) -> Found:
    """Another recording of the same speaker, from the first pool that has one; one of them has."""
    for pool in pools:
        spoken = pool.get(target.speaker, [])
        start = _number(seed, target.name)
        for step in range(len(spoken)):
            if (other := spoken[(start + step) % len(spoken)]).path != target.path:
                return other
    raise ValueError(f"{target.name} is the only recording of its speaker")


def _number(seed: int, name: str) -> int:
    """A number from nothing but these two: the same on every machine, in every version, whatever rows are added."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{name}".encode()).digest()[:8], "big")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="prepare_dataset", description="Write training rows for recordings.")
    add = parser.add_argument
    add("--dataset_type", required=True, choices=("ljspeech", "csv", "custom"), help="layout; custom is csv")
    add("--input_dir", required=True, help="folder of the recordings")
    add("--output_file", required=True, help="file of rows to write, e.g. rows.jsonl")
    add("--csv_file", help="the table, if it is not metadata.csv in the input folder")
    for kind in _COLUMNS:
        add(f"--{kind}_column", help=f"column of the {kind}; without it: {', '.join(COLUMNS[kind])}")
    add("--reference", help='an id or path, the reference of every row; or "random", another of the same speaker')
    add("--scene", default=DEFAULT_SCENE, help="where it is spoken; default: %(default)s")
    add("--split", action="store_true", help="hold rows out for validation, in a second file with _val in its name")
    add("--val_ratio", type=float, default=0.05, help="part that is held out; default: %(default)s")
    add("--seed", type=int, default=42, help="decides what is held out and which references are chosen")
    add("--limit", type=int, help="write at most so many rows")
    add("--validate", action="store_true", help="decode every recording, and name all bad rows")
    add("--skip_bad_rows", action="store_true", help="leave bad rows out instead of stopping")
    return parser


if __name__ == "__main__":
    sys.exit(main())
