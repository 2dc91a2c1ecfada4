"""What the Train tab says about a run, and what it takes for news."""

from __future__ import annotations

import json
import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from studio.datasets.rows.report import RowsSummary
from studio.errors import StudioError
from studio.settings import Settings
from studio.store.tables import now
from studio.training.config.hyperparameters import HYPERPARAMETERS
from studio.training.folder import JobFolder
from studio.training.job import Job
from studio.training.monitoring.progress import Progress
from studio.training.monitoring.run_log import RunLog
from studio.training.monitoring.samples import Sample, StepSamples
from studio.training.spec import TrainingSpec
from studio.ui.background_task import Done, told
from studio.ui.shown_state import Seen
from studio.ui.tabs.train.advanced import Advanced, other_arguments, refuse_paths
from studio.ui.tabs.train.new_run import sent_files
from studio.ui.tabs.train.preflight_report import as_on_page
from studio.ui.tabs.train.runs.curves import Curves
from studio.ui.tabs.train.runs.log_and_command import details_html
from studio.ui.tabs.train.runs.run_html import (
    chosen_step,
    headline,
    job_line,
    sample_marks,
    shown_command,
    step_choices,
)
from tests.refusals import refusal

SPEC = TrainingSpec(
    preset="quick",
    base="/models/base",
    base_shown="base",
    base_folder="/models/base",
    base_bytes=10,
    device="cpu",
    arguments={"learning_rate": ["2e-5"], "num_train_epochs": ["3"]},
    overrides={"num_train_epochs": ["3"]},
    rows=RowsSummary(source="anna.jsonl", count=120, seconds=650.0, sha256="ab"),
)


def job(state: Any = "running", **changes: Any) -> Job:
    moment = now()
    given: dict[str, Any] = {
        "id": "j1", "owner": "", "name": "Anna", "created_at": moment, "device": "cpu", "state": state, "queued_at": moment,
        "started_at": moment, "ended_at": None, "exit_code": None, "sentence": "", "spec": SPEC,
        "folder": JobFolder(Path("/home/me/studio/jobs/j1")), "runs": 1, "retry_of": "",
    }  # fmt: skip
    return Job(**(given | changes))


def progress(stage: Any = "training", **known: Any) -> Progress:
    return Progress(stage=stage, **({"step": 30, "max_steps": 120} | known))


