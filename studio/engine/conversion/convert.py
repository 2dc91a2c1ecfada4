"""Checkpoints and adapters of the original ``boson_multimodal`` code, turned into the transformers-native format.

The original package needs a transformers that can never share an environment with ours; its weights can. Conversion
renames and joins tensors and translates the config; no number changes, which is checked on what was written.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from studio.engine.checkpoints import NATIVE_TYPE, ORIGINAL_TYPE
from studio.engine.conversion import config as configs
from studio.engine.conversion.keys import named, plan_keys
from studio.engine.conversion.tensors import (
    PICKLES,
    TensorSource,
    check_written,
    common_dtype,
    read_json,
    write_json,
    write_tensors,
)
from studio.engine.devices import is_out_of_memory
from studio.errors import StudioError
from studio.files import is_write_error, write_advice

if TYPE_CHECKING:
    from studio.engine.conversion.adapter import NativeAdapter

LOADED_WHOLE = 1 << 30
"""Checkpoints up to this many bytes are loaded once after writing; larger ones are compared tensor by tensor only."""

_EMBEDDINGS, _TEXT_HEAD = "model.embed_tokens.weight", "text_lm_head.weight"


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion did.

    Attributes:
        tensors: how many were written.
        dtype: of most of their numbers, e.g. ``bfloat16``.
        dropped: tensors of the original that were left out, each with the reason.
        checks: what was verified on the written folder, in words.
        missing: what the folder still lacks before it can speak, each with where to put it.
    """

    kind: Literal["model", "adapter"]
    folder: Path
    tensors: int
    dtype: str
    dropped: dict[str, str]
    checks: tuple[str, ...]
    missing: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "folder": str(self.folder)}

    @property
    def message(self) -> str:
        text = f"Converted {self.tensors} tensors ({self.dtype}) to the native {self.kind} {self.folder}."
        if self.dropped:
            text += f" Left out: {named(f'{name} ({reason})' for name, reason in self.dropped.items())}."
        if self.missing:
            text += f" Before it can speak it still needs {', '.join(self.missing)}."
        return text


def convert_checkpoint(
    old: Path, new: Path, *, base: Path | None = None, codec: Path | None = None
) -> ConversionReport:
    """Write the native counterpart of the original-format ``old`` to the new folder ``new``.

    Args:
        old: a model folder (``config.json`` and weights), a file with a bare state dict, or a LoRA folder of peft.
        new: the folder to write; it must not exist or be empty. It appears whole or not at all.
        base: a native checkpoint folder. Needed for a LoRA (the model it sits on) and for a state dict without a
            config (the model of the same sizes). For a model it brings codec, processor config and chat template,
            and the tokenizer if ``old`` has none.
        codec: folder of the native codec, if not the one of ``base``.

    Raises:
        StudioError: ``old`` cannot be converted or ``new`` cannot be written; nothing is left behind.
    """
    old, new = Path(old), Path(new)
    base, codec = Path(base) if base is not None else None, Path(codec) if codec is not None else None
    if not old.exists():
        raise StudioError(f"{old} does not exist: check the path of the checkpoint to convert.")
    if new.exists() and (not new.is_dir() or any(new.iterdir())):
        raise StudioError(f"{new} already exists: choose a new folder for the converted checkpoint.")
    for folder, what in ((base, "base"), (codec, "codec")):
        if folder is not None and not folder.is_dir():
            raise StudioError(f"The {what} {folder} is not a folder: give a native checkpoint's local folder.")
    if base is not None:
        configs.read_native_config(base)
    if (old / "adapter_config.json").is_file():
        return _convert_adapter(old, new, base)
    return _convert_model(old, new, base, codec)


