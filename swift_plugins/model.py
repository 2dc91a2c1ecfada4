"""The model as ms-swift trains it: the native class with its text head, and a loss of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from swift.model import Model, ModelGroup, ModelLoader, ModelMeta, MultiModelKeys, register_model, register_model_arch
from transformers import AutoTokenizer, HiggsAudioV2ForConditionalGeneration
from transformers.utils import ModelOutput

from studio.engine.checkpoints import HUB_3B, find_checkpoint, weight_names
from studio.errors import StudioError
from swift_plugins.losses import losses_of
from swift_plugins.options import Options

MODEL_TYPE, MODEL_TYPE_ALIAS, TEMPLATE = "higgs-audio", "higgs-audio-v2-3b", "higgs-audio-chatml"
_ARCHITECTURE = "higgs_audio_v2"


@dataclass
class TrainingOutput(ModelOutput):
    """Losses of a batch as fields: what is hung onto an output otherwise is lost under bf16, where accelerate rebuilds it.

    See :class:`swift_plugins.losses.Losses`. ``logits`` stays None, so that ms-swift does not hold audio logits against
    text labels.
    """

    loss: torch.Tensor | None = None
    text_loss: torch.Tensor | None = None
    audio_loss: torch.Tensor | None = None
    codebook_losses: torch.Tensor | None = None
    z_loss: torch.Tensor | None = None
    num_text_targets: torch.Tensor | None = None
    num_audio_targets: torch.Tensor | None = None
    logits: torch.Tensor | None = None


class HiggsAudioV2Training(HiggsAudioV2ForConditionalGeneration):
    """Computes text and audio loss where labels are given, and is the native model where none are.

    The signature has no ``logits_to_keep`` on purpose: ms-swift would cut the labels to fit it.
    """

    options: Options = Options()

    def forward(  # type: ignore[override]
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        audio_input_ids: torch.Tensor | None = None,
        audio_input_ids_mask: torch.Tensor | None = None,
        audio_labels: torch.Tensor | None = None,
        **others: Any,
    ) -> Any:
        """With ``labels`` and ``audio_labels``: a :class:`TrainingOutput`; without: what the native class gives.

        Args:
            input_ids, attention_mask, labels: shape (batch, num_tokens).
            audio_input_ids, audio_labels: shape (batch, num_steps, num_codebooks), padded to the longest.
            audio_input_ids_mask: shape (batch, num_steps), True for steps that are no padding.
        """
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "audio_input_ids": audio_input_ids,
            "audio_input_ids_mask": audio_input_ids_mask,
            **{name: value for name, value in others.items() if value is not None},
        }
        if labels is None or audio_labels is None or input_ids is None or audio_input_ids_mask is None:
            return super().forward(**inputs)
        inputs.update(use_cache=False)
        inputs.pop("return_dict", None)
        model: Any = self.model
        hidden = model(**inputs).last_hidden_state
        losses = losses_of(
            self,
            hidden,
            labels=labels,
            is_audio=model.get_placeholder_mask(input_ids, None, audio_input_ids_mask),
            audio_labels=audio_labels[audio_input_ids_mask],
            options=self.options,
        )
        return TrainingOutput(
            loss=losses.total,
            text_loss=losses.text.detach(),
            audio_loss=losses.audio.detach(),
            codebook_losses=losses.codebooks.detach(),
            z_loss=losses.z.detach(),
            num_text_targets=losses.num_text_targets,
            num_audio_targets=losses.num_audio_targets,
        )


# Saved as `architectures` in config.json: with another name nobody could load what was trained.
HiggsAudioV2Training.__name__ = HiggsAudioV2ForConditionalGeneration.__name__


class HiggsAudioLoader(ModelLoader):
    """Loads model and tokenizer for ms-swift. The codec is loaded apart, by whoever encodes clips, and only then."""

    default_trust_remote_code = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.auto_model_cls = HiggsAudioV2Training

    def get_processor(self, model_dir: str, config: Any) -> Any:
        """The tokenizer; the full processor would load the codec, twice, into every process."""
        return AutoTokenizer.from_pretrained(model_dir, trust_remote_code=False)

    def get_model(self, model_dir: str, config: Any, processor: Any, model_kwargs: dict[str, Any]) -> Any:
        """The model with its text head. Raises StudioError if the checkpoint has none, or is not whole."""
        folder = find_checkpoint(model_dir).folder
        names = weight_names(folder)
        if "text_lm_head.weight" not in names:
            raise StudioError(
                f"{folder.name} has no text head, which training needs: use {HUB_3B} or a checkpoint that has one."
            )
        options = Options.from_environment()
        weights = options.codebook_loss_weights
        if weights and len(weights) != config.num_codebooks:
            raise StudioError(
                f"codebook_loss_weights has {len(weights)} numbers and this model {config.num_codebooks} codebooks: "
                "give one for each."
            )
        model: Any = super().get_model(model_dir, config, processor, {**model_kwargs, "use_text_head": True})
        if not self.return_dummy_model and (lacking := sorted({name for name, _ in model.named_parameters()} - names)):
            # transformers fills them with random numbers and goes on.
            raise StudioError(
                f"{folder.name} lacks {len(lacking)} weights, among them {lacking[0]}: download or copy it again."
            )
        model.options = options
        return model


def is_audio_parameter(name: str) -> bool:
    """Whether a parameter belongs to the audio path: audio FFN and its norms, audio embeddings, audio head."""
    return any(part.startswith(("audio_", "embed_audio")) for part in name.split("."))


def register() -> None:
    """Make the model types known to ms-swift. Idempotent."""
    register_model_arch(MultiModelKeys(_ARCHITECTURE, language_model="model"), exist_ok=True)
    groups = [ModelGroup([Model(hf_model_id=HUB_3B, ms_model_id=HUB_3B)])]
    for model_type, model_groups, architectures in (
        (MODEL_TYPE, groups, [HiggsAudioV2ForConditionalGeneration.__name__]),
        # The alias matches nothing by itself: two types of one architecture would leave ms-swift undecided.
        (MODEL_TYPE_ALIAS, [], []),
    ):
        register_model(
            ModelMeta(
                model_type,
                model_groups,
                HiggsAudioLoader,
                template=TEMPLATE,
                model_arch=_ARCHITECTURE,
                architectures=architectures,
                is_multimodal=True,
                tags=["audio", "tts"],
            ),
            exist_ok=True,
        )
