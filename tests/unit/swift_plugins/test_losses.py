"""The losses are those of transformers' own forward on the same rows, with heads computed where labels are and only there."""

from typing import Any

import pytest
import torch
from transformers import HiggsAudioV2ForConditionalGeneration as Native

from studio.engine.prompt import IGNORED
from swift_plugins.losses import audio_states, text_states
from swift_plugins.model import HiggsAudioV2Training
from swift_plugins.options import Options

TEXT_ONLY = {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Kathleen."}]}


@pytest.fixture
def options(training_model: Any) -> Any:
    """Sets options for one test."""
    yield lambda **given: setattr(training_model, "options", Options(**given))
    training_model.options = Options()


def native_losses(model: Any, batch: dict[str, Any]) -> tuple[float, list[float]]:
    """Text loss and loss of each codebook as transformers computes them from its own logits, everywhere."""
    config = model.config
    inputs = {name: value for name, value in batch.items() if "labels" not in name}
    logits = Native.forward(model, **inputs).logits
    text_logits = model.text_lm_head(model.model(**inputs).last_hidden_state)
    text = model.loss_function(text_logits, batch["labels"], config.vocab_size)
    is_audio = model.model.get_placeholder_mask(batch["input_ids"], None, batch["audio_input_ids_mask"])
    labels = torch.full((*is_audio.shape, config.num_codebooks), IGNORED)
    labels[is_audio] = batch["audio_labels"][batch["audio_input_ids_mask"]]
    logits = logits.view(*is_audio.shape, config.num_codebooks, -1)
    codebooks = [
        model.loss_function(logits[:, :, index], labels[:, :, index], config.codebook_size)
        for index in range(config.num_codebooks)
    ]
    return float(text), [float(loss) for loss in codebooks]


@pytest.mark.parametrize("size", [1, 3])
@torch.inference_mode()
def test_losses_equal_those_of_transformers_given_our_labels(
    training_model: Any, template: Any, samples: list[dict[str, Any]], size: int
) -> None:
    batch = template.data_collator(samples[:size])
    ours = training_model(**batch)
    text, codebooks = native_losses(training_model, batch)
    assert float(ours.text_loss) == pytest.approx(text, abs=1e-5)
    assert ours.codebook_losses.tolist() == pytest.approx(codebooks, abs=1e-5)
    assert float(ours.audio_loss) == pytest.approx(sum(codebooks) / 8, abs=1e-5)
    assert float(ours.loss) == pytest.approx(text + sum(codebooks) / 8, abs=1e-5)
    # The native forward adds the codebooks up, where ours takes their mean.
    assert float(Native.forward(training_model, **batch).loss) == pytest.approx(text + sum(codebooks), abs=1e-4)


@torch.inference_mode()
def test_padding_and_neighbours_change_nothing(
    training_model: Any, template: Any, samples: list[dict[str, Any]]
) -> None:
    alone = [training_model(**template.data_collator([sample])) for sample in samples]
    together = training_model(**template.data_collator(samples))
    rows = torch.tensor([float(output.num_audio_targets) for output in alone])
    audio = torch.stack([output.codebook_losses for output in alone])
    assert together.codebook_losses.tolist() == pytest.approx((audio.T @ rows / rows.sum()).tolist(), abs=1e-5)


def test_heads_see_the_labelled_positions_and_no_other(
    training_model: Any, template: Any, samples: list[dict[str, Any]]
) -> None:
    batch = template.data_collator(samples)
    seen: dict[str, int] = {}

    def count(name: str) -> Any:
        return lambda module, inputs, output: seen.__setitem__(name, inputs[0].shape[:-1].numel())

    hooks = [
        training_model.audio_lm_head.register_forward_hook(count("audio")),
        training_model.text_lm_head.register_forward_hook(count("text")),
    ]
    with torch.inference_mode():
        training_model(**batch)
    for hook in hooks:
        hook.remove()
    assert seen["text"] == int((batch["labels"][:, 1:] != IGNORED).sum()) == 3 * len(samples)
    assert seen["audio"] == int((batch["audio_labels"] != IGNORED).any(-1).sum())
    assert seen["audio"] < batch["input_ids"].numel() / 4


@torch.inference_mode()
def test_weights_change_the_total_and_nothing_that_is_logged(
    training_model: Any, template: Any, samples: list[dict[str, Any]], options: Any
) -> None:
    batch = template.data_collator(samples)
    plain = training_model(**batch)
    weights = (4.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0)
    options(text_loss_weight=0.5, audio_loss_weight=3.0, codebook_loss_weights=weights, auxiliary_loss_weight=0.1)
    weighted = training_model(**batch)
    assert torch.equal(weighted.codebook_losses, plain.codebook_losses)
    assert (weighted.text_loss, weighted.audio_loss) == (plain.text_loss, plain.audio_loss)
    audio = sum(w * float(loss) for w, loss in zip(weights, plain.codebook_losses, strict=True)) / sum(weights)
    expected = 0.5 * float(plain.text_loss) + 3.0 * audio + 0.1 * float(weighted.z_loss)
    assert float(weighted.loss) == pytest.approx(expected, rel=1e-5)
    assert float(plain.z_loss) == 0


@torch.inference_mode()
def test_the_z_loss_is_the_squared_log_partition_of_both_heads(
    training_model: Any, template: Any, samples: list[dict[str, Any]], options: Any
) -> None:
    batch = template.data_collator(samples[:1])
    options(auxiliary_loss_weight=1.0)
    ours = training_model(**batch)
    hidden = training_model.model(**{k: v for k, v in batch.items() if "labels" not in k}).last_hidden_state
    text, _ = text_states(hidden, batch["labels"])
    is_audio = training_model.model.get_placeholder_mask(batch["input_ids"], None, None)
    states, targets = audio_states(hidden, is_audio, batch["audio_labels"][0])
    audio = training_model.audio_lm_head(states).view(-1, 8, 1026).logsumexp(-1)[targets != IGNORED]
    partitions = torch.cat([training_model.text_lm_head(text).logsumexp(-1), audio])
    assert float(ours.z_loss) == pytest.approx(float(partitions.square().mean()), rel=1e-5)


@pytest.mark.parametrize("kind", ["text alone", "mixed"])
def test_every_trainable_weight_takes_part_whatever_a_batch_holds(
    training_model: Any, template: Any, samples: list[dict[str, Any]], kind: str
) -> None:
    """Otherwise processes of one run would wait for each other's gradients."""
    text = template.encode(TEXT_ONLY)
    batch = template.data_collator([text] if kind == "text alone" else [samples[0], text])
    training_model.requires_grad_(True)
    training_model.zero_grad()
    output = training_model(**batch)
    output.loss.backward()
    lacking = [name for name, parameter in training_model.named_parameters() if parameter.grad is None]
    training_model.requires_grad_(False)
    assert not lacking
    assert torch.isfinite(output.loss)
    if kind == "text alone":
        assert (int(output.num_audio_targets), float(output.audio_loss)) == (0, 0.0)
        assert int(output.num_text_targets) == len("Kathleen.") + 1


@torch.inference_mode()
def test_without_labels_it_is_the_native_model(
    training_model: Any, template: Any, samples: list[dict[str, Any]]
) -> None:
    batch = {name: value for name, value in template.data_collator(samples).items() if "labels" not in name}
    assert torch.equal(training_model(**batch).logits, Native.forward(training_model, **batch).logits)
    assert HiggsAudioV2Training.__name__ == Native.__name__  # what config.json will say


def test_rows_and_tokens_that_do_not_match_are_no_silent_shift() -> None:
    with pytest.raises(ValueError, match="2 audio tokens stand for 3 rows"):
        audio_states(torch.zeros(1, 4, 2), torch.tensor([[False, True, True, False]]), torch.zeros(3, 8))
