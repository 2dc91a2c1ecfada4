"""The guard: what is broken in the installed packages is mended, what works is left alone. Each in a fresh process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def run(script: str, *folders: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-c", "\n".join([f"import sys; sys.path[:0] = {[str(f) for f in folders]!r}", script])],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def stand_in(folder: Path, extension: str) -> Path:
    """A package named torchaudio whose extension module is ``extension``."""
    package = folder / "torchaudio"
    (package / "_extension").mkdir(parents=True)
    (package / "__init__.py").write_text("from . import _extension\n")
    (package / "_extension" / "__init__.py").write_text(extension)
    return folder


def test_torchaudio_and_swift_import_and_resample() -> None:
    printed = run(
        "import studio.engine, torchaudio, swift, torch\n"
        "time = torch.arange(24000) / 24000\n"
        "low = torchaudio.functional.resample(torch.sin(2 * torch.pi * 440 * time), 24000, 16000)\n"
        "expected = torch.sin(2 * torch.pi * 440 * torch.arange(16000) / 16000)\n"
        "print(len(low), float((low - expected)[200:-200].abs().max()) < 0.01)\n"
        "from transformers import HiggsAudioV2TokenizerModel; from swift.model import ModelMeta; print('all')"
    )
    assert printed.splitlines() == ["16000 True", "all"]


def test_importing_the_engine_loads_nothing_heavy() -> None:
    heavy = run(
        "import studio.engine, studio.engine.voice_engine, studio.engine.host, studio.takes.service\n"
        "print([name for name in ('torch', 'torchaudio', 'transformers', 'gradio', 'librosa') if name in sys.modules])"
    )
    assert heavy == "[]"


def test_an_extension_that_loads_is_left_alone(tmp_path: Path) -> None:
    extension = "_IS_TORCHAUDIO_EXT_AVAILABLE = True\n_IS_ALIGN_AVAILABLE = True\nfail_if_no_align = 'its own'\n"
    printed = run(
        "import studio.engine, torchaudio._extension as e\n"
        "print(e._IS_TORCHAUDIO_EXT_AVAILABLE, e._IS_ALIGN_AVAILABLE, e.fail_if_no_align,"
        " sorted(n for n in vars(e) if not n.startswith('__')))",
        stand_in(tmp_path, extension),
    )
    names = "['_IS_ALIGN_AVAILABLE', '_IS_TORCHAUDIO_EXT_AVAILABLE', 'fail_if_no_align']"
    assert printed == f"True True its own {names}"


@pytest.mark.parametrize(
    "error",
    [
        "OSError('libcudart.so.13: cannot open')",
        "ImportError('undefined symbol')",
        "RuntimeError('Detected that PyTorch and TorchAudio were compiled with different CUDA versions.')",
    ],
)
def test_an_extension_that_cannot_be_loaded_is_declared_absent(tmp_path: Path, error: str) -> None:
    printed = run(
        "import studio.engine, torchaudio\n"
        "e = torchaudio._extension\n"
        "print(e._IS_TORCHAUDIO_EXT_AVAILABLE, e._IS_ALIGN_AVAILABLE, e.fail_if_no_align(abs) is abs)",
        stand_in(tmp_path, f"_IS_TORCHAUDIO_EXT_AVAILABLE = True\nraise {error}\n"),
    )
    assert printed == "False False True"


def test_without_the_guard_such_an_extension_is_an_error(tmp_path: Path) -> None:
    """What the guard is for: the stand-in really fails where nothing mends it."""
    folder = stand_in(tmp_path, "raise OSError('libcudart.so.13: cannot open')\n")
    printed = run("try:\n    import torchaudio\nexcept OSError as error:\n    print(error)", folder)
    assert printed == "libcudart.so.13: cannot open"


def test_any_other_error_of_an_extension_is_shown(tmp_path: Path) -> None:
    printed = run(
        "import studio.engine\ntry:\n    import torchaudio\nexcept AttributeError as error:\n    print(error)",
        stand_in(tmp_path, "raise AttributeError('versions do not match')\n"),
    )
    assert printed == "versions do not match"


def test_the_guard_is_installed_once() -> None:
    printed = run(
        "import studio.engine\nfrom studio.engine import compat\ncompat.install(); compat.install()\n"
        "print(sum(finder is compat._MendingFinder for finder in sys.meta_path))"
    )
    assert printed == "1"


def test_a_processor_without_a_codec_folder_is_read_as_always(tmp_path: Path, processor: Any) -> None:
    """Other processors go the stock way: the codec folder alone decides."""
    from transformers.processing_utils import ProcessorMixin

    (tmp_path / "processor_config.json").write_text(json.dumps({"processor_class": "X", "size": 3}))
    assert ProcessorMixin.get_processor_dict(tmp_path)[0]["size"] == 3
