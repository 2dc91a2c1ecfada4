"""Writes down what the studio does, to compare two states of its code: ``python -m tools.behaviour FILE.json``.

Commands are run for real, each in a process of its own, on a fresh home and the tiny checkpoint: their output, their errors,
their JSON documents, the bytes of seeded takes. Then every text, choice and id of the page. What differs from run to run
(times, ids, folders, measured speeds) is put out of the way. ``python -m tools.behaviour A.json B.json`` compares two.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
_COMMANDS = ("speak", "voice", "take", "train", "checkpoint", "doctor")
_MEASURED = re.compile(
    r'"(\w*(?:seconds|elapsed|rtf|bytes|_ms|free\w*|load\w*|pid|since|at|memory|speed\w*|threads|cores|uptime|took))": '
    r"(?:-?[\d.]+(?:e-?\d+)?)"
)
_PASSING = (
    (re.compile(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b(?:[0-9a-f]{24}|[0-9a-f]{32})\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "TIME"),
    (re.compile(r"\d+(?:\.\d+)?\s?(?:GB|MB|KB|GiB|MiB|min|GHz)\b"), "AMOUNT"),
    (re.compile(r"\b\d+(?:\.\d+)? s\b(?= for| to|, real|\.)"), "SECONDS"),
    (re.compile(r"(real-time factor|RTF|rtf)\D{0,4}[\d.]+"), r"\1 X"),
    (re.compile(r"\d+\.\d+ times"), "X times"),
)


def passing_removed(text: str, folder: Path) -> str:
    """A text without what another run would say otherwise."""
    text = text.replace(str(folder), "HOME").replace(str(PROJECT), "PROJECT")
    text = _MEASURED.sub(r'"\1": N', text)
    for pattern, name in _PASSING:
        text = pattern.sub(name, text)
    return text


def commands(folder: Path) -> list[list[str]]:
    """What is run, in order; later ones need earlier ones."""
    clip = str(PROJECT / "assets" / "voices")
    wav = sorted(Path(clip).glob("*.flac"))[0] if any(Path(clip).glob("*.flac")) else sorted(Path(clip).rglob("*.*"))[0]
    rows = "rows.jsonl"
    long = " ".join(["The quick brown fox jumps over the lazy dog."] * 12)
    speak = ["speak", "--seed", "7", "--json"]
    return [
        *[[name, "--help"] for name in _COMMANDS],
        *[["voice", name, "--help"] for name in ("check", "add", "list", "show", "edit", "remove", "withdraw-consent")],
        *[["take", name, "--help"] for name in ("list", "show", "export", "again")],
        *[["train", name, "--help"] for name in ("check", "start", "list", "show", "export", "logs")],
        ["--version"],
        ["checkpoint", "tiny", "tiny"],
        ["checkpoint", "info", "tiny", "--json"],
        ["checkpoint", "info", "nowhere"],
        ["doctor", "--json"],
        ["voice", "list", "--json"],
        ["voice", "check", str(wav), "--json"],
        ["voice", "check", "nowhere.wav"],
        ["voice", "add", "Me", str(wav), "--json"],
        ["voice", "add", "Me", str(wav), "--transcript", "Some words.", "--speaker-consent", "own", "--json"],
        ["voice", "list"],
        ["voice", "show", "Clara", "--json"],
        ["voice", "show", "Nobody"],
        [*speak, "Hello there, how are you today?", "--out", "one.wav"],
        [*speak, long, "--out", "long.wav"],
        [*speak, "مرحبا بك في المدينة", "--out", "arabic.wav"],
        [*speak, "Good morning.", "--voice", "Clara", "--out", "clara.wav"],
        [*speak, "Good morning.", "--voice", "Nobody", "--out", "no.wav"],
        [*speak, "--script", "script.txt", "--voice", "Ann=Clara", "--describe", "Ben=A man", "--out", "dialogue.flac"],
        [*speak, "Hi.", "--reference", str(wav), "--transcript", "Words.", "--out", "no.wav"],
        [*speak, "Hi.", "--reference", str(wav), "--transcript", "W.", "--speaker-consent", "own", "--out", "ref.wav"],
        [*speak, "", "--out", "no.wav"],
        [*speak, "<|eot_id|>", "--out", "no.wav"],
        [*speak, "Hello.", "--out", "no.xyz"],
        [*speak, "Hello.", "--temperature", "9", "--out", "no.wav"],
        ["take", "list", "--json"],
        ["take", "list"],
        ["take", "show", "nothing"],
        ["train", "list", "--json"],
        *[["train", "check", rows, "--preset", preset, "--json"] for preset in ("quick", "standard", "thorough")],
        ["train", "check", rows],
        ["train", "check", "nowhere.jsonl"],
        ["train", "check", rows, "--set", "learning_rate=abc"],
        ["train", "check", rows, "--set", "num_train_epochs=2", "--set", "lora_rank=4"],
        ["train", "show", "nothing"],
    ]


def run(folder: Path) -> dict[str, Any]:
    """Every command's exit code and output, and a hash of each sound."""
    environment = {
        **os.environ,
        "STUDIO_HOME": str(folder / "home"),
        "STUDIO_CHECKPOINT": str(folder / "tiny"),
        "COLUMNS": "120",
        "PYTHONPATH": str(PROJECT),
        "HF_HUB_OFFLINE": "1",
    }
    (folder / "script.txt").write_text("[Ann] Good morning.\n[Ben] And to you.\n[Ann] Bye.")
    clips = sorted((PROJECT / "assets" / "voices").glob("*.flac"))
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Sentence {n} is read here."},
                {"role": "assistant", "content": "<audio>"},
            ],
            "audios": [str(clips[n % len(clips)])],
        }
        for n in range(12)
    ]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found: dict[str, Any] = {}
    for number, arguments in enumerate(commands(folder)):
        done = subprocess.run(
            [sys.executable, "-m", "studio", *arguments], cwd=folder, env=environment, capture_output=True, text=True
        )
        name = passing_removed(f"{number} {' '.join(arguments)[:80]}", folder)
        found[name] = {
            "exit": done.returncode,
            "out": passing_removed(done.stdout, folder),
            "err": passing_removed(done.stderr, folder),
        }
        print(name, done.returncode, file=sys.stderr)
    import soundfile

    for path in sorted(folder.glob("*.*")):
        if path.suffix in (".wav", ".flac"):
            samples = soundfile.read(path, dtype="int16")[0]
            found[f"sound {path.name}"] = hashlib.sha256(samples.tobytes()).hexdigest()
    return found


