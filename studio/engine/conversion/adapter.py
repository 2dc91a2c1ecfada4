"""A LoRA trained with peft on the original model, turned into one that loads on the native model.

The adapter's own files say least reliably what it changes (suffix lists, patterns, wrappers of trainers); its tensors
say it exactly. So the native ``target_modules``, ranks and ``modules_to_save`` are derived from the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from studio.engine.conversion.keys import AUDIO_TOWER, bare_key, drop_reason, named, native_module, plan_keys
from studio.engine.conversion.tensors import TensorSource, read_json
from studio.errors import StudioError

PREFIX = "base_model.model."
_LORA = re.compile(
    r"^(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)"
    r"(?:\.default)?(?P<tail>\.weight|\.bias)?$"
)
_SAVED = re.compile(r"\.modules_to_save(?:\.default)?(?=\.)")
_COPY_OF_BASE = re.compile(r"\.(original_module|base_layer)(?=\.)")
_PLAIN_STARTS = ("gaussian", "eva", "orthogonal")
"""Values of ``init_lora_weights`` that leave the base as it is; pissa, olora, corda and loftq do not."""


class NativeAdapter:
    """What the tensors of an original adapter are in the native model.

    Attributes:
        plan: native tensor names, each with the original ones that make it up.
        dropped: original tensors without a place, with the reason.
        config: the native ``adapter_config.json``.

    Args:
        folder: peft's, with ``adapter_config.json`` and ``adapter_model.safetensors``.
        native: the native model on the meta device, with the base's sizes.
        base: the native checkpoint the adapter will sit on.

    Raises:
        StudioError: not a LoRA, or it changes what the native model does not have or has in other sizes.
    """

    def __init__(self, folder: Path, native: Any, base: Path) -> None:
        old = read_json(folder / "adapter_config.json")
        if old.get("peft_type") != "LORA":
            raise StudioError(
                f"{folder} holds a {old.get('peft_type')} adapter, and only LoRA can be converted: merge it into its "
                "model with the code that made it, and convert the merged model."
            )
        start = old.get("init_lora_weights", True)
        if isinstance(start, str) and start not in _PLAIN_STARTS:
            raise StudioError(
                f"The adapter in {folder} began with {start}, which changes the base's weights as well: merge it into "
                "its model with the code that made it, and convert the merged model."
            )
        self.source = TensorSource(folder, "adapter_model")
        self._modules = dict(native.named_modules())
        self._native_metas = native.state_dict()
        self.plan: dict[str, list[str]] = {}
        self.dropped: dict[str, str] = {}
        self._base = base
        # native module → part of its LoRA → original key; and its original path, by which old patterns name it
        self._lora: dict[str, dict[str, str]] = {}
        self._original: dict[str, str] = {}
        self._sort_keys(folder)
        self._check_lora(folder)
        self.config = self._native_config(old, base)

    def _sort_keys(self, folder: Path) -> None:
        whole: dict[str, str] = {}
        for key in self.source.keys:
            name = key.rsplit(PREFIX, 1)[-1]
            if match := _LORA.match(name):
                module = native_module(match["module"])
                self._original[module] = bare_key(match["module"])
                self._lora.setdefault(module, {})[match["part"]] = key
                self.plan[f"{PREFIX}{module}.{match['part']}{match['tail'] or ''}"] = [key]
            elif _COPY_OF_BASE.search(name):
                self._drop_copy(native_module(_COPY_OF_BASE.sub("", name)), [key])
            elif reason := drop_reason(name):
                self.dropped[key] = reason
            else:
                whole[_SAVED.sub("", name)] = key
        missing = sorted(self._original[module] for module in self._lora if module not in self._modules)
        missing += [name for name in whole if bare_key(name).startswith(AUDIO_TOWER)]
        if missing:
            raise StudioError(
                f"The adapter in {folder} changes {named(missing)}, which the native model does not have: train it "
                "again without."
            )
        saved, _ = plan_keys(whole)
        for native, names in saved.items():
            module = native.rpartition(".")[0]
            if native not in self._native_metas:
                raise StudioError(
                    f"The adapter in {folder} replaces {named(names)}, which the native model does not have: train it "
                    "again without."
                )
            keys = [whole[name] for name in names]
            self._check_shape(native, self.source.whole_meta(keys).shape, self._native_metas[native].shape)
            if module in self._lora:
                self._drop_copy(native, keys)
            else:
                self.plan[PREFIX + native] = keys
        self.saved_modules = sorted(
            {name.removeprefix(PREFIX).rpartition(".")[0] for name in self.plan if not _LORA.match(name)}
        )
        if not self._lora:
            raise StudioError(f"{folder} holds no LoRA tensors: choose the folder peft saved the adapter to.")

    def _drop_copy(self, native: str, keys: list[str]) -> None:
        """Leave out a weight of the base that the adapter repeats, after a look that it is really the same."""
        import torch

        base = TensorSource(self._base)
        kept = self.source.tensor(keys)
        if native not in base.keys or not torch.equal(kept, base.tensor([native]).to(kept.dtype)):
            raise StudioError(
                f"The adapter carries {native} with other values than the base in {self._base}: give the base the "
                "adapter was trained on."
            )
        self.dropped.update(dict.fromkeys(keys, "a copy of the base's weight, which the base itself brings"))

    def _check_lora(self, folder: Path) -> None:
        self._ranks: dict[str, int] = {}
        for module, parts in self._lora.items():
            layer = self._modules[module]
            embedding = "lora_embedding_A" in parts or "lora_embedding_B" in parts
            names = ("lora_embedding_A", "lora_embedding_B") if embedding else ("lora_A", "lora_B")
            if absent := [name for name in names if name not in parts]:
                raise StudioError(f"The adapter in {folder} lacks {absent[0]} of {module}: save or download it again.")
            down, up = (self.source.meta(parts[name]).shape for name in names)
            self._ranks[module] = rank = down[0]
            ends = (layer.num_embeddings, layer.embedding_dim) if embedding else (layer.in_features, layer.out_features)
            self._check_shape(f"{module}.{names[0]}", down, (rank, ends[0]))
            self._check_shape(f"{module}.{names[1]}", up, (ends[1], rank))

    @staticmethod
    def _check_shape(name: str, found: Iterable[int], expected: Iterable[int]) -> None:
        if tuple(found) != tuple(expected):
            raise StudioError(
                f"{name} of the adapter is {tuple(found)}, the base needs {tuple(expected)}: give the base the adapter "
                "was trained on."
            )

    def _native_config(self, old: dict[str, Any], base: Path) -> dict[str, Any]:
        rank = int(old.get("r", 8))
        alpha = old.get("lora_alpha", 8)
        alphas = {
            module: _pattern_value(old.get("alpha_pattern") or {}, self._original[module], alpha)
            for module in self._lora
        }
        return {
            **old,
            "base_model_name_or_path": str(base),
            "target_modules": short_targets(
                self._lora, [name for name, module in self._modules.items() if _is_target(module)]
            ),
            "modules_to_save": self.saved_modules or None,
            "rank_pattern": {module: value for module, value in sorted(self._ranks.items()) if value != rank},
            "alpha_pattern": {module: value for module, value in sorted(alphas.items()) if value != alpha},
            # The target list is exact, so nothing remains to be narrowed down by these.
            **dict.fromkeys(("exclude_modules", "layers_to_transform", "layers_pattern", "revision")),
            # Names the original model's class and package, which need not be installed here.
            "auto_mapping": None,
            "task_type": "CAUSAL_LM",
            "inference_mode": True,
        }


def _is_target(module: Any) -> bool:
    import torch

    return isinstance(module, torch.nn.Linear | torch.nn.Embedding)


def _pattern_value(pattern: dict[str, Any], module: str, default: Any) -> Any:
    """The value peft takes from a ``rank_pattern`` or ``alpha_pattern`` for ``module``: the first that fits its end."""
    return next((value for key, value in pattern.items() if re.match(rf"(.*\.)?({key})$", module)), default)


def short_targets(wanted: Iterable[str], every: Iterable[str]) -> list[str]:
    """The shortest names that peft resolves, by their ends, to exactly the ``wanted`` of ``every`` module.

    ``q_proj`` if all of that name are wanted, ``audio_mlp.up_proj`` if only those are, else the full path.
    """
    wanted, every = set(wanted), list(every)
    targets: set[str] = set()
    for module in wanted:
        parts = module.split(".")
        ends = [".".join(parts[-length:]) for length in (1, 2)]
        matches = {end: {name for name in every if name == end or name.endswith("." + end)} for end in ends}
        targets.add(next((end for end in ends if matches[end] <= wanted), module))
    return sorted(targets)
