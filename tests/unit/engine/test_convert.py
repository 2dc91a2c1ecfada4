"""Original-format checkpoints and LoRAs become native ones that compute the same; all else is refused plainly."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import studio.engine  # noqa: F401 - installs the torchaudio guard
from studio.engine.checkpoints import build_tiny_checkpoint
from studio.engine.conversion.adapter import short_targets
from studio.engine.conversion.convert import convert_checkpoint
from studio.engine.conversion.keys import native_key
from studio.errors import StudioError
from tests.disks import disk_that_holds

AutoProcessor = pytest.importorskip("transformers").AutoProcessor

HIDDEN, MLP, KV, VOCAB, LAYERS = 32, 48, 16, 288, 2
CODEBOOKS, CODES = 8, 1024

# Written out by hand, not taken from the converter: native name on the left, original on the right.
LAYER_SHAPES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (KV, HIDDEN),
    "self_attn.v_proj": (KV, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (MLP, HIDDEN),
    "mlp.up_proj": (MLP, HIDDEN),
    "mlp.down_proj": (HIDDEN, MLP),
    "audio_mlp.gate_proj": (MLP, HIDDEN),
    "audio_mlp.up_proj": (MLP, HIDDEN),
    "audio_mlp.down_proj": (HIDDEN, MLP),
    "input_layernorm": (HIDDEN,),
    "post_attention_layernorm": (HIDDEN,),
    "audio_input_layernorm": (HIDDEN,),
    "audio_post_attention_layernorm": (HIDDEN,),
}
NATIVE_TO_ORIGINAL = {
    "model.embed_tokens.weight": "embed_tokens.weight",
    "model.embed_audio_tokens.embed_audio_tokens.weight": "audio_codebook_embeddings.weight",
    "model.norm.weight": "norm.weight",
    "audio_lm_head.weight": "audio_decoder_proj.audio_lm_head.weight",
    "text_lm_head.weight": "audio_decoder_proj.text_lm_head.weight",
    **{f"model.layers.{n}.{m}.weight": f"layers.{n}.{m}.weight" for n in range(LAYERS) for m in LAYER_SHAPES},
}

ORIGINAL_CONFIG = {
    "model_type": "higgs_audio",
    "architectures": ["HiggsAudioModel"],
    "audio_adapter_type": "dual_ffn_fast_forward",
    "audio_dual_ffn_layers": [0, 1],
    "audio_decoder_proj_num_layers": 0,
    "audio_embed_avg": False,
    "audio_num_codebooks": CODEBOOKS,
    "audio_codebook_size": CODES,
    "audio_stream_bos_id": 1024,
    "audio_stream_eos_id": 1025,
    "audio_in_token_idx": 265,
    "audio_out_token_idx": 266,
    "audio_out_bos_token_id": 263,
    "audio_eos_token_id": 262,
    "encode_whisper_embed": False,
    "skip_audio_tower": True,
    "use_delay_pattern": True,
    "use_audio_out_embed_projector": False,
    "use_audio_out_self_attention": False,
    "use_rq_transformer": False,
    "pad_token_id": 257,
    "torch_dtype": "float32",
    "text_config": {
        "model_type": "llama",
        "vocab_size": VOCAB,
        "hidden_size": HIDDEN,
        "intermediate_size": MLP,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": None,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-4,
        "rope_theta": 3000.0,
        "rope_scaling": {
            "factor": 16.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 32,
            "rope_type": "llama3",
        },
        "tie_word_embeddings": False,
    },
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny", seed=5)


def original_state(codebooks=CODEBOOKS, codes=CODES):
    generator = torch.Generator().manual_seed(11)

    def random(*shape):
        return torch.randn(*shape, generator=generator) * 0.3

    heads = codebooks * (codes + 2)
    state = {
        "embed_tokens.weight": random(VOCAB, HIDDEN),
        "audio_codebook_embeddings.weight": random(heads, HIDDEN),
        "norm.weight": random(HIDDEN) + 1,
        "audio_decoder_proj.audio_lm_head.weight": random(heads, HIDDEN),
        "audio_decoder_proj.text_lm_head.weight": random(VOCAB, HIDDEN),
    }
    for layer in range(LAYERS):
        for module, shape in LAYER_SHAPES.items():
            state[f"layers.{layer}.{module}.weight"] = random(*shape) + (1 if len(shape) == 1 else 0)
    return state


def write_original(folder, state=None, config=ORIGINAL_CONFIG):
    folder.mkdir(parents=True)
    save_file(original_state() if state is None else state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def with_text(**changes):
    return {**ORIGINAL_CONFIG, "text_config": {**ORIGINAL_CONFIG["text_config"], **changes}}


def reference_model(state):
    """A native model made without any of the converter's code: config and key list are this file's own."""
    from transformers import HiggsAudioV2Config, HiggsAudioV2ForConditionalGeneration

    config = HiggsAudioV2Config(
        vocab_size=VOCAB,
        hidden_size=HIDDEN,
        intermediate_size=MLP,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=2048,
        rms_norm_eps=1e-4,
        rope_parameters={
            "rope_theta": 3000.0,
            "factor": 16.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 32,
            "rope_type": "llama3",
        },
        pad_token_id=257,
        num_codebooks=CODEBOOKS,
        codebook_size=CODES + 2,
        audio_token_id=266,
        audio_bos_token_id=263,
        audio_delay_token_id=264,
    )
    model = HiggsAudioV2ForConditionalGeneration(config, use_text_head=True).eval()
    model.load_state_dict({native: state[old] for native, old in NATIVE_TO_ORIGINAL.items()}, strict=True)
    return model


def load(folder):
    from transformers import HiggsAudioV2ForConditionalGeneration

    return HiggsAudioV2ForConditionalGeneration.from_pretrained(folder, use_text_head=True).eval()


@torch.no_grad()
def logits(model):
    """Text and audio logits of a prompt with a clip of 12 frames between two stretches of text."""
    generator = torch.Generator().manual_seed(3)
    words = torch.randint(0, 256, (1, 40), generator=generator)
    ids = torch.cat([words[:, :25], torch.full((1, 12), 266), words[:, 25:]], dim=1)
    codes = torch.randint(0, CODES + 2, (1, 12, CODEBOOKS), generator=generator)
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = inner.model(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        audio_input_ids=codes,
        audio_input_ids_mask=torch.ones(1, 12, dtype=torch.bool),
    ).last_hidden_state
    return inner.text_lm_head(hidden), inner.audio_lm_head(hidden)


def assert_same_logits(model, reference, atol=0.0):
    for found, expected in zip(logits(model), logits(reference), strict=True):
        assert expected.std() > 0.1
        torch.testing.assert_close(found, expected, rtol=0.0, atol=atol)


def refused(message, old, new, **options):
    with pytest.raises(StudioError, match=message) as refusal:
        convert_checkpoint(old, new, **options)
    assert "\n" not in str(refusal.value)
    assert not new.exists()
    assert not list(new.parent.glob(".*")), "something half-written was left behind"


class TestModel:
    def test_a_converted_model_computes_what_the_original_weights_compute(self, tiny, tmp_path):
        old = write_original(tmp_path / "old")
        report = convert_checkpoint(old, tmp_path / "new", base=tiny)
        assert (report.kind, report.tensors, report.dtype) == ("model", len(NATIVE_TO_ORIGINAL), "float32")
        assert (report.dropped, report.missing) == ({}, ())
        assert len(report.checks) == 2
        assert_same_logits(load(tmp_path / "new"), reference_model(original_state()))

    def test_config_comes_from_the_original(self, tiny, tmp_path):
        convert_checkpoint(write_original(tmp_path / "old"), tmp_path / "new", base=tiny)
        config = json.loads((tmp_path / "new/config.json").read_text())
        expected = {
            "model_type": "higgs_audio_v2",
            "codebook_size": 1026,
            "audio_delay_token_id": 264,
            "audio_bos_token_id": 263,
            "bos_token_id": 256,
            "eos_token_id": 260,
            "pad_token_id": 257,
            "head_dim": 8,
            "rms_norm_eps": 1e-4,
            "tie_word_embeddings": False,
            "dtype": "float32",
        }
        assert {name: config[name] for name in expected} == expected
        generation = json.loads((tmp_path / "new/generation_config.json").read_text())
        assert (generation["ras_win_len"], generation["ras_win_max_num_repeat"]) == (7, 2)
        assert (generation["bos_token_id"], generation["eos_token_id"], generation["pad_token_id"]) == (256, 260, 257)

    def test_values_a_config_leaves_out_are_those_of_the_old_llama_class(self, tiny, tmp_path):
        text = {k: v for k, v in ORIGINAL_CONFIG["text_config"].items() if not k.startswith(("rope", "rms"))}
        old = write_original(tmp_path / "old", config={**ORIGINAL_CONFIG, "text_config": text})
        convert_checkpoint(old, tmp_path / "new", base=tiny)
        config = json.loads((tmp_path / "new/config.json").read_text())
        assert config["rope_parameters"] == {"rope_theta": 10000.0, "rope_type": "default"}
        assert config["rms_norm_eps"] == 1e-6

    def test_a_converted_checkpoint_speaks(self, tiny, tmp_path):
        from transformers import AutoProcessor

        convert_checkpoint(write_original(tmp_path / "old"), tmp_path / "new", base=tiny)
        processor = AutoProcessor.from_pretrained(tmp_path / "new")
        chat = [{"role": "system", "content": [{"type": "text", "text": "Speak."}]}]
        chat.append({"role": "user", "content": [{"type": "text", "text": "Hello."}]})
        inputs = processor.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        frames = load(tmp_path / "new").generate(**inputs, max_new_tokens=12, do_sample=False)
        assert frames.shape == (1, 12, CODEBOOKS)

    def test_bfloat16_stays_bfloat16(self, tiny, tmp_path):
        state = {name: tensor.bfloat16() for name, tensor in original_state().items()}
        report = convert_checkpoint(write_original(tmp_path / "old", state), tmp_path / "new", base=tiny)
        assert report.dtype == "bfloat16"
        written = load_file(tmp_path / "new/model.safetensors")
        for native, old in NATIVE_TO_ORIGINAL.items():
            assert written[native].dtype == torch.bfloat16
            assert torch.equal(written[native], state[old])

    def test_a_sharded_checkpoint_becomes_a_sharded_one(self, tiny, tmp_path, monkeypatch):
        old = tmp_path / "old"
        write_original(old)
        (old / "model.safetensors").unlink()
        state, names, index = original_state(), sorted(original_state()), {}
        for number in range(3):
            file = f"model-0000{number + 1}-of-00003.safetensors"
            part = {name: state[name] for name in names[number::3]}
            save_file(part, old / file)
            index |= dict.fromkeys(part, file)
        (old / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
        monkeypatch.setattr("studio.engine.conversion.tensors.SHARD_SIZE", 1_000_000)
        convert_checkpoint(old, tmp_path / "new", base=tiny)
        assert len(list((tmp_path / "new").glob("model-*.safetensors"))) > 1
        assert_same_logits(load(tmp_path / "new"), reference_model(state))
        (old / "model-00002-of-00003.safetensors").unlink()
        refused("lacks model-00002-of-00003", old, tmp_path / "again", base=tiny)
        (old / "model.safetensors.index.json").unlink()
        refused("2 of 3 numbered", old, tmp_path / "again", base=tiny)

    @pytest.mark.parametrize("prefix", ["model.", "module.", "module.model.", "_orig_mod.module."])
    def test_names_with_the_prefixes_of_wrappers_are_understood(self, prefix, tiny, tmp_path):
        state = {prefix + name: tensor for name, tensor in original_state().items()}
        state[prefix + "rotary_emb.inv_freq"] = torch.ones(4)
        state[prefix + "audio_codebook_weights"] = torch.ones(8)
        report = convert_checkpoint(write_original(tmp_path / "old", state), tmp_path / "new", base=tiny)
        assert sorted(report.dropped) == [prefix + "audio_codebook_weights", prefix + "rotary_emb.inv_freq"]
        assert "rotary" in report.message
        assert_same_logits(load(tmp_path / "new"), reference_model(original_state()))

    def test_partly_frozen_matrices_are_joined(self, tiny, tmp_path):
        state, whole = original_state(), original_state()
        for name, kind, at in (
            ("embed_tokens", "embedding", 200),
            ("audio_decoder_proj.text_lm_head", "linear", 250),
            ("audio_decoder_proj.audio_lm_head", "linear", 1000),
        ):
            matrix = state.pop(f"{name}.weight")
            state[f"{name}.{kind}_frozen.weight"] = matrix[:at].clone()
            state[f"{name}.{kind}_trainable.weight"] = matrix[at:].clone()
        report = convert_checkpoint(write_original(tmp_path / "old", state), tmp_path / "new", base=tiny)
        assert report.tensors == len(NATIVE_TO_ORIGINAL)
        assert_same_logits(load(tmp_path / "new"), reference_model(whole))
        del state["embed_tokens.embedding_frozen.weight"]
        refused("do not fit together", write_original(tmp_path / "half", state), tmp_path / "again", base=tiny)

    @pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
    def test_bare_state_dict_takes_the_config_of_the_base(self, suffix, tiny, tmp_path):
        native = convert_checkpoint(write_original(tmp_path / "old"), tmp_path / "native", base=tiny).folder
        file = tmp_path / f"weights{suffix}"
        state = {f"module.{name}": tensor for name, tensor in original_state().items()}
        save_file(state, file) if suffix == ".safetensors" else torch.save(state, file)
        convert_checkpoint(file, tmp_path / "new", base=native)
        assert_same_logits(load(tmp_path / "new"), reference_model(original_state()))
        refused("name a native checkpoint of the same sizes", file, tmp_path / "again")
        refused("the config asks for", file, tmp_path / "again", base=tiny)

    def test_tied_text_head_that_was_left_out_is_the_embeddings(self, tiny, tmp_path):
        state = original_state()
        del state["audio_decoder_proj.text_lm_head.weight"]
        old = write_original(tmp_path / "old", state, with_text(tie_word_embeddings=True))
        convert_checkpoint(old, tmp_path / "new", base=tiny)
        written = load_file(tmp_path / "new/model.safetensors")
        assert torch.equal(written["text_lm_head.weight"], state["embed_tokens.weight"])

    def test_other_sizes_without_a_base_say_what_is_missing(self, tiny, tmp_path):
        config = {**ORIGINAL_CONFIG, "audio_num_codebooks": 3, "audio_codebook_size": 20}
        config |= {"audio_stream_bos_id": 20, "audio_stream_eos_id": 21}
        old = write_original(tmp_path / "old", original_state(3, 20), config)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(tiny / name, old)
        report = convert_checkpoint(old, tmp_path / "new")
        assert load(tmp_path / "new").config.codebook_size == 22
        assert "audio_tokenizer/" in report.message
        assert len(report.missing) == 1
        assert "bosonai/higgs-audio-v2-tokenizer" in report.missing[0]
        # Everything but the codec is there: with it put in place, the folder is whole.
        shutil.copytree(tiny / "audio_tokenizer", tmp_path / "new" / "audio_tokenizer")
        assert AutoProcessor.from_pretrained(tmp_path / "new").chat_template
        refused("has 8 codebooks of 1024 codes, the model needs 3 of 20", old, tmp_path / "again", base=tiny)

    def test_codec_may_lie_elsewhere(self, tiny, tmp_path):
        shutil.copytree(tiny / "audio_tokenizer", tmp_path / "codec")
        base = tmp_path / "base"
        shutil.copytree(tiny, base, ignore=shutil.ignore_patterns("audio_tokenizer"))
        old = write_original(tmp_path / "old")
        assert convert_checkpoint(old, tmp_path / "mute", base=base).missing
        assert not convert_checkpoint(old, tmp_path / "new", base=base, codec=tmp_path / "codec").missing
        assert (tmp_path / "new/audio_tokenizer/model.safetensors").is_file()
        refused("no native Higgs Audio v2 codec", old, tmp_path / "again", base=base, codec=base)

    def test_a_tower_that_the_config_skips_is_left_out(self, tiny, tmp_path):
        state = {**original_state(), "audio_tower.conv1.weight": torch.ones(2, 2)}
        report = convert_checkpoint(write_original(tmp_path / "old", state), tmp_path / "new", base=tiny)
        assert list(report.dropped) == ["audio_tower.conv1.weight"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"audio_dual_ffn_layers": [1]}, "missing in 1 of 2 layers"),
            ({"audio_adapter_type": "dual_ffn", "audio_dual_ffn_layers": [0]}, "missing in 1 of 2 layers"),
            ({"audio_adapter_type": "stack"}, "'stack'"),
            ({"use_audio_out_self_attention": True}, "use_audio_out_self_attention"),
            ({"use_rq_transformer": True}, "RQ transformer"),
            ({"use_audio_out_embed_projector": True}, "use_audio_out_embed_projector"),
            ({"use_delay_pattern": False}, "delay pattern"),
            ({"audio_embed_avg": True}, "averages"),
            ({"audio_decoder_proj_num_layers": 2}, "layers of its own"),
            ({"model_type": "higgs_audio_v2"}, "is already in the native format"),
            ({"model_type": "llama"}, "no Higgs Audio v2"),
            ({"audio_out_token_idx": 250}, "numbers <|AUDIO_OUT|> 266, the model's config 250"),
        ],
    )
    def test_a_config_that_the_native_model_cannot_follow_is_refused(self, changes, message, tiny, tmp_path):
        old = write_original(tmp_path / "old", config={**ORIGINAL_CONFIG, **changes})
        refused(message.replace("|", r"\|"), old, tmp_path / "new", base=tiny)

    @pytest.mark.parametrize(
        "changes",
        [
            {"skip_audio_tower": False},
            {"encode_whisper_embed": True},
            {"skip_audio_tower": False, "encode_whisper_embed": True},
        ],
    )
    def test_a_model_that_uses_its_audio_tower_is_refused(self, changes, tiny, tmp_path):
        state = {**original_state(), "audio_tower.conv1.weight": torch.ones(2, 2)}
        old = write_original(tmp_path / "old", state, {**ORIGINAL_CONFIG, **changes})
        refused("audio tower", old, tmp_path / "new", base=tiny)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda s: s.pop("layers.1.audio_mlp.up_proj.weight"), "lacks model.layers.1.audio_mlp.up_proj.weight"),
            (lambda s: s.update({"layers.0.audio_attn.q_proj.weight": torch.ones(2, 2)}), "layers.0.audio_attn.q_proj"),
            (lambda s: s.update({"norm.weight": torch.ones(5)}), r"\(5,\), the config asks for \(32,\)"),
            (lambda s: s["layers.0.mlp.up_proj.weight"].fill_(float("nan")), "layers.0.mlp.up_proj.weight holds NaN"),
            (lambda s: s.update({"norm.weight": torch.ones(HIDDEN).to(torch.int8)}), "quantised"),
            (lambda s: s.update({"layers.0.mlp.up_proj.lora_A.weight": torch.ones(2, 2)}), "not merged"),
            (lambda s: s.update({"model.norm.weight": torch.ones(HIDDEN)}), "do not fit together"),
        ],
    )
    def test_tensors_that_do_not_make_the_model_are_refused(self, change, message, tiny, tmp_path):
        state = original_state()
        change(state)
        refused(message, write_original(tmp_path / "old", state), tmp_path / "new", base=tiny)

    def test_folders_and_files_that_cannot_be_converted_are_refused(self, tiny, tmp_path):
        old = write_original(tmp_path / "old")
        refused("does not exist", tmp_path / "nowhere", tmp_path / "new", base=tiny)
        refused("is not a folder", old, tmp_path / "new", base=tmp_path / "nowhere")
        refused("no native checkpoint", old / "model.safetensors", tmp_path / "new", base=old)
        refused("has no tokenizer", old, tmp_path / "new")
        refused("is already in the native format", tiny, tmp_path / "new", base=tiny)
        refused("by its tensors' names", tiny / "model.safetensors", tmp_path / "new", base=tiny)
        (tmp_path / "full").mkdir()
        (tmp_path / "full/mine.txt").write_text("keep me")
        with pytest.raises(StudioError, match="already exists"):
            convert_checkpoint(old, tmp_path / "full", base=tiny)
        assert (tmp_path / "full/mine.txt").read_text() == "keep me"
        (old / "model.safetensors").write_bytes((old / "model.safetensors").read_bytes()[:5000])
        refused("damaged or incomplete", old, tmp_path / "new", base=tiny)
        (old / "model.safetensors").unlink()
        refused("has no weights", old, tmp_path / "new", base=tiny)

    def test_a_pickle_with_code_is_refused_and_not_run(self, tiny, tmp_path):
        mark = tmp_path / "executed"

        class Malicious:
            def __reduce__(self):
                return Path.touch, (mark,)

        torch.save({"norm.weight": Malicious()}, tmp_path / "a.pt")
        (tmp_path / "b.bin").write_bytes(pickle.dumps(Malicious()))
        for name in ("a.pt", "b.bin"):
            refused("not a plain state dict", tmp_path / name, tmp_path / "new", base=tiny)
        assert not mark.exists()
        torch.load(tmp_path / "a.pt", weights_only=False)
        assert mark.exists(), "the trap of this test does not work"

    def test_a_pickle_of_something_else_is_refused(self, tiny, tmp_path):
        torch.save({"state_dict": original_state(), "epoch": 3}, tmp_path / "a.pt")
        refused("save model.state_dict", tmp_path / "a.pt", tmp_path / "new", base=tiny)

    @pytest.mark.parametrize("content", ["{}", '{"added_tokens": [], "model": {"type": "unheard of"}}'])
    def test_a_tokenizer_that_does_not_load_is_not_taken_for_a_full_disk(self, content, tiny, tmp_path):
        old = write_original(tmp_path / "old")
        whole = json.loads((tiny / "tokenizer.json").read_text())
        (old / "tokenizer.json").write_text(json.dumps(json.loads(content) | {"added_tokens": whole["added_tokens"]}))
        shutil.copy(tiny / "tokenizer_config.json", old)
        refused(r"The tokenizer in .*old cannot be loaded", old, tmp_path / "new", base=tiny)

    @pytest.mark.parametrize("changes", [{"codebook_size": "many"}, {"target_bandwidths": []}, {"codebook_size": 0}])
    def test_a_codec_with_a_broken_config_is_said(self, changes, tiny, tmp_path):
        codec = shutil.copytree(tiny / "audio_tokenizer", tmp_path / "codec")
        config = json.loads((codec / "config.json").read_text())
        (codec / "config.json").write_text(json.dumps(config | changes))
        old = write_original(tmp_path / "old")
        refused("describes no valid codec|the model needs", old, tmp_path / "new", base=tiny, codec=codec)

    @pytest.mark.parametrize("fault", ["missing", "raises"])
    def test_a_result_that_loads_otherwise_is_refused(self, fault, tiny, tmp_path, monkeypatch):
        """No original is known that comes here, so transformers is made to find fault."""
        from transformers import HiggsAudioV2ForConditionalGeneration

        stock = HiggsAudioV2ForConditionalGeneration.from_pretrained

        def from_pretrained(*arguments, **options):
            if fault == "raises":
                raise ValueError("what transformers says")
            model, info = stock(*arguments, **options)
            return model, info | {"missing_keys": {"model.norm.weight"}}

        monkeypatch.setattr(HiggsAudioV2ForConditionalGeneration, "from_pretrained", from_pretrained)
        says = {"missing": "other values than were written, among them model.norm", "raises": "what transformers says"}
        refused(says[fault], write_original(tmp_path / "old"), tmp_path / "new", base=tiny)

    def test_full_disk_leaves_nothing_behind(self, tiny, tmp_path):
        write_original(tmp_path / "old")
        (tmp_path / "out").mkdir()
        with disk_that_holds(1_000_000):
            refused("free some space", tmp_path / "old", tmp_path / "out/new", base=tiny)
        assert list((tmp_path / "out").iterdir()) == []


def original_adapter(folder, prefix="base_model.model.", config=None, extra=None):
    """A LoRA as peft saves it on the original model. Returns the deltas by native name."""
    generator = torch.Generator().manual_seed(2)
    tensors, deltas = {}, {}
    for layer in range(LAYERS):
        for module in ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj", "audio_mlp.gate_proj"):
            rank = 6 if module == "self_attn.v_proj" else 4
            alpha = 24 if (module, layer) == ("mlp.down_proj", 1) else 8
            rows, columns = LAYER_SHAPES[module]
            down = torch.randn(rank, columns, generator=generator) * 0.3
            up = torch.randn(rows, rank, generator=generator) * 0.3
            tensors[f"{prefix}layers.{layer}.{module}.lora_A.weight"] = down
            tensors[f"{prefix}layers.{layer}.{module}.lora_B.weight"] = up
            deltas[f"model.layers.{layer}.{module}.weight"] = alpha / rank * up @ down
    old_config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "auto_mapping": True,
        "base_model_name_or_path": "/data/model_ckpt",
        "r": 4,
        "lora_alpha": 8,
        "lora_dropout": 0.1,
        "target_modules": ["q_proj", "v_proj", "mlp.down_proj", "audio_mlp.gate_proj"],
        "rank_pattern": {"v_proj": 6},
        "alpha_pattern": {"layers.1.mlp.down_proj": 24},
        "modules_to_save": None,
        "bias": "none",
        **(config or {}),
    }
    folder.mkdir()
    save_file(tensors | (extra or {}), folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(old_config))
    return deltas


class TestAdapter:
    @pytest.fixture(scope="class")
    def base(self, tiny, tmp_path_factory):
        folder = tmp_path_factory.mktemp("base")
        return convert_checkpoint(write_original(folder / "old"), folder / "native", base=tiny).folder

    @pytest.mark.parametrize("prefix", ["base_model.model.", "base_model.model.model."])
    def test_lora_computes_what_a_merge_by_hand_computes(self, prefix, base, tmp_path):
        from peft import PeftModel
        from peft.tuners.lora import LoraLayer

        deltas = original_adapter(tmp_path / "old", prefix)
        report = convert_checkpoint(tmp_path / "old", tmp_path / "new", base=base)
        assert (report.kind, report.tensors) == ("adapter", 16)
        model = PeftModel.from_pretrained(load(base), tmp_path / "new").eval()
        layers = {name: layer for name, layer in model.get_base_model().named_modules() if isinstance(layer, LoraLayer)}
        assert {f"{name}.weight" for name in layers} == set(deltas)
        for name, layer in layers.items():
            delta = layer.get_delta_weight("default")
            torch.testing.assert_close(delta, deltas[f"{name}.weight"])
            assert delta.abs().max() > 0.01
        merged = original_state()
        for name, delta in deltas.items():
            merged[NATIVE_TO_ORIGINAL[name]] += delta
        assert_same_logits(model, reference_model(merged), atol=5e-4)
        with model.disable_adapter():
            assert_same_logits(model, reference_model(original_state()))

    def test_adapter_config_names_native_modules(self, base, tmp_path):
        original_adapter(tmp_path / "old")
        convert_checkpoint(tmp_path / "old", tmp_path / "new", base=base)
        config = json.loads((tmp_path / "new/adapter_config.json").read_text())
        assert config["target_modules"] == ["audio_mlp.gate_proj", "mlp.down_proj", "q_proj", "v_proj"]
        assert config["base_model_name_or_path"] == str(base.resolve())
        assert (config["auto_mapping"], config["modules_to_save"]) == (None, None)

    def test_heads_and_embeddings_saved_with_the_adapter_compute_as_trained(self, base, tmp_path):
        from peft import PeftModel

        generator = torch.Generator().manual_seed(4)
        heads = CODEBOOKS * (CODES + 2)
        state = original_state()
        trained = {
            "audio_decoder_proj.audio_lm_head.weight": torch.randn(heads, HIDDEN, generator=generator),
            "audio_decoder_proj.text_lm_head.weight": torch.randn(VOCAB, HIDDEN, generator=generator),
            "audio_codebook_embeddings.weight": torch.randn(heads, HIDDEN, generator=generator),
        }
        extra = {f"base_model.model.{name}": tensor for name, tensor in trained.items()}
        copy = "base_model.model.layers.0.self_attn.q_proj.base_layer.weight"
        extra[copy] = state["layers.0.self_attn.q_proj.weight"]
        old_names = {"modules_to_save": ["audio_decoder_proj", "audio_codebook_embeddings"]}
        deltas = original_adapter(tmp_path / "old", config=old_names, extra=extra)
        report = convert_checkpoint(tmp_path / "old", tmp_path / "new", base=base)
        assert list(report.dropped) == [copy]
        config = json.loads((tmp_path / "new/adapter_config.json").read_text())
        assert config["modules_to_save"] == [
            "audio_lm_head",
            "model.embed_audio_tokens.embed_audio_tokens",
            "text_lm_head",
        ]
        model = PeftModel.from_pretrained(load(base), tmp_path / "new").eval()
        merged = original_state() | trained
        for name, delta in deltas.items():
            merged[NATIVE_TO_ORIGINAL[name]] += delta
        assert_same_logits(model, reference_model(merged), atol=5e-4)
        with model.disable_adapter():
            assert_same_logits(model, reference_model(state))

    def test_dora_computes_what_a_merge_by_hand_computes(self, base, tmp_path):
        from peft import PeftModel

        extra = {}
        for layer in range(LAYERS):
            for module in ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj", "audio_mlp.gate_proj"):
                key = f"base_model.model.layers.{layer}.{module}.lora_magnitude_vector"
                extra[key] = torch.full((LAYER_SHAPES[module][0],), 1.5)
        deltas = original_adapter(tmp_path / "old", config={"use_dora": True}, extra=extra)
        convert_checkpoint(tmp_path / "old", tmp_path / "new", base=base)
        merged = original_state()
        for name, delta in deltas.items():
            weight = merged[NATIVE_TO_ORIGINAL[name]] + delta
            merged[NATIVE_TO_ORIGINAL[name]] = 1.5 * weight / weight.norm(dim=1, keepdim=True)
        model = PeftModel.from_pretrained(load(base), tmp_path / "new").eval()
        assert_same_logits(model, reference_model(merged), atol=5e-4)

    def test_a_converted_adapter_loads_on_a_model_without_text_head(self, base, tmp_path):
        from peft import PeftModel
        from transformers import HiggsAudioV2ForConditionalGeneration

        extra = {"base_model.model.audio_decoder_proj.text_lm_head.weight": torch.randn(VOCAB, HIDDEN)}
        original_adapter(tmp_path / "old", extra=extra)
        convert_checkpoint(tmp_path / "old", tmp_path / "new", base=base)
        model = HiggsAudioV2ForConditionalGeneration.from_pretrained(base)
        assert PeftModel.from_pretrained(model, tmp_path / "new").peft_config

    @pytest.mark.parametrize(
        ("extra", "config", "message"),
        [
            (
                {"base_model.model.layers.0.audio_attn.q_proj.lora_A.weight": (4, HIDDEN)},
                {},
                "layers.0.audio_attn.q_proj",
            ),
            (
                {"base_model.model.layers.7.self_attn.q_proj.lora_A.weight": (4, HIDDEN)},
                {},
                "layers.7.self_attn.q_proj",
            ),
            ({"base_model.model.audio_tower.layers.0.self_attn.q_proj.lora_A.weight": (4, 8)}, {}, "audio_tower"),
            ({"base_model.model.audio_decoder_proj.norm.weight": (8,)}, {}, "audio_decoder_proj.norm.weight"),
            ({"base_model.model.layers.0.mlp.up_proj.lora_A.weight": (4, HIDDEN)}, {}, "lacks lora_B of"),
            ({"base_model.model.layers.0.self_attn.q_proj.lora_A.weight": (4, 7)}, {}, "the base needs"),
            ({"base_model.model.norm.weight": (7,)}, {}, "the base needs"),
            (
                {"base_model.model.layers.0.self_attn.q_proj.base_layer.weight": (HIDDEN, HIDDEN)},
                {},
                "other values than the base",
            ),
            ({}, {"peft_type": "IA3"}, "only LoRA"),
            ({}, {"init_lora_weights": "pissa"}, "changes the base's weights"),
        ],
    )
    def test_an_adapter_that_cannot_be_converted_is_refused(self, extra, config, message, base, tmp_path):
        extra = {name: torch.ones(shape) for name, shape in extra.items()}
        original_adapter(tmp_path / "old", config=config, extra=extra)
        refused(message, tmp_path / "old", tmp_path / "new", base=base)

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"use_dora": True}, "with other tensors than it holds, among them base_model"),
            ({"lora_dropout": "much"}, "peft cannot build the adapter in"),
        ],
    )
    def test_a_config_that_does_not_fit_the_tensors_is_refused(self, config, message, base, tmp_path):
        original_adapter(tmp_path / "old", config=config)
        refused(message, tmp_path / "old", tmp_path / "new", base=base)

    def test_an_adapter_without_its_base_or_its_weights_is_refused(self, base, tmp_path):
        original_adapter(tmp_path / "old")
        refused("name the native checkpoint it belongs to", tmp_path / "old", tmp_path / "new")
        (tmp_path / "old/adapter_model.safetensors").unlink()
        refused("has no weights", tmp_path / "old", tmp_path / "new", base=base)

    def test_targets_are_shortened_only_where_that_is_exact(self):
        every = [f"model.layers.{n}.{m}" for n in (0, 1) for m in ("attn.q", "mlp.up", "audio_mlp.up")]
        assert short_targets(every, every) == ["q", "up"]
        assert short_targets([name for name in every if ".audio_mlp." in name], every) == ["audio_mlp.up"]
        assert short_targets([every[0]], every) == [every[0]]


def test_native_key_follows_the_hand_written_list():
    for native, old in NATIVE_TO_ORIGINAL.items():
        assert native_key(old) == native
        assert native_key(f"module.model.{old}") == native
    assert native_key("layers.0.self_attn.rotary_emb.inv_freq") is None
