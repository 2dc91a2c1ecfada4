"""What the samples of a run say, and how its checkpoints compare with the base, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studio.training.monitoring.findings import Finding, are, dbfs, figure, share
from studio.training.monitoring.run_log import RunLog
from studio.training.monitoring.samples import SILENT_DBFS, Sample, StepSamples

STEPS_TO_STOP = 100
"""A model that never stopped by itself is not expected to before: the tiny model learnt stopping by heart in 120 steps."""
SHARE_TO_STOP = 0.5
"""… nor in the first half of a run, while the learning rate is high."""


def stop_not_learnt(trained: Sequence[StepSamples], base: StepSamples | None, log: RunLog) -> Finding | None:
    """Samples that all ran to their budget, late enough in a run, or where the base ended by itself."""
    if not trained or any(sample.ended for sample in trained[-1].samples):
        return None
    latest = trained[-1]
    base_stopped = base is not None and all(sample.ended for sample in base.samples)
    enough = latest.step >= max(STEPS_TO_STOP, SHARE_TO_STOP * log.max_steps)
    if not (enough or base_stopped):
        return None
    evidence = (
        f"{share(len(latest.samples), len(latest.samples), 'sample')} at step {latest.step} ran to "
        f"{'its' if len(latest.samples) == 1 else 'their'} budget of {_budgets(latest.samples)}."
    )
    stopped = [each.step for each in trained if all(sample.ended for sample in each.samples)]
    if base_stopped:
        evidence += " The base stopped by itself."
    advice = f"Listen to the checkpoint of step {stopped[-1]}, whose samples stopped. " if stopped else ""
    advice += (
        "Check that the clips of the rows end soon after their last word, and are not cut off within it; then train longer "
        "at a lower learning rate."
    )
    return Finding("stop_not_learnt", "warn", "It does not stop speaking", evidence, advice)


def silent(
    trained: Sequence[StepSamples], base: StepSamples | None, comparisons: Mapping[int, Mapping[str, Any]]
) -> Finding | None:
    """Samples, or an adapter that was loaded again, with nothing to hear."""
    latest = trained[-1] if trained else None
    compared = _last_comparison(comparisons)
    parts = []
    all_silent = False
    if latest is not None and (quiet := [sample for sample in latest.samples if sample.silent]):
        all_silent = len(quiet) == len(latest.samples)
        loudest = max(sample.loudness_dbfs for sample in quiet)
        parts.append(
            f"{share(len(quiet), len(latest.samples), 'sample')} at step {latest.step} {are(len(quiet))} below "
            f"{dbfs(SILENT_DBFS)}" + (f", the loudest at {dbfs(loudest)}." if len(quiet) > 1 else f": {dbfs(loudest)}.")
        )
    if compared is not None and compared[1].get("silent") and (latest is None or compared[0] >= latest.step):
        all_silent = all_silent or latest is None
        loudness = compared[1].get("loudness_dbfs")
        heard = f" ({dbfs(float(loudness))})" if isinstance(loudness, int | float) else ""
        parts.append(f"Loaded again, the adapter of step {compared[0]} spoke silence{heard}.")
    if not parts:
        return None
    if base is not None and all(sample.silent for sample in base.samples):
        parts.append("The base was silent too, before any training.")
        advice = "Look at the base and at the reference clip of the first row before looking at the training."
    else:
        audible = [each.step for each in trained[:-1] if not any(sample.silent for sample in each.samples)]
        advice = (
            (f"Step {audible[-1]} could still be heard: use its checkpoint. " if audible else "")
            + "A low loss does not help here: check that the clips of the rows are not silent, and lower the learning rate."
        )
    title = "There is nothing to hear" if all_silent else "Some of it is silent"
    return Finding("silent", "bad" if all_silent else "warn", title, " ".join(parts), advice)


def no_effect(trained: Sequence[StepSamples], comparisons: Mapping[int, Mapping[str, Any]]) -> Finding | None:
    """An adapter that changes no number, or samples that are those of the base."""
    latest = trained[-1] if trained else None
    compared = _last_comparison(comparisons)
    if compared is not None and compared[1].get("applied") is False:
        step, figures = compared
        change = figures.get("logit_change")
        by = f": its largest change is {figure(float(change))}" if isinstance(change, int | float) else ""
        return Finding(
            "no_effect",
            "bad",
            "It changes nothing",
            f"With the adapter of step {step} the model answers as without it{by}.",
            "Train longer or with a higher learning rate; if the loss did fall, the adapter does not fit this base.",
        )
    if latest is not None and all(sample.same_as_base for sample in latest.samples):
        return Finding(
            "no_effect",
            "warn",
            "It still speaks like the base",
            f"{share(len(latest.samples), len(latest.samples), 'sample')} at step {latest.step} {are(len(latest.samples))} "
            "code for code what the base spoke before training.",
            "Early in a run that is to be expected; if it stays so, raise the learning rate.",
        )
    return None


def _last_comparison(comparisons: Mapping[int, Mapping[str, Any]]) -> tuple[int, Mapping[str, Any]] | None:
    known = [step for step, figures in comparisons.items() if figures and not figures.get("error")]
    return (max(known), comparisons[max(known)]) if known else None


def _budgets(samples: Sequence[Sample]) -> str:
    seconds = sorted({f"{sample.budget_seconds:.1f}" for sample in samples}, key=float)
    return f"{' and '.join(seconds)} s"
