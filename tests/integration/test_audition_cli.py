"""Auditions on the command line: what came of one, what is refused, and a voice that is spoken with what was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.engine.speech.reference import Consent
from studio.evaluation.audition.asking import AuditionRequest
from studio.evaluation.audition.library import AuditionLibrary
from studio.settings import Settings
from studio.store import comparisons as queries
from studio.store.store import Store
from studio.store.tables import now
from tests.auditions import HELD_OUT, TRAINED, ended_run, row
from tests.integration.in_turn import HEAVY, Result, assert_refused, document, run_in_turn
from tests.takes import saved_voice
from tests.trained import write_adapter

SIMILAR = {"base": 0.6, "Demo · step 10": 0.7, "Demo · step 20": 0.8}


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, kathleen: dict[Path, str]
) -> dict[str, Result]:
    folder = tmp_path_factory.mktemp("audition")
    settings = Settings(home=folder / "home", device="cpu")
    library = AuditionLibrary(settings, Store(settings.store_file))
    (clip, words), (other, _) = list(kathleen.items())[:2]
    adapter = write_adapter(tiny_checkpoint, folder / "lora")
    taught = [row(clip, words, TRAINED, other)], [row(clip, words, text, other) for text in HELD_OUT]
    run = ended_run(settings, library.comparisons.store, tiny_checkpoint, *taught, [adapter, adapter])
    begun = library.start(run, AuditionRequest(texts=2, consent=Consent("own")), start=False)
    measured(library, begun.id)
    shared: Any = type("Shared", (), {"voices": staticmethod(lambda owner: voices(settings, library))})
    saved_voice(shared, "", kathleen)
    chosen = begun.comparison.plan.systems[2].adapter
    library.comparisons.store.close()
    commands = {
        "last": ["audition", run[:8], "--last"],
        "last as json": ["audition", run[:8], "--last", "--json"],
        "report": ["compare", "report", begun.id, folder / "report.csv", "--takes"],
        "no consent": ["audition", run],
        "no run": ["audition", "feedfeed"],
        "no audition": ["audition", "feedfeed", "--last"],
        "wear": ["voice", "wear", "Anna", chosen[:8], "--strength", "0.5", "--json"],
        "worn": ["voice", "show", "Anna"],
        "preset": ["voice", "wear", "Kathleen", chosen],
        "strong": ["voice", "wear", "Anna", chosen, "--strength", "3"],
        "none": ["voice", "wear", "Anna", "none", "--json"],
    }
    done = run_in_turn(settings.home, list(commands.values()))
    assert not done.modules & HEAVY
    return dict(zip(commands, done.results, strict=True))


def voices(settings: Settings, library: AuditionLibrary) -> Any:
    from studio.voices.library import VoiceLibrary

    return VoiceLibrary(settings, library.comparisons.store)


def measured(library: AuditionLibrary, comparison_id: str) -> None:
    """As if its takes had been made and measured."""
    with library.comparisons.store.writing() as session:
        label = {system.id: system.label for system in queries.systems(session, comparison_id)}
        for take in queries.takes(session, comparison_id):
            take.state, take.made_at, take.report = "made", now(), {"ended": True}
            take.figures = {
                "duration_seconds": 1.0, "similarity": SIMILAR[label[take.system_id]] + 0.01 * take.text, "wer": 0.0,
                "ended": True, "dnsmos": {"ovrl": 3.0}, "models": {"similarity": "an encoder", "wer": "a recogniser"},
                "absent": {},
            }  # fmt: skip
            queries.save(session, take)
        record = queries.comparison_by_id(session, comparison_id)
        assert record is not None
        record.state = "completed"
        queries.save(session, record)


def test_an_audition_is_told_as_a_table_with_a_winner_its_reason_and_how_to_use_it(results: dict[str, Result]) -> None:
    told = document(results["last as json"])
    assert [(each["step"], each["similarity"]["mean"]) for each in told["table"]] == [
        (None, 0.605), (10, 0.705), (20, 0.805),
    ]  # fmt: skip
    assert told["table"][0]["end_rate"] == {"mean": 1.0, "low": 0.3424, "high": 1.0, "texts": 2}
    assert told["models"]["similarity"] == "an encoder"
    assert told["proposal"]["winner"] == told["table"][2]["system"]
    assert told["texts"] == list(HELD_OUT)
    assert set(told["heard"]) == {told["table"][1]["system"], told["table"][2]["system"]}
    shown = results["last"].stdout
    assert told["says"].startswith("Step 20: similarity 0.81 (base 0.60), which so few texts cannot tell")
    assert told["says"] in shown
    assert "step 20  1         0.81 (" in shown
    assert "python -m studio voice wear VOICE " in shown
    assert "Set up for a blind vote: step 10 and step 20." in shown
    assert document(results["wear"])["adapter_strength"] == 0.5
    assert "spoken with: Demo · step 20 at 0.5" in results["worn"].stdout
    assert document(results["none"])["adapter_id"] is None


def test_what_cannot_be_done_is_one_sentence(results: dict[str, Result]) -> None:
    assert_refused(results["no consent"], "by what right the voice in the rows of Demo is used")
    assert_refused(results["no run"], "`python -m studio train list` shows what there is")
    assert_refused(results["no audition"], "leave --last out to make one")
    assert_refused(results["preset"], "comes with the studio")
    assert_refused(results["strong"], "choose one above 0 and up to 2")