def read(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_a_run_tells_state_step_time_left_pace_throughput_and_memory() -> None:
    said = headline(
        job(),
        progress(
            epoch=0.75, seconds_per_step=2.5, eta_seconds=225, elapsed_seconds=75, memory_bytes=10**9,
            peak_memory_bytes=2 * 10**9, audio_seconds_per_second=4.2,
        ),
    )  # fmt: skip
    for expected in (
        "Training step 30 of 120 · epoch 0.75", "about 4 min", "1 min 15 s", "2.50 s a step", "4.2 × real time",
        "1.0 GB, 2.0 GB at most", "cpu", "120 (10 min 50 s of speech)",
    ):  # fmt: skip
        assert expected in read(said)
    assert '<progress max="120" value="30"' in said


@pytest.mark.parametrize(
    ("state", "stage", "changes", "said"),
    [
        ("queued", "queued", {"ahead": 2}, "Waiting 2 runs before it"),
        ("queued", "queued", {"ahead": 1}, "Waiting 1 run before it"),
        ("running", "waiting", {}, "Until its device has room"),
        ("running", "loading", {}, "Preparing"),
        ("running", "comparing", {}, "Comparing"),
        ("stopping", "training", {}, "Stopping"),
        ("completed", "ended", {}, "Completed"),
        ("failed", "ended", {"sentence": "The GPU ran out of memory: use smaller batches."}, "Failed"),
        ("failed", "ended", {"sentence": "The GPU ran out of memory: use smaller batches."}, "use smaller batches."),
        ("lost", "ended", {}, "Lost"),
    ],
)
def test_every_state_is_said_in_words(state: str, stage: str, changes: dict[str, Any], said: str) -> None:
    assert said in read(headline(job(state, **changes), progress(stage)))


def test_what_is_not_known_is_not_shown() -> None:
    said = read(headline(job(), progress("loading", step=0, max_steps=0)))
    assert "None" not in said and "step" not in said and "Left" not in said and "Memory" not in said


def test_a_name_is_never_markup() -> None:
    nasty = job("failed", name="<img src=x onerror=alert(1)>", sentence="<b>bad</b>")
    assert "<img" not in headline(nasty, progress()) and "<b>" not in headline(nasty, progress())


def test_a_line_of_the_list_changes_with_the_step_and_else_once_a_minute() -> None:
    made = job()
    later = made.created_at + timedelta(minutes=5)
    line = job_line(made, progress(), at=later)
    assert line == "Anna\nTraining · step 30 of 120 · quick · 5 min ago"
    assert line == job_line(made, progress(seconds_per_step=9.0, elapsed_seconds=1.0), at=later + timedelta(seconds=20))
    assert line != job_line(made, progress(step=31), at=later)


def sample(step: int, **changes: Any) -> StepSamples:
    heard = {"ended": True, "loudness_dbfs": -20.0, "same_as_base": False} | changes
    one = Sample(text="Say it.", path=Path(f"{step}.wav"), seconds=2.0, budget_seconds=6.0, **heard)
    return StepSamples(step, (one,))


def test_a_sample_says_how_it_ended() -> None:
    marks = lambda **changes: [words for words, _ in sample_marks(sample(1, **changes).samples[0])]  # noqa: E731
    assert marks() == ["2.0 s", "ended by itself"]
    assert marks(ended=False, loudness_dbfs=-90.0) == ["2.0 s", "ran to its budget", "silent"]
    assert marks(same_as_base=True)[-1] == "same as the base"


def test_steps_that_were_heard_or_saved_can_be_chosen() -> None:
    spoken = [sample(0), sample(40), StepSamples(80, (), "It could not speak.")]
    assert step_choices(spoken, [40, 120]) == [
        ("Before training", 0),
        ("Step 40", 40),
        ("Step 80", 80),
        ("Step 120", 120),
    ]
    assert chosen_step(spoken, [120], None) == 40  # the last that can be heard
    assert chosen_step(spoken, [120], 0) == 0
    assert chosen_step(spoken, [120], 999) == 40
    assert chosen_step([], [], 0) is None


def test_the_command_can_be_pasted_into_a_shell() -> None:
    made = job()
    shown = shown_command(made.command, Settings(), base_folder="/models/base", base_shown="base", whole=True)
    assert shlex.split(shown.replace("\\\n", " ")) == made.command
    assert "\n  --learning_rate 2e-5 \\\n" in shown


def test_strangers_see_no_paths_of_the_server(tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = job(folder=JobFolder(home / "jobs" / "j1"))
    said = details_html(made, Settings(home=home), whole=False)
    assert str(home) not in said and "/models" not in said and "/bin/" not in said
    assert "$STUDIO_HOME/jobs/j1/rows.jsonl" in said and "num_train_epochs" in said and "3 (yours)" in said
    assert str(home) in details_html(made, Settings(home=home), whole=True)


def test_only_what_changed_is_news() -> None:
    seen = Seen()
    assert seen.turned_to("j1") and not seen.turned_to("j1")
    assert (
        seen.is_news("curves", (1, 0.5)) and not seen.is_news("curves", (1, 0.5)) and seen.is_news("curves", (2, 0.5))
    )
    assert seen.is_news("list", ["a"])
    # Of another run nothing was drawn; the list is the same.
    assert seen.turned_to("j2") and seen.is_news("curves", (2, 0.5)) and not seen.is_news("list", ["a"])


def test_what_a_page_did_not_get_is_sent_again() -> None:
    shown = Seen()
    shown.turned_to("j1")
    assert shown.is_news("headline", "loading")
    before = json.loads(json.dumps(shown.value))
    lost = Seen(before)
    assert lost.is_news("headline", "training")
    again = Seen(before)  # the page never got the answer, so it sends what it had
    assert not again.turned_to("j1") and again.is_news("headline", "training")
    arrived = Seen(json.loads(json.dumps(again.value)))
    assert not arrived.is_news("headline", "training")
    for nonsense in (None, [], {"job": 3, "parts": {"headline": 1}}, "text"):
        assert Seen(nonsense).value == Seen().value


def test_after_trouble_everything_is_drawn_again() -> None:
    seen = Seen()
    seen.turned_to("j1")
    seen.is_news("curves", 1)
    assert seen.forget("The library is locked.") and not seen.forget("The library is locked.")
    assert seen.turned_to("j1") and seen.is_news("curves", 1)


def test_what_is_filled_in_becomes_an_argument_and_slips_are_said() -> None:
    with gr.Blocks():
        advanced = Advanced()
    place = {field.name: number for number, field in enumerate(HYPERPARAMETERS)}

    def filled(**given: str) -> list[str]:
        values = [""] * len(HYPERPARAMETERS)
        for name, value in given.items():
            values[place[name]] = value
        return values

    assert advanced.overrides(filled()) == {}
    assert advanced.overrides(filled(learning_rate=" 2e-5 ", lora_rank="8", gradient_checkpointing="true")) == {
        "learning_rate": ("2e-5",), "lora_rank": ("8",), "gradient_checkpointing": ("true",),
    }  # fmt: skip
    for name, value in (("lora_rank", "many"), ("lora_rank", "0"), ("learning_rate", "nan"), ("torch_dtype", "int3")):
        with pytest.raises(StudioError, match=next(field.label for field in HYPERPARAMETERS if field.name == name)):
            advanced.overrides(filled(**{name: value}))


def test_other_arguments_are_a_name_and_a_value_on_each_line() -> None:
    given = other_arguments("lora_bias=all\n\n --target_modules = text_ffn audio_ffn \n", strangers=False)
    assert given == {"lora_bias": ("all",), "target_modules": ("text_ffn", "audio_ffn")}
    with pytest.raises(StudioError, match=r"^'lora_bias' is not of the form NAME=VALUE"):
        other_arguments("lora_bias", strangers=False)
    with pytest.raises(StudioError, match="whoever runs this server"):
        other_arguments("lora_bias=all", strangers=True)


@pytest.mark.parametrize("value", ["/etc/passwd", "../../studio.db", "~/x.py", "C:\\x.json", "me/data"])
def test_no_path_that_is_typed_reaches_the_trainer(value: str) -> None:
    with pytest.raises(StudioError, match="val_dataset cannot be set to a path"):
        refuse_paths({"learning_rate": ("2e-5",), "val_dataset": ("a", value)})


def test_a_sentence_of_the_preflight_says_where_the_page_has_the_setting() -> None:
    said = as_on_page(
        "1 row of 4 cannot be used: leave them out with --set skip_bad_rows=true. Row 4: x. Use --set a=1 --set b=2."
    )
    assert "with skip_bad_rows=true (under Advanced). Row 4" in said and "--set" not in said


def test_curves_of_a_run_are_small_and_tell_the_page_nothing_of_the_server(tmp_path: Path) -> None:
    made = job(folder=JobFolder(tmp_path))
    made.folder.output.mkdir()
    lines = [
        json.dumps(
            {"loss": 5 / (n + 1), "learning_rate": 1e-4, "grad_norm": 1.0, "global_step/max_steps": f"{n + 1}/5000"}
        )
        for n in range(5000)
    ]
    made.folder.metrics_file.write_text("\n".join(lines) + "\n")
    log = RunLog(made.folder.metrics_file)
    curves = Curves()
    with gr.Blocks():
        curves.lay_out_controls()
        curves.lay_out_losses()
        curves.lay_out_rest()
    empty = curves.drawn(made, log, None, 0.5, False)
    assert not any(value["data"] for value in empty.values()) and any(value["none"] for value in empty.values())
    log.refresh()
    sent = json.dumps(list(curves.drawn(made, log, None, 0.5, True).values()))
    assert '"uirevision": "j1"' in sent and str(tmp_path) not in sent
    assert len(sent) < 100_000


def test_what_takes_long_tells_what_it_does_and_how_it_ended() -> None:
    def works(announce: Any) -> int:
        announce("Reading …")
        announce("Measuring …")
        return 7

    assert list(told(works)) == ["Reading …", "Measuring …", Done(7, None)]
    *_, last = told(lambda announce: 1 // 0)
    assert isinstance(last, Done) and isinstance(last.error, ZeroDivisionError)


def test_only_files_that_were_uploaded_are_taken(tmp_path: Path) -> None:
    cache, voices = tmp_path / "cache", tmp_path / "voices"
    for folder in (cache / "a", voices):
        folder.mkdir(parents=True)
    (cache / "a" / "link.wav").symlink_to(voices)
    sent = {"path": str(cache / "a" / "rows.jsonl")}
    assert sent_files([sent, {"name": "no path"}, "text"], cache) == [cache / "a" / "rows.jsonl"]
    assert sent_files(None, cache) == []
    for path in (voices / "anna.flac", cache / ".." / "voices" / "anna.flac", cache / "a" / "link.wav"):
        assert "not uploaded here" in refusal(lambda path=path: sent_files([sent, {"path": str(path)}], cache))
