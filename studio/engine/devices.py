"""Devices and their memory: which there are, what is free, noticing that it ran out, and giving it back."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from studio.errors import StudioError

_SAID_BY_ALLOCATORS = ("out of memory", "can't allocate memory", "cannot allocate memory", "failed to allocate")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out. Only CUDA has a type for it; CPU and MPS say it in words."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _SAID_BY_ALLOCATORS)


@contextmanager
def importing_much() -> Iterator[None]:
    """For imports of torch and what builds on it: they take three quarters of the time without the garbage collector,
    which would look through all that was imported before again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def return_memory() -> None:
    """Hand freed memory back to the device and to the system."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch is not None and torch.backends.mps.is_available():
        torch.mps.empty_cache()
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (OSError, AttributeError):
            return  # not glibc: its allocator decides by itself


Device = Literal["auto", "cpu", "cuda", "mps"]


def pick_device(wanted: Device = "auto") -> str:
    """The device to run on. Raises StudioError if the wanted one is not there."""
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(device for device, there in present.items() if there)
    if not present.get(wanted, False):
        raise StudioError(f"This machine has no usable {wanted} device: choose auto or cpu.")
    return wanted


def free_memory_bytes(device: str) -> int:
    """Memory that a model could take on the device now."""
    import psutil
    import torch

    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available


def devices() -> list[str]:
    """Every device of this machine."""
    import torch

    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return [*gpus, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def memory_of(device: str) -> tuple[int, int, str]:
    """Free and total bytes, and the name of a GPU."""
    import psutil
    import torch

    if device.startswith("cuda"):
        free, total = torch.cuda.mem_get_info(device)
        return free, total, torch.cuda.get_device_name(device)
    memory = psutil.virtual_memory()
    return memory.available, memory.total, ""
