"""Arguments of ms-swift that this plugin cannot follow: each would be ignored, learn something else, or fail in mid-run."""

from __future__ import annotations

from typing import Any

from studio.errors import StudioError

_LOSS = "the loss is that of the plugin, over text and codes"
_ROWS = "is said in the rows"
_BASE = "tokenizer and config of what is trained stay those of its base"
_REASONS = {
    "label_smoothing_factor": _LOSS,
    "loss_type": _LOSS,
    "enable_dft_loss": _LOSS,
    "enable_channel_loss": _LOSS,
    "use_logits_to_keep": "heads are computed at the labelled positions alone anyway",
    "packing": "codes of several rows cannot share one",
    "padding_free": "codes of several rows cannot share one",
    "predict_with_generate": "it trains and does not speak: evaluate by loss, and listen with `python -m studio speak`",
    "loss_scale": f'what is trained {_ROWS}, with "loss": false or true',
    "system": f"the system turn {_ROWS}",
    "columns": "rows are read in their own three forms",
    "task_type": "it trains speech",
    "tuner_backend": "the model is loaded by the plugin",
    "new_special_tokens": _BASE,
    "rope_scaling": _BASE,
    "max_model_len": _BASE,
}
_HARMLESS = {"loss_scale": "default", "task_type": "causal_lm", "tuner_backend": "peft"}
"""Values that change nothing; elsewhere those that are false."""


def refuse_unsupported(arguments: Any) -> None:
    """Look at ms-swift's parsed arguments.

    Raises:
        StudioError: one of them cannot be followed.
    """
    for name, reason in _REASONS.items():
        value = getattr(arguments, name, None)
        if value and value != _HARMLESS.get(name):
            raise StudioError(f"--{name} cannot be used with this plugin, because {reason}: leave it out.")
