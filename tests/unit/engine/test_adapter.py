"""Adapters: a trained voice is heard while it is on, and the base speaks as if nothing had been there once it is off."""

import gc
import json
import shutil
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import DynamicCache, HiggsAudioV2ForConditionalGeneration

from studio.engine.model import adapter as adapter_module
from studio.engine.model.sampling import Sampling
from studio.engine.speech.request import SpeechRequest
from studio.engine.text import Script
from studio.errors import StudioError
from tests.trained import LAYERS, random_lora

TEXT = "Hello there."
DIALOGUE = "[Anna] Hi.\n[Bob] Hey."
LIVELY = Sampling(temperature=1.0)
HEADS = ["audio_lm_head", "embed_audio_tokens.embed_audio_tokens"]
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "as ms-swift writes all-linear": {
        "target_modules": r"^(model(?=\.).*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj))$"
    },
    "audio layers of the last layer": {"target_modules": r".*\.1\.audio_mlp\.(gate|up|down)_proj"},
    "rsLoRA": {"use_rslora": True, "r": 16},
    "DoRA": {"use_dora": True},
    "bias": {"lora_bias": True},
    "ranks by name": {
        "rank_pattern": {"q_proj": 2, r"layers\.0\.mlp\..*": 7},
        "alpha_pattern": {"^model.layers.1.self_attn.v_proj": 31},
    },
    "heads": {"modules_to_save": HEADS},
    "heads and DoRA": {"modules_to_save": HEADS, "use_dora": True},
    "a norm and a whole part of a layer": {"modules_to_save": ["model.norm", "layers.1.audio_mlp"]},
    "embedding": {"modules_to_save": ["embed_audio_tokens.embed_audio_tokens"]},
    "text head": {"target_modules": [*LAYERS, "text_lm_head"]},
    "text head as a whole": {"modules_to_save": ["text_lm_head", "audio_lm_head"]},
}


