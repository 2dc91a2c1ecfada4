"""What third-party packages need before they import: installed once, by ``import studio.engine``.

Two defects are mended, each at the moment the module concerned is imported and not before, so that nothing heavy is
loaded here and nothing is touched where there is nothing to mend:

* ``torchaudio``: PyPI's build links CUDA; beside a CPU build of torch its compiled extension cannot be loaded and
  ``import torchaudio`` raises OSError, beside a torch for another CUDA version RuntimeError; either also breaks
  ``import swift``. The Higgs codec uses ``torchaudio.functional.resample`` alone, which is pure Python. If, and only if,
  the extension fails to load, it is declared absent.
* Processors with a codec (``HiggsAudioV2Processor``): ``processor_config.json`` records the codec by name or path only,
  so a checkpoint folder that carries its codec stops loading once it is moved. A codec subfolder beside the config is
  preferred to whatever the config says.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

CODEC_FOLDER = "audio_tokenizer"
"""Name of the subfolder of a checkpoint in which its codec lies."""

_TORCHAUDIO_EXTENSION = "torchaudio._extension"
_PROCESSING = "transformers.processing_utils"


def _load_extension(load: Callable[[ModuleType], None], module: ModuleType) -> None:
    try:
        load(module)
    except (OSError, ImportError, RuntimeError):
        vars(module).update(
            _IS_TORCHAUDIO_EXT_AVAILABLE=False,
            _IS_ALIGN_AVAILABLE=False,
            fail_if_no_align=lambda function: function,
            _check_cuda_version=lambda: None,
        )


def _load_processing(load: Callable[[ModuleType], None], module: ModuleType) -> None:
    load(module)
    # On the base class: AutoProcessor reads the config through it before it knows the class.
    processor_class = module.ProcessorMixin
    original = processor_class.get_processor_dict.__func__

    def get_processor_dict(cls: Any, name_or_path: Any, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        codec = Path(str(name_or_path)) / CODEC_FOLDER
        if not (codec / "config.json").is_file():
            return original(cls, name_or_path, **kwargs)

        class FolderCodec(cls):
            """Reads the config as the stock class does, but takes the codec from the checkpoint's own subfolder."""

            @classmethod
            def get_possibly_dynamic_module(cls, module_name: str) -> Any:
                codec_class = super().get_possibly_dynamic_module(module_name)
                return SimpleNamespace(
                    from_pretrained=lambda _, **options: codec_class.from_pretrained(codec, **options)
                )

        return original(FolderCodec, name_or_path, **kwargs)

    processor_class.get_processor_dict = classmethod(get_processor_dict)


_MENDED: dict[str, Callable[[Callable[[ModuleType], None], ModuleType], None]] = {
    _TORCHAUDIO_EXTENSION: _load_extension,
    _PROCESSING: _load_processing,
}


class _MendingFinder:
    """A ``sys.meta_path`` finder that wraps the real loader of the modules in ``_MENDED``."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in _MENDED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        load, mend = spec.loader.exec_module, _MENDED[name]
        spec.loader.exec_module = lambda module: mend(load, module)  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Put the finder in place. Idempotent. Of modules imported earlier, only the processors can still be mended."""
    if _MendingFinder in sys.meta_path:
        return
    sys.meta_path.insert(0, _MendingFinder)  # type: ignore[arg-type]
    if (processing := sys.modules.get(_PROCESSING)) is not None:
        _load_processing(lambda module: None, processing)
