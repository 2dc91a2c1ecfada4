"""Two learning rates: which parameter gets which, and what the log says of them."""

from __future__ import annotations

import copy
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from swift_plugins.arguments import target_regex
from swift_plugins.model import is_audio_parameter
from tests.training import EXAMPLES

RATE = 1e-3


@pytest.fixture
def arguments(tmp_path: Path) -> Any:
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(tmp_path), learning_rate=RATE, weight_decay=0.1, use_cpu=True, report_to=[], optim="adamw_torch"
    )


@pytest.fixture
def full(training_model: Any) -> Any:
    return copy.deepcopy(training_model).requires_grad_(True)


def adapted(model: Any, *targets: str, save: list[str] | None = None) -> Any:
    """The model with a LoRA as ms-swift puts one on."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(target_modules=target_regex(targets), modules_to_save=save, r=2)
    return get_peft_model(copy.deepcopy(model), config)


def optimizer_of(model: Any, arguments: Any) -> Any:
    from swift_plugins.optimizer import HiggsAudioOptimizer

    return HiggsAudioOptimizer(arguments, SimpleNamespace(model=model)).create_optimizer()


def by_parameter(model: Any, optimizer: Any, key: str) -> dict[str, Any]:
    """A setting of the optimizer for each parameter, by name."""
    found = {id(parameter): group[key] for group in optimizer.param_groups for parameter in group["params"]}
    return {name: found[id(parameter)] for name, parameter in model.named_parameters() if id(parameter) in found}


def is_of_audio(name: str) -> bool:
    """Said in another way than the plugin does."""
    return any(
        part in name for part in (".audio_mlp.", "audio_input_layernorm", "audio_post_", "audio_tokens", "audio_lm")
    )


def test_of_all_parameters_those_of_the_audio_path_learn_faster(full: Any, arguments: Any) -> None:
    rates = by_parameter(full, optimizer_of(full, arguments), "lr")
    assert rates.keys() == {name for name, _ in full.named_parameters()}
    assert {name for name, rate in rates.items() if rate == 2 * RATE} == {name for name in rates if is_of_audio(name)}
    assert set(rates.values()) == {RATE, 2 * RATE}
    assert {name.split(".")[-2] for name, rate in rates.items() if rate == 2 * RATE} == {
        "gate_proj", "up_proj", "down_proj", "audio_input_layernorm", "audio_post_attention_layernorm",
        "embed_audio_tokens", "audio_lm_head",
    }  # fmt: skip


def test_norms_are_not_decayed_and_weights_are(full: Any, arguments: Any) -> None:
    decay = by_parameter(full, optimizer_of(full, arguments), "weight_decay")
    assert {name for name, value in decay.items() if value == 0} == {name for name in decay if "norm" in name}
    assert set(decay.values()) == {0.0, 0.1}


def test_a_lora_s_parts_follow_the_layer_they_are_on(training_model: Any, arguments: Any) -> None:
    model = adapted(training_model, "text_attention", "text_ffn", "audio_ffn", save=["audio_lm_head", "embed_tokens"])
    rates = by_parameter(model, optimizer_of(model, arguments), "lr")
    assert rates.keys() == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name for name, rate in rates.items() if rate == 2 * RATE} == {
        name for name in rates if ".audio_mlp." in name or "audio_lm_head" in name
    }
    assert any("lora_B" in name and rate == RATE for name, rate in rates.items())
    assert any("embed_tokens" in name and rate == RATE for name, rate in rates.items())


def test_the_ratio_is_the_one_asked_for(full: Any, arguments: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for ratio in (10.0, 1.0, 0.0):
        monkeypatch.setenv("AUDIO_LR_RATIO", str(ratio))
        rates = by_parameter(full, optimizer_of(full, arguments), "lr")
        assert rates["audio_lm_head.weight"] == pytest.approx(ratio * RATE)
        assert rates["text_lm_head.weight"] == RATE


def test_other_settings_of_the_optimizer_are_ms_swift_s(full: Any, arguments: Any) -> None:
    arguments.adam_beta2, arguments.adam_epsilon = 0.9, 1e-6
    optimizer = optimizer_of(full, arguments)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert {(group["betas"], group["eps"]) for group in optimizer.param_groups} == {((0.9, 0.9), 1e-6)}
    arguments.optim = "sgd"
    assert isinstance(optimizer_of(full, arguments), torch.optim.SGD)


def test_a_step_moves_what_learns_and_nothing_else(
    training_model: Any, template: Any, arguments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIO_LR_RATIO", "0")
    model = adapted(training_model, "text_attention", "audio_ffn")
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = optimizer_of(model, arguments)
    model(**template.data_collator([template.encode(EXAMPLES[3].row())])).loss.backward()
    optimizer.step()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    # The first step reaches B alone, for A is multiplied by a B of zeros; weight decay reaches A.
    assert {name for name in moved if "lora_B" in name} == {
        name for name in before if "lora_B" in name and "self_attn" in name
    }
    assert not any("audio_mlp" in name or "lora" not in name for name in moved)


@pytest.mark.parametrize(
    ("name", "audio"),
    [
        ("model.layers.0.audio_mlp.up_proj.weight", True),
        ("model.layers.0.mlp.up_proj.weight", False),
        ("base_model.model.model.layers.3.audio_mlp.up_proj.lora_A.default.weight", True),
        ("base_model.model.model.layers.3.self_attn.q_proj.lora_magnitude_vector.default.weight", False),
        ("base_model.model.audio_lm_head.modules_to_save.default.weight", True),
        ("base_model.model.model.embed_audio_tokens.embed_audio_tokens.modules_to_save.default.weight", True),
        ("module.model.layers.1.audio_input_layernorm.weight", True),
        ("model.embed_tokens.weight", False),
        ("text_lm_head.weight", False),
        ("model.norm.weight", False),
    ],
)
def test_a_parameter_is_known_by_its_name_whatever_wraps_it(name: str, audio: bool) -> None:
    assert is_audio_parameter(name) is audio


# --- the log ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def signals() -> Iterator[None]:
    """The callback takes SIGTERM for itself; pytest gets it back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def logged(optimizer: Any, arguments: Any, **logs: float) -> dict[str, Any]:
    """What becomes of a line of the log."""
    from swift_plugins.callbacks import HiggsAudioCallback

    trainer = SimpleNamespace(optimizer=optimizer)
    HiggsAudioCallback(arguments, trainer).on_log(arguments, None, None, logs=logs)
    return logs