def _convert_model(old: Path, new: Path, base: Path | None, codec: Path | None) -> ConversionReport:
    if old.is_file() and old.suffix not in (".safetensors", *PICKLES):
        raise StudioError(f"{old} is no weight file: give a .safetensors or .pt file, or a model folder.")
    original = read_json(old / "config.json") if (old / "config.json").is_file() else None
    if original is not None and original.get("model_type") == NATIVE_TYPE:
        raise StudioError(f"{old} is already in the native format: use it as it is.")
    if original is not None and original.get("model_type") != ORIGINAL_TYPE:
        raise StudioError(
            f"{old} is no Higgs Audio v2 checkpoint (model_type {original.get('model_type')!r}): give the folder of "
            "one."
        )
    if original is None and base is None:
        raise StudioError(
            f"{old} has no config.json, so its sizes are unknown: name a native checkpoint of the same sizes as the "
            "base."
        )
    tokenizer = configs.tokenizer_folder(old, base)
    source = TensorSource(old)
    _refuse_other_formats(old, source)
    skipped = configs.check_supported(_as_original(original), source.keys)
    plan, dropped = plan_keys(key for key in source.keys if key not in skipped)
    dropped = {**skipped, **dropped}
    if original is not None:
        dtype = common_dtype(source.whole_meta(keys) for keys in plan.values())
        config = configs.build_config(configs.native_config(original, tokenizer, dtype))
        tied = bool(original.get("text_config", {}).get("tie_word_embeddings"))
        if tied and _TEXT_HEAD not in plan and _EMBEDDINGS in plan:
            # Saving leaves out one of two tensors that share their memory.
            plan[_TEXT_HEAD] = plan[_EMBEDDINGS]
    else:
        assert base is not None
        config = configs.read_native_config(base)
        dtype = config.dtype = common_dtype(source.whole_meta(keys) for keys in plan.values())
    plan = _checked_against_model(plan, source, config, old)

    with _whole_or_nothing(new) as folder:
        write_tensors(folder, plan, source)
        missing = configs.write_companions(folder, config, tokenizer, base, codec)
        check_written(folder, plan, source)
        checks = ["every tensor read back equal to its source, bit for bit, none missing and none more"]
        checks += _load_again(folder, plan, source, old, tokenizer)
    return ConversionReport("model", new, len(plan), str(dtype).removeprefix("torch."), dropped, tuple(checks), missing)


def _convert_adapter(old: Path, new: Path, base: Path | None) -> ConversionReport:
    from studio.engine.conversion.adapter import NativeAdapter

    if base is None:
        raise StudioError(f"{old} is a LoRA adapter: name the native checkpoint it belongs to as the base.")
    native = _meta_model(configs.read_native_config(base))
    adapter = NativeAdapter(old, native, base.resolve())
    with _whole_or_nothing(new) as folder:
        write_tensors(folder, adapter.plan, adapter.source, "adapter_model")
        write_json(folder / "adapter_config.json", adapter.config)
        check_written(folder, adapter.plan, adapter.source, "adapter_model")
        _fit_adapter(folder, native, adapter, old)
    checks = (
        "every tensor read back equal to its source, bit for bit, none missing and none more",
        "peft builds exactly these tensors on the base's model from the written adapter_config.json",
    )
    dtype = common_dtype(adapter.source.whole_meta(keys) for keys in adapter.plan.values())
    return ConversionReport("adapter", new, len(adapter.plan), dtype, adapter.dropped, checks)


def _as_original(config: dict[str, Any] | None) -> dict[str, Any]:
    """The config; for a bare state dict one that promises nothing but an ordinary model, so that only keys count."""
    if config is not None:
        return config
    return {
        "audio_adapter_type": "dual_ffn",
        "audio_dual_ffn_layers": [0],
        "text_config": {"num_hidden_layers": 1},
        "use_delay_pattern": True,
    }


def _refuse_other_formats(old: Path, source: TensorSource) -> None:
    if any("embed_audio_tokens." in key for key in source.keys):
        raise StudioError(f"{old} is already in the native format (by its tensors' names): use it as it is.")
    if any(".lora_A." in key for key in source.keys):
        raise StudioError(
            f"{old} holds a LoRA that is not merged into its model: convert the adapter's own folder "
            "(adapter_config.json), or merge it first."
        )


def _meta_model(config: Any) -> Any:
    """The native model with its text head, with shapes but without memory."""
    import torch
    from transformers import HiggsAudioV2ForConditionalGeneration

    with torch.device("meta"):
        return HiggsAudioV2ForConditionalGeneration(config, use_text_head=True)


