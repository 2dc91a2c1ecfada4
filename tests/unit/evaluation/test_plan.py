"""What a comparison is asked for: every field that cannot be used is refused in one sentence with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.evaluation.comparison.library import ComparisonLibrary
from studio.evaluation.comparison.plan import checked_plan
from studio.evaluation.comparison.reading import read_plan
from tests.comparisons import plan_of, tone
from tests.refusals import refusal

TWO = [{"label": "a"}, {"label": "b"}]

WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "texts: is missing"),
    ({"texts": ["Hi."]}, "systems: is missing"),
    ({"texts": ["Hi."], "systems": [{}]}, "systems: 1 are there, and at least 2 are needed"),
    ({"texts": [], "systems": TWO}, "texts: "),
    ({"texts": ["Hi.", " "], "systems": TWO}, "texts 2: it is empty"),
    ({"texts": ["Hi.", "Hi."], "systems": TWO}, "texts: 'Hi.' is there twice"),
    ({"texts": ["Hi.", 7], "systems": TWO}, "texts 2: must be a text"),
    ({"texts": ["Hi."], "systems": TWO, "seeds": [-1]}, "seeds 1: "),
    ({"texts": ["Hi."], "systems": TWO, "seeds": [1, 1]}, "seeds: '1' is there twice"),
    ({"texts": ["Hi."], "systems": TWO, "sistems": 1}, "sistems: is no field here; the fields are voice, scene"),
    ({"texts": ["Hi."], "systems": [{}, {"temprature": 1}]}, "systems 2, temprature: is no field here; the fields are"),
    ({"texts": ["Hi."], "systems": [{}, {"temperature": 3}]}, "systems 2, temperature: it must be less than"),
    ({"texts": ["Hi."], "systems": [{}, {"temperature": "hot"}]}, "systems 2, temperature: "),
    ({"texts": ["Hi."], "systems": [{}, {"precision": "int4"}]}, "systems 2, precision: "),
    ({"texts": ["Hi."], "systems": [{}, "b"]}, "systems 2: must be fields with values"),
    ({"texts": ["Hi."], "systems": [{}, {"strength": 0.5}]}, "systems 2, strength: there is no adapter"),
    ({"texts": ["Hi."], "systems": [{}, {"adapter": "x", "strength": 0}]}, "systems 2, strength: "),
    ({"texts": ["Hi."], "systems": [{}, {"recordings": ["a.wav", "b.wav"]}]}, "systems 2, recordings: there are 2 for 1"),
    ({"texts": ["Hi."], "systems": [{}, {"recordings": ["a.wav"]}]}, "systems 2: by what right"),
    ({"texts": ["Hi."], "systems": [{}, {"recordings": [None], "speaker_consent": "own"}]}, "systems 2, recordings: there"),
    ({"texts": ["Hi."], "systems": [{}, {"recordings": ["a"], "temperature": 1.0}]}, "systems 2, temperature: recordings"),
    ({"texts": [f"Hi {n}." for n in range(500)], "systems": TWO, "seeds": list(range(9))}, "That makes 9000 takes"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "says"), WRONG, ids=[says[:40] for _, says in WRONG])
def test_what_cannot_be_used_is_refused_with_its_place(fields: dict[str, Any], says: str) -> None:
    sentence = refusal(lambda: checked_plan(fields))
    assert sentence.startswith(says)
    assert sentence.endswith((".", "licence.", "seeds."))


def test_who_is_not_there_is_refused_before_anything_begins(library: ComparisonLibrary, tmp_path: Path) -> None:
    for system, says in (
        ({"voice": "Nobody"}, "systems 2: There is no voice 'Nobody'"),
        ({"label": "x", "adapter": "no such"}, "systems 2 (x): There is no trained voice 'no such'"),
        ({"label": "one"}, "systems 2, label: 'one' is the label of another"),
        ({"recordings": [str(tmp_path / "no.wav")], "speaker_consent": "own"}, "systems 2, recordings 1: "),
        ({"recordings": ["x"], "speaker_consent": "licence"}, "systems 2: The consent note is empty"),
    ):
        plan = plan_of({"label": "one"}, system, texts=["Hi."])
        assert refusal(lambda plan=plan: library.create(plan)).startswith(says)
    control = plan_of({"label": "one"}, {"label": "two"}, texts=["Hi <|eot_id|> there."])
    assert refusal(lambda: library.create(control)).startswith("systems 1 (one): ")
    assert library.comparisons() == []
    folder = library.settings.comparisons_folder
    assert not [path for path in folder.glob("*") if not list(path.iterdir())]  # and nothing of it is left


def test_a_file_says_where_it_is_wrong_and_finds_what_lies_beside_it(
    library: ComparisonLibrary, tmp_path: Path
) -> None:
    from studio.audio.writing import write_audio

    file = tmp_path / "plan.yaml"

    def written(text: str) -> Path:
        file.write_text(text, encoding="utf-8")
        return file

    (tmp_path / "lines.txt").write_text("Good morning.\n\nGood night.\n", encoding="utf-8")
    write_audio(tone(300), tmp_path / "real.wav")
    plan = read_plan(
        written(
            "name: Night or day\ntexts: lines.txt\nseeds: [4]\nvoice: Kathleen\nsystems:\n  - label: calm\n"
            "  - {label: lively, temperature: 0.9}\n  - {recordings: [real.wav, null], speaker_consent: own}\n"
        )
    )
    assert plan.texts == ("Good morning.", "Good night.")
    assert plan.num_takes == 5
    comparison = library.create(plan, start=False)
    assert (comparison.name, comparison.num_takes, comparison.counts["made"]) == ("Night or day", 5, 1)
    assert str(tmp_path) not in comparison.plan.model_dump_json()
    (recorded,) = [take for take in library.takes(comparison.id) if take.state == "made"]
    assert recorded.request == {"recording": "real.wav"}
    for text, says in (
        ("texts: [a\n", "'plan.yaml', line 2: this is no YAML"),
        ("- a\n", "'plan.yaml': fields with values are expected"),
        ("texts: none.txt\nsystems: [{}, {}]\n", "'plan.yaml': texts: 'none.txt' cannot be read"),
        ("texts: [Hi.]\nsystems: [{}, {top_p: 2}]\n", "'plan.yaml': systems 2, top_p: "),
        ("texts: [Hi.]\nsystems: {a: 1}\n", "'plan.yaml': systems: "),
    ):
        assert refusal(lambda text=text: read_plan(written(text))).startswith(says)
    assert "cannot be read" in refusal(lambda: read_plan(tmp_path / "none.yaml"))
    file.write_bytes(b"texts: [\xff]\n")
    assert "UTF-8" in refusal(lambda: read_plan(file))
