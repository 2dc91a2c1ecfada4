"""Rows to tensors. Prompt, codes and labels are those of ``studio.engine``: the template only hands them to ms-swift."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
import torch.utils.data
from swift.template import StdTemplateInputs, Template, TemplateMeta, register_template
from torch.nn.utils.rnn import pad_sequence
from transformers import HiggsAudioV2TokenizerConfig

from studio.engine.checkpoints import find_checkpoint
from studio.engine.prompt import END_OF_TURN, IGNORED, encode_training
from studio.engine.rows import TrainingRow, parse_row
from studio.errors import StudioError
from swift_plugins.clips import ClipCodes
from swift_plugins.model import TEMPLATE
from swift_plugins.options import Options

METRICS = ("text_loss", "audio_loss")
"""Names in the log; each codebook has ``audio_loss_cb0`` and so on beside them."""

_in_use: list[HiggsAudioTemplate] = []


def template_in_use() -> HiggsAudioTemplate | None:
    """The template of this process's run, which the dataset checks its rows with; None before ms-swift made one."""
    return _in_use[-1] if _in_use else None


class HiggsAudioTemplate(Template):
    """Encodes training rows. Speaking is the engine's business (``python -m studio speak``)."""

    # Each batch is its own mean; ms-swift divides by the accumulation steps. See docs/training.md.
    model_accepts_loss_kwargs = False
    support_padding_free = False

    def init_processor(self, processor: Any) -> None:
        """Take the tokenizer, and find out about the codec from the checkpoint.

        Raises:
            StudioError: arguments that would cut a recording, or change labels behind its back.
        """
        if processor is None or self._processor_inited:
            return
        if self.truncation_strategy not in ("raise", "delete"):
            raise StudioError(
                f"truncation_strategy {self.truncation_strategy} would cut recordings in the middle of a word: leave it out, "
                "and set skip_bad_rows to leave out rows that are longer than max_length."
            )
        if self.sequence_parallel_size > 1:
            raise StudioError(
                "sequence_parallel_size cuts a sample apart, which audio rows cannot follow: leave it at 1."
            )
        super().init_processor(processor)
        files = find_checkpoint(self.model_info.model_dir)
        codec = HiggsAudioV2TokenizerConfig.from_pretrained(files.codec_folder)
        self.frame_rate: float = codec.frame_rate
        self.clips = ClipCodes(files, Options.from_environment().code_cache)
        _in_use[:] = [self]

    def encode_row(self, row: TrainingRow) -> dict[str, Any]:
        """A row as ms-swift's collator takes it: lists of token ids and labels, tensors of audio steps and labels.

        Raises:
            StudioError: a clip that cannot be used, or a row longer than ``max_length`` tokens.
        """
        longest = None if self.max_length is None else self.max_length / self.frame_rate
        codes = [self.clips(clip, max_seconds=longest) for clip in row.clips]
        inputs = encode_training(
            row.conversation(),
            codes,
            tokenizer=self.tokenizer,
            stream_bos_id=self.config.audio_stream_bos_id,
            stream_eos_id=self.config.audio_stream_eos_id,
        )
        length = len(inputs.input_ids)
        if self.max_length is not None and length > self.max_length:
            raise StudioError(
                f"it is {length} tokens long ({sum(clip.shape[1] for clip in codes) / self.frame_rate:.1f} s of audio) and "
                f"max_length is {self.max_length}: shorten its clips, or raise max_length."
            )
        return {
            "input_ids": inputs.input_ids.tolist(),
            "labels": inputs.labels.tolist(),
            "audio_input_ids": inputs.audio_input_ids,
            "audio_labels": inputs.audio_labels,
            "length": length,
        }

    def _encode_truncated(self, inputs: StdTemplateInputs) -> dict[str, Any]:
        """ms-swift's way in: nothing is truncated, because half a recording does not match its text."""
        if not self.is_training:
            raise StudioError("This plugin trains; to speak, use `python -m studio speak`.")
        _leave_the_group_in_workers()
        messages = list(inputs.messages)
        if inputs.system:
            messages.insert(0, {"role": "system", "content": inputs.system})
        row = {"messages": messages, "audios": list(inputs.audios), **inputs.extra_kwargs}
        return self.encode_row(parse_row(row, folder=Path.cwd()))

    def _data_collator_mm_data(self, batch: list[dict[str, Any]]) -> dict[str, Any]:
        """Audio steps of a batch, padded to the longest. Always there: every process of a run must use every weight."""
        config = self.config
        empty = torch.empty(0, config.num_codebooks, dtype=torch.long)
        rows = [_or(sample.get("audio_input_ids"), empty) for sample in batch]
        labels = [_or(sample.get("audio_labels"), empty) for sample in batch]
        if not any(len(clip) for clip in rows):  # no tensor of no steps: pad_sequence and embeddings want one
            rows[0] = torch.full((1, config.num_codebooks), config.audio_stream_eos_id)
            labels[0] = torch.full_like(rows[0], IGNORED)
            lengths = torch.zeros(len(rows), dtype=torch.long)
        else:
            lengths = torch.tensor([len(clip) for clip in rows])
        padded = pad_sequence(rows, batch_first=True, padding_value=config.audio_stream_eos_id)
        return {
            "audio_input_ids": padded,
            "audio_input_ids_mask": torch.arange(padded.shape[1])[None] < lengths[:, None],
            "audio_labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
        }

    def compute_sft_loss(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None, trainer: Any = None
    ) -> Any:
        """Forward pass; the parts of the loss go into the log, each as the mean over the batches that have it."""
        if "labels" not in inputs:
            raise StudioError(
                "label_smoothing_factor, loss_type, enable_dft_loss and enable_channel_loss learn by another loss than that "
                "over text and codes: leave them out."
            )
        outputs = model(**inputs)
        if trainer is not None:
            metrics = trainer.custom_metrics["train" if trainer.model.training else "eval"]
            for name, value in _parts(outputs).items():
                metrics[name].update(value)
        return outputs


