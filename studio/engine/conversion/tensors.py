"""Tensors on disk: read one at a time from whatever file holds them, write them in shards, compare bit for bit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio import files
from studio.engine.conversion.keys import named
from studio.errors import StudioError

if TYPE_CHECKING:
    import torch

SHARD_SIZE = "4GB"
PICKLES = (".pt", ".pth", ".bin")
_NOT_THE_MODEL = ("adapter_", "training_args", "optimizer", "scheduler", "rng_state")
_SHARD_NUMBER = re.compile(r"-(\d+)-of-(\d+)\.[a-z]+$")


class TensorSource:
    """The tensors of one file or of a folder's files; names and shapes at once, contents when asked for.

    ``.safetensors`` files are mapped into memory. Pickles (``.pt``, ``.pth``, ``.bin``) are read with torch's
    ``weights_only`` reader, which builds tensors and plain containers and runs no code of the file's author.

    Args:
        place: the file, or the folder with its weight files and, if there are several, their index.
        stem: beginning of the weight files' names to prefer in a folder, e.g. ``adapter_model``.

    Raises:
        StudioError: no weights, a missing or damaged file, a pickle that is not a plain state dict.
    """

    def __init__(self, place: Path, stem: str = "model") -> None:
        self._read: dict[str, Callable[[], torch.Tensor]] = {}
        self._meta: dict[str, torch.Tensor] = {}
        for file in _weight_files(place, stem) if place.is_dir() else [place]:
            (self._open_pickle if file.suffix in PICKLES else self._open_safetensors)(file)
        if not self._meta:
            raise StudioError(f"{place} holds no tensors: check that it was downloaded or saved completely.")

    @property
    def keys(self) -> list[str]:
        return list(self._meta)

    def meta(self, key: str) -> torch.Tensor:
        """A tensor without contents that has the shape and dtype of ``key``."""
        return self._meta[key]

    def tensor(self, keys: list[str]) -> torch.Tensor:
        """The tensor ``keys[0]``; several are joined along their first dimension."""
        import torch

        parts = [self._read[key]() for key in keys]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=0)

    def whole_meta(self, keys: list[str]) -> torch.Tensor:
        """What :meth:`meta` is to one key, for the tensor that ``keys`` make up."""
        import torch

        parts = [self._meta[key] for key in keys]
        if len({(part.shape[1:], part.dtype) for part in parts}) > 1:
            raise StudioError(f"{named(keys)} differ in width or dtype: they are not pieces of one matrix.")
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=0)

    def _add(self, file: Path, key: str, meta: torch.Tensor, read: Callable[[], torch.Tensor]) -> None:
        if key in self._meta:
            raise StudioError(
                f"{key} is in several files of {file.parent}: leave only the files of one checkpoint there."
            )
        if not meta.dtype.is_floating_point or meta.element_size() < 2:
            raise StudioError(
                f"{key} in {file} is stored as {_short(meta.dtype)}, so the checkpoint is quantised: convert the "
                "unquantised one."
            )
        self._meta[key], self._read[key] = meta, read

    def _open_safetensors(self, file: Path) -> None:
        import torch
        from safetensors import SafetensorError, safe_open

        try:
            reader: Any = safe_open(file, framework="pt", device="cpu")
            names = list(reader.keys())
        except FileNotFoundError:
            raise StudioError(f"{file} does not exist: check the path.") from None
        except (SafetensorError, OSError) as error:
            raise StudioError(
                f"{file} cannot be read as safetensors ({error}): it is damaged or incomplete, so download it again."
            ) from error
        for name in names:
            part = reader.get_slice(name)
            dtype = _DTYPES.get(part.get_dtype())
            # A dtype torch's names do not cover is no plain weight; int8 stands for it and is refused as quantised.
            meta = torch.empty(part.get_shape(), device="meta", dtype=getattr(torch, dtype or "int8"))
            self._add(file, name, meta, lambda name=name: reader.get_tensor(name))

    def _open_pickle(self, file: Path) -> None:
        for name, tensor in _unpickle(file).items():
            self._add(file, name, tensor.to("meta"), lambda tensor=tensor: tensor.detach())


_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def _unpickle(file: Path) -> dict[str, torch.Tensor]:
    import torch

    if not file.is_file():
        raise StudioError(f"{file} does not exist: check the path.")
    try:
        try:
            state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except (RuntimeError, ValueError):  # the format before torch 1.6 cannot be mapped
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a stranger's file makes the reader raise, it is refused
        raise StudioError(
            f"{file} is not a plain state dict ({type(error).__name__}), and a pickle that needs more is never run: "
            "ask for .safetensors."
        ) from error
    plain = isinstance(state, Mapping) and all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    )
    if not plain:
        raise StudioError(
            f"{file} is not a plain state dict (names with one tensor each): save model.state_dict() alone, best as "
            ".safetensors."
        )
    return dict(state)


def _weight_files(folder: Path, stem: str) -> list[Path]:
    """The weight files of ``folder``: what an index lists, else all of the first kind that is there."""
    for index in (f"{stem}.safetensors.index.json", f"pytorch_{stem}.bin.index.json"):
        if (folder / index).is_file():
            return _indexed_files(folder / index)
    preferred = ([f"{stem}.safetensors"], [f"pytorch_{stem}*.bin", f"{stem}.bin"])
    anything = () if stem != "model" else (["*.safetensors"], ["*.bin", "*.pt", "*.pth"])
    for patterns in (preferred[0], *anything[:1], preferred[1], *anything[1:]):
        files = sorted(
            file
            for pattern in patterns
            for file in folder.glob(pattern)
            if stem != "model" or not file.name.startswith(_NOT_THE_MODEL)
        )
        if files:
            _check_numbering(folder, files)
            return files
    raise StudioError(f"{folder} has no weights (.safetensors): choose the folder that holds the model's weight files.")


def _indexed_files(index: Path) -> list[Path]:
    listed = read_json(index).get("weight_map")
    names = set(listed.values()) if isinstance(listed, dict) else set()
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise StudioError(f"{index} is not an index of weight files: download it again.")
    files = [index.parent / name for name in sorted(names)]
    if missing := [file.name for file in files if not file.is_file()]:
        raise StudioError(f"{index.parent} lacks {named(missing)}, which its index lists: download the missing files.")
    return files


def _check_numbering(folder: Path, files: list[Path]) -> None:
    """Shards without an index still say in their names how many there are."""
    numbers = [match for file in files if (match := _SHARD_NUMBER.search(file.name))]
    if numbers and len(numbers) != int(numbers[0][2]):
        raise StudioError(
            f"{folder} has {len(numbers)} of {int(numbers[0][2])} numbered weight files: download the missing ones."
        )


def read_json(file: Path) -> dict[str, Any]:
    """The object in ``file``. Raises StudioError where it is missing or no JSON object."""
    try:
        return files.read_json(file)
    except FileNotFoundError:
        raise StudioError(f"{file} does not exist: check the path.") from None
    except (OSError, ValueError) as error:
        raise StudioError(f"{file} cannot be read ({error}): download it again.") from error
    except TypeError:
        raise StudioError(f"{file} is not what its name says (no JSON object): download it again.") from None


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as an indented JSON object."""
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_tensors(folder: Path, plan: Mapping[str, list[str]], source: TensorSource, stem: str = "model") -> None:
    """Write the planned tensors as ``stem.safetensors``, or as shards of 4 GB with an index; one shard in memory.

    Raises StudioError if a tensor holds NaN or infinity.
    """
    import torch
    from huggingface_hub import split_torch_state_dict_into_shards
    from safetensors.torch import save_file

    metas = {native: source.whole_meta(keys) for native, keys in plan.items()}
    split = split_torch_state_dict_into_shards(
        metas, filename_pattern=stem + "{suffix}.safetensors", max_shard_size=SHARD_SIZE
    )
    for filename, names in split.filename_to_tensors.items():
        shard: dict[str, torch.Tensor] = {}
        storages: set[int] = set()
        for name in names:
            tensor = source.tensor(plan[name]).contiguous()
            if not torch.isfinite(tensor).all():
                raise StudioError(
                    f"{named(plan[name])} holds NaN or infinite values: the training that made it broke down, so "
                    "convert an earlier checkpoint."
                )
            storage = tensor.untyped_storage().data_ptr()
            shard[name] = tensor.clone() if storage in storages else tensor
            storages.add(storage)
        save_file(shard, folder / filename, metadata={"format": "pt"})
        (folder / filename).chmod(0o644)
    if split.is_sharded:
        write_json(
            folder / f"{stem}.safetensors.index.json",
            {"metadata": split.metadata, "weight_map": split.tensor_to_filename},
        )


def check_written(folder: Path, plan: Mapping[str, list[str]], source: TensorSource, stem: str = "model") -> None:
    """Raise StudioError, as after a failing disk, unless exactly the planned tensors are there, equal bit for bit."""
    import torch

    written = TensorSource(folder, stem)
    unequal = sorted(set(written.keys) ^ set(plan))
    for name in set(written.keys) & set(plan):
        before, after = source.tensor(plan[name]).contiguous(), written.tensor([name])
        same_form = before.shape == after.shape and before.dtype == after.dtype
        if not (same_form and torch.equal(before.view(torch.uint8), after.view(torch.uint8))):
            unequal.append(name)
    if unequal:
        raise StudioError(f"{named(unequal)} did not come back from {folder.parent} as written: check the disk.")


def common_dtype(metas: Iterable[torch.Tensor]) -> str:
    """The dtype of most numbers, as configs name it, e.g. ``bfloat16``."""
    counts: dict[str, int] = {}
    for meta in metas:
        counts[_short(meta.dtype)] = counts.get(_short(meta.dtype), 0) + meta.numel()
    return max(counts, key=lambda dtype: counts[dtype])


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
