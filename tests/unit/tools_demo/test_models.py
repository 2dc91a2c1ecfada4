"""Codec, teaching and assembling: what is exported is what was trained, and nothing half-made gets out."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tools.demo_checkpoint import assemble
from tools.demo_checkpoint.codec_model import HOP, Codec, export, load_exported
from tools.demo_checkpoint.sound import Pool
from tools.demo_checkpoint.tokens import build_tokenizer


@pytest.fixture(scope="module")
def codec() -> Codec:
    torch.manual_seed(0)
    made = Codec().eval()
    made.start_codebooks(made.encode(torch.randn(1, 1, HOP * 600))[0].detach())
    return made


def test_the_exported_codec_is_the_trained_one(codec: Codec) -> None:
    sound = torch.randn(HOP * 20) * 0.1
    codes = codec.codes(sound)
    audio = codec.audio(codes)
    native = export(codec)
    with torch.inference_mode():
        theirs = native.encode(sound[None, None]).audio_codes[0]
        decoded = native.decode(codes[None]).audio_values[0, 0]
    assert codes.shape == (8, 20)
    assert (theirs[:, :20] == codes).float().mean() > 0.97  # rounding may tip a code that lies between two
    torch.testing.assert_close(decoded[: len(audio)], audio[: len(decoded)], atol=2e-4, rtol=0)


def test_quantising_moves_the_codebooks_only_when_told(codec: Codec) -> None:
    frames = codec.encode(torch.randn(2, 1, HOP * 8)).detach()
    before = codec.native.quantizer.quantizers[0].codebook.embed.clone()
    codec.quantise(frames)
    assert torch.equal(before, codec.native.quantizer.quantizers[0].codebook.embed)


def test_training_goes_on_where_it_was_saved(tmp_path, monkeypatch) -> None:
    from tests.unit.tools_demo.parts import utterance
    from tools.demo_checkpoint import corpus
    from tools.demo_checkpoint.codec import Trainer, load_codec

    monkeypatch.setenv("HIGGS_DEMO_STATE", str(tmp_path))
    spoken = [utterance("One two three four five six seven eight nine ten.")]
    corpus.write_shard(tmp_path / "corpus" / f"s{corpus.HELD_OUT_SHARDS:05d}.npz", spoken)
    settings = {"start": None, "steps": 100, "rate": 1e-4, "kathleen": None}
    trainer = Trainer(tmp_path, **settings)
    trainer.begin_adversary()
    assert np.isfinite(list(trainer.train_step(2).values())).all()
    trainer.save()
    again = Trainer(tmp_path, **settings)
    assert again.step == 1
    for name, tensor in trainer.codec.state_dict().items():
        assert torch.equal(tensor, again.codec.state_dict()[name]), name
    again.train_step(2)
    assert load_codec(tmp_path / "codec.pt").analysis.isfinite().all()


def test_pieces_have_their_length_and_noise_is_only_heard() -> None:
    pool = Pool(16_000, 0.5)
    rng = np.random.default_rng(0)
    pool.add((rng.standard_normal(30_000) * 5000).astype(np.int16))
    for _ in range(20):
        heard, wanted, _ = pool.pair(rng)
        assert heard.shape == wanted.shape == (8000,) and heard.dtype == wanted.dtype == np.float32
        assert np.isfinite(heard).all() and np.abs(wanted).max() <= 1


def _sizes() -> dict[str, int]:
    return {"hidden": 64, "layers": 2}


def test_a_checkpoint_is_whole_and_says_what_it_can(tmp_path, codec: Codec) -> None:
    from studio.engine.checkpoints import checkpoint_kind, find_checkpoint, load_checkpoint

    folder = assemble.assemble(tmp_path / "demo", codec, None, figures={"wer": 0.5}, **_sizes())
    assert checkpoint_kind(folder) == "demo"
    scope = json.loads((folder / "scope.json").read_text())
    assert {"words", "examples", "voices", "figures"} <= set(scope) and scope["figures"] == {"wer": 0.5}
    loaded = load_checkpoint(find_checkpoint(str(folder)), device="cpu")
    assert loaded.model.config.num_codebooks == 8
    with pytest.raises(FileExistsError):
        assemble.assemble(folder, codec, None, **_sizes())


def _weights() -> dict[str, torch.Tensor]:
    from transformers import HiggsAudioV2ForConditionalGeneration

    config = assemble.model_config(build_tokenizer(), **_sizes())
    return HiggsAudioV2ForConditionalGeneration(config, use_text_head=True).state_dict()


@pytest.mark.parametrize("damage", ["lacking", "unknown", "shape", "nan"])
def test_damaged_weights_make_no_folder(tmp_path, codec: Codec, damage: str) -> None:
    weights = _weights()
    name = "audio_lm_head.weight"
    match damage:
        case "lacking":
            del weights[name]
        case "unknown":
            weights["teaching_heads.sound.weight"] = torch.zeros(2, 2)
        case "shape":
            weights[name] = weights[name][:-1]
        case "nan":
            weights[name] = weights[name] * float("nan")
    with pytest.raises(ValueError, match=r"."):
        assemble.assemble(tmp_path / "demo", codec, weights, **_sizes())
    assert list(tmp_path.iterdir()) == []


def test_half_written_weights_are_refused_and_teaching_stays_behind(tmp_path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(4), "teaching_heads.sound.bias": torch.ones(4)}, tmp_path / "model.safetensors")
    assert set(assemble.released_weights(tmp_path)) == {"a"}
    content = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content[:-8])
    with pytest.raises(ValueError, match="no whole"):
        assemble.released_weights(tmp_path)


def test_a_guided_head_is_scored_as_the_model_computes_it() -> None:
    pytest.importorskip("swift")
    from transformers import HiggsAudioV2ForConditionalGeneration

    from tools.demo_checkpoint.teaching import head_scores

    config = assemble.model_config(build_tokenizer(), **_sizes())
    config._attn_implementation = "eager"
    model = HiggsAudioV2ForConditionalGeneration(config).eval()
    caught = SimpleNamespace()
    layer = model.model.layers[1].self_attn
    layer.register_forward_pre_hook(
        lambda _m, _a, kwargs: vars(caught).update(hidden=kwargs["hidden_states"], turn=kwargs["position_embeddings"]),
        with_kwargs=True,
    )
    layer.register_forward_hook(lambda _m, _a, output: vars(caught).update(weights=output[1]))
    ids = torch.randint(300, 600, (2, 12))
    with torch.no_grad():
        model.model(input_ids=ids)
        sample, position = torch.tensor([0, 0, 1]), torch.tensor([3, 11, 7])
        scores = head_scores(layer, 0, caught.hidden, caught.turn, sample, position)
    torch.testing.assert_close(scores.softmax(dim=1), caught.weights[sample, 0, position], atol=1e-5, rtol=1e-4)


def test_teaching_adds_to_the_plugins_loss_and_heads_learn_where_to_look() -> None:
    pytest.importorskip("swift")
    from tests.unit.tools_demo.parts import clip
    from tools.demo_checkpoint.curriculum import collate
    from tools.demo_checkpoint.lessons import Alphabet, Spoken, lesson
    from tools.demo_checkpoint.sequences import natural
    from tools.demo_checkpoint.teaching import Plan, TeachingModel

    config = assemble.model_config(build_tokenizer(), **_sizes())
    model = TeachingModel(config, use_text_head=True)
    model.plan = Plan(heads=((1, 0),), ear=0)
    model.add_teaching()
    alphabet = Alphabet(build_tokenizer(), 512, 513)
    lines = [natural(clip("Red green blue.")), natural(clip("One two.", seed=1)), natural(clip("Anna.", seed=2))]
    batch = collate([lesson([Spoken(line)], alphabet) for line in lines], config)
    output = model(**batch)
    plain = model(**{name: value for name, value in batch.items() if name not in ("attend", "heard")})
    extra = output.attention + 0.3 * (output.sound + output.token)
    torch.testing.assert_close(output.loss, plain.loss + extra, atol=1e-4, rtol=1e-4)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(60):
        output = model(**batch)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    assert output.found > 0.8
    weights = {name for name in model.state_dict() if not name.startswith(assemble.TEACHING_PREFIX)}
    assert weights == set(_weights())


def test_a_codec_goes_on_from_what_was_shipped(tmp_path: Path) -> None:
    torch.manual_seed(3)
    kept, again = Codec().eval(), Codec().eval()
    sound = torch.randn(6400) * 0.1
    codes = kept.codes(sound)
    export(kept).save_pretrained(tmp_path / "codec")
    load_exported(again, tmp_path / "codec")
    assert torch.equal(again.codes(sound), codes)
    assert torch.allclose(again.audio(codes), kept.audio(codes), atol=1e-5)
