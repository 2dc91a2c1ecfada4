"""Two learning rates: that of ms-swift for text, and a ratio of it for the audio path."""

from __future__ import annotations

from typing import Any

from swift.optimizers import OptimizerCallback, optimizers_map
from transformers import Trainer

from swift_plugins.model import is_audio_parameter
from swift_plugins.options import Options

OPTIMIZER = "higgs-audio"


class HiggsAudioOptimizer(OptimizerCallback):
    """AdamW or whatever ``--optim`` names, over four groups: text and audio, with and without weight decay."""

    def create_optimizer(self, model: Any = None) -> Any:
        """The optimizer of a run; groups carry ``part`` ("text" or "audio") and ``ratio`` for the log."""
        model = self.trainer.model if model is None else model
        ratio = Options.from_environment().audio_lr_ratio
        decayed = set(Trainer.get_decay_parameter_names(None, model))  # type: ignore[arg-type]  it does not use self
        groups: dict[tuple[str, bool], list[Any]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                part = "audio" if is_audio_parameter(name) else "text"
                groups.setdefault((part, name in decayed), []).append(parameter)
        optimizer_class, options = Trainer.get_optimizer_cls_and_kwargs(self.args, model)
        return optimizer_class(
            [
                {
                    "params": parameters,
                    "part": part,
                    "ratio": ratio if part == "audio" else 1.0,
                    "weight_decay": self.args.weight_decay if decay else 0.0,
                    "lr": self.args.learning_rate * (ratio if part == "audio" else 1.0),
                }
                for (part, decay), parameters in sorted(groups.items(), reverse=True)
            ],
            **options,
        )


def register() -> None:
    """Make ``--optimizer higgs-audio`` known to ms-swift. Idempotent."""
    optimizers_map[OPTIMIZER] = HiggsAudioOptimizer
