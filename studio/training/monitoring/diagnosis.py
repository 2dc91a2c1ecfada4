"""What there is to say about a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studio.training.monitoring.findings import Finding, Tone
from studio.training.monitoring.loss_findings import diverging, loss_course, memorising
from studio.training.monitoring.run_log import RunLog
from studio.training.monitoring.sample_findings import no_effect, silent, stop_not_learnt
from studio.training.monitoring.samples import StepSamples

_SEVERITY: tuple[Tone, ...] = ("bad", "warn", "info", "good")


def diagnose(
    log: RunLog, samples: Sequence[StepSamples], comparisons: Mapping[int, Mapping[str, Any]]
) -> list[Finding]:
    """What there is to say about a run, the worst first; never empty.

    Args:
        samples: step 0 is the base.
        comparisons: "comparison" of the card of each checkpoint, by its step.
    """
    spoken = sorted((each for each in samples if each.samples and not each.error), key=lambda each: each.step)
    base = next((each for each in spoken if each.step == 0), None)
    trained = [each for each in spoken if each.step > 0]
    saved = sorted({*(each.step for each in trained), *(step for step in comparisons if step > 0)})
    found = [
        diverging(log),
        silent(trained, base, comparisons),
        no_effect(trained, comparisons),
        stop_not_learnt(trained, base, log),
        memorising(log, saved),
    ]
    findings = [each for each in found if each is not None] or [loss_course(log, trained)]
    return sorted(findings, key=lambda each: _SEVERITY.index(each.tone))
