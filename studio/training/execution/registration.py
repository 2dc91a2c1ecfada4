"""``python -m studio.training.execution.registration FOLDER``: makes checkpoints known as adapters.

The supervisor runs it after the trainer, in a process of its own: the base is loaded once, every checkpoint is compared
with it, and all memory is gone with the process.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from studio.adapters.card import LOSSES, SpokenSample, new_card
from studio.adapters.comparison import compare, speak_base
from studio.engine.model.adapter_files import CONFIG_FILE
from studio.engine.rows import TrainingRow, parse_row
from studio.engine.speech.sample_plan import SamplePlan
from studio.errors import StudioError
from studio.files import read_json
from studio.settings import Settings, get_settings
from studio.store import adapters as queries
from studio.store.jobs import job_by_id
from studio.store.store import Store
from studio.store.tables import AdapterRecord, JobRecord
from studio.training.folder import JobFolder
from studio.training.monitoring.run_log import read_log
from studio.training.monitoring.samples import StepSamples, read_samples
from studio.training.spec import TrainingSpec


def register(settings: Settings, store: Store, job_id: str, *, device: str) -> list[int]:
    """Compare every whole LoRA checkpoint of a run with its base, and save it as an adapter; a known one anew.

    Args:
        device: "cpu", "mps", "cuda" or "cuda:N"; of the latter only "cuda" counts, since the process sees one GPU.

    Returns:
        The steps that were registered, in order; none for a run that trained all parameters.

    Raises:
        StudioError: there is no such run, or its base cannot speak. All its checkpoints are registered even then, without
            a comparison.
    """
    with store.reading() as session:
        job = job_by_id(session, job_id)
    if job is None:
        raise StudioError(f"There is no training run {job_id[:40]}, or no longer.")
    spec, folder = TrainingSpec.model_validate(job.spec), JobFolder(settings.jobs_folder / job.id)
    checkpoints = {step: path for step, path in folder.checkpoints().items() if (path / CONFIG_FILE).is_file()}
    if spec.full_parameter or not checkpoints:
        return []
    cards = _Cards(settings, job, spec, folder)
    trouble: StudioError | None = None
    try:
        comparison, release = _comparison(settings, spec, folder, device)
    except StudioError as error:
        trouble = error
        comparison, release = (lambda path: {"error": str(trouble)}), (lambda: None)
    try:
        for step, path in checkpoints.items():
            card = cards.card(step, path, comparison(path))
            with store.writing() as session:
                queries.save(session, cards.record(step, path, card))
            _say(f"step {step}: {card['comparison'].get('sentence') or card['comparison'].get('error')}")
    finally:
        release()
    if trouble is not None:
        raise trouble
    return list(checkpoints)


def _comparison(
    settings: Settings, spec: TrainingSpec, folder: JobFolder, device: str
) -> tuple[Callable[[Path], dict[str, Any]], Callable[[], None]]:
    """What compares a checkpoint and never raises, and what gives the memory back. Raises StudioError if the base cannot
    be loaded, or does not speak."""
    from studio.engine.checkpoints import find_checkpoint, load_checkpoint
    from studio.engine.model.speech_model import SpeechModel

    row, text, seed = _plan(folder)
    place: Any = device.partition(":")[0]
    checkpoint = load_checkpoint(find_checkpoint(spec.base_folder), device=place, precision=settings.precision)
    engine = SpeechModel(checkpoint, code_cache=settings.code_cache_folder)
    del checkpoint
    try:
        base = speak_base(engine, row, text, seed=seed)
    except BaseException:
        engine.unload()
        raise

    def comparison(path: Path) -> dict[str, Any]:
        try:
            return compare(engine, row, text, path, seed=seed, base=base)
        except StudioError as error:
            return {"error": str(error)}
        except Exception as error:  # noqa: BLE001  one checkpoint's trouble is none of the others'
            traceback.print_exc()
            return {
                "error": f"It could not be compared with the base ({type(error).__name__}): the run's log says more."
            }

    return comparison, engine.unload


def _plan(folder: JobFolder) -> tuple[TrainingRow, str, int]:
    """Row, sentence and seed: those of the samples, so that the comparison can be held against them."""
    try:
        plan = SamplePlan.read(folder.sample_plan)
    except StudioError as error:
        raise StudioError("The run's sample_plan.json is missing or damaged, so nothing can be compared.") from error
    if plan.row is None:
        raise StudioError("No row of the run has a trained clip, so there is nothing to compare by ear.")
    return parse_row(plan.row, folder=folder.root), plan.sentences[0], plan.seed


class _Cards:
    """Writes the cards of a run's checkpoints."""

    def __init__(self, settings: Settings, job: JobRecord, spec: TrainingSpec, folder: JobFolder) -> None:
        self._home = settings.home.resolve()
        self._job, self._spec, self._folder = job, spec, folder
        self._log = read_log(folder.metrics_file)
        self._samples = {each.step: each for each in read_samples(folder.samples)}

    def record(self, step: int, path: Path, card: dict[str, Any]) -> AdapterRecord:
        job = self._job
        return AdapterRecord(
            owner=job.owner,
            job_id=job.id,
            step=step,
            name=f"{job.name} · step {step}",
            folder=self._below(path),
            card=card,
        )

    def card(self, step: int, path: Path, comparison: dict[str, Any]) -> dict[str, Any]:
        job, spec, rows = self._job, self._spec, self._spec.rows
        metrics: dict[str, float | None] = {}
        for name in LOSSES:
            metrics[name] = self._log.last(name, at_or_before=step)
            metrics[f"eval_{name}"] = self._log.last(name, "eval", at_or_before=step)
        return new_card(
            run_id=job.id, run_name=job.name, preset=spec.preset,
            step=step, max_steps=_max_steps(path) or spec.num_steps,
            base_name=spec.base_shown, base=spec.base, base_folder=spec.base_folder, base_bytes=spec.base_bytes,
            source=rows.source, sha256=rows.sha256, num_rows=rows.count, seconds=rows.seconds,
            synthetic_seconds=rows.synthetic_seconds, speakers=rows.speakers, command=spec.command(self._folder),
            metrics=metrics, samples=self._samples_of(self._samples.get(step)),
            consent=spec.consent, consent_sentence=spec.consent_sentence, comparison=comparison,
        )  # fmt: skip

    def _samples_of(self, spoken: StepSamples | None) -> list[SpokenSample]:
        return [
            {
                "text": sample.text,
                "file": self._below(sample.path),
                "seconds": sample.seconds,
                "ended": sample.ended,
                "loudness_dbfs": sample.loudness_dbfs,
            }
            for sample in (spoken.samples if spoken else ())
        ]

    def _below(self, path: Path) -> str:
        """A path from the studio's home, which can be moved."""
        return path.resolve().relative_to(self._home).as_posix()


def _max_steps(checkpoint: Path) -> int:
    try:
        return int(read_json(checkpoint / "trainer_state.json")["max_steps"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0


def _say(sentence: str) -> None:
    print(f"[registration] {sentence}", flush=True)  # noqa: T201  the log of the run


def main(argv: Sequence[str] | None = None) -> int:
    """Register the run whose folder is named; returns the exit status. What is wrong is one line on stderr."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        if len(arguments) != 1:
            raise StudioError("Give the folder of one training run.")
        settings = get_settings()
        folder = Path(arguments[0]).resolve()
        if folder.parent != settings.jobs_folder.resolve():
            raise StudioError(
                f"{folder.name} lies in another home than {settings.home.name}: set STUDIO_HOME to its home."
            )
        store = Store(settings.store_file)
        with store.reading() as session:
            job = job_by_id(session, folder.name)
        register(settings, store, folder.name, device=job.device if job is not None else "cpu")
    except StudioError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
