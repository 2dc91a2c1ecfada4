"""Adapters: reads a LoRA adapter, puts it onto the loaded model and takes it off again without a trace.

peft can load, switch and unload adapters itself, but it changes the model for that, and its ``unload()`` does not undo
all of it: modules that were trained as a whole (``modules_to_save``) stay as trained (measured with peft 0.20). So
nothing is injected into the model here. Each layer of peft is built around a linear layer of the model, which it leaves
alone, and to put an adapter on means that the parents of these layers point to the new ones instead. To take it off
means that they point to the old ones again: the very same objects, never written to.
"""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from studio.engine.checkpoints import shown_name
from studio.engine.devices import free_memory_bytes, return_memory
from studio.engine.model.adapter_files import (
    TEXT_HEAD,
    WEIGHTS_FILE,
    AdapterSettings,
    failures_translated,
    read_settings,
    signature,
)
from studio.errors import StudioError

if TYPE_CHECKING:
    import torch

KEPT_BYTES = 2**30
"""Adapters that were used stay loaded while together they take no more than this, so that comparing some is quick."""

_PREFIX = "base_model.model."
_NAME = "studio"
"""What peft calls the adapter within each of its layers."""

_PARTS = {
    "lora_A.weight": f"lora_A.{_NAME}.weight",
    "lora_B.weight": f"lora_B.{_NAME}.weight",
    "lora_B.bias": f"lora_B.{_NAME}.bias",
    "lora_magnitude_vector": f"lora_magnitude_vector.{_NAME}.weight",
}
"""Tensors of an adapted layer: how a file names them, and how peft's layer does."""

_DTYPES = {"F64", "F32", "F16", "BF16"}


@dataclass(frozen=True, eq=False)
class Adapter:
    """An adapter that was loaded. It holds no weights: whoever remembers it does not keep a model in memory.

    ``num_bytes`` is the memory that its weights take; ``strength``: the share of what was trained that is spoken with.
    """

    folder: Path
    num_bytes: int
    strength: float = 1.0


@dataclass(frozen=True)
class _Exchange:
    """One place in the model: ``parent.name`` is ``original`` without the adapter and ``replacement`` with it."""

    parent: torch.nn.Module
    name: str
    original: torch.nn.Module
    replacement: torch.nn.Module


