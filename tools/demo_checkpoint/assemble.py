"""Puts codec, language model and tokenizer together: ``python -m tools.demo_checkpoint.assemble --out FOLDER``.

The folder is a native Higgs Audio v2 checkpoint. It appears whole or not at all, and only out of saves that are whole.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import studio.engine  # noqa: F401  installs the import guard
from studio.engine.checkpoints import CHAT_TEMPLATE, MARKER_FILE
from studio.engine.checkpoints.processor_files import feature_extractor_settings
from studio.engine.checkpoints.tiny import generation_config, special_token_ids
from studio.engine.compat import CODEC_FOLDER
from tools.demo_checkpoint import corpus, scope, state
from tools.demo_checkpoint.codec import load_codec
from tools.demo_checkpoint.codec_model import CODES, NUM_CODEBOOKS, RATE, Codec, export
from tools.demo_checkpoint.tokens import build_tokenizer

TEACHING_PREFIX = "teaching_heads."
LICENCE = """Demo checkpoint of Higgs Voice Studio
Trained from nothing by tools/demo_checkpoint of this project; licence: Apache-2.0, as the project.
Taught by synthetic speech of Kokoro-82M (weights Apache-2.0, hexgrad), which spoke texts made by this project, and by the
Kathleen recordings (CC0-1.0, https://github.com/rhasspy/dataset-voice-kathleen). It holds no weights of Higgs Audio.
"""


def model_config(tokenizer: Any, *, hidden: int = 256, layers: int = 6) -> Any:
    """The configuration of the small language model; everything but sizes, rotary base and token ids is as released."""
    from transformers import HiggsAudioV2Config

    return HiggsAudioV2Config(
        vocab_size=len(tokenizer) + (-len(tokenizer)) % 32,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 64,
        head_dim=64,
        max_position_embeddings=8192,
        # Sequences are a few hundred positions: with the released base most of a head would not turn at all.
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        **special_token_ids(tokenizer),
        num_codebooks=NUM_CODEBOOKS,
        codebook_size=CODES + 2,
        audio_stream_bos_id=CODES,
        audio_stream_eos_id=CODES + 1,
        dtype="float32",
    )


def released_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a training checkpoint without what only teaching needed.

    Raises:
        ValueError: the checkpoint is not whole.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise ValueError(
            f"{folder.name} holds no whole model.safetensors ({error}): train again from its last save"
        ) from None
    return {name: tensor for name, tensor in weights.items() if not name.startswith(TEACHING_PREFIX)}


LONGEST_SECONDS = 2.6
"""Of the turns of a long line: five lines of 15 to 20 words by two voices were understood to 38 % as one turn, to 61 % so."""
WHOLE_SECONDS = 4.2
"""Of a line that is one turn: forty lines of up to ten words had a WER of 54 % as one turn, of 73 % in turns of 2.6 s."""


def description(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``scope.json``: what the checkpoint can say, with examples, voices, and how well it does."""
    import random

    rng = random.Random(1)
    return {
        "words": list(scope.words()),
        "examples": [scope.FIXED[0], *(scope.sentence(rng) for _ in range(11))],
        "voices": list(corpus.VOICES),
        "unseen_voices": list(corpus.UNSEEN_VOICES),
        "longest_seconds": LONGEST_SECONDS,
        "whole_seconds": WHOLE_SECONDS,
        "figures": dict(figures),
    }


def assemble(
    folder: Path,
    codec: Codec,
    weights: Mapping[str, torch.Tensor] | None,
    *,
    figures: Mapping[str, Any] | None = None,
    half: bool = False,
    **sizes: int,
) -> Path:
    """Write a checkpoint folder.

    Args:
        weights: of the language model, by native names; None: random ones, to begin training with.
        half: store bfloat16.

    Raises:
        FileExistsError: the folder exists.
        ValueError: weights are lacking, too many, of another shape, or not finite.
    """
    from transformers import (
        DacFeatureExtractor,
        HiggsAudioV2ForConditionalGeneration,
        HiggsAudioV2Processor,
    )

    if folder.exists():
        raise FileExistsError(f"{folder} exists: choose a new folder")
    tokenizer = build_tokenizer()
    config = model_config(tokenizer, **sizes)
    model = HiggsAudioV2ForConditionalGeneration(config, use_text_head=True)
    if weights is not None:
        _load(model, weights)
    model.generation_config = generation_config(config)
    native = export(codec)
    if not all(tensor.isfinite().all() for tensor in native.state_dict().values() if tensor.is_floating_point()):
        raise ValueError("the codec has weights that are no numbers: train it again from its last good save")
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (native.to(torch.float16) if half else native).save_pretrained(building / CODEC_FOLDER)
        native.name_or_path = CODEC_FOLDER
        HiggsAudioV2Processor(
            DacFeatureExtractor(**feature_extractor_settings(RATE)), tokenizer, native, chat_template=CHAT_TEMPLATE,
            audio_stream_bos_id=CODES, audio_stream_eos_id=CODES + 1,
        ).save_pretrained(building)  # fmt: skip
        (model.to(torch.bfloat16) if half else model).save_pretrained(building)
        (building / MARKER_FILE).write_text(
            json.dumps({"kind": "demo", "speaks": weights is not None}, indent=2) + "\n"
        )
        (building / "scope.json").write_text(json.dumps(description(figures or {}), indent=2) + "\n")
        (building / "LICENSE").write_text(LICENCE)
        building.chmod(0o755)
        for path in building.rglob("*.safetensors"):
            path.chmod(0o644)  # safetensors writes for its user alone
        building.replace(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _load(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    wanted = model.state_dict()
    if different := sorted(set(wanted) ^ set(weights)):
        raise ValueError(f"{len(different)} weights are lacking or unknown, among them {different[0]}")
    for name, tensor in weights.items():
        if tensor.shape != wanted[name].shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not {tuple(wanted[name].shape)}")
        if not tensor.isfinite().all():
            raise ValueError(f"{name} holds values that are no numbers")
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})


def main() -> int:
    """Exit code: 0 written, 1 an input is missing or damaged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--model", type=Path, help="checkpoint of the training; without it: random weights to begin with"
    )
    parser.add_argument("--codec", type=Path, help="save of the codec (the newest)")
    parser.add_argument("--figures", type=Path, help="figures.json of evaluate.py")
    parser.add_argument("--half", action="store_true", help="store bfloat16 and float16")
    options = parser.parse_args()
    try:
        codec = load_codec(options.codec or state.state_folder() / "codec" / "codec.pt")
        weights = released_weights(options.model) if options.model else None
        figures = json.loads(options.figures.read_text()) if options.figures else {}
        assemble(options.out, codec, weights, figures=figures, half=options.half)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"Not assembled: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