def _leave_the_group_in_workers() -> None:
    """A signal to the process group stops the run through its callback, which still needs batches to finish its step.

    A DataLoader worker that it killed would end the run with an error instead, so a worker stands outside of the group.
    It ends with its parent all the same: torch has it look every few seconds whether the parent is there.
    """
    if torch.utils.data.get_worker_info() is not None and os.getpgrp() != os.getpid():
        os.setpgrp()


def _or(tensor: torch.Tensor | None, other: torch.Tensor) -> torch.Tensor:
    return other if tensor is None else tensor


def _parts(outputs: Any) -> dict[str, float]:
    """The figures of a batch, in one transfer from the device."""
    scalars = [
        outputs.text_loss,
        outputs.audio_loss,
        outputs.z_loss,
        outputs.num_text_targets,
        outputs.num_audio_targets,
    ]
    text, audio, z, num_text, num_audio, *codebooks = torch.cat(
        [torch.stack([scalar.float() for scalar in scalars]), outputs.codebook_losses.float()]
    ).tolist()
    parts: dict[str, float] = {}
    if num_text:
        parts["text_loss"] = text
    if num_audio:
        parts["audio_loss"] = audio
        parts.update({f"audio_loss_cb{index}": loss for index, loss in enumerate(codebooks)})
    if z:
        parts["z_loss"] = z
    return parts


def register() -> None:
    """Make the template known to ms-swift. Idempotent.

    Its prompt pieces are not used, since rows are rendered by the engine; the suffix tells ms-swift which token ends a turn.
    """
    register_template(
        TemplateMeta(
            TEMPLATE,
            prefix=["{{SYSTEM}}"],
            prompt=["{{QUERY}}"],
            chat_sep=[END_OF_TURN],
            suffix=[END_OF_TURN],
            template_cls=HiggsAudioTemplate,
        ),
        exist_ok=True,
    )
