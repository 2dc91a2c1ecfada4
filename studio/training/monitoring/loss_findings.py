"""What the losses of a run say, in words, with the numbers that say so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.training.monitoring.findings import Finding, counted, figure, share, step_range
from studio.training.monitoring.run_log import RunLog
from studio.training.monitoring.samples import StepSamples

MIN_POINTS = 20
"""Logged steps before a loss is judged: four stretches of :data:`MIN_STRETCH`."""
MIN_STRETCH = 5
"""Logged steps whose mean is compared. Rows differ, so that the loss of one step tells nothing."""
STRETCHES = 10
"""A curve is compared in tenths: short enough to see a rise at the end, long enough to average over many rows."""
MIN_STRETCHES = 8
"""Stretches from which their wiggle is told from their course."""
RISE_OF_LOWEST = 0.15
"""A loss that rose by less of its lowest mean is no divergence: the order of the rows alone moves a mean by some percent."""
EARLY_RISE_OF_LOWEST = 0.5
"""The same where there are too few stretches to tell waves from a course: only a leap is one then."""
RISE_OF_FALL = 0.25
"""A loss that gave back less than a quarter of what it had fallen is no divergence, however low it had been."""
RISE_OF_NOISE = 4.0
"""Standard errors by which two means must differ: the lowest of many means is low by chance, by two to three of them."""
MIN_FALL_OF_NOISE = 3.0
"""Standard errors by which a loss must have fallen for "it learns" to be said."""
MIN_EVALS = 4
"""Evaluations before their course is judged: a lowest one, two after it, and one before or beside."""
EVALS_AFTER_BEST = 2
"""Evaluations that must all lie above the best one."""
EVAL_RISE_OF_BEST = 0.02
"""The same rows are evaluated each time, so that a loss of them that flattens moves by a few thousandths (0.04 % in a real
run of the tiny model); two hundredths are a turn."""
EVAL_RISE_OF_FALL = 0.2
"""What was won on held-out rows and is lost again; below a fifth it is a plateau."""
EVAL_RISE_OF_NOISE = 3.0
"""Standard deviations of the wiggle between neighbouring evaluations."""

_LOSSES = (("loss", "training loss"), ("audio_loss", "audio loss"), ("text_loss", "text loss"))


@dataclass(frozen=True)
class _Course:
    """A loss in stretches: ``means`` of every stretch of ``length`` neighbouring points, standard ``error``
    of the difference of two means; ``short``: too few stretches to know it well."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    length: int
    means: NDArray[np.float64]
    error: float
    short: bool

    def steps_of(self, index: int) -> tuple[int, int]:
        """The first and last step of a stretch that begins at a point."""
        return int(self.steps[index]), int(self.steps[index + self.length - 1])

    def mean_near(self, step: int) -> float:
        middle = int(np.searchsorted(self.steps, step)) - self.length // 2
        return float(self.means[min(max(middle, 0), len(self.means) - 1)])


