"""What was trained is found, says what it is, and is used only where it may be, on the base it belongs to."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.adapters.adapter import require_fitting
from studio.adapters.library import AdapterLibrary
from studio.engine.checkpoints import find_checkpoint
from studio.settings import Settings
from tests.refusals import refusal
from tests.takes import saved_voice
from tests.trained import SENTENCE, register


@pytest.fixture
def library(service: Any, owner: str) -> AdapterLibrary:
    return AdapterLibrary(service.settings, service.store, owner)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter as far as nobody loads it."""
    folder = tmp_path_factory.mktemp("adapter")
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"")
    return folder


@pytest.fixture
def trained(service: Any, owner: str, files: Path, tiny_checkpoint: Path) -> Any:
    def make(**options: Any) -> Any:
        return register(service.settings, service.store, files, tiny_checkpoint, **{"owner": owner, **options})

    return make


def consent_of(voice: Any) -> list[dict[str, Any]]:
    return [{"voice_id": voice.id, "name": voice.name, "ground": "licence"}]


def test_they_are_listed_the_newest_run_first_and_its_last_step_first(
    library: Any, trained: Any, settings: Settings
) -> None:
    first = trained(run="First")
    trained(run="Second", step=10, job_id="2" * 24)
    trained(run="Second", step=20, job_id="2" * 24)
    trained(run="Foreign", owner="somebody else")
    assert [each.name for each in library.adapters()] == ["Second · step 20", "Second · step 10", "First · step 30"]
    found = library.adapter(first.id)
    assert (found.is_there, found.trouble, found.warning) == (True, None, None)
    assert found.folder == settings.home / first.folder


def test_one_is_found_by_id_beginning_or_name_and_never_a_foreign_one(library: Any, trained: Any) -> None:
    mine, foreign = trained(), trained(owner="somebody else", run="Foreign")
    for wanted in (mine.id, mine.id[:6].upper(), "Demo · step 30"):
        assert library.adapter(wanted).id == mine.id
    for wanted in (foreign.id, "Foreign · step 30", mine.id[:5], "", "demo"):
        assert "There is no trained voice" in refusal(lambda wanted=wanted: library.adapter(wanted))
    trained()
    assert "2 trained voices fit" in refusal(lambda: library.adapter("Demo · step 30"))


def test_the_card_tells_people_everything(library: Any, trained: Any) -> None:
    row = trained(consent_sentence="Anna: permission (by letter)")
    rows = dict(replace(library.adapter(row.id), owner="").card_rows())  # as whoever runs the studio sees it
    assert rows["Trained on"] == "2 rows, 7 s of speech; Kathleen; from rows.jsonl"
    assert rows["Data hash"] == "0123456789ab"
    assert rows["Base"] == "tiny"
    assert rows["Metrics"] == "loss 3.21, audio loss 3.3"  # what is no number is left out
    assert rows["Compared with the base"] == SENTENCE
    assert rows["Consent"] == "Anna: permission (by letter)"
    assert rows["Command"].endswith("--dataset '/home/me/my rows.jsonl'")  # can be pasted into a shell
    assert rows["Samples"] == "“Hello.” (1.5 s, ended by itself)"
    assert (
        library.adapter(row.id).facts
        == "Kathleen · 2 rows, 7 s of speech · step 30 of 60 · quick preset · audio loss 3.30"
    )
    document = json.loads(json.dumps(library.adapter(row.id).as_json()))
    assert (document["id"], document["missing"], document["trouble"]) == (row.id, False, None)


def test_a_card_says_how_much_of_the_sound_a_model_made() -> None:
    from studio.adapters.card import facts_line

    for made, said in ((0.0, "2 rows, 8 s of speech"), (2.0, "2 rows, 8 s of speech, 25% of it made by a model")):
        assert facts_line({"data": {"rows": 2, "seconds": 8.0, "synthetic_seconds": made}}) == said


def test_a_stranger_sees_the_command_without_the_folders_of_the_server(library: Any, trained: Any) -> None:
    rows = dict(library.adapter(trained().id).card_rows())
    assert rows["Command"].endswith("--dataset 'my rows.jsonl'")
    assert "/home/me" not in "".join(rows.values())


