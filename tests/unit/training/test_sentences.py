"""What is spoken at each checkpoint, and in whose voice."""

import json
from pathlib import Path

import pytest

from studio.engine.rows import TrainingRow, parse_row
from studio.engine.speech.sample_plan import SamplePlan
from studio.training.folder import JobFolder
from studio.training.sample_sentences import SENTENCES, sample_plan, script_of
from tests.conftest import DATA
from tests.training import EXAMPLES


def rows_saying(text: str) -> list[TrainingRow]:
    row = EXAMPLES[3].row()
    row["messages"][1]["content"] = text
    return [parse_row(row, folder=DATA)]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("She sells sea shells.", "en"),
        ("صباح الخير، كيف حالك اليوم؟", "ar"),
        ("早上好，今天天气很好。", "zh"),
        ("今日は天気がいいですね。", "ja"),
        ("Доброе утро!", "ru"),
        ("Доброго ранку, друзі!", "ru"),
        ("صبح بخیر، چگونه می‌گذرد؟", "ar"),
        ("آپ کیسے ہیں، سب ٹھیک ہے؟", "ar"),
        ("सुप्रभात, आप कैसे हैं?", "hi"),
        ("Καλημέρα, τι κάνεις;", "en"),
        ("Good morning, 早.", "en"),
    ],
)
def test_the_sentences_are_in_the_script_of_the_rows(text: str, script: str) -> None:
    assert script_of(rows_saying(text)) == script
    assert len(SENTENCES[script]) == 2


def test_the_first_spoken_row_says_in_whose_voice(tmp_path: Path) -> None:
    text_only = {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Kathleen."}]}
    rows = [parse_row(row, folder=DATA) for row in (text_only, EXAMPLES[0].row(), EXAMPLES[1].row())]
    plan = sample_plan(rows, JobFolder(tmp_path))
    plan.write(tmp_path / "plan.json")
    written = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert parse_row(written["row"], folder=Path("/")) == rows[1]
    assert written["sentences"] == list(SENTENCES["en"])
    assert written["folder"] == str(tmp_path / "samples")
    assert (list(written), written["seed"]) == (["folder", "row", "sentences", "seed"], 0)
    assert SamplePlan.read(tmp_path / "plan.json") == plan


def test_rows_without_speech_are_not_spoken(tmp_path: Path) -> None:
    text_only = {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Kathleen."}]}
    assert sample_plan([parse_row(text_only, folder=DATA)], JobFolder(tmp_path)).sentences == ()
