"""From the original ``config.json`` to the native one; and what of the original no native model can express."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from studio.engine.checkpoints import CHAT_TEMPLATE, CODEC_TYPE, HUB_CODEC, NATIVE_TYPE, processor_settings
from studio.engine.compat import CODEC_FOLDER
from studio.engine.conversion.keys import AUDIO_TOWER, bare_key
from studio.engine.conversion.tensors import read_json, write_json
from studio.engine.prompt import AUDIO, AUDIO_BOS, AUDIO_DELAY, BEGIN_OF_TEXT, END_OF_TURN
from studio.errors import StudioError

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "tokenizer.model",
)  # fmt: skip
_TOKENIZER_NEEDS = ("tokenizer.json", "tokenizer_config.json")
_PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json", "chat_template.jinja", "chat_template.json")

_HUB_CODEC_RATE = 24_000
"""Hz, of the released codec; any other tells its own."""

RAS_WINDOW, RAS_REPEATS = 7, 2
"""Repetition-aware sampling as the original's examples use it: at most 2 equal codes in a window of 7 frames."""

_LLAMA_DEFAULTS: dict[str, Any] = {
    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "hidden_act": "silu", "max_position_embeddings": 2048, "initializer_range": 0.02,
    "rms_norm_eps": 1e-6, "use_cache": True, "pretraining_tp": 1, "attention_bias": False, "attention_dropout": 0.0,
    "mlp_bias": False, "bos_token_id": 1, "eos_token_id": 2, "rope_theta": 10000.0, "rope_scaling": None,
}  # fmt: skip
"""What the original code assumes for values that a config leaves out: transformers 4.46's ``LlamaConfig``."""

_ORIGINAL_DEFAULTS: dict[str, Any] = {
    "audio_adapter_type": "stack", "audio_embed_avg": False, "audio_decoder_proj_num_layers": 0,
    "encode_whisper_embed": True, "use_delay_pattern": False, "skip_audio_tower": False,
    "use_audio_out_embed_projector": False, "use_audio_out_self_attention": False, "use_rq_transformer": False,
    "audio_num_codebooks": 12, "audio_codebook_size": 1024, "audio_stream_bos_id": 1024, "audio_stream_eos_id": 1025,
    "audio_out_token_idx": 128016, "audio_out_bos_token_id": 128013, "pad_token_id": 128001,
}  # fmt: skip
"""Likewise of the original's own ``HiggsAudioConfig``."""


def check_supported(config: dict[str, Any], keys: Iterable[str]) -> dict[str, str]:
    """Raise StudioError for what has no native counterpart. Returns the tower's tensors that the config skips."""
    tower = [key for key in keys if bare_key(key).startswith(AUDIO_TOWER)]
    old = {**_ORIGINAL_DEFAULTS, **config}
    layers = int({**_LLAMA_DEFAULTS, **old.get("text_config", {})}["num_hidden_layers"])
    dual = {layer for layer in old.get("audio_dual_ffn_layers") or () if isinstance(layer, int)}
    adapter, partial = old["audio_adapter_type"], sorted(set(range(layers)) - dual)
    listens = bool(tower) and (old["encode_whisper_embed"] or not old["skip_audio_tower"])
    refusals = {
        f"its audio_adapter_type is {adapter!r}, where the native model has an audio FFN in every layer": adapter
        not in ("dual_ffn", "dual_ffn_fast_forward"),
        f"its audio FFN (audio_dual_ffn_layers) is missing in {len(partial)} of {layers} layers, where the native "
        "model has one in every layer": partial != [],
        "it has an audio tower (Whisper encoder) in use, which the native model lacks": listens,
        "it has an attention of its own for audio (use_audio_out_self_attention)": old["use_audio_out_self_attention"],
        "it uses an RQ transformer (use_rq_transformer)": old["use_rq_transformer"],
        "it projects audio embeddings (use_audio_out_embed_projector)": old["use_audio_out_embed_projector"],
        "it was trained without the delay pattern (use_delay_pattern is off)": not old["use_delay_pattern"],
        "it averages the codebooks' embeddings (audio_embed_avg), where the native model adds them": old[
            "audio_embed_avg"
        ],
        "its audio decoder has layers of its own (audio_decoder_proj_num_layers)": old["audio_decoder_proj_num_layers"],
        "its text model is no Llama": old.get("text_config", {}).get("model_type", "llama") != "llama",
    }
    for reason, refused in refusals.items():
        if refused:
            raise StudioError(
                f"This checkpoint cannot become a native one because {reason}: run it with the original code "
                "(requirements-boson.txt)."
            )
    return dict.fromkeys(tower, "the audio tower, which the config says to skip")


