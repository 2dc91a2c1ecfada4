"""One new sentence, spoken as a training row has its own text spoken. It shows what a training has changed.

The sentence takes the place of the row's last trained text; what comes before it, references above all, stays. The way
is that of every speech: the same prompt, the same stream of frames, the same codec.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from studio.audio import Waveform, read_audio
from studio.engine.devices import is_out_of_memory, return_memory
from studio.engine.model.sampling import Sampling, check_seed
from studio.engine.prompt import Conversation
from studio.engine.rows import RowTurn, TrainingRow
from studio.engine.text import SPEAKER_TAG_PATTERN, frame_budget
from studio.errors import StudioError

if TYPE_CHECKING:
    import torch

    from studio.engine.model.adapter import Adapter
    from studio.engine.model.speech_model import SpeechModel

SILENT_DBFS = -60.0
"""RMS below which there is nothing to hear: the quietest room that a voice is recorded in is louder."""
QUIETEST_DBFS = -120.0
"""What digital silence is said to have, since −inf is no number in JSON."""

_TAG = re.compile(rf"\s*({SPEAKER_TAG_PATTERN})")


@dataclass(frozen=True)
class SpokenSentence:
    """A sentence as a model spoke it.

    Attributes:
        text: as the model was given it.
        waveform: mono at the checkpoint's rate; without a sample where the model ended at once.
        codes: shape (num_codebooks, num_frames), int64.
        ended: the model ended it by itself; False where it ran into its budget.
        num_frames, budget_frames: frames spoken and frames allowed.
    """

    text: str
    waveform: Waveform
    codes: np.ndarray
    ended: bool
    num_frames: int
    budget_frames: int
    frame_rate: float

    @property
    def seconds(self) -> float:
        return self.waveform.duration

    @property
    def budget_seconds(self) -> float:
        return self.budget_frames / self.frame_rate

    @property
    def loudness_dbfs(self) -> float:
        """RMS in decibels of full scale, ``QUIETEST_DBFS`` or more."""
        return max(self.waveform.rms_dbfs, QUIETEST_DBFS)

    @property
    def silent(self) -> bool:
        return self.loudness_dbfs < SILENT_DBFS

    @property
    def audible(self) -> Waveform:
        """The waveform, or a frame of silence in place of none: no file can hold an empty clip."""
        if self.waveform.num_samples:
            return self.waveform
        rate = self.waveform.sample_rate
        return Waveform(np.zeros(round(rate / self.frame_rate), np.float32), rate)


def speak_sentence(
    engine: SpeechModel,
    row: TrainingRow,
    text: str,
    *,
    seed: int,
    adapter: Adapter | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> SpokenSentence:
    """Speak a sentence in place of the last trained text of a row, with the sampling that is the engine's default.

    Args:
        text: one sentence; where several speakers take part, the speaker's tag is taken from the row unless it has one.
        seed: 0 to 2**32 - 1.
        adapter: see :meth:`SpeechModel.load_adapter`; None lets the base speak alone.
        cancelled: asked before each frame; True ends it with an error.

    Raises:
        StudioError: a text that cannot be spoken, a clip that cannot be read, an unloaded engine, memory that ran out, a
            model that gives no numbers, or cancelled.
    """
    import torch

    check_seed(seed)
    conversation = conversation_for(row, text)
    spoken = conversation.turns[-1].text
    budget = frame_budget(spoken, frame_rate=engine.frame_rate)
    with _memory_translated(engine.device):
        stream = engine.frame_stream(
            conversation,
            _codes_of_references(engine, row),
            adapter=adapter,
            max_frames=budget,
            sampling=Sampling(),
            generator=torch.Generator().manual_seed(seed),
            cancelled=cancelled,
        )
        frames = [frame.numpy() for frame in stream]
        if cancelled():
            raise StudioError("Speaking was cancelled.")
        codes = np.stack(frames, axis=1) if frames else np.zeros((engine.num_codebooks, 0), np.int64)
        samples = engine.codec.decode(codes)
    return SpokenSentence(
        text=spoken,
        waveform=Waveform(samples, engine.sample_rate),
        codes=codes,
        ended=stream.ended,
        num_frames=len(frames),
        budget_frames=budget,
        frame_rate=engine.frame_rate,
    )


def prompt_logits(engine: SpeechModel, row: TrainingRow, text: str, adapter: Adapter | None = None) -> torch.Tensor:
    """What the audio head says at the end of the prompt of :func:`speak_sentence`: the numbers from which all speech begins.

    float32 on the CPU, shape (num_codebooks, codebook_size). Raises StudioError as :func:`speak_sentence`.
    """
    with _memory_translated(engine.device):
        return engine.prompt_logits(conversation_for(row, text), _codes_of_references(engine, row), adapter=adapter)


def conversation_for(row: TrainingRow, text: str) -> Conversation:
    """The conversation of a row up to the text of its last trained turn, in whose place stands ``text``, prepared.

    Raises:
        StudioError: the text has nothing to say, or holds a control token.
    """
    asked = _asked(row)
    tag = _TAG.match(row.turns[asked].text)
    if tag and not _TAG.match(text):
        text = f"{tag[1]} {text}"
    # As a row of its own, whose answer is a clip to learn: so its text becomes what it would become in training.
    answer = RowTurn("assistant", clip=Path("answer"), trained=True)
    whole = replace(row, turns=(*row.turns[:asked], RowTurn("user", text.strip()), answer)).conversation()
    return replace(whole, turns=whole.turns[:-1])


def _asked(row: TrainingRow) -> int:
    """The index of the user turn that asks for the last trained clip; where no clip is trained, for the last answer."""
    trained = [index for index, turn in enumerate(row.turns) if turn.trained]
    clips = [index for index in trained if row.turns[index].clip is not None]
    return (clips or trained)[-1] - 1


def _codes_of_references(engine: SpeechModel, row: TrainingRow) -> list[torch.Tensor]:
    """Codes of the clips that stand before the text, shape (num_codebooks, num_frames) each."""
    import torch

    clips = [turn.clip for turn in row.turns[: _asked(row)] if turn.clip is not None]
    return [torch.as_tensor(engine.codec.encode(read_audio(clip))) for clip in clips]


@contextmanager
def _memory_translated(device: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return_memory()
        raise StudioError(
            f"The memory of {device} ran out while a sample was spoken: use shorter references, or close other programs."
        ) from error