def _checked_against_model(
    plan: dict[str, list[str]], source: TensorSource, config: Any, old: Path
) -> dict[str, list[str]]:
    """``plan`` in the native model's order, once names and shapes are what the model of ``config`` has."""
    wanted = _meta_model(config).state_dict()
    if missing := [name for name in wanted if name not in plan]:
        raise StudioError(f"{old} lacks {named(missing)}: the checkpoint is incomplete, so download or save it again.")
    if unexpected := [key for name, keys in plan.items() if name not in wanted for key in keys]:
        raise StudioError(
            f"{old} has tensors that no native model has, {named(unexpected)}: it is another architecture than its "
            "config says, or one the native format cannot hold."
        )
    for name, meta in wanted.items():
        if (shape := source.whole_meta(plan[name]).shape) != meta.shape:
            raise StudioError(
                f"{named(plan[name])} is {tuple(shape)}, the config asks for {tuple(meta.shape)}: give the config (or "
                "the base) that belongs to these weights."
            )
    return {name: plan[name] for name in wanted}


def _load_again(
    folder: Path, plan: dict[str, list[str]], source: TensorSource, old: Path, tokenizer: Path
) -> list[str]:
    """Load what was written as any user would, if it is small enough to be held twice."""
    import torch
    from transformers import AutoTokenizer, HiggsAudioV2ForConditionalGeneration

    try:
        AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # a plain Exception is what the tokenizers library raises
        raise StudioError(
            f"The tokenizer in {tokenizer} cannot be loaded ({type(error).__name__}): download its files again, or take "
            "those the model was trained with."
        ) from error
    if sum(file.stat().st_size for file in folder.glob("*.safetensors")) > LOADED_WHOLE:
        return []
    try:
        loading: Any = HiggsAudioV2ForConditionalGeneration.from_pretrained(
            folder, use_text_head=True, dtype="auto", output_loading_info=True, local_files_only=True
        )
    except Exception as error:
        if is_out_of_memory(error):
            raise StudioError(
                "There is not enough memory to load the converted model: close other programs."
            ) from error
        raise StudioError(
            f"What was made of {old} does not load ({type(error).__name__}: {error}): its config.json and its weights "
            "do not belong together."
        ) from error
    model, info = loading
    loaded: dict[str, torch.Tensor] = model.state_dict()
    # A tensor of another dtype than most is cast when loaded; the file has it as it was.
    unequal = [
        name for name, keys in plan.items() if not torch.equal(loaded[name], source.tensor(keys).to(loaded[name].dtype))
    ]
    if unequal or info["missing_keys"] or info["unexpected_keys"]:
        wrong = {*unequal, *info["missing_keys"], *info["unexpected_keys"]}
        raise StudioError(
            f"What was made of {old} loads with other values than were written, among them {named(sorted(wrong))}: it "
            "cannot be trusted and was not kept; please report it."
        )
    return ["the written folder loads with transformers, its text head included"]


def _fit_adapter(folder: Path, native: Any, adapter: NativeAdapter, old: Path) -> None:
    """Let peft build the adapter on the base's model, and compare what it builds with what was written."""
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

    try:
        config = LoraConfig.from_pretrained(str(folder))
        config.base_model_name_or_path = None  # the model it is tried on has no place
        state = get_peft_model_state_dict(get_peft_model(native, config), save_embedding_layers=False)
    except Exception as error:
        raise StudioError(
            f"peft cannot build the adapter in {old} on this base ({type(error).__name__}: {error}): check its "
            "adapter_config.json, or merge it into its model and convert that."
        ) from error
    built = {name: tensor.shape for name, tensor in state.items()}
    written = {name: adapter.source.whole_meta(keys).shape for name, keys in adapter.plan.items()}
    if built != written:
        wrong = sorted(name for name in {*built, *written} if built.get(name) != written.get(name))
        raise StudioError(
            f"peft builds the adapter in {old} with other tensors than it holds, among them {named(wrong)}: check its "
            "adapter_config.json, or merge it into its model and convert that."
        )


@contextmanager
def _whole_or_nothing(new: Path) -> Iterator[Path]:
    """A folder beside ``new`` to write into; it becomes ``new`` if all goes well, and is gone if not."""
    building: Path | None = None
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{new.name}-", dir=new.parent))
        yield building
        building.chmod(0o755)
        if new.exists():
            new.rmdir()
        building.replace(new)
    except StudioError:
        raise
    except Exception as error:
        if not is_write_error(error):
            raise
        raise StudioError(f"Writing {new} failed {write_advice(error)}") from error
    finally:
        if building is not None:
            shutil.rmtree(building, ignore_errors=True)
