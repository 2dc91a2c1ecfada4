"""Trains the codec: ``python -m tools.demo_checkpoint.codec --steps 8000``.

The same command goes on from the last save. ``--start FILE`` begins with the weights of an earlier codec of this shape;
without it the codec starts from nothing, and its codebooks once the encoder has settled.
``--adversary-from STEP``: from there on discriminators join in, for the ear.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tools.demo_checkpoint import corpus, state
from tools.demo_checkpoint.adversary import Adversary
from tools.demo_checkpoint.codec_model import HOP, RATE, Codec, load_exported, load_start
from tools.demo_checkpoint.phonemes import NUM_SOUNDS, UNKNOWN, sounds_of
from tools.demo_checkpoint.sound import Pool

PIECE_SECONDS = 0.96
_RESOLUTIONS = ((128, 0), (256, 0), (512, 96), (1024, 128), (2048, 128))
"""Window of each spectrogram in samples, and its mel bands."""


SEMANTIC_WEIGHT = 0.05
"""Of the cross-entropy of the phonemes, beside a spectral loss of about 0.7."""


class SpectralLoss:
    """Distance of two sounds in several resolutions: log-mel, log-magnitude and spectral convergence."""

    def __init__(self) -> None:
        import librosa

        self._windows = [torch.hann_window(size) for size, _ in _RESOLUTIONS]
        self._mels = [
            torch.tensor(librosa.filters.mel(sr=RATE, n_fft=size, n_mels=bands)) if bands else None
            for size, bands in _RESOLUTIONS
        ]

    def __call__(self, wanted: Tensor, given: Tensor) -> Tensor:
        """Both of shape (batch, num_samples)."""
        total = given.new_zeros(())
        for (size, _), window, mel in zip(_RESOLUTIONS, self._windows, self._mels, strict=True):
            with torch.no_grad():
                a = torch.stft(wanted, size, size // 4, window=window, return_complex=True).abs()
            b = torch.stft(given, size, size // 4, window=window, return_complex=True).abs()
            if mel is not None:
                total = total + (torch.log(mel @ a + 1e-3) - torch.log(mel @ b + 1e-3)).abs().mean()
            total = total + 0.3 * (torch.log(a + 3e-3) - torch.log(b + 3e-3)).abs().mean()
            total = total + 0.5 * (a - b).norm() / (a.norm() + 1e-3)
        return total / len(_RESOLUTIONS)


class SemanticHead(nn.Module):
    """Tells the phoneme of each frame from what the first codebook gives, so that this codebook comes to carry words."""

    def __init__(self) -> None:
        super().__init__()
        self._near = nn.Conv1d(144, 128, 3, padding=1)
        self._tell = nn.Conv1d(128, NUM_SOUNDS, 1)

    def forward(self, first: Tensor) -> Tensor:
        """Scores, shape (batch, NUM_SOUNDS, num_frames), of frames of shape (batch, num_frames, 144)."""
        return self._tell(F.gelu(self._near(first.transpose(1, 2))))


class Trainer:
    """One run: the codec, its slow average, the optimizer, and the speech at hand.

    Args:
        decoder_only: leave the codes as they are, and learn only to make sound of them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        start: Path | None,
        steps: int,
        rate: float,
        kathleen: Path | None,
        decoder_only: bool = False,
    ) -> None:
        self._folder, self._steps, self._rate, self._decoder_only = folder, steps, rate, decoder_only
        self.codec, self.step, self.head = Codec(), 0, SemanticHead()
        self._parameters = (
            self.codec.decoding_parameters()
            if decoder_only
            else [*self.codec.trained_parameters(), *self.head.parameters()]
        )
        self._optimizer = torch.optim.AdamW(self._parameters, lr=rate, betas=(0.8, 0.99), weight_decay=1e-3)
        self._quantise_from = 2500
        self._adversary: Adversary | None = None
        self._opponent: torch.optim.Optimizer | None = None
        self._loss = SpectralLoss()
        self._pool = Pool(RATE, PIECE_SECONDS)
        self._read: set[Path] = set()
        if self._save_file.is_file():
            self._load()
        else:
            if start is not None:
                self._quantise_from = 0
                if start.is_dir():
                    load_exported(self.codec, start)
                elif start.suffix == ".pt":
                    self.codec.load_state_dict(torch.load(start, weights_only=True)["average"])
                else:
                    load_start(self.codec, start)
            self.average = copy.deepcopy(self.codec)
        self._rng = np.random.default_rng(self.step)
        torch.manual_seed(self.step)
        for path in sorted((kathleen / "wavs").glob("[ab]0*")) if kathleen else []:
            from studio.audio import read_audio

            samples = read_audio(path).resampled(RATE).samples
            self._pool.add(np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16))
        self.add_speech()

    @property
    def _save_file(self) -> Path:
        return self._folder / "codec.pt"

    def _load(self) -> None:
        kept = torch.load(self._save_file, weights_only=True)
        self.codec.load_state_dict(kept["codec"])
        self.average = copy.deepcopy(self.codec)
        self.average.load_state_dict(kept["average"])
        self.head.load_state_dict(kept["head"])
        self._optimizer.load_state_dict(kept["optimizer"])
        self.step, self._quantise_from = kept["step"], kept["quantise_from"]
        if "adversary" in kept:
            self.begin_adversary()
            assert self._adversary is not None and self._opponent is not None
            self._adversary.load_state_dict(kept["adversary"])
            self._opponent.load_state_dict(kept["opponent"])

    def begin_adversary(self) -> None:
        """Let discriminators join in, unless they have."""
        if self._adversary is None:
            self._adversary = Adversary()
            self._opponent = torch.optim.AdamW(self._adversary.parameters(), lr=self._rate, betas=(0.8, 0.99))

    def save(self) -> None:
        """Keep everything; a run that is killed goes on from here."""
        content = {
            "codec": self.codec.state_dict(),
            "average": self.average.state_dict(),
            "head": self.head.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "quantise_from": self._quantise_from,
        }
        if self._adversary is not None and self._opponent is not None:
            content |= {"adversary": self._adversary.state_dict(), "opponent": self._opponent.state_dict()}
        state.write_torch(self._save_file, content)

    def add_speech(self) -> None:
        """Take in the shards that were made since."""
        for path in corpus.shards():
            if path not in self._read and not corpus.is_held_out(path):
                for utterance in corpus.read_shard(path):
                    count = len(utterance.samples)
                    sounds = sounds_of(utterance.phonemes, utterance.phoneme_times, count, 1 / RATE)
                    self._pool.add(utterance.samples, sounds)
                self._read.add(path)
        if not len(self._pool):
            raise SystemExit("There is no speech yet: run tools.demo_checkpoint.corpus first, or give --kathleen.")

    def train_step(self, batch: int) -> dict[str, float]:
        """One step on ``batch`` pieces; returns the parts of the loss."""
        rate = self._rate * min(1.0, (self.step + 1) / 200, max(0.02, (self._steps - self.step) / (0.3 * self._steps)))
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        pairs = [self._pool.pair(self._rng) for _ in range(batch)]
        heard, wanted, sounds = (torch.from_numpy(np.stack(side))[:, None] for side in zip(*pairs, strict=True))
        if self.step == self._quantise_from and self.step:
            with torch.no_grad():
                frames = self.codec.encode(heard)
                while frames.numel() < 144 * 9000:
                    more = np.stack([self._pool.pair(self._rng)[0] for _ in range(batch)])
                    frames = torch.cat([frames, self.codec.encode(torch.from_numpy(more)[:, None])])
                self.codec.start_codebooks(frames.reshape(-1, frames.shape[-1]))
        learn = not self._decoder_only
        with torch.set_grad_enabled(learn):
            with torch.autocast("cpu", torch.bfloat16):
                frames = self.codec.encode(heard)
            frames, commitment, semantic, told = frames.float(), torch.zeros(()), torch.zeros(()), 0.0
            if self.step >= self._quantise_from:
                quantised = self.codec.quantise(frames, learn=learn)
                frames, commitment = quantised.frames, quantised.commitment
                semantic, told = self._semantic(quantised.first, sounds[:, 0])
        with torch.autocast("cpu", torch.bfloat16):
            given = self.codec.decode(frames)
        length = min(given.shape[-1], wanted.shape[-1])
        wanted, given = wanted[:, 0, :length], given[:, 0, :length].float()
        loss = self._loss(wanted, given)
        total = loss + (0.1 * commitment + SEMANTIC_WEIGHT * semantic if learn else 0.0)
        if self._adversary is not None and self._opponent is not None:
            own = self._adversary.own_loss(wanted, given)
            self._opponent.zero_grad()
            own.backward()
            self._opponent.step()
            fooled, alike = self._adversary.generator_loss(wanted, given)
            total = total + 0.1 * fooled + 0.2 * alike
        self._optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._average()
        self.step += 1
        return {"loss": loss.item(), "commitment": commitment.item(), "told": told}

    def _semantic(self, first: Tensor, sounds: Tensor) -> tuple[Tensor, float]:
        """Loss of telling the phonemes from the first codebook, and the share told right; sounds: (batch, num_samples)."""
        wanted = sounds[:, HOP // 2 :: HOP][:, : first.shape[1]].long()
        scores = self.head(first[:, : wanted.shape[1]])
        known = wanted != UNKNOWN
        if not known.any():
            return scores.new_zeros(()), 0.0
        loss = F.cross_entropy(scores, wanted, ignore_index=UNKNOWN)
        return loss, float((scores.argmax(dim=1) == wanted)[known].float().mean())

    @torch.no_grad()
    def _average(self) -> None:
        """The slow average of the weights, which is what is used in the end."""
        decay = min(0.998, (self.step + 1) / (self.step + 10))
        ours, theirs = self.average.state_dict(), self.codec.state_dict()
        for name, tensor in ours.items():
            if tensor.is_floating_point():
                tensor.lerp_(theirs[name], 1 - decay)
            else:
                tensor.copy_(theirs[name])


def load_codec(path: Path) -> Codec:
    """The averaged codec of a save."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: run tools.demo_checkpoint.codec first")
    codec = Codec()
    codec.load_state_dict(torch.load(path, weights_only=True)["average"])
    return codec.eval()


def main() -> None:
    """Train until ``--steps``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument(
        "--start",
        type=Path,
        help="an earlier codec: a save (.pt), weights (.safetensors), or the audio_tokenizer folder of a checkpoint",
    )
    parser.add_argument("--rate", type=float, default=1.5e-4)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--kathleen", type=Path, help="folder of the Kathleen recordings (CC0): wavs/ID.flac")
    parser.add_argument("--decoder-only", action="store_true", help="the codes stay as they are")
    parser.add_argument("--name", default="codec", help="folder of the state that keeps the run")
    parser.add_argument("--adversary-from", type=int, help="step from which discriminators join in")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    trainer = Trainer(
        state.state_folder() / options.name,
        start=options.start,
        steps=options.steps,
        rate=options.rate,
        kathleen=options.kathleen,
        decoder_only=options.decoder_only,
    )
    progress = state.Progress("codec, steps", options.steps, trainer.step)
    losses: list[float] = []
    saved = time.monotonic()
    last: dict[str, Any] = {}
    while trainer.step < options.steps:
        if options.adversary_from is not None and trainer.step >= options.adversary_from:
            trainer.begin_adversary()
        last = trainer.train_step(options.batch)
        losses.append(last["loss"])
        if trainer.step % 50 == 0:
            trainer.add_speech()
            note = f"loss {np.mean(losses[-200:]):.4f}, commitment {last['commitment']:.3f}, sounds told {last['told']:.2f}"
            progress(trainer.step, note)
        if time.monotonic() - saved > 240:
            trainer.save()
            saved = time.monotonic()
    trainer.save()


if __name__ == "__main__":
    main()
