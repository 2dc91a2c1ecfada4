"""What is taught when: few words first, then longer lines, and harder history. It moves on by text gain, not by the loss.

Text gain: the loss of held-out codes given another text, less the loss given their own, in nats a line (codebook 0). A model
that knows clips by heart and reads nothing has none; one that reads every word gains with every word.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from studio.engine.prompt import IGNORED
from tools.demo_checkpoint import corpus
from tools.demo_checkpoint.codes import read_clips
from tools.demo_checkpoint.lessons import Alphabet, Spoken, lesson
from tools.demo_checkpoint.sequences import Line, Store, natural


@dataclass(frozen=True)
class Stage:
    """How hard the lessons are.

    Attributes:
        words: of a line, from and to.
        joined: share of lines that are joined from words.
        corruption: largest share of the history that is replaced.
        reference: share of lessons that open with a clip as people upload them.
        clip: frames of that clip, from and to.
    """

    words: tuple[int, int]
    joined: float
    corruption: float
    reference: float
    clip: tuple[int, int] = (60, 120)


STAGES = (
    Stage((1, 4), joined=0.4, corruption=0.3, reference=0.0),
    Stage((1, 8), joined=0.4, corruption=0.4, reference=0.1),
    Stage((2, 16), joined=0.25, corruption=0.3, reference=0.6, clip=(75, 280)),
)
GATES = (0.6, 0.8)
"""Share of rows whose word the guided heads find, on held-out lines, that opens the next stage."""
FRAMES = 130
"""Of a lesson, without its clip: lines are added until it has about as many."""
OPENED = 0.3
"""Share of clips that may have words outside the scope."""


@dataclass(frozen=True)
class Run:
    """One run of training.

    Attributes:
        codes: folder of codes.
        num_samples: lessons in all (steps times batch).
        batch: lessons of one step: they have clips of one length, so that they need little padding.
        resumed: checkpoint folder that the run goes on from, if any.
    """

    codes: str
    num_samples: int
    batch: int = 1
    seed: int = 0
    measure_every: int = 100
    resumed: str = ""
    log: str = ""


class Curriculum:
    """Draws lessons and decides how hard they are.

    Raises:
        ValueError: no codes, or damaged ones.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.stage = run, 0
        self._files: set[Path] = set()
        self._clips: list[Any] = []
        self._tests: list[Line] = []
        self._read()

    def _read(self) -> None:
        for path in sorted(Path(self.run.codes).glob("s*.npz")):
            if path in self._files:
                continue
            self._files.add(path)
            clips = list(read_clips(path))
            if corpus.is_held_out(path):
                self._tests += [natural(clip) for clip in clips if clip.voice in corpus.VOICES]
            else:
                self._clips += clips
        if not self._clips or not self._tests:
            raise ValueError(f"{self.run.codes} holds no codes: run tools.demo_checkpoint.codes first")
        self._store = Store(self._clips)

    def lesson(self, number: int, alphabet: Alphabet) -> dict[str, Any]:
        """Lesson ``number`` at the present stage: lines of one voice, each a reference for those after it."""
        rng = np.random.default_rng((self.run.seed, number))
        stage = STAGES[self.stage]
        voice = self._store.voices[rng.integers(len(self._store.voices))]
        turns: list[Spoken] = []
        together = np.random.default_rng((self.run.seed, number // self.run.batch, 1))
        wanted = FRAMES
        if together.random() < stage.reference:
            clip, known = self._store.reference(rng, voice, int(together.integers(*stage.clip)), OPENED)
            turns.append(Spoken(clip, trained=known))
            wanted += clip.num_frames
        while not turns or sum(turn.line.num_frames for turn in turns) < wanted:
            count = int(rng.integers(stage.words[0], stage.words[1] + 1))
            turns.append(Spoken(self._store.line(rng, voice, count, stage.joined)))
        share = rng.uniform(0, stage.corruption) if rng.random() < 0.8 else 0.0
        return lesson(turns, alphabet, rng=rng, corruption=share)

    @torch.no_grad()
    def measure(self, trainer: Any, step: int) -> dict[str, float]:
        """Text gain and the share of words found, by length of line; opens the next stage."""
        model = trainer.accelerator.unwrap_model(trainer.model)
        config = model.config
        alphabet = Alphabet(trainer.template.tokenizer, config.audio_stream_bos_id, config.audio_stream_eos_id)
        training = model.training
        model.eval()
        figures: dict[str, float] = {"step": step, "stage": self.stage}
        for low, high in ((1, 4), (5, 6), (7, 9)):
            lines = [line for line in self._tests if low <= sum(b - a > 1 for a, b in line.units) <= high][:24]
            if len(lines) < 4:
                continue
            right, found = self._loss(model, lines, alphabet)
            texts = [lines[(n + 1) % len(lines)] for n in range(len(lines))]
            wrong, _ = self._loss(model, lines, alphabet, texts)
            frames = float(np.mean([line.num_frames for line in lines]))
            figures |= {
                f"gain_{low}-{high}": (wrong - right) * frames,
                f"loss_{low}-{high}": right,
                f"found_{low}-{high}": found,
            }
        model.train(training)
        found = [value for name, value in figures.items() if name.startswith("found")]
        if self.stage < len(GATES) and np.mean(found) >= GATES[self.stage]:
            self.stage += 1
        self._read()
        shown = {name: round(value, 3) for name, value in figures.items()}
        if self.run.log:
            with Path(self.run.log).open("a") as file:
                file.write(json.dumps(shown) + "\n")
        return figures

    def _loss(
        self, model: Any, lines: list[Line], alphabet: Alphabet, texts: list[Line] | None = None
    ) -> tuple[float, float]:
        """Loss of codebook 0 and the share of words found, of lines alone (no reference), with their own or other texts."""
        samples = []
        for number, line in enumerate(lines):
            shown = line
            if texts is not None:
                other = texts[number]
                shown = Line(line.voice, other.text, line.codes, other.units, np.zeros_like(line.owner), line.sounds)
            samples.append(lesson([Spoken(shown)], alphabet))
        losses, found = [], []
        for start in range(0, len(samples), 8):
            with torch.autocast("cpu", torch.bfloat16):
                output = model(**collate(samples[start : start + 8], model.config))
            losses.append(float(output.codebook_losses[0]))
            found.append(float(output.found))
        return float(np.mean(losses)), float(np.mean(found))

    def save(self, folder: Path, step: int) -> None:
        """Beside the weights of a checkpoint."""
        if folder.is_dir():
            (folder / "curriculum.json").write_text(json.dumps({"stage": self.stage, "step": step}))

    def resume(self, step: int) -> None:
        """Take the stage of the checkpoint that the run goes on from."""
        kept = Path(self.run.resumed) / "curriculum.json"
        if step and self.run.resumed and kept.is_file():
            self.stage = json.loads(kept.read_text())["stage"]


def collate(samples: list[dict[str, Any]], config: Any) -> dict[str, Any]:
    """A batch as the plugin's template makes it, for measuring outside of a trainer."""

    def padded(name: str, value: int) -> torch.Tensor:
        return pad_sequence([torch.as_tensor(s[name]) for s in samples], batch_first=True, padding_value=value)

    ids, rows = padded("input_ids", config.pad_token_id), padded("audio_input_ids", config.audio_stream_eos_id)
    lengths = torch.tensor([len(sample["input_ids"]) for sample in samples])
    num_rows = torch.tensor([len(sample["audio_input_ids"]) for sample in samples])
    return {
        "input_ids": ids,
        "attention_mask": (torch.arange(ids.shape[1])[None] < lengths[:, None]).long(),
        "labels": padded("labels", IGNORED),
        "audio_input_ids": rows,
        "audio_input_ids_mask": torch.arange(rows.shape[1])[None] < num_rows[:, None],
        "audio_labels": padded("audio_labels", IGNORED),
        "attend": padded("attend", IGNORED),
        "heard": padded("heard", IGNORED),
    }
