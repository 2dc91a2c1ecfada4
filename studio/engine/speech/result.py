"""Speech: the result of a request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studio.audio.waveform import Waveform
from studio.engine.model.sampling import Sampling
from studio.engine.speech.retrying import Attempt


@dataclass(frozen=True)
class ChunkReport:
    """How one chunk of the text came out.

    Attributes:
        num_frames, budget_frames: frames spoken and frames allowed.
        ended: the model ended it by itself; False where it ran into its budget.
        attempts: every time that it was spoken, where it was judged; of one that was right at once there is one.
    """

    text: str
    speaker: str | None
    num_frames: int
    budget_frames: int
    ended: bool
    attempts: tuple[Attempt, ...] = ()

    @property
    def retried(self) -> bool:
        return len(self.attempts) > 1

    @property
    def ended_at_once(self) -> bool:
        """Whether the model ended it by itself the first time that it was spoken."""
        if not self.attempts:
            return self.ended
        return not any(fault.kind == "budget" for fault in self.attempts[0].faults)

    def retries_told(self) -> str:
        """What was wrong, and what came of speaking it again, a clause."""
        first, kept = self.attempts[0], next(each for each in self.attempts if each.kept)
        wrong = " and ".join(fault.told for fault in first.faults)
        left = " and ".join(fault.told for fault in kept.faults)
        times = "once" if len(self.attempts) == 2 else f"{len(self.attempts) - 1} times"
        outcome = f"of seed {kept.seed} was kept" + (f", though {left}" if left else "")
        return f"was spoken again {times}, because {wrong}: that {outcome}"


@dataclass(frozen=True)
class Speech:
    """What was spoken.

    Attributes:
        waveform: mono at the checkpoint's rate.
        codes: shape (num_codebooks, num_frames), all chunks one after the other.
        elapsed: seconds of computing, from the request to the last sample.
        seed: with the same text, references, checkpoint and settings it gives the same codes.
        retry: how often a part could be spoken again; 0 where none was judged.
        heard_back_by: who heard the parts; "" where only rules judged, or nobody.
    """

    waveform: Waveform
    codes: np.ndarray
    chunks: tuple[ChunkReport, ...]
    elapsed: float
    seed: int
    sampling: Sampling
    retry: int = 0
    heard_back_by: str = ""

    @property
    def num_frames(self) -> int:
        return self.codes.shape[1]

    @property
    def seconds(self) -> float:
        """Pauses between chunks included."""
        return self.waveform.duration

    @property
    def rtf(self) -> float:
        """Real-time factor: computing time divided by duration; below 1 is faster than speech."""
        return self.elapsed / self.seconds

    @property
    def ended(self) -> bool:
        return all(chunk.ended for chunk in self.chunks)

    def retried(self) -> list[str]:
        """Which parts were spoken again and why, a sentence each."""
        total = len(self.chunks)
        return [
            f"{'It' if total == 1 else f'Part {number} of {total}'} {chunk.retries_told()}."
            for number, chunk in enumerate(self.chunks, 1)
            if chunk.retried
        ]

    def shortcomings(self) -> list[str]:
        """What a listener should know, a clause each; empty for a take that came out whole."""
        found = []
        total = len(self.chunks)
        if cut := sum(not chunk.ended for chunk in self.chunks):
            where = "" if total == 1 else f" in {cut} of its {total} parts"
            found.append(
                f"the model did not stop by itself{where} and was stopped at the length budget: listen to the end, or try "
                "another seed."
            )
        if unspoken := [str(number) for number, chunk in enumerate(self.chunks, 1) if chunk.num_frames == 0]:
            found.append(f"part {', '.join(unspoken)} of {total} was left out by the model: try another seed.")
        return found
