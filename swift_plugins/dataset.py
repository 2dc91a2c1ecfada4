"""``--dataset higgs_audio:PATH``: reads rows in any of the three formats and checks every one before training begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Dataset, Features, List, Value
from swift.dataset import DatasetMeta, register_dataset
from swift.dataset.loader import DatasetLoader
from swift.utils import get_logger, safe_ddp_context

from studio.engine.rows import parse_row
from studio.engine.rows.jsonl import read_rows
from studio.errors import StudioError
from swift_plugins.options import Options
from swift_plugins.template import HiggsAudioTemplate, template_in_use

DATASET = "higgs_audio"
_NAMED_ROWS = 20
"""Skipped rows that the log names one by one."""

_TEXT = Value("string")
_COLUMNS = {
    "messages": List({"role": _TEXT, "content": _TEXT, "loss": Value("bool")}),
    "audios": List(_TEXT),
    "speaker": _TEXT,
    "lengths": List(Value("int64")),
}
"""Said and not guessed: the first row, or a whole file, may have no clip or no reference."""

logger = get_logger()


def checked_rows(path: Path, *, skip_bad: bool, template: HiggsAudioTemplate | None) -> list[dict[str, Any]]:
    """The rows of a file in the native form, with their length in tokens as ``lengths``.

    With a template each row is encoded, which finds everything that could stop the training later: clips that are missing,
    damaged or silent, rows that are too long. It also means that every clip has its codes before the first step.

    Args:
        skip_bad: leave bad rows out and say which; otherwise the first one is an error.

    Raises:
        StudioError: a bad row, by its number, or no row that can be used.
    """
    good: list[dict[str, Any]] = []
    bad: list[str] = []
    warnings: dict[str, int] = {}
    for number, content in read_rows(path):
        try:
            if isinstance(content, StudioError):
                raise content
            row = parse_row(content, folder=path.parent)
            native = row.as_row()
            if template is not None:
                native["lengths"] = [template.encode_row(row)["length"]]
        except StudioError as error:
            message = f"{path.name}, row {number}: {error}"
            if not skip_bad:
                raise StudioError(message) from None
            bad.append(message)
            continue
        for warning in row.warnings:
            warnings[warning] = warnings.get(warning, 0) + 1
        good.append(native)
    for message in bad[:_NAMED_ROWS]:
        logger.warning("skipped: %s", message)
    if bad:
        logger.warning("%s: %d of %d rows skipped", path.name, len(bad), len(bad) + len(good))
    for warning, count in warnings.items():
        logger.warning("%s, %d rows: %s", path.name, count, warning)
    if not good:
        raise StudioError(f"{path.name} holds no row that can be used: {bad[0] if bad else 'it is empty'}")
    return good


class HiggsAudioDatasetLoader(DatasetLoader):
    """Loads ``higgs_audio:PATH``; several files come as several datasets."""

    def load(self, dataset_syntax: Any = None, dataset_meta: Any = None, *, use_hf: bool | None = None) -> Any:
        """The rows as a ``datasets.Dataset``. ms-swift has taken the path for subsets, split at its slashes."""
        path = Path("/".join(dataset_syntax.subsets)).expanduser()
        template = template_in_use()
        encoded_before = template.clips.num_encoded if template is not None else 0
        skip_bad = Options.from_environment().skip_bad_rows
        rows: list[dict[str, Any]] = []
        problem: StudioError | None = None
        # The first process of each machine encodes what is new; the others then find it on disk. They come to the same
        # problem by themselves: raised within, it would leave them waiting for the first.
        with safe_ddp_context(None, True):
            try:
                rows = checked_rows(path, skip_bad=skip_bad, template=template)
            except StudioError as error:
                problem = error
        if problem is not None:
            raise problem
        if template is not None:
            clips = {clip for row in rows for clip in row.get("audios", [])}
            encoded = template.clips.num_encoded - encoded_before
            logger.info("%s: %d rows, %d clips, %d encoded now", path.name, len(rows), len(clips), encoded)
            template.clips.release()
        columns = {name: kind for name, kind in _COLUMNS.items() if name != "lengths" or template is not None}
        dataset = Dataset.from_dict(
            {name: [row.get(name) for row in rows] for name in columns}, features=Features(columns)
        )
        return dataset.to_iterable_dataset() if self.streaming else dataset


def register() -> None:
    """Make the dataset known to ms-swift. Idempotent."""
    # Named by itself and found nowhere: the loader alone knows what follows the colon.
    register_dataset(
        DatasetMeta(
            dataset_name=DATASET,
            ms_dataset_id=DATASET,
            hf_dataset_id=DATASET,
            loader=HiggsAudioDatasetLoader,  # type: ignore[arg-type]  annotated as an instance, used as a class
            subsets=[],
        ),
        exist_ok=True,
    )