@pytest.fixture(scope="module")
def trained(
    tiny_checkpoint: Path, as_trained: dict[Path, torch.Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Writes an adapter with peft itself, as a training leaves it: random instead of trained, but not zero."""
    made: dict[str, Path] = {}

    def train(kind: str = "plain", *, seed: int = 1, base: Path = tiny_checkpoint) -> Path:
        key = f"{kind}{seed}{base}"
        if key not in made:
            made[key] = tmp_path_factory.mktemp("run") / f"checkpoint-{seed}"
            tuned = random_lora(base, seed=seed, text_head=True, **KINDS[kind])
            tuned.save_pretrained(made[key])
            as_trained[made[key]] = logits_of(tuned.eval())
        return made[key]

    return train


@pytest.fixture(scope="module")
def as_trained() -> dict[Path, torch.Tensor]:
    """What each adapter of ``trained`` says on the model it was trained on: folder → logits."""
    return {}


@pytest.fixture(scope="module")
def fresh(engine: Any) -> tuple[torch.Tensor, np.ndarray, dict[str, Any]]:
    """Logits, codes and state of the base before any adapter was near it."""
    return logits(engine), codes(engine), state(engine._model)


@pytest.fixture(scope="module")
def engine(new_engine: Callable[..., Any]) -> Any:
    """An engine of this file alone: nobody else hears its adapters."""
    return new_engine()


def logits_of(model: Any) -> torch.Tensor:
    """Of a prompt in text and of two rows of audio after it."""
    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        said = [model(input_ids=torch.arange(3, 40)[None], past_key_values=cache, use_cache=True).logits]
        for row in (torch.arange(8) * 100, torch.arange(8) + 5):
            said.append(model(audio_input_ids=row[None, None], past_key_values=cache, use_cache=True).logits)
    return torch.cat(said, dim=1)


def loaded(engine: Any, folder: Path | None) -> Any:
    """What a request with the adapter of a folder is spoken with; None for the base alone."""
    return engine.load_adapter(folder) if folder else None


def logits(engine: Any, folder: Path | None = None) -> torch.Tensor:
    """What the engine's model says to a request that begins now."""
    with engine._lend(loaded(engine, folder)) as model:
        return logits_of(model)


def codes(engine: Any, folder: Path | None = None) -> np.ndarray:
    return engine.clone(TEXT, sampling=LIVELY, seed=5, adapter=loaded(engine, folder)).codes


def state(model: Any) -> dict[str, Any]:
    """Everything about a model that an adapter could leave behind; ``_version`` counts writes to a tensor."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "modules": {name: (id(module), module.training) for name, module in model.named_modules()},
        "tensors": {
            name: (id(tensor), tensor.data_ptr(), tensor._version, tensor.dtype, tensor.requires_grad)
            for name, tensor in tensors.items()
        },
        "attributes": {
            f"{name}.{attribute}": list(map(id, value.values())) if isinstance(value, dict) else id(value)
            for name, module in model.named_modules()
            for attribute, value in vars(module).items()
        },
    }


# --- what an adapter does -------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.lora_bias=True")
@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_sounds_as_trained_and_leaves_nothing_behind(
    engine: Any,
    fresh: tuple[torch.Tensor, np.ndarray, dict[str, Any]],
    trained: Callable[..., Path],
    as_trained: dict[Path, torch.Tensor],
    kind: str,
) -> None:
    folder = trained(kind)
    base, spoken, before = fresh
    random_state = torch.get_rng_state()
    assert engine.load_adapter(folder).folder == folder
    assert torch.equal(torch.get_rng_state(), random_state)
    adapted = logits(engine, folder)
    assert torch.equal(adapted, as_trained[folder])
    assert (adapted - base).abs().max() > 0.1
    assert not np.array_equal(codes(engine, folder)[:, :5], spoken[:, :5])

    assert torch.equal(logits(engine), base)
    assert np.array_equal(codes(engine), spoken)
    assert state(engine._model) == before


@pytest.mark.parametrize("kind", ["plain", "heads and DoRA"])
def test_at_a_strength_the_weights_are_that_far_from_the_base_to_the_trained_ones(
    engine: Any, trained: Callable[..., Path], tiny_checkpoint: Path, kind: str
) -> None:
    whole = HiggsAudioV2ForConditionalGeneration.from_pretrained(tiny_checkpoint)
    base = {name: values.clone() for name, values in whole.state_dict().items()}
    merged: Any = PeftModel.from_pretrained(whole, str(trained(kind))).merge_and_unload()
    learnt = merged.state_dict()
    merged.load_state_dict({name: base[name].lerp(learnt[name], 0.3) for name in base}, strict=False)
    with engine._lend(engine.load_adapter(trained(kind), 0.3)) as model:
        weak = logits_of(model)
    assert torch.allclose(weak, logits_of(merged.eval()), atol=2e-3)
    assert not torch.allclose(weak, logits(engine, trained(kind)), atol=0.05)
    assert not torch.allclose(weak, logits(engine), atol=0.05)


@pytest.mark.parametrize("kind", ["plain", "DoRA", "heads"])
def test_a_base_in_bfloat16_keeps_its_precision_and_follows_peft(
    trained: Callable[..., Path], tiny_checkpoint: Path, kind: str
) -> None:
    from studio.engine.checkpoints import find_checkpoint, load_checkpoint
    from studio.engine.voice_engine import VoiceEngine

    checkpoint = load_checkpoint(find_checkpoint(str(tiny_checkpoint)), device="cpu", precision="bfloat16")
    engine = VoiceEngine(checkpoint)
    base, before = logits(engine), state(engine._model)
    model = HiggsAudioV2ForConditionalGeneration.from_pretrained(tiny_checkpoint, dtype=torch.bfloat16)
    adapted = logits(engine, trained(kind))
    assert adapted.dtype == torch.bfloat16
    assert torch.equal(adapted, logits_of(PeftModel.from_pretrained(model, str(trained(kind))).eval()))
    assert not torch.equal(adapted, base)
    assert torch.equal(logits(engine), base)
    assert state(engine._model) == before


@pytest.mark.parametrize("kind", ["plain", "heads and DoRA"])
def test_an_adapter_sounds_like_the_checkpoint_it_was_merged_into(
    engine: Any,
    new_engine: Callable[..., Any],
    trained: Callable[..., Path],
    tiny_checkpoint: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    merged = shutil.copytree(tiny_checkpoint, tmp_path / "merged")
    model = HiggsAudioV2ForConditionalGeneration.from_pretrained(tiny_checkpoint, use_text_head=True)
    tuned: Any = PeftModel.from_pretrained(model, str(trained(kind)))
    tuned.merge_and_unload().save_pretrained(merged)
    expected = logits(new_engine(merged))
    assert (logits(engine, trained(kind)) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_adapters_take_turns_without_a_trace_of_each_other(engine: Any, trained: Callable[..., Path]) -> None:
    folders = [trained("plain"), trained("heads and DoRA", seed=2), trained("a norm and a whole part of a layer"), None]
    first = [logits(engine, folder) for folder in folders]
    assert all(not torch.equal(one, other) for index, one in enumerate(first) for other in first[:index])
    for index in (0, 1, 0, 2, 3, 1, 2, 0, 3):
        assert torch.equal(logits(engine, folders[index]), first[index])


def test_an_adapter_that_is_loaded_is_not_read_again_unless_its_files_changed(
    engine: Any, trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(trained("plain"), tmp_path / "checkpoint-1")
    kept = engine.load_adapter(folder)
    engine.load_adapter(trained("rsLoRA"))
    assert engine.load_adapter(folder) is kept
    before = logits(engine, folder)
    shutil.copy(trained("plain", seed=2) / WEIGHTS, folder / WEIGHTS)
    assert engine.load_adapter(folder) is not kept
    assert not torch.equal(logits(engine, folder), before)

    monkeypatch.setattr(adapter_module, "KEPT_BYTES", 0)
    dropped = weakref.ref(engine.load_adapter(trained("plain")))
    logits(engine, trained("rsLoRA"))
    gc.collect()
    assert dropped() is None, "adapters stay in memory without a limit"


# --- requests that are running --------------------------------------------------------------------------------------


def test_a_stream_goes_on_with_the_adapter_it_began_with(
    engine: Any, trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter_module, "KEPT_BYTES", 0)  # a stream needs its adapter also when nobody else does
    folders = [trained("plain"), None, trained("heads", seed=2)]
    asked = {"sampling": LIVELY, "seed": 3}
    alone = [engine.clone(DIALOGUE, **asked, adapter=loaded(engine, folder)).codes for folder in folders]
    streams = [
        engine.stream(SpeechRequest(Script(DIALOGUE), **asked, adapter=loaded(engine, folder))) for folder in folders
    ]
    engine.load_adapter(trained("rsLoRA"))
    running = list(streams)
    while running:
        running = [stream for stream in running if next(stream, None) is not None]
    for stream, expected in zip(streams, alone, strict=True):
        assert np.array_equal(stream.speech.codes, expected)


def test_requests_in_other_threads_hear_one_adapter_each(engine: Any, trained: Callable[..., Path]) -> None:
    folders = [None, trained("plain"), trained("DoRA", seed=2)]
    expected = [codes(engine, folder) for folder in folders]
    over = threading.Event()

    def switch() -> None:
        while not over.wait(0.002):
            for folder in folders:
                loaded(engine, folder)

    with ThreadPoolExecutor(3) as pool:
        switching = pool.submit(switch)
        spoken = list(pool.map(codes, [engine] * 6, folders * 2))
        over.set()
        switching.result()
    for found, wanted in zip(spoken, expected * 2, strict=True):
        assert np.array_equal(found, wanted)


def test_unloading_frees_the_model_with_its_adapters_and_says_so_afterwards(
    new_engine: Callable[..., Any], trained: Callable[..., Path]
) -> None:
    engine = new_engine()
    stream = engine.stream(SpeechRequest(Script(DIALOGUE), seed=4, adapter=engine.load_adapter(trained("plain"))))
    next(stream)
    held = [weakref.ref(engine._model), weakref.ref(engine._model.model.layers[0].self_attn.q_proj)]
    assert "lora" in type(held[1]()).__module__
    engine.unload()
    gc.collect()
    assert [thing() for thing in held] == [None, None]
    with pytest.raises(StudioError, match="was unloaded"):
        list(stream)
    for speak in (lambda: engine.load_adapter(trained("plain")), lambda: engine.clone(DIALOGUE, seed=4)):
        with pytest.raises(StudioError, match="was unloaded to free its memory: load a checkpoint"):
            speak()


# --- folders that are refused ---------------------------------------------------------------------------------------


def set_config(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps({**config, **values}))

    return change


def set_weights(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)

    return write


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def only_a_pickle(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "adapter_model.bin")
    (folder / WEIGHTS).unlink()


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100])


def renamed(old: str, new: str) -> Callable[[Path], None]:
    return set_weights(lambda weights: {name.replace(old, new): tensor for name, tensor in weights.items()})


def without(part: str) -> Callable[[Path], None]:
    return set_weights(lambda weights: {name: tensor for name, tensor in weights.items() if part not in name})


def with_first(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    def changed(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        first = min(weights)
        return {**weights, first: change(weights[first])}

    return set_weights(changed)


Q_PROJ = "base_model.model.model.layers.0.self_attn.q_proj"
BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (shutil.rmtree, "there is no such adapter folder"),
    "empty": (empty, f"holds no {CONFIG}"),
    "without weights": (lambda folder: (folder / WEIGHTS).unlink(), f"holds no {WEIGHTS}"),
    "pickle": (only_a_pickle, "can run code and is never loaded"),
    "cut short": (cut, "damaged or cut short"),
    "no safetensors": (lambda folder: (folder / WEIGHTS).write_bytes(b"{}" * 50), "damaged or cut short"),
    "no JSON": (lambda folder: (folder / CONFIG).write_text("r = 4"), f"{CONFIG} of .* is damaged"),
    "JSON of a list": (lambda folder: (folder / CONFIG).write_text("[]"), f"{CONFIG} of .* is damaged"),
    "deep JSON": (lambda folder: (folder / CONFIG).write_text("[" * 99_999), f"{CONFIG} of .* is damaged"),
    "other type": (set_config(peft_type="IA3"), "adapter of the type IA3"),
    "no type": (set_config(peft_type=None), "speaks with LoRA only"),
    "code of Megatron": (set_config(megatron_config={"a": 1}, megatron_core="os"), "sets megatron_config"),
    "copied layers": (set_config(layer_replication=[[0, 1]]), "sets layer_replication"),
    "a setting of the future": (set_config(use_tomorrow=True), "sets use_tomorrow"),
    "PiSSA": (set_config(init_lora_weights="pissa_niter_4"), "init_lora_weights: pissa_niter_4.*converted"),
    "rank of another type": (set_config(r="4"), f"{CONFIG} of .* is damaged"),
    "endless alpha": (set_config(lora_alpha=float("nan")), f"{CONFIG} of .* is damaged"),
    "another rank": (set_config(r=8), r"has the shape \[.*\] where \[8, "),
    "DoRA not in the file": (set_config(use_dora=True), "lacks weights of .*lora_magnitude_vector"),
    "head not in the file": (set_config(modules_to_save=["audio_lm_head"]), "lacks weights of audio_lm_head"),
    "broken pattern": (set_config(target_modules="(("), "pattern of layer names"),
    "endless pattern": (set_config(rank_pattern={r"(\w|.|[a-z])+[!?]": 4}), "pattern of layer names"),
    "keys that match nothing": (renamed("model.layers", "transformer.h"), "40 of its 40 weights fit no layer"),
    "keys that match in part": (renamed("layers.1", "layers.7"), "20 of its 40 weights fit no layer"),
    "keys of another format": (renamed("base_model.model.", ""), "40 of its 40 weights fit no layer"),
    "base weights": (
        set_weights(lambda weights: {**weights, f"{Q_PROJ}.base_layer.weight": torch.ones(64, 64)}),
        "1 of its 41 weights fit no layer",
    ),
    "a module that was not declared": (
        set_weights(lambda weights: {**weights, f"{Q_PROJ}.weight": torch.ones(64, 64)}),
        "1 of its 41 weights fit no layer",
    ),
    "only B": (without("lora_A"), "lacks weights of .*lora_A"),
    "a layer missing": (without("layers.1.self_attn.k_proj"), "lacks weights of model.layers.1.self_attn.k_proj"),
    "nothing at all": (set_weights(lambda weights: {}), "no weights that change speech"),
    "NaN": (with_first(lambda tensor: tensor * float("nan")), "invalid numbers .* choose an earlier checkpoint"),
    "quantised": (with_first(lambda tensor: tensor.to(torch.int8)), "quantised"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_folder_that_cannot_be_used_is_refused_and_changes_nothing(
    engine: Any, trained: Callable[..., Path], tmp_path: Path, what: str
) -> None:
    spoil, says = BAD[what]
    folder = shutil.copytree(trained(), tmp_path / "checkpoint-9")
    spoil(folder)
    good = trained("rsLoRA")
    kept = engine.load_adapter(good)
    spoken, before = logits(engine, good), state(engine._model)
    with pytest.raises(StudioError, match=says) as caught:
        engine.load_adapter(folder)
    assert str(caught.value).count("checkpoint-9") == 1
    assert str(tmp_path) not in str(caught.value), "visitors must not read where the server keeps its files"
    assert engine.load_adapter(good) is kept
    assert torch.equal(logits(engine, good), spoken)
    assert state(engine._model) == before


def test_an_adapter_of_a_model_of_another_size_is_refused(
    engine: Any, trained: Callable[..., Path], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    from transformers import HiggsAudioV2Config

    config = HiggsAudioV2Config.from_pretrained(tiny_checkpoint)
    config.intermediate_size = 96
    HiggsAudioV2ForConditionalGeneration(config, use_text_head=True).save_pretrained(tmp_path / "other")
    base = logits(engine)
    with pytest.raises(StudioError, match=r"does not fit the loaded checkpoint: .*; load the checkpoint that it was"):
        engine.load_adapter(trained("plain", base=tmp_path / "other"))
    assert torch.equal(logits(engine), base)


def test_memory_that_does_not_suffice_is_a_sentence(
    engine: Any, trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter_module, "free_memory_bytes", lambda device: 1000)
    with pytest.raises(StudioError, match="MiB of memory on cpu and 0 MiB are free"):
        engine.load_adapter(trained("plain", seed=7))


def test_weights_of_the_text_head_are_left_out(engine: Any, trained: Callable[..., Path], tmp_path: Path) -> None:
    folder = trained("text head")
    assert any("text_lm_head" in name for name in load_file(folder / WEIGHTS))
    alone = shutil.copytree(folder, tmp_path / "checkpoint-9")
    set_weights(lambda weights: {name: tensor for name, tensor in weights.items() if "text_lm_head" in name})(alone)
    with pytest.raises(StudioError, match="no weights that change speech"):
        engine.load_adapter(alone)
    engine.load_adapter(folder)
