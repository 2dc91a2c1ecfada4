"""What a run spoke at its checkpoints, to be heard beside its curves, and the way from a checkpoint to *Speak*."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from shutil import copyfile
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.training.job import Job
from studio.training.monitoring.samples import Sample, StepSamples
from studio.ui.events import unless_sent
from studio.ui.html import card
from studio.ui.players import sound_player
from studio.ui.staging import Staging
from studio.ui.tabs.train.runs.run_html import sample_html, step_choices

_NONE_YET = "Two sentences are spoken before the first step and at every checkpoint: they can be heard here."


class Listening:
    """The components, laid out where this is made.

    Attributes:
        step: the chosen step; 0 is the base before training.
        speak: the button that leads to *Speak* with the chosen checkpoint.
        outputs: components that :meth:`shown` may change.
    """

    def __init__(self, staging: Staging) -> None:
        self._staging = staging
        gr.HTML('<h4 class="curves-title">Heard at the checkpoints</h4>', padding=False)
        self._said = gr.HTML(f'<p class="hint">{_NONE_YET}</p>', padding=False, elem_id="train-sample-said")
        self.step = gr.Radio(
            label="Step", show_label=False, container=False, choices=[], visible=False, elem_id="train-sample-step",
            elem_classes="step-chips",
        )  # fmt: skip
        self._texts, self.players = [], []
        for number in (1, 2):
            with gr.Column(elem_classes="sample"):
                self._texts.append(gr.HTML(padding=False))
                player = sound_player(
                    label=f"Sentence {number}", show_label=False, container=False, interactive=False, visible=False,
                    buttons=[], type="filepath", elem_id=f"train-sample-{number}", elem_classes="plain-player",
                    waveform_options=gr.WaveformOptions(show_recording_waveform=False),
                )  # fmt: skip
                self.players.append(player)
        self.speak = gr.Button(
            "Speak with it", visible=False, variant="primary", size="sm", elem_id="train-speak", elem_classes="quiet"
        )
        self.outputs: list[Any] = [self.step, self._said, *self._texts, *self.players, self.speak]

    def offered(
        self, samples: Sequence[StepSamples], registered: Sequence[int], step: int | None, sent: Any
    ) -> dict[Any, Any]:
        """The steps to choose from.

        Args:
            registered: steps that can be spoken with.
            sent: the step that was chosen in the browser when it asked.
        """
        choices = step_choices(samples, registered)
        return {
            self.step: gr.Radio(choices=choices, visible=bool(choices), **unless_sent(step, sent)),
            self.speak: gr.Button(f"Speak with step {step:,}" if step else "Speak with it", visible=step in registered),
        }

    def shown(self, job: Job, found: StepSamples | None, step: int | None) -> dict[Any, Any]:
        """What was spoken at a step, if anything was."""
        heard = list(found.samples[: len(self.players)]) if found else []
        if found and found.error:
            said = card(found.error, "warn")
        elif step is None:
            said = f'<p class="hint">{_NONE_YET}</p>'
        else:
            said = "" if heard else '<p class="hint">Nothing was spoken at this step.</p>'
        updates: dict[Any, Any] = {self._said: said}
        for number, (text, player) in enumerate(zip(self._texts, self.players, strict=True)):
            sample = heard[number] if number < len(heard) else None
            updates[text] = sample_html(sample) if sample else ""
            updates[player] = self._player(job, sample)
        return updates

    def _player(self, job: Job, sample: Sample | None) -> Any:
        if sample is None:
            return gr.Audio(value=None, visible=False)
        try:
            # A run that is resumed speaks at a step again, into the same file.
            key = f"{job.id} {sample.path.name} {sample.path.stat().st_mtime_ns}"
            copied = self._staging.copy(key, sample.path.name, partial(copyfile, sample.path))
        except (OSError, StudioError):  # it is gone, or there is no room for a copy; its text says what was spoken
            return gr.Audio(value=None, visible=False)
        return gr.Audio(value=copied, visible=True)