def native_config(original: dict[str, Any], tokenizer: Path, dtype: str) -> dict[str, Any]:
    """The keyword arguments of ``HiggsAudioV2Config`` for an original ``config.json``.

    Args:
        tokenizer: folder with the tokenizer the model was trained with; it knows the ids the config leaves out.
        dtype: of the weights, e.g. ``bfloat16``.

    Raises:
        StudioError: config and tokenizer disagree about a token, or a token is missing.
    """
    old = {**_ORIGINAL_DEFAULTS, **original}
    text = {**_LLAMA_DEFAULTS, **{k: v for k, v in old.get("text_config", {}).items() if v is not None}}
    ids = _token_ids(tokenizer)
    for token, field in {AUDIO: "audio_out_token_idx", AUDIO_BOS: "audio_out_bos_token_id"}.items():
        if ids.get(token, old[field]) != old[field]:
            raise StudioError(
                f"The tokenizer in {tokenizer} numbers {token} {ids[token]}, the model's config {old[field]}: use the "
                "tokenizer the model was trained with."
            )
    if lacking := [token for token in (AUDIO_DELAY, END_OF_TURN) if token not in ids]:
        raise StudioError(
            f"The tokenizer in {tokenizer} lacks {lacking[0]}: use the tokenizer the model was trained with."
        )
    if (largest := max(ids[AUDIO_DELAY], ids[END_OF_TURN])) >= int(text["vocab_size"]):
        raise StudioError(
            f"The tokenizer in {tokenizer} has token id {largest}, the model only {text['vocab_size']} embeddings: use "
            "the tokenizer the model was trained with."
        )
    rope = text.get("rope_parameters") or dict(text["rope_scaling"] or {"rope_type": "default"})
    rope.setdefault("rope_type", rope.pop("type", "default"))
    rope.setdefault("rope_theta", text["rope_theta"])
    heads = text["num_attention_heads"]
    same = (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act",
        "max_position_embeddings", "initializer_range", "rms_norm_eps", "use_cache", "pretraining_tp",
        "attention_bias", "attention_dropout", "mlp_bias",
    )  # fmt: skip
    return {
        **{name: text[name] for name in same},
        "num_key_value_heads": text.get("num_key_value_heads", heads),
        "head_dim": text.get("head_dim", text["hidden_size"] // heads),
        "rope_parameters": rope,
        # The original never ties the text head to the embeddings, whatever its config says.
        "tie_word_embeddings": False,
        "bos_token_id": ids.get(BEGIN_OF_TEXT, text["bos_token_id"]),
        "eos_token_id": ids[END_OF_TURN],
        "pad_token_id": old["pad_token_id"],
        "num_codebooks": old["audio_num_codebooks"],
        # Two entries more for the beginning and the end of the stream.
        "codebook_size": old["audio_codebook_size"] + 2,
        "audio_token_id": old["audio_out_token_idx"],
        "audio_bos_token_id": old["audio_out_bos_token_id"],
        "audio_delay_token_id": ids[AUDIO_DELAY],
        "audio_stream_bos_id": old["audio_stream_bos_id"],
        "audio_stream_eos_id": old["audio_stream_eos_id"],
        "architectures": ["HiggsAudioV2ForConditionalGeneration"],
        "dtype": dtype,
    }


def build_config(arguments: dict[str, Any]) -> Any:
    """A ``HiggsAudioV2Config``; its own complaints become a sentence."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import HiggsAudioV2Config

    try:
        return HiggsAudioV2Config(**arguments)
    except (StrictDataclassError, ValueError, TypeError, KeyError) as error:
        raise StudioError(f"The config describes no valid model ({error}): check its config.json.") from error


def read_native_config(folder: Path) -> Any:
    """The ``HiggsAudioV2Config`` of a native checkpoint folder. Raises StudioError for another folder."""
    content = read_json(folder / "config.json")
    if content.get("model_type") != NATIVE_TYPE:
        raise StudioError(
            f"{folder} is no native checkpoint (model_type {content.get('model_type')!r}): give the folder of a "
            "transformers-native Higgs Audio v2 as the base."
        )
    return build_config(content)


def tokenizer_folder(old: Path, base: Path | None) -> Path:
    """Where the tokenizer's files are: beside the old weights, else in the base. Raises StudioError for neither."""
    for folder in (old if old.is_dir() else None, base):
        if folder is not None and all((folder / name).is_file() for name in _TOKENIZER_NEEDS):
            return folder
    raise StudioError(
        f"{old} has no tokenizer (tokenizer.json, tokenizer_config.json) and no base has one either: name a native "
        "Higgs Audio v2 folder as the base."
    )


def write_companions(
    folder: Path, config: Any, tokenizer: Path, base: Path | None, codec: Path | None
) -> tuple[str, ...]:
    """Write the config and everything beside the weights. Returns what is still missing, each with where to put it.

    Raises StudioError if the codec given does not fit the model.
    """
    from transformers import GenerationConfig

    config.save_pretrained(folder)
    GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        ras_win_len=RAS_WINDOW,
        ras_win_max_num_repeat=RAS_REPEATS,
    ).save_pretrained(folder)
    _copy(tokenizer, folder, TOKENIZER_FILES)
    if base is not None:
        _copy(base, folder, _PROCESSOR_FILES)
    own_codec = base / CODEC_FOLDER if base is not None else None
    codec = codec or (own_codec if own_codec is not None and own_codec.is_dir() else None)
    missing, rate = [], _HUB_CODEC_RATE
    if codec is None:
        missing.append(
            f"its codec: {HUB_CODEC} is fetched when it is first loaded, or put its files in {CODEC_FOLDER}/"
        )
    else:
        rate = _check_codec(codec, config)
        shutil.copytree(codec, folder / CODEC_FOLDER)
    if not any((folder / name).is_file() for name in ("chat_template.jinja", "chat_template.json")):
        (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    if not (folder / "processor_config.json").is_file():
        name = CODEC_FOLDER if codec is not None else HUB_CODEC
        write_json(folder / "processor_config.json", processor_settings(config, codec=name, sample_rate=rate))
    return tuple(missing)


def _check_codec(codec: Path, config: Any) -> int:
    """The codec's sampling rate in Hz; raises StudioError if it is not the codec of such a model."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import HiggsAudioV2TokenizerConfig

    content = read_json(codec / "config.json")
    if content.get("model_type") != CODEC_TYPE:
        raise StudioError(
            f"{codec} is no native Higgs Audio v2 codec (model_type {content.get('model_type')!r}): give the folder of "
            "the transformers-native one."
        )
    try:
        found = HiggsAudioV2TokenizerConfig(**content)
        has = (found.num_quantizers, found.codebook_size)
    except (StrictDataclassError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise StudioError(
            f"The config.json of the codec in {codec} describes no valid codec ({error}): download it again."
        ) from error
    needs = (config.num_codebooks, config.codebook_size - 2)
    if has != needs:
        raise StudioError(
            f"The codec in {codec} has {has[0]} codebooks of {has[1]} codes, the model needs {needs[0]} of {needs[1]}: "
            "give the codec the model was trained with."
        )
    return found.sample_rate


def _token_ids(tokenizer: Path) -> dict[str, int]:
    tokens = read_json(tokenizer / "tokenizer.json").get("added_tokens", [])
    return {token["content"]: token["id"] for token in tokens}


def _copy(source: Path, folder: Path, names: Iterable[str]) -> None:
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
