"""Speaker encoders: a voice as a vector, by the model that comes with the studio or by one of the hub."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import studio.engine  # noqa: F401  the guard without which some machines cannot import transformers
from studio.audio.waveform import total_seconds
from studio.errors import StudioError
from studio.evaluation.measures.voice_encoder import LEAST_SECONDS, Heard, VoiceEncoder
from studio.files import read_json, weights_digest
from studio.listening.speaker_encoder import RATE
from studio.listening.speakers import voice_vectors
from studio.network import hub_reachable

HUB_MODEL = "microsoft/wavlm-base-plus-sv"
INCLUDED = "included"
"""The setting that asks for the encoder that comes with the studio, whatever the hub's cache holds."""
_MOST_SECONDS = 30.0
_FILES = ["config.json", "preprocessor_config.json", "model.safetensors", "pytorch_model.bin"]


def chosen_encoder(wanted: str = "") -> VoiceEncoder:
    """The encoder of a setting.

    Args:
        wanted: a folder or hub id of a transformers ``WavLMForXVector``; UniSpeech's ``wavlm_large_finetune.pth``;
            ``included`` for that of the studio; "" for ``microsoft/wavlm-base-plus-sv`` where the hub's cache has it, and
            else that of the studio.

    Raises:
        StudioError: what was asked for is not there.
    """
    if wanted == INCLUDED:
        return IncludedEncoder()
    if not wanted:
        cached = _cached(HUB_MODEL)
        return XVectorEncoder(cached, HUB_MODEL) if cached else IncludedEncoder()
    folder = Path(wanted).expanduser()
    if folder.is_dir():
        return XVectorEncoder(folder, folder.resolve().name)
    if folder.is_file():
        from studio.evaluation.measures.wavlm_sv import WavLMSpeakerModel

        return WavLMSpeakerModel(folder)
    return XVectorEncoder(_cached(wanted) or _fetched(wanted), wanted)


class IncludedEncoder:
    """The encoder of Wan et al. 2018 with Resemblyzer's weights: the mean over windows of 1.6 s, in batches over sounds."""

    name = "Resemblyzer 0.1.4"

    def vectors(self, sounds: Sequence[Heard]) -> list[np.ndarray | None]:
        """See :class:`VoiceEncoder`. Speech from 1 s to 1.6 s is one window, repeated to its length."""
        enough = [number for number, (_, speech) in enumerate(sounds) if total_seconds(speech) >= LEAST_SECONDS]
        found = voice_vectors([sounds[number] for number in enough], least_seconds=LEAST_SECONDS)
        vectors: list[np.ndarray | None] = [None] * len(sounds)
        for number, vector in zip(enough, found, strict=True):
            vectors[number] = None if vector is None else _unit(vector)
        return vectors


class XVectorEncoder:
    """A WavLM with an x-vector head (Snyder et al. 2018), as transformers keeps it; loaded when it is first needed.

    Args:
        folder: with ``config.json`` and the weights; ``preprocessor_config.json`` may be absent.
        label: how the model is called.
    """

    def __init__(self, folder: Path, label: str) -> None:
        self._folder, self._label = folder, label

    @property
    def name(self) -> str:
        """Of the model, with a hash of its weights."""
        return self._name

    @cached_property
    def _name(self) -> str:
        from importlib.metadata import version

        weights = [path for path in sorted(self._folder.iterdir()) if path.suffix in (".safetensors", ".bin", ".json")]
        return f"{self._label} ({weights_digest(weights)}, transformers {version('transformers')})"

    @cached_property
    def _loaded(self) -> tuple[Any, bool]:
        from transformers import WavLMForXVector

        try:
            # Of the hub's own model there is only a .bin; transformers reads it without running anything that is in it.
            model = WavLMForXVector.from_pretrained(self._folder, local_files_only=True)
        except Exception as error:  # missing files, another architecture, damaged weights: the library has no one type
            raise StudioError(
                f"{self._label} is no WavLM with an x-vector head, or is incomplete: set STUDIO_SPEAKER_MODEL to the folder "
                f"of one, or to {INCLUDED}."
            ) from error
        return model.eval(), _normalises(self._folder)  # type: ignore[attr-defined]

    def vectors(self, sounds: Sequence[Heard]) -> list[np.ndarray | None]:
        """See :class:`VoiceEncoder`. It hears from the first to the last speech, at most 30 s of it.

        One at a time: with the group norm of the base models, padding a batch would change the vectors.
        """
        import torch

        vectors: list[np.ndarray | None] = []
        for sound, speech in sounds:
            if total_seconds(speech) < LEAST_SECONDS:
                vectors.append(None)
                continue
            model, normalises = self._loaded
            samples = sound.resampled(RATE).samples[round(speech[0].start * RATE) : round(speech[-1].end * RATE)]
            samples = samples[: round(_MOST_SECONDS * RATE)]
            if normalises:
                samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
            with torch.inference_mode():
                found = model(torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))[None]).embeddings[0]
            vectors.append(_unit(found.float().numpy()))
        return vectors


def _normalises(folder: Path) -> bool:
    try:
        return bool(read_json(folder / "preprocessor_config.json").get("do_normalize", False))
    except (OSError, ValueError, TypeError):
        return False


def _unit(vector: np.ndarray) -> np.ndarray | None:
    size = float(np.linalg.norm(vector))
    return (vector / size).astype(np.float32) if size > 0.0 else None


def _cached(hub_id: str) -> Path | None:
    from huggingface_hub import errors, try_to_load_from_cache

    try:
        config = try_to_load_from_cache(hub_id, "config.json")
    except errors.HFValidationError:
        return None
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    has_weights = any((folder / name).is_file() for name in ("model.safetensors", "pytorch_model.bin"))
    return folder if has_weights else None


def _fetched(hub_id: str) -> Path:
    from huggingface_hub import errors, snapshot_download

    if not hub_reachable():
        raise StudioError(
            f"The speaker model {hub_id} is not on this machine and the model hub cannot be reached: set "
            f"STUDIO_SPEAKER_MODEL to a folder that holds one, or to {INCLUDED}."
        )
    try:
        return Path(snapshot_download(hub_id, allow_patterns=_FILES))
    except (errors.HTTPError, errors.HFValidationError, errors.OfflineModeIsEnabled, OSError, RuntimeError) as error:
        raise StudioError(
            f"The model hub does not give the speaker model {hub_id}: check STUDIO_SPEAKER_MODEL, or set it to {INCLUDED}."
        ) from error
