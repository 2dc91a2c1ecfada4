"""A set in the layouts of others: rows for ms-swift, LJSpeech, CSV, a NeMo manifest, a Hugging Face folder.

Every layout can be imported again and has the same content then: sounds are written sample for sample, texts as they are.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from studio.datasets.dataset import Dataset, Utterance
from studio.datasets.exports.pairing import Pairing
from studio.datasets.exports.pairs import references
from studio.datasets.library import DatasetLibrary
from studio.datasets.stored_sound import encoded
from studio.engine.prompt import DEFAULT_SCENE, Conversation
from studio.engine.rows import RowTurn, TrainingRow
from studio.errors import StudioError
from studio.files import atomic_write_bytes, shown_name, write_advice

FORMATS = ("rows", "ljspeech", "csv", "nemo", "huggingface")
_ROWS_AT_ONCE = 200
"""Utterances in one group of a parquet file."""
Announce = Callable[[int, int], None]


def export(
    library: DatasetLibrary,
    dataset: Dataset,
    kind: str,
    out: Path,
    *,
    archive: bool = False,
    pairing: Pairing | None = None,
    held_out: Mapping[str, str] | None = None,
    announce: Announce = lambda done, total: None,
) -> Path:
    """Write the kept utterances of a set into a new folder, or a .zip of it; returns what was written.

    Args:
        kind: one of :data:`FORMATS`.
        out: the folder, which must not exist or be empty; with ``archive`` the .zip, which must not exist.
        pairing: how rows get their reference turns; None: as it was chosen for the set.
        held_out: the split of utterances by their ids, in place of their own.

    Raises:
        StudioError: a speaker has given no consent, nothing is kept, a text that the layout cannot hold, or the disk is full.
            Nothing is left behind then.
    """
    if kind not in FORMATS:
        raise StudioError(f"There is no layout '{kind}': choose one of {', '.join(FORMATS)}.")
    library.require_consent(dataset)
    utterances = library.utterances(dataset.id)
    if not utterances:
        raise StudioError(f"No utterance of {dataset.name} is kept: there is nothing to export.")
    if held_out is not None:
        utterances = [replace(each, split=held_out.get(each.id, "")) for each in utterances]
    if any(not each.text for each in utterances):
        missing = sum(not each.text for each in utterances)
        raise StudioError(
            f"{missing} utterances of {dataset.name} have no transcript: type them, or drop these utterances."
        )
    target = out.with_name(f"{out.name}.zip") if archive and out.suffix.lower() != ".zip" else out
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise StudioError(f"{shown_name(target)} exists already: choose another place, or remove it.")
    making = target.with_name(f".{target.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    try:
        making.mkdir(parents=True)
        writer = _Writer(making, announce, pairing or dataset.pairing)
        getattr(writer, kind)(utterances)
        atomic_write_bytes(
            making / "dataset.json", json.dumps(about(library, dataset), indent=1, ensure_ascii=False).encode()
        )
        if archive:
            _pack(making, target)
        else:
            target.rmdir() if target.is_dir() else None
            making.rename(target)
    except OSError as error:
        raise StudioError(f"{shown_name(target)} cannot be written {write_advice(error)}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return target


def about(library: DatasetLibrary, dataset: Dataset) -> dict[str, Any]:
    """What goes with every export: figures, version, and by what right each voice is used."""
    return {
        "name": dataset.name,
        "version": library.version(dataset.id),
        "utterances": dataset.num_utterances,
        "seconds": round(dataset.seconds, 3),
        "synthetic": {"count": dataset.num_synthetic, "seconds": round(dataset.synthetic_seconds, 3)},
        "languages": list(dataset.languages),
        "speakers": [speaker.as_json() for speaker in dataset.speakers if speaker.num_utterances],
    }


def clip_names(utterances: Sequence[Utterance]) -> list[str]:
    """A file name without suffix for each utterance: its own as far as a file may be called so, and no two alike."""
    taken: set[str] = set()
    found = []
    for number, each in enumerate(utterances, start=1):
        plain = re.sub(r"[^\w\-+.]+", "_", each.name).strip("._")[:80] or f"utterance_{number:05d}"
        name, again = plain, 2
        while name.casefold() in taken:  # some disks tell capitals apart and some do not
            name, again = f"{plain}-{again}", again + 1
        taken.add(name.casefold())
        found.append(name)
    return found


class _Writer:
    """Writes the layouts into one folder."""

    def __init__(self, folder: Path, announce: Announce, pairing: Pairing) -> None:
        self._folder, self._announce, self._pairing = folder, announce, pairing

    def rows(self, utterances: Sequence[Utterance]) -> None:
        """``rows.jsonl`` and, where some are held out, ``rows_val.jsonl``; clips beside them.

        What is trained has a row for each variant of the pairing; what is held out is judged once.
        """
        clips = self._clips(utterances, "clips", ".flac")
        files: dict[str, list[str]] = {"rows.jsonl": []}
        for variant in range(self._pairing.variants):
            chosen = references(utterances, self._pairing, variant=variant)
            for each in utterances:
                held_out = each.split == "validation"
                if variant and held_out:
                    continue
                row = training_row(each, chosen[each.id], clips, self._pairing.scene)
                name = "rows_val.jsonl" if held_out else "rows.jsonl"
                files.setdefault(name, []).append(json.dumps(row, ensure_ascii=False) + "\n")
        for name, lines in files.items():
            atomic_write_bytes(self._folder / name, "".join(lines).encode())

    def ljspeech(self, utterances: Sequence[Utterance]) -> None:
        """``metadata.csv`` with ``id|text`` and ``wavs/id.wav``; of one speaker alone, as the layout has it."""
        if len({each.speaker for each in utterances}) > 1:
            raise StudioError(
                "LJSpeech has one speaker, and this dataset several: export it as csv, nemo or huggingface."
            )
        for each in utterances:
            if "|" in each.text or "\n" in each.text:
                raise StudioError(
                    f"The text of {each.name or each.place} has a | or a line break, which LJSpeech cannot hold."
                )
        clips = self._clips(utterances, "wavs", ".wav")
        lines = [f"{Path(clips[each.id]).stem}|{each.text}\n" for each in utterances]
        atomic_write_bytes(self._folder / "metadata.csv", "".join(lines).encode())

    def csv(self, utterances: Sequence[Utterance]) -> None:
        """``metadata.csv`` with a header and clips beside it."""
        clips = self._clips(utterances, "clips", ".flac")
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(["audio", "text", "speaker", "language", "split"])
        for each in utterances:
            writer.writerow([clips[each.id], each.text, each.speaker, each.language, each.split])
        atomic_write_bytes(self._folder / "metadata.csv", table.getvalue().encode())

    def nemo(self, utterances: Sequence[Utterance]) -> None:
        """``manifest.json``, a line of JSON each, as NeMo and its Speech Data Explorer read it."""
        clips = self._clips(utterances, "clips", ".flac")
        lines = []
        for each in utterances:
            entry: dict[str, Any] = {
                "audio_filepath": clips[each.id],
                "duration": round(each.seconds, 6),
                "text": each.text,
            }
            entry |= {name: value for name, value in (("speaker", each.speaker), ("lang", each.language)) if value}
            if each.heard:
                entry["pred_text"] = each.heard
            lines.append(json.dumps(entry, ensure_ascii=False) + "\n")
        atomic_write_bytes(self._folder / "manifest.json", "".join(lines).encode())

    def huggingface(self, utterances: Sequence[Utterance]) -> None:
        """A parquet file for each split with the sound inside, as ``datasets.load_dataset(FOLDER)`` reads it."""
        import pyarrow
        from pyarrow import parquet

        text = pyarrow.string()
        audio = pyarrow.struct([("bytes", pyarrow.binary()), ("path", text)])
        columns = {"audio": audio, "text": text, "speaker": text, "language": text}
        features = {name: {"dtype": "string", "_type": "Value"} for name in columns} | {"audio": {"_type": "Audio"}}
        described = {"huggingface": json.dumps({"info": {"features": features}})}
        schema = pyarrow.schema(list(columns.items()), metadata=described)
        names = dict(zip((each.id for each in utterances), clip_names(utterances), strict=True))
        (self._folder / "data").mkdir()
        done = 0
        for split in ("train", "validation"):
            part = [each for each in utterances if (each.split == "validation") == (split == "validation")]
            if not part:
                continue
            with parquet.ParquetWriter(self._folder / "data" / f"{split}-00000-of-00001.parquet", schema) as file:
                for start in range(0, len(part), _ROWS_AT_ONCE):
                    some = part[start : start + _ROWS_AT_ONCE]
                    sounds = [
                        {
                            "bytes": _sound(each, ".flac"),
                            "path": f"{names[each.id]}.flac",
                        }
                        for each in some
                    ]
                    file.write_table(
                        pyarrow.table(
                            {
                                "audio": sounds,
                                "text": [each.text for each in some],
                                "speaker": [each.speaker for each in some],
                                "language": [each.language for each in some],
                            },
                            schema=schema,
                        )
                    )
                    done += len(some)
                    self._announce(done, len(utterances))

    def _clips(self, utterances: Sequence[Utterance], folder: str, suffix: str) -> dict[str, str]:
        """Write the sound of every utterance; returns by id where it lies in the export."""
        (self._folder / folder).mkdir()
        found = {}
        for number, (each, name) in enumerate(zip(utterances, clip_names(utterances), strict=True), start=1):
            found[each.id] = f"{folder}/{name}{suffix}"
            (self._folder / found[each.id]).write_bytes(_sound(each, suffix))
            self._announce(number, len(utterances))
        return found


def _sound(utterance: Utterance, suffix: str) -> bytes:
    return encoded(utterance.recording, utterance.start, utterance.end, suffix, synthetic=utterance.synthetic)


def training_row(
    target: Utterance, reference: Utterance | None, clips: dict[str, str], scene: str = ""
) -> dict[str, Any]:  # fmt: skip
    """The row that teaches to speak an utterance after its reference, with clips by their place beside the rows.

    Args:
        scene: where the utterance says none; "" is the engine's own.
    """
    turns: list[RowTurn] = []
    for each, trained in ((reference, False), (target, True)):
        if each is not None:
            turns += [RowTurn("user", each.text), RowTurn("assistant", clip=Path(clips[each.id]), trained=trained)]
    scene = target.scene or scene or DEFAULT_SCENE
    return TrainingRow(tuple(turns), Conversation((), scene=scene).system_content, target.speaker or None).as_row()


def _pack(folder: Path, target: Path) -> None:
    making = target.with_name(f".{target.name}.new")
    try:
        with zipfile.ZipFile(making, "w", zipfile.ZIP_STORED) as archive:  # FLAC is as small as it gets
            for path in _files(folder):
                archive.write(path, path.relative_to(folder).as_posix())
        making.rename(target)
    finally:
        making.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