def _course(log: RunLog, name: str, least: int = MIN_POINTS) -> _Course | None:
    steps, values = log.series(name)
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    if len(values) < least:
        return None
    length = max(min(MIN_STRETCH, len(values) // 2), len(values) // STRETCHES)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    means = (sums[length:] - sums[:-length]) / length
    # Of neighbours, so that the course itself does not count as noise. The mean: where long and short rows take turns at
    # random, half of the differences are none.
    noise = float(np.mean(np.abs(np.diff(values)))) * math.sqrt(math.pi) / 2 / math.sqrt(length)
    # Waves longer than a step (rows of a kind that come together) do not show between neighbours, but between stretches.
    # Not where there are few of these: then the course itself would count.
    stretches = means[::length]
    short = len(stretches) < MIN_STRETCHES
    waves = 0.0 if short else _spread(np.diff(stretches, 2), 6)
    return _Course(steps, values, length, means, max(noise, waves) * math.sqrt(2), short)


def _spread(differences: NDArray[np.float64], variances: int) -> float:
    """Standard deviation of the noise whose ``differences`` have so many times its variance, by their median."""
    return float(np.median(np.abs(differences))) / (0.6745 * math.sqrt(variances)) if len(differences) else 0.0


def diverging(log: RunLog) -> Finding | None:
    """A loss that broke, or rises."""
    return _not_a_number(log) or _risen(log)


def _not_a_number(log: RunLog) -> Finding | None:
    for split in ("train", "eval"):
        for name, label in _LOSSES:
            steps, values = log.series(name, split)
            broken = np.flatnonzero(~np.isfinite(values))
            if not len(broken):
                continue
            label = f"{label} on held-out rows" if split == "eval" else label
            first, last = int(steps[broken[0]]), broken[-1] == len(values) - 1
            what = "not a number" if np.isnan(values[broken[0]]) else "infinite"
            evidence = (
                f"The {label} was {what} at {share(len(broken), len(values), 'logged step')}, first at step {first}."
            )
            if last:
                return Finding(
                    "diverging",
                    "bad",
                    "The loss broke",
                    evidence + f" It still is at step {int(steps[-1])}.",
                    f"Stop the run; nothing saved after step {first} is of use. Try a tenth of the learning rate, more "
                    "warm-up, and bfloat16 instead of float16.",
                )
            return Finding(
                "diverging",
                "warn",
                "The loss broke and came back",
                evidence + f" At step {int(steps[-1])} it is {figure(values[-1])}.",
                "Listen before using a checkpoint saved after that step; if it happens again, lower the learning rate.",
            )
    return None


def _risen(log: RunLog) -> Finding | None:
    for name, label in _LOSSES:
        course = _course(log, name)
        if course is None:
            continue
        end, before = float(course.means[-1]), course.means[: -course.length]  # stretches that end before the last one
        lowest_at = int(np.argmin(before))
        lowest, fall = float(before[lowest_at]), float(course.means[0] - before[lowest_at])
        # Half of the last points lie above the median: a few spikes do not lift it, as they do the mean.
        risen = min(end, float(np.median(course.values[-course.length :]))) - lowest
        least = EARLY_RISE_OF_LOWEST if course.short else RISE_OF_LOWEST
        limit = max(least * abs(lowest), RISE_OF_FALL * fall, RISE_OF_NOISE * course.error)
        if risen > limit:
            first, last = course.steps_of(lowest_at)
            return Finding(
                "diverging",
                "bad",
                "The loss is rising",
                f"The {label} had come down to {figure(lowest)} (mean of steps {first} to {last}) and is at {figure(end)} "
                f"now (mean of steps {step_range(course.steps_of(len(course.means) - 1))}).",
                f"Use a checkpoint saved around step {last} or earlier. Then start again with a third of the learning rate "
                "or more warm-up.",
            )
    return None


def memorising(log: RunLog, saved: Sequence[int]) -> Finding | None:
    """A loss that rises on held-out rows while it falls on the trained ones; ``saved``: steps of checkpoints."""
    for name, label in (("audio_loss", "audio loss"), ("loss", "loss"), ("text_loss", "text loss")):
        steps, values = log.series(name, "eval")
        finite = np.isfinite(values)
        steps, values = steps[finite], values[finite]
        course = _course(log, name, least=2)
        if len(values) < MIN_EVALS or course is None:
            continue
        best = int(np.argmin(values))
        after = values[best + 1 :]
        if len(after) < EVALS_AFTER_BEST:
            continue
        risen = float(after[-EVALS_AFTER_BEST:].min() - values[best])  # both of the last two
        wiggle = _spread(np.diff(values, 2), 6)  # second differences: a steady fall or rise is none
        fall = float(values[0] - values[best])
        limit = max(EVAL_RISE_OF_BEST * abs(values[best]), EVAL_RISE_OF_FALL * fall, EVAL_RISE_OF_NOISE * wiggle)
        best_step = int(steps[best])
        train_then, train_now = course.mean_near(best_step), float(course.means[-1])
        if risen > limit and train_now < train_then:
            return Finding(
                "memorising",
                "warn",
                "It learns the rows by heart",
                f"On held-out rows the {label} was lowest at step {best_step} ({figure(values[best])}) and is "
                f"{figure(values[-1])} at step {int(steps[-1])}, while on the training rows it went on falling, from "
                f"{figure(train_then)} to {figure(train_now)}.",
                f"{_use_best(best_step, saved)} More rows, or fewer steps, would serve better than going on.",
            )
    return None


def _use_best(best_step: int, saved: Sequence[int]) -> str:
    if not saved:
        return f"A checkpoint near step {best_step} is likely the best one."
    near = min(saved, key=lambda step: (abs(step - best_step), step))
    return f"Listen to the checkpoint of step {near}, " + (
        "which was the best one." if near == best_step else "the nearest one that was saved."
    )


def loss_course(log: RunLog, trained: Sequence[StepSamples]) -> Finding:
    """That all is well, or that there is nothing to say yet."""
    name, label = next((pair for pair in _LOSSES if pair[0] in log.names()), _LOSSES[0])
    steps, _ = log.series(name)
    course = _course(log, name)
    ended = bool(log.max_steps) and log.step >= log.max_steps
    if course is None:
        of = f" of {log.max_steps}" if log.max_steps else ""
        return Finding(
            "too_early",
            "info",
            "Too few steps to judge" if ended else "Too early to tell",
            f"{counted(len(steps), 'step')} logged so far, up to step {log.step}{of}; a course shows from {MIN_POINTS} on.",
            "Listen to the samples, and train longer if they are not there yet." if ended else "Let it run.",
        )
    begin, end = float(course.means[0]), float(course.means[-1])
    first = f"steps {step_range(course.steps_of(0))}"
    last = f"steps {step_range(course.steps_of(len(course.means) - 1))}"
    if begin - end < MIN_FALL_OF_NOISE * course.error:
        return Finding(
            "too_early",
            "info",
            "The loss has hardly moved" if ended else "The loss has hardly moved yet",
            f"The {label} was {figure(begin)} in {first} and is {figure(end)} in {last}, within its noise.",
            "Train longer, or with three times the learning rate."
            if ended
            else "Let it run on before changing anything.",
        )
    parts = [f"The {label} fell from {figure(begin)} ({first}) to {figure(end)} ({last})."]
    eval_steps, evals = log.series(name, "eval")
    if len(evals):
        best = int(np.argmin(evals))
        parts.append(f"On held-out rows it was lowest at step {int(eval_steps[best])} ({figure(evals[best])}).")
    if trained:
        latest = trained[-1]
        ended_samples = sum(sample.ended for sample in latest.samples)
        parts.append(
            f"{share(ended_samples, len(latest.samples), 'sample')} at step {latest.step} ended by themselves."
        )
    return Finding(
        "fine",
        "good",
        "It went well" if ended else "It goes well",
        " ".join(parts),
        "Listen to the samples of the last steps, and choose by ear." if ended else "Let it run on.",
    )