def page(folder: Path) -> list[str]:
    """Every text, choice and id of the page, in its order, and how its events hang together."""
    os.environ["STUDIO_HOME"] = str(folder / "home")
    from studio.settings import Settings
    from studio.ui import serving as served

    built = served.build_page(Settings(home=folder / "home", checkpoint=str(folder / "tiny")))
    config = built.get_config_file()
    lines = []
    for component in config["components"]:
        props = {name: value for name, value in component["props"].items() if _is_told(value)}
        props.pop("key", None)
        lines.append(passing_removed(f"{component['type']} {json.dumps(props, sort_keys=True, default=str)}", folder))
    for dependency in config["dependencies"]:
        kept = {name: dependency[name] for name in ("targets", "inputs", "outputs", "queue", "trigger_mode", "js")}
        lines.append(json.dumps(kept, default=str))
    return lines


def _is_told(value: Any) -> bool:
    return isinstance(value, (str, bool, int, float, list, dict)) and value not in ("", [], {})


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two records differ, a line each."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = [*one, *(name for name in other if name not in one)]
        return [line for name in names for line in differences(one.get(name), other.get(name), f"{where} / {name}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for n, (a, b) in pairs for line in differences(a, b, f"{where} [{n}]")]
    return [] if one == other else [f"{where}:\n  - {str(one)[:2000]}\n  + {str(other)[:2000]}"]


def main() -> int:
    """Write a record, or compare two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="one to write, or two to compare")
    options = parser.parse_args()
    if len(options.files) == 2:
        records = [json.loads(path.read_text(encoding="utf-8")) for path in options.files]
        found = differences(*records)
        print("\n".join(found) or f"No difference in {sum(len(part) for part in records[0].values())} entries.")
        return 1 if found else 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record = {"commands": run(folder), "page": page(folder)}
    options.files[0].write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
