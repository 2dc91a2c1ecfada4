"""The arguments of a run that a user may want to change, as the page offers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Hyperparameter:
    """An argument as the page offers it.

    Attributes:
        name: ms-swift's own.
        minimum, maximum: for numbers; None: no limit.
    """

    name: str
    label: str
    help: str
    kind: Literal["int", "float", "choice", "flag", "text"]
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


HYPERPARAMETERS: tuple[Hyperparameter, ...] = (
    Hyperparameter(
        "lora_rank",
        "LoRA rank",
        "Size of the adapter: more can learn more, and learns by heart sooner.",
        "int",
        minimum=1,
    ),
    Hyperparameter(
        "lora_alpha",
        "LoRA alpha",
        "How strongly the adapter acts, in proportion to its rank; usually twice the rank.",
        "float",
        minimum=0,
    ),
    Hyperparameter(
        "lora_dropout",
        "LoRA dropout",
        "Part of the adapter that is left out by chance in each step, against learning by heart.",
        "float",
        minimum=0,
        maximum=1,
    ),
    Hyperparameter(
        "tuner_type",
        "What is trained",
        "An adapter beside the base (lora), or every weight of it (full), which takes many times the memory.",
        "choice",
        ("lora", "full"),
    ),
    Hyperparameter(
        "target_modules",
        "Parts with an adapter",
        "text_attention, text_ffn, audio_ffn, separated by spaces; empty: all three.",
        "text",
    ),
    Hyperparameter(
        "learning_rate",
        "Learning rate",
        "How far each step goes; the rate of the audio parameters moves with it.",
        "float",
        minimum=0,
    ),
    Hyperparameter(
        "audio_lr_ratio",
        "Audio learning rate, as a ratio",
        "The audio parameters learn at this many times the learning rate.",
        "float",
        minimum=0,
    ),
    Hyperparameter("num_train_epochs", "Epochs", "How often each row is seen.", "float", minimum=0),
    Hyperparameter(
        "max_steps",
        "Steps at most",
        "Ends the run after so many steps, whatever the epochs; -1: no limit.",
        "int",
        minimum=-1,
    ),
    Hyperparameter(
        "per_device_train_batch_size",
        "Rows at a time",
        "More is faster on a GPU and takes more memory.",
        "int",
        minimum=1,
    ),
    Hyperparameter(
        "gradient_accumulation_steps",
        "Batches per step",
        "So many batches make one step: a larger batch without more memory.",
        "int",
        minimum=1,
    ),
    Hyperparameter(
        "warmup_ratio",
        "Warm-up",
        "Part of the steps in which the learning rate rises from 0.",
        "float",
        minimum=0,
        maximum=1,
    ),
    Hyperparameter(
        "weight_decay",
        "Weight decay",
        "Pulls weights towards 0, a little against learning by heart.",
        "float",
        minimum=0,
    ),
    Hyperparameter(
        "split_dataset_ratio",
        "Held-out part",
        "Part of the rows that is not trained but listened to for learning by heart; 0: none.",
        "float",
        minimum=0,
        maximum=1,
    ),
    Hyperparameter(
        "save_steps",
        "Save every … steps",
        "Each save is a checkpoint that can be spoken with and resumed from.",
        "float",
        minimum=0,
    ),
    Hyperparameter(
        "eval_steps",
        "Evaluate every … steps",
        "How often the loss of the held-out rows is computed.",
        "float",
        minimum=0,
    ),
    Hyperparameter(
        "max_length",
        "Longest row, in tokens",
        "A second of sound is 25 tokens; longer rows are refused, never cut.",
        "int",
        minimum=1,
    ),
    Hyperparameter(
        "torch_dtype",
        "Precision",
        "bfloat16 takes half the memory of float32.",
        "choice",
        ("bfloat16", "float32", "float16"),
    ),
    Hyperparameter(
        "gradient_checkpointing",
        "Save memory by computing twice",
        "Takes much less memory and about a third more time.",
        "flag",
    ),
    Hyperparameter(
        "text_loss_weight", "Weight of the text loss", "How much the text tokens count.", "float", minimum=0
    ),
    Hyperparameter("audio_loss_weight", "Weight of the audio loss", "How much the sound counts.", "float", minimum=0),
    Hyperparameter(
        "skip_bad_rows",
        "Leave bad rows out",
        "Trains with the good rows and says which are left out, instead of stopping.",
        "flag",
    ),
    Hyperparameter("seed", "Seed", "The same seed gives the same run on the same machine.", "int", minimum=0),
)
"""Offered under *Advanced*, in this order."""
