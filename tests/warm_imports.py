"""What ``tests/warm.py`` imports once: other people's packages, and nothing of the studio but its guard."""

import gc
import os
from pathlib import Path

import studio.engine  # noqa: F401  installs the guard before anything imports transformers

# Read while modelscope is imported: nothing may be made below the developer's own home.
os.environ["MODELSCOPE_CACHE"] = str(Path(os.environ["STUDIO_HOME"]) / "modelscope")

import librosa.feature  # noqa: F401
import onnxruntime  # noqa: F401
import peft  # noqa: F401
import scipy.signal  # noqa: F401
import silero_vad  # noqa: F401
import soundfile  # noqa: F401
from swift.arguments import ExportArguments, SftArguments  # noqa: F401
from swift.pipelines import export_main, sft_main  # noqa: F401
from transformers import (  # noqa: F401
    AutoProcessor,
    AutoTokenizer,
    HiggsAudioV2ForConditionalGeneration,
    HiggsAudioV2Processor,
    HiggsAudioV2TokenizerModel,
    Trainer,
)

gc.collect()
gc.freeze()  # what all copies share need not be looked through in each