def test_a_card_with_little_on_it_is_shown_all_the_same(library: Any, service: Any, trained: Any) -> None:
    row = trained()
    with service.store.writing() as session:
        row.card = {"comparison": {"error": "The base is not there."}, "data": None, "consent": [None]}
        session.add(row)
    found = library.adapter(row.id)
    assert (found.warning, found.facts) == ("The base is not there.", "")
    assert dict(found.card_rows()) == {
        "Base": "an unknown base",
        "Compared with the base": "The base is not there.",
        "Consent": "consent not recorded",
    }


def test_what_the_comparison_found_wrong_is_a_warning_and_no_refusal(library: Any, trained: Any) -> None:
    row = trained(ok=False, sentence="It is silent.")
    assert library.usable(row.id).warning == "It is silent."


def test_one_whose_files_are_gone_is_refused(library: Any, trained: Any) -> None:
    row = trained()
    (library.adapter(row.id).folder / "adapter_model.safetensors").unlink()
    found = library.adapter(row.id)
    assert not found.is_there
    assert "gone from the disk" in refusal(lambda: library.usable(row.id))


def test_the_consent_of_every_voice_in_it_counts_each_time(
    service: Any, owner: str, library: Any, trained: Any, kathleen: Any
) -> None:
    anna, bo = (saved_voice(service, owner, kathleen, name) for name in ("Anna", "Bo"))
    by_anna, by_bo = trained(run="A", consent=consent_of(anna)), trained(run="B", consent=consent_of(bo))
    preset = trained(run="C", consent=[{"voice_id": "preset-kathleen", "name": "Kathleen", "ground": "licence"}])
    assert library.usable(by_anna.id).voices == [(anna.id, "Anna")]
    assert library.usable(by_bo.id)
    service.voices(owner).withdraw_consent("Anna")
    service.voices(owner).remove("Bo")
    assert "consent for Anna" in refusal(lambda: library.usable(by_anna.id))
    assert "Bo, whose voice B · step 30 was trained on, was deleted" in refusal(lambda: library.usable(by_bo.id))
    assert [bool(each.trouble) for each in library.adapters()] == [False, True, True]
    assert library.usable(preset.id)


def test_it_fits_the_base_it_was_trained_on_and_no_other(
    library: Any, trained: Any, tiny_checkpoint: Path, other_checkpoint: Path, tmp_path: Path
) -> None:
    found = library.adapter(trained().id)
    require_fitting(found, find_checkpoint(str(tiny_checkpoint)))
    sentence = refusal(lambda: require_fitting(found, find_checkpoint(str(other_checkpoint))))
    assert sentence.startswith("Demo · step 30 was trained on tiny, and other is loaded: load tiny")
    # Another folder of the same name, while the first is still there, is another checkpoint.
    copied = find_checkpoint(str(shutil.copytree(tiny_checkpoint, tmp_path / "tiny")))
    assert "another tiny than the one that is loaded" in refusal(lambda: require_fitting(found, copied))
    # Where the first is gone, it was moved, unless its weights are others.
    base = found.card["base"] | {
        "folder": str(tmp_path / "gone" / "tiny"),
        "checkpoint": str(tmp_path / "gone" / "tiny"),
    }
    moved = replace(found, card=found.card | {"base": base})
    require_fitting(moved, copied)
    smaller = replace(copied, size_bytes=copied.size_bytes - 1)
    assert "another tiny" in refusal(lambda: require_fitting(moved, smaller))
    # A hub id may lie in another cache.
    hub = replace(
        found, card=found.card | {"base": found.card["base"] | {"name": "org/model", "checkpoint": "org/model"}}
    )
    require_fitting(hub, replace(copied, name="org/model"))
    assert "org/model is loaded" in refusal(lambda: require_fitting(found, replace(copied, name="org/model")))


def test_a_folder_is_known_as_the_adapter_that_lies_there(
    library: Any, trained: Any, files: Path, tmp_path: Path
) -> None:
    row = trained()
    link = tmp_path / "link"
    link.symlink_to(library.adapter(row.id).folder)
    assert library.at(link).id == row.id
    assert library.at(files) is None
