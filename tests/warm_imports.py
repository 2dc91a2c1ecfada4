"""What ``tests/warm.py`` imports once: other people's packages, and nothing of the studio but its guard."""

import gc
import os
from pathlib import Path

gc.disable()  # a quarter of the time

import studio.engine  # noqa: E402, F401  installs the guard before anything imports transformers

# Read while modelscope is imported: nothing may be made below the developer's own home.
os.environ["MODELSCOPE_CACHE"] = str(Path(os.environ["STUDIO_HOME"]) / "modelscope")

import onnxruntime  # noqa: E402, F401
import peft  # noqa: E402, F401
import scipy.signal  # noqa: E402, F401
import silero_vad  # noqa: E402, F401
import soundfile  # noqa: E402, F401
from swift.arguments import ExportArguments, SftArguments  # noqa: E402, F401
from swift.pipelines import export_main, sft_main  # noqa: E402, F401
from transformers import (  # noqa: E402, F401
    AutoProcessor,
    AutoTokenizer,
    HiggsAudioV2ForConditionalGeneration,
    HiggsAudioV2Processor,
    HiggsAudioV2TokenizerModel,
    Trainer,
)

from studio.listening.compiled import librosa  # noqa: E402

librosa()

gc.collect()
gc.enable()
gc.freeze()  # what all copies share need not be looked through in each
