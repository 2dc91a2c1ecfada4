"""How right the coach is: writes the tables of docs/coach.md from real recordings with planted faults.

    python -m tools.coach_figures            # prints the tables and puts them between the marks in docs/coach.md
    python -m tools.coach_figures --dry-run  # prints them only

Needs ../shared/speech and takes about five minutes on one core. Faults are planted in clips with odd numbers and in
LJSpeech; docs/coach.md says which recordings the limits were chosen on.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import re
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from studio.audio import encode_audio, read_audio
from studio.audio.editing import trim
from studio.audio.waveform import Span, Waveform
from studio.listening.speakers import find_speakers
from studio.listening.vad import find_speech
from studio.voices.coach import ClipReport, examine
from tools.coach_faults import (
    babble,
    clipped,
    in_room,
    joined,
    other_voice,
    pink_noise,
    telephone,
    white_noise,
    with_noise,
)

REPOSITORY = Path(__file__).resolve().parent.parent
SPEECH = REPOSITORY.parent / "shared" / "speech"
DOCUMENT = REPOSITORY / "docs" / "coach.md"
RATE = 24000
MARKS = {"good": "good", "warn": "warn", "bad": "**bad**"}
# Short clips are warned about for being short, which is right and tells nothing here.
ABOUT_LENGTH = {"duration", "speech"}


def main() -> None:
    """Prints and writes all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="print the tables, leave docs/coach.md as it is")
    options = parser.parse_args()
    bases = list(_bases())
    tables: dict[str, Callable[[], list[str]]] = {
        "clean": _clean_table,
        "faults": lambda: _fault_table(bases),
        "noise": lambda: _noise_table(bases),
        "bandwidth": lambda: _bandwidth_table(bases),
        "echo": lambda: _echo_table(bases),
        "clipping": lambda: _clipping_table(bases),
        "speakers": _speaker_table,
        "time": _time_table,
    }
    texts: dict[str, str] = {}
    for name, make in tables.items():
        texts[name] = "\n".join(make())
        print(f"\n## {name}\n\n{texts[name]}", flush=True)
    if options.dry_run:
        return
    # Read only now: somebody may have written in it during these minutes.
    document = DOCUMENT.read_text(encoding="utf-8")
    for name, text in texts.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        document = pattern.sub(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", document)
    DOCUMENT.write_text(document, encoding="utf-8")


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _kathleen() -> list[Path]:
    return sorted((SPEECH / "kathleen" / "wavs").glob("*.flac"))


def _librispeech() -> dict[str, list[Path]]:
    with (SPEECH / "librispeech" / "metadata.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    speakers: dict[str, list[Path]] = {}
    for row in rows:
        speakers.setdefault(row["speaker_id"], []).append(SPEECH / "librispeech" / row["filename"])
    return speakers


def _bases() -> Iterator[tuple[str, Waveform, list[Span]]]:
    """Clean clips of 8–15 s to plant faults in, at 24 kHz: not those that the limits were chosen on."""
    files = _kathleen()
    for first in (21, 101, 181, 261):
        clip = joined([read_audio(path) for path in files[first : first + 5 : 2]], 0.3)
        yield "Kathleen", clip, find_speech(clip)
    clip = read_audio(SPEECH / "clips" / "en_lj001.flac").resampled(RATE)
    yield "LJSpeech", clip, find_speech(clip)
    for name in ("1688", "2033", "2414", "3005"):  # The other two are noisy themselves.
        clip = joined([read_audio(path).resampled(RATE) for path in _librispeech()[name][1::2]], 0.3)
        clip = trim(clip, 0.0, min(15.0, clip.duration))
        yield "LibriSpeech", clip, find_speech(clip)


def _noises(count: int) -> dict[str, np.ndarray]:
    voices = [read_audio(path) for paths in _librispeech().values() for path in paths[1::2]]
    return {
        "white": white_noise(count, 1),
        "pink": pink_noise(count, 1),
        "babble": babble(voices, count, RATE, 1),
    }


def _faults(report: ClipReport) -> set[str]:
    return {verdict.item for verdict in report.verdicts if verdict.verdict != "good"} - ABOUT_LENGTH


def _clean_table() -> list[str]:
    groups: dict[str, list[tuple[Path, str]]] = {
        "Kathleen": [],
        "LibriSpeech test-other": [],
        "clips/ without the noisy and the long one": [],
    }
    with (SPEECH / "kathleen" / "metadata.csv").open(encoding="utf-8") as file:
        texts = {row[0]: row[1] for row in csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE) if len(row) > 1}
    groups["Kathleen"] = [(path, texts[path.stem]) for path in _kathleen()]
    with (SPEECH / "librispeech" / "metadata.csv").open(encoding="utf-8") as file:
        groups["LibriSpeech test-other"] = [
            (SPEECH / "librispeech" / row["filename"], row["transcript"]) for row in csv.DictReader(file)
        ]
    manifest = json.loads((SPEECH / "clips" / "manifest.json").read_text(encoding="utf-8"))
    groups["clips/ without the noisy and the long one"] = [
        (SPEECH / "clips" / row["file"], row["text"])
        for row in manifest
        if "noisy" not in row["file"] and row["sec"] < 60.0
    ]
    rows = []
    for name, entries in groups.items():
        for part, chosen in (("even", entries[::2]), ("odd", entries[1::2])):
            reports = [examine(read_audio(path), transcript=text) for path, text in chosen]
            counts = Counter(
                f"{verdict.item} {verdict.verdict}"
                for report in reports
                for verdict in report.verdicts
                if verdict.verdict != "good" and verdict.item not in ABOUT_LENGTH
            )
            flagged = sum(bool(_faults(report)) for report in reports)
            named = ", ".join(f"{item} {count}" for item, count in sorted(counts.items())) or "none"
            bad = sum(not report.ok for report in reports)
            rows.append(
                [name, part, str(len(reports)), f"{flagged} ({100 * flagged / len(reports):.1f} %)", str(bad), named]
            )
    noisy = examine(read_audio(SPEECH / "clips" / "en_lj001_noisy5db.flac"))
    found = noisy.verdict("noise")
    lines = _table(["Recordings", "Half", "Clips", "Flagged", "Of these bad", "For what"], rows)
    return [*lines, "", f"`en_lj001_noisy5db.flac`: noise {found.verdict} at {found.shown}; ok is {noisy.ok}."]


def _planted(base: Waveform, speech: list[Span]) -> dict[str, Waveform]:
    noises = _noises(base.num_samples)
    low = other_voice(trim(base, 0.0, 5.0))
    silence = Waveform(np.zeros(round(2.0 * RATE), dtype=np.float32), RATE)
    return {
        "nothing": base,
        **{
            f"{kind} noise, {db} dB": with_noise(base, noises[kind], db, speech)
            for kind in noises
            for db in (20, 10, 5)
        },
        **{
            f"driven to {drive} × the ceiling, then turned down": clipped(base, drive, turned_down=0.3)
            for drive in (1.5, 2, 4)
        },
        "telephone, 3.4 kHz in a file of 48 kHz": telephone(base),
        "filtered at 7 kHz": telephone(base, 7000.0),
        **{f"room of {rt60} s": in_room(base, rt60, seed=3) for rt60 in (0.3, 0.6, 0.9, 1.2)},
        "2 s of silence before": joined([silence, base]),
        "5 s of a lower voice after": joined([base, low], 0.4),
    }


def _fault_table(bases: list[tuple[str, Waveform, list[Span]]]) -> list[str]:
    counts: dict[str, Counter[str]] = {}
    unusable: Counter[str] = Counter()
    for _, base, speech in bases:
        for fault, clip in _planted(base, speech).items():
            report = examine(clip)
            unusable[fault] += not report.ok
            for verdict in report.verdicts:
                if verdict.verdict != "good" and verdict.item != "duration":
                    counts.setdefault(fault, Counter())[f"{verdict.item} {verdict.verdict}"] += 1
            counts.setdefault(fault, Counter())
    rows = [
        [
            fault,
            ", ".join(f"{item} {count}" for item, count in found.most_common()) or "none",
            f"{len(bases) - unusable[fault]} of {len(bases)}",
        ]
        for fault, found in counts.items()
    ]
    return _table(["Planted", f"Verdicts in {len(bases)} clips", "ok"], rows)


def _noise_table(bases: list[tuple[str, Waveform, list[Span]]]) -> list[str]:
    rows = []
    for kind in ("white", "pink", "babble"):
        for planted in (30, 20, 15, 10, 5, 0):
            found = []
            for _, base, speech in bases:
                clip = with_noise(base, _noises(base.num_samples)[kind], planted, speech)
                found.append(examine(clip).verdict("noise").value or 0.0)
            error = np.array(found) - planted
            rows.append(
                [
                    kind,
                    f"{planted} dB",
                    f"{np.mean(found):.1f} dB",
                    f"{min(found):.1f}–{max(found):.1f}",
                    f"{error.mean():+.1f}",
                ]
            )
    return _table(["Noise", "Planted", "Estimated (mean)", "Range", "Mean error"], rows)


def _bandwidth_table(bases: list[tuple[str, Waveform, list[Span]]]) -> list[str]:
    kinds: dict[str, Callable[[Waveform], Waveform]] = {
        "as it is (24 kHz; LibriSpeech ends at 8 kHz)": lambda clip: clip,
        "3.4 kHz in a file of 48 kHz": telephone,
        "8 kHz file made 48 kHz": lambda clip: clip.resampled(8000).resampled(48000),
        "filtered at 5.5 kHz": lambda clip: telephone(clip, 5500.0),
        "filtered at 7 kHz": lambda clip: telephone(clip, 7000.0),
        "MP3": _as_mp3,
    }
    rows = []
    for kind, change in kinds.items():
        verdicts = [examine(change(base)).verdict("bandwidth") for _, base, _ in bases]
        values = [verdict.value or 0 for verdict in verdicts]
        grades = Counter(verdict.verdict for verdict in verdicts)
        rows.append([kind, f"{min(values)}–{max(values)} Hz", ", ".join(f"{MARKS[g]} {n}" for g, n in grades.items())])
    return _table(["Recording", "Estimated", "Verdicts"], rows)


def _as_mp3(clip: Waveform) -> Waveform:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp3"
        path.write_bytes(encode_audio(clip, "mp3"))
        return read_audio(path)


def _echo_table(bases: list[tuple[str, Waveform, list[Span]]]) -> list[str]:
    rows = []
    for direct in (0.0, 6.0):
        for rt60 in (0.3, 0.45, 0.6, 0.8, 1.0, 1.2):
            verdicts = [
                examine(in_room(base, rt60, direct_db=direct, seed=index)).verdict("echo")
                for index, (_, base, _) in enumerate(bases)
            ]
            found = np.array([verdict.value for verdict in verdicts if verdict.value is not None], dtype=float)
            grades = Counter(verdict.verdict for verdict in verdicts)
            rows.append(
                [
                    f"{direct:.0f} dB",
                    f"{rt60} s",
                    f"{found.mean():.2f} s",
                    f"{found.min():.2f}–{found.max():.2f}",
                    f"{np.sqrt(np.mean(np.square(found - rt60))):.2f} s",
                    ", ".join(f"{MARKS[grade]} {count}" for grade, count in grades.items()),
                ]
            )
    return _table(["Direct over room", "RT60 planted", "Estimated (mean)", "Range", "RMS error", "Verdicts"], rows)


def _clipping_table(bases: list[tuple[str, Waveform, list[Span]]]) -> list[str]:
    later: dict[str, Callable[[Waveform], Waveform]] = {
        "nothing": lambda clip: clip,
        "turned down by 14 dB": lambda clip: Waveform(clip.samples * np.float32(0.2), clip.sample_rate),
        "resampled to 16 kHz": lambda clip: clip.resampled(16000),
        "coded as MP3": _as_mp3,
    }
    rows = []
    for drive in (1.0, 1.2, 1.5, 2.0, 3.0):
        row = [f"{drive} ×"]
        for change in later.values():
            verdicts = [examine(change(clipped(base, drive))).verdict("clipping") for _, base, _ in bases]
            grades = Counter(verdict.verdict for verdict in verdicts)
            row.append(
                f"{np.median([verdict.value for verdict in verdicts]):.2g} %: "
                + ", ".join(f"{MARKS[grade]} {grades[grade]}" for grade in MARKS if grades[grade])
            )
        rows.append(row)
    return _table(["Driven to", *(f"then {name}" for name in later)], rows)


def _speaker_table() -> list[str]:
    """Both halves: six people are too few to divide. Calibration saw the same six in other combinations."""
    voices: dict[str, list[Waveform]] = {}
    for name, paths in _librispeech().items():
        for path in paths:
            clip = read_audio(path)
            start = find_speech(clip)[0].start
            voices.setdefault(name, []).append(trim(clip, start, clip.duration))
    random = np.random.default_rng(11)

    def piece(name: str, seconds: float) -> Waveform:
        long = [clip for clip in voices[name] if clip.duration >= seconds] or voices[name]
        clip = long[int(random.integers(len(long)))]
        return trim(clip, 0.0, min(seconds, clip.duration))

    def rate(clips: list[Waveform]) -> tuple[int, int, int]:
        found = [find_speakers(clip, find_speech(clip)) for clip in clips]
        told = [speakers for speakers in found if speakers is not None]
        return sum(speakers.more_than_one for speakers in told), len(told), len(found)

    pairs = list(itertools.combinations(voices, 2))
    kathleen = [read_audio(path) for path in _kathleen()[1::2]]
    cases = {
        "two people, 5 s + 5 s": [joined([piece(a, 5.0), piece(b, 5.0)], 0.3) for a, b in pairs],
        "two people, 3 s + 3 s": [joined([piece(a, 3.0), piece(b, 3.0)], 0.3) for a, b in pairs],
        "two people, 7 s + 2.5 s": [joined([piece(a, 7.0), piece(b, 2.5)], 0.3) for a, b in pairs],
        "one of six, one recording": [clip for clips in voices.values() for clip in clips],
        "one of six, three recordings": [
            joined([voices[name][index] for index in random.permutation(5)[:3]], 0.3)
            for name in voices
            for _ in range(5)
        ],
        "Kathleen, one recording": kathleen,
        "Kathleen, four recordings": [joined(kathleen[index : index + 4], 0.3) for index in range(0, 160, 4)],
    }
    rows = []
    for name, clips in cases.items():
        two, told, total = rate(clips)
        rows.append([name, str(total), str(total - told), f"{two} of {told}"])
    return _table(["Who speaks", "Clips", "Not decided", "Said to be two"], rows)


def _time_table() -> list[str]:
    files = _kathleen()
    clips = [read_audio(path) for path in files]
    rows = []
    for name, clip in (
        ("10 s at 24 kHz", joined(clips[:3], 0.3)),
        ("139 s at 24 kHz", read_audio(SPEECH / "clips" / "en_kathleen_long.flac")),
        ("20 min at 48 kHz", joined([clip.resampled(48000) for clip in clips[:180]] * 2, 0.3)),
    ):
        started = time.perf_counter()
        report = examine(clip)
        seconds = time.perf_counter() - started
        window = f"{report.window.start:.1f}–{report.window.end:.1f} s" if report.window else "none"
        rows.append([name, f"{clip.duration:.0f} s", f"{seconds:.1f} s", window])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    lines = _table(["Clip", "Length", "Time, models loaded", "Window"], rows)
    return [*lines, "", f"Most memory of the process, with the 20 minutes themselves and all models: {peak:.1f} GiB."]


if __name__ == "__main__":
    main()