@pytest.mark.parametrize(
    "targets", [("text_attention", "audio_ffn"), ("audio_ffn",), ("text_ffn",)], ids=["both", "audio", "text"]
)
def test_the_log_gives_the_rate_that_was_asked_for_and_that_of_audio(
    training_model: Any, arguments: Any, signals: None, targets: tuple[str, ...]
) -> None:
    """Whichever group comes first: ms-swift would give the rate of that one."""
    optimizer = optimizer_of(adapted(training_model, *targets), arguments)
    for group in optimizer.param_groups:
        group["lr"] *= 0.25  # as a schedule does
    logs = logged(optimizer, arguments, loss=1.0, learning_rate=optimizer.param_groups[0]["lr"])
    assert logs["learning_rate"] == pytest.approx(0.25 * RATE)
    if "audio_ffn" in targets:
        assert logs["audio_learning_rate"] == pytest.approx(0.5 * RATE)
    else:
        assert "audio_learning_rate" not in logs


def test_evaluations_and_other_optimizers_are_logged_as_they_are(full: Any, arguments: Any, signals: None) -> None:
    assert logged(optimizer_of(full, arguments), arguments, eval_loss=1.0) == {"eval_loss": 1.0}
    other = torch.optim.SGD(full.parameters(), lr=0.5)
    assert logged(other, arguments, learning_rate=0.5) == {"learning_rate": 0.5}
    assert logged(None, arguments, learning_rate=0.5) == {"learning_rate": 0.5}