class Adapters:
    """The adapters of one model. :meth:`load` and :meth:`put_on` may run in two threads at once, neither of them twice.

    Args:
        model: ``HiggsAudioV2ForConditionalGeneration`` in eval mode; its parameters are never written to.
    """

    def __init__(self, model: Any) -> None:
        # The model's own modules by name, taken while no adapter is on it.
        self._modules: dict[str, torch.nn.Module] = dict(model.named_modules())
        self._on: Adapter | None = None
        # As long as an adapter is kept below, is on the model, or is remembered by a stream, it can be put on again.
        self._exchanges: WeakKeyDictionary[Adapter, list[_Exchange]] = WeakKeyDictionary()
        self._kept: OrderedDict[tuple[Any, ...], Adapter] = OrderedDict()

    def load(self, folder: Path, strength: float = 1.0) -> Adapter:
        """Read an adapter, or find it among those that are still loaded. The model stays as it is.

        Args:
            folder: holds ``adapter_config.json`` and ``adapter_model.safetensors``, as ms-swift and peft write them.
            strength: speaks with ``W + strength · (W' − W)`` in place of the trained weights ``W'``, in every layer.

        Raises:
            StudioError: missing, damaged, no LoRA, for another model, or larger than the memory that is left.
        """
        shown = shown_name(str(folder))
        with failures_translated(shown):
            key = (folder, strength, *signature(folder, shown))
            adapter = self._kept.pop(key, None) or self._read(folder, shown, strength)
        self._kept[key] = adapter
        while len(self._kept) > 1 and sum(kept.num_bytes for kept in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return adapter

    def put_on(self, adapter: Adapter | None) -> None:
        """Make the model speak with this adapter, or with none: a millisecond for the 280 linear layers of the 3B."""
        if adapter is self._on:
            return
        if self._on is not None:
            for exchange in self._exchanges[self._on]:
                setattr(exchange.parent, exchange.name, exchange.original)
            self._on = None
        if adapter is not None:
            for exchange in self._exchanges[adapter]:
                setattr(exchange.parent, exchange.name, exchange.replacement)
            self._on = adapter

    def _read(self, folder: Path, shown: str, strength: float) -> Adapter:
        from safetensors import safe_open

        settings = read_settings(folder, shown)
        modules = self._modules
        with safe_open(folder / WEIGHTS_FILE, framework="pt", device="cpu") as file:
            # Everything is checked by the file's header, before one weight is read.
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118  it is no mapping
            if any(part.get_dtype() not in _DTYPES for part in slices.values()):
                raise StudioError(
                    f"{shown} is quantised, which the studio does not read: save it with its full weights."
                )
            shapes = {key: tuple(part.get_shape()) for key, part in slices.items()}
            plan = _plan(shapes, modules, settings)
            num_bytes = plan.num_bytes(shapes, modules)
            self._make_room(num_bytes, shown)
            exchanges = []
            for name, layer in plan.layers(file.get_tensor, modules, settings, strength):
                holder, _, own = name.rpartition(".")
                exchanges.append(_Exchange(modules[holder], own, modules[name], layer))
        adapter = Adapter(folder, num_bytes, strength)
        self._exchanges[adapter] = exchanges
        return adapter

    def _make_room(self, needed: int, shown: str) -> None:
        device = next(self._modules[""].parameters()).device.type
        if needed > free_memory_bytes(device):
            self._kept.clear()
            return_memory()
        free = free_memory_bytes(device)
        if needed > free:
            raise StudioError(
                f"{shown} needs {needed / 2**20:.0f} MiB of memory on {device} and {free / 2**20:.0f} MiB are free: close "
                "other programs, or choose a smaller adapter."
            )


@dataclass(frozen=True)
class _Plan:
    """Which tensor of the file goes where.

    Attributes:
        adapted: name of a linear layer → its tensors: part (a key of ``_PARTS``) → key in the file.
        replaced: name of a module that was trained as a whole → name of a parameter → key in the file.
    """

    adapted: dict[str, dict[str, str]]
    replaced: dict[str, dict[str, str]]

    def num_bytes(self, shapes: Mapping[str, tuple[int, ...]], modules: Mapping[str, Any]) -> int:
        adapted = sum(math.prod(shapes[key]) * 4 for keys in self.adapted.values() for key in keys.values())
        return adapted + sum(
            math.prod(shapes[key]) * modules[name].get_parameter(parameter).element_size()
            for name, keys in self.replaced.items()
            for parameter, key in keys.items()
        )

    def layers(
        self,
        tensor: Callable[[str], torch.Tensor],
        modules: Mapping[str, Any],
        settings: AdapterSettings,
        strength: float,
    ) -> Iterator[tuple[str, torch.nn.Module]]:
        """The layers that take the place of others: name, layer. ``tensor`` reads one from the file by its key.

        The precision is that of peft at inference: LoRA weights in float32 whatever the file holds and the base has,
        modules that were trained as a whole in that of the modules they replace.
        """
        import torch

        def read(key: str, like: torch.Tensor, dtype: torch.dtype) -> torch.nn.Parameter:
            # A copy always: what safetensors gives may be the file itself, which somebody can overwrite.
            values = tensor(key).to(device=like.device, dtype=dtype, copy=True)
            if not bool(torch.isfinite(values).all()):
                raise StudioError(
                    f"{settings.shown} holds invalid numbers in place of weights, so its training failed: choose an earlier "
                    "checkpoint."
                )
            return torch.nn.Parameter(values, requires_grad=False)

        for name, keys in self.adapted.items():
            base = modules[name]
            weights = {_PARTS[part]: read(key, base.weight, torch.float32) for part, key in keys.items()}
            layer = _lora_layer(base, weights, settings.rank_of(name), settings.alpha_of(name), settings)
            _weaken(layer, strength)
            yield name, layer
        for name, keys in self.replaced.items():
            own = _parameters(modules[name])
            # deepcopy takes from its memo what it finds there, so this copies the module around the new parameters.
            memo = {}
            for parameter, key in keys.items():
                values = read(key, own[parameter], own[parameter].dtype)
                if strength != 1.0:
                    values.copy_(own[parameter].lerp(values, strength))
                memo[id(own[parameter])] = values
            yield name, copy.deepcopy(modules[name], memo)


def _lora_layer(
    base: torch.nn.Module, weights: dict[str, torch.nn.Parameter], rank: int, alpha: float, settings: AdapterSettings
) -> torch.nn.Module:
    import torch
    from peft import LoraConfig
    from peft.tuners.lora import Linear

    config = LoraConfig(
        use_rslora=settings.use_rslora,
        use_dora=settings.use_dora,
        lora_bias=settings.lora_bias,
        init_lora_weights=False,
        inference_mode=True,
    )
    # On "meta" peft's first weights cost nothing and draw nothing from the global random generator.
    with torch.device("meta"):
        layer = Linear(base, _NAME, config=config, r=rank, lora_alpha=alpha)  # pyright: ignore[reportArgumentType]
    unlike = layer.load_state_dict(weights, strict=False, assign=True)
    if unlike.unexpected_keys or any(not key.startswith("base_layer.") for key in unlike.missing_keys):
        raise AssertionError(f"peft's layer has other weights than its file: {unlike}")
    layer.eval().requires_grad_(False)
    if settings.use_dora:
        _fix_norm(layer)
    return layer


def _weaken(layer: Any, strength: float) -> None:
    """Let a layer add only this share of what it learnt to what its base gives."""
    if strength == 1.0:
        return
    if not layer.lora_magnitude_vector:
        layer.scaling[_NAME] *= strength
        return
    dora = layer.lora_magnitude_vector[_NAME]  # its norm is that of the whole adapter, so what it adds is scaled
    whole = dora.forward
    dora.forward = lambda *given, **named: strength * whole(*given, **named)


def _fix_norm(layer: Any) -> None:
    """Compute once what peft's DoRA computes in every pass from all weights of the layer, ten times the work of the pass."""
    import torch

    base, dora = layer.base_layer, layer.lora_magnitude_vector[_NAME]
    lora_a, lora_b = layer.lora_A[_NAME], layer.lora_B[_NAME]
    norm = dora.get_weight_norm(
        base.weight.to(torch.float32), dora.get_lora_weight(lora_a, lora_b), layer.scaling[_NAME]
    )
    factor = (dora.weight / norm).view(1, -1)

    def forward(x: torch.Tensor, *, base_result: torch.Tensor, scaling: float, **_: Any) -> torch.Tensor:
        if base.bias is not None:
            base_result = base_result - base.bias
        return (factor - 1) * base_result + factor * lora_b(lora_a(x)) * scaling

    dora.forward = forward


def _plan(shapes: Mapping[str, tuple[int, ...]], modules: Mapping[str, Any], settings: AdapterSettings) -> _Plan:
    """Find a place for every tensor. Raises StudioError if one has none, has the wrong shape, or is missing."""
    plan, strays = _Plan({}, {}), []
    for key in shapes:
        name = key.removeprefix(_PREFIX) if key.startswith(_PREFIX) else ""
        if name.split(".")[0] == TEXT_HEAD:
            continue
        part = next((part for part in _PARTS if name.endswith(f".{part}")), None)
        if part is not None and _is_linear(modules.get(module := name.removesuffix(f".{part}"))):
            plan.adapted.setdefault(module, {})[part] = key
            continue
        module, _, parameter = name.rpartition(".")
        # Each leaf is replaced by itself, so that no adapted layer lies in a module that has gone.
        if _is_leaf_with(modules.get(module), parameter) and settings.is_saved(module):
            plan.replaced.setdefault(module, {})[parameter] = key
        else:
            strays.append(key)
    if strays:
        raise StudioError(
            f"{settings.shown} does not belong to the loaded checkpoint: {len(strays)} of its {len(shapes)} weights fit no "
            f"layer that can be adapted, among them {shown_name(strays[0])}; choose an adapter that was trained on it."
        )
    if not plan.adapted and not plan.replaced:
        raise StudioError(f"{settings.shown} holds no weights that change speech: choose another adapter.")
    _check_whole(plan, modules, settings)
    _check_shapes(plan, shapes, modules, settings)
    return plan


def _parameters(module: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """A module's own parameters, without those of its parts."""
    return dict(module.named_parameters(recurse=False))


def _is_leaf_with(module: torch.nn.Module | None, parameter: str) -> bool:
    return module is not None and not any(module.children()) and parameter in _parameters(module)


def _is_linear(module: Any) -> bool:
    import torch

    return isinstance(module, torch.nn.Linear)


def _check_whole(plan: _Plan, modules: Mapping[str, Any], settings: AdapterSettings) -> None:
    parts = set(_parts(settings))
    lacking = [f"{name}.{part}" for name, keys in plan.adapted.items() for part in sorted(parts - keys.keys())]
    for name, module in modules.items():
        if _is_linear(module) and name not in plan.adapted and settings.is_target(name):
            lacking.append(name)
        if settings.is_saved(name):
            lacking += [f"{name}.{own}" for own in _parameters(module) if own not in plan.replaced.get(name, {})]
    surplus = [f"{name}.{part}" for name, keys in plan.adapted.items() for part in sorted(keys.keys() - parts)]
    surplus += sorted(plan.adapted.keys() & plan.replaced.keys())
    if lacking or surplus:
        what = f"lacks weights of {lacking[0]}" if lacking else f"does not say how to apply {surplus[0]}"
        raise StudioError(
            f"{settings.shown} is incomplete or was trained on another model: it {what}; copy it again, or choose an "
            "adapter that was trained on the loaded checkpoint."
        )


def _parts(settings: AdapterSettings) -> Iterable[str]:
    yield from ("lora_A.weight", "lora_B.weight")
    if settings.lora_bias:
        yield "lora_B.bias"
    if settings.use_dora:
        yield "lora_magnitude_vector"


def _check_shapes(
    plan: _Plan, shapes: Mapping[str, tuple[int, ...]], modules: Mapping[str, Any], settings: AdapterSettings
) -> None:
    for name, keys in plan.adapted.items():
        outputs, inputs = modules[name].weight.shape
        rank = settings.rank_of(name)
        fitting = {
            "lora_A.weight": (rank, inputs),
            "lora_B.weight": (outputs, rank),
            "lora_B.bias": (outputs,),
            "lora_magnitude_vector": (outputs,),
        }
        for part, key in keys.items():
            _check_shape(key, shapes[key], fitting[part], settings.shown)
    for name, keys in plan.replaced.items():
        for parameter, key in keys.items():
            _check_shape(key, shapes[key], tuple(_parameters(modules[name])[parameter].shape), settings.shown)


def _check_shape(key: str, shape: tuple[int, ...], fitting: tuple[int, ...], shown: str) -> None:
    if shape != fitting:
        raise StudioError(
            f"{shown} does not fit the loaded checkpoint: {shown_name(key)} has the shape {list(shape)} where "
            f"{list(fitting)} is needed; load the checkpoint that it was trained on."
        )
