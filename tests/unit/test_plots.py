"""The curves of a run as the page gets them."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.training.monitoring.run_log import RunLog
from studio.ui.tabs.train.runs import plots

LOSSES = ("loss", "text_loss", "audio_loss")


def made(path: Path, num: int, *, evals: int = 4, broken_from: int | None = None, shift: float = 0.0) -> RunLog:
    """A run that was logged."""
    noise = np.random.default_rng(num)
    lines = []
    for step in range(1, num + 1):
        values = {name: 8 - i - 3 * step / num + shift + noise.normal(0, 0.3) for i, name in enumerate(LOSSES)}
        values |= {f"audio_loss_cb{k}": 4.0 + k - step / num for k in range(8)}
        place = {"global_step/max_steps": f"{step}/{num}"}
        if evals and step % (num // evals) == 0:
            lines.append({f"eval_{name}": value + 0.5 for name, value in values.items()} | place)
        if broken_from is not None and step >= broken_from:
            values["loss"] = math.nan
        rates = {
            "learning_rate": 1e-4 * (1 - step / num),
            "audio_learning_rate": 2e-4,
            "grad_norm": 3.0 + noise.normal(),
        }
        lines.insert(len(lines) - (evals > 0 and step % (num // evals) == 0), values | rates | place)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    log = RunLog(path)
    log.refresh()
    return log


def sent(figure: Any) -> dict[str, Any]:
    """What the page is sent."""
    return json.loads(figure.to_json())


def numbers(array: Any) -> np.ndarray:
    """An axis of a line, as it was sent."""
    if isinstance(array, dict):
        return np.frombuffer(base64.b64decode(array["bdata"]), dtype=np.dtype(array["dtype"]))
    return np.array(array, dtype=float)


def line(figure: Any, hover: str) -> dict[str, Any]:
    """The line that the pointer calls so."""
    found = [each for each in sent(figure)["data"] if each.get("hovertemplate", "").startswith(f"{hover}: ")]
    assert len(found) == 1
    return found[0]


def texts(figure: Any) -> str:
    """All that is written into a figure."""
    return " ".join(each["text"] for each in sent(figure)["layout"]["annotations"])


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> RunLog:
    """A run of 40 steps."""
    return made(tmp_path_factory.mktemp("log") / "logging.jsonl", 40)


def test_losses_show_what_was_logged(log: RunLog) -> None:
    figure = plots.losses(log, smoothing=0)
    for name, label in zip(LOSSES, ("total", "text", "audio"), strict=True):
        steps, values = log.series(name)
        drawn = line(figure, label)
        assert numbers(drawn["x"]).tolist() == steps.tolist()
        assert np.allclose(numbers(drawn["y"]), values, rtol=1e-5)
        held_out = line(figure, f"{label}, held-out")
        assert numbers(held_out["x"]).tolist() == [10, 20, 30, 40]
        assert held_out["line"]["dash"] == "dash" and "markers" in held_out["mode"]
        assert held_out["line"]["color"] == drawn["line"]["color"]
    assert len(sent(figure)["data"]) == 6
    assert "dashed: held-out rows" in texts(figure)


def test_smoothing_draws_a_calm_line_before_a_faint_one(log: RunLog) -> None:
    figure = plots.losses(log, smoothing=0.9)
    raw = [each for each in sent(figure)["data"] if each.get("hoverinfo") == "skip"]
    assert len(raw) == 3 and all(each["opacity"] < 0.5 for each in raw)
    assert np.allclose(numbers(raw[0]["y"]), log.series("loss")[1], rtol=1e-5)
    calm = numbers(line(figure, "total")["y"])
    assert np.abs(np.diff(calm)).mean() < 0.3 * np.abs(np.diff(log.series("loss")[1])).mean()


def test_the_legend_names_each_quantity_once(log: RunLog, tmp_path: Path) -> None:
    other = made(tmp_path / "other.jsonl", 20)
    for figure, expected in (
        (plots.losses(log, smoothing=0.9), ["total", "text", "audio"]),
        (plots.losses(log, smoothing=0.9, compare=other, compare_name="Anna"), ["total", "text", "audio", "Anna"]),
    ):
        assert [each["name"] for each in sent(figure)["data"] if each.get("showlegend", True)] == expected


def test_another_run_is_drawn_dotted_and_grey(log: RunLog, tmp_path: Path) -> None:
    other = made(tmp_path / "other.jsonl", 20, shift=2.0)
    figure = plots.losses(log, smoothing=0, compare=other, compare_name="Anna")
    drawn = line(figure, "Anna, audio")
    assert np.allclose(numbers(drawn["y"]), other.series("audio_loss")[1], rtol=1e-5)
    assert drawn["line"]["dash"] == "dot"
    assert drawn["line"]["color"] != line(figure, "audio")["line"]["color"]


def test_names_of_runs_are_text(log: RunLog) -> None:
    figure = plots.losses(log, compare=log, compare_name="<b>%{x}&</b>" + "x" * 60)
    name = sent(figure)["data"][-1]["name"]
    assert name.startswith("&lt;b&gt;% {x}&amp;") and name.endswith("…")


def test_a_logarithmic_scale_is_of_the_loss_only(log: RunLog) -> None:
    assert sent(plots.losses(log, log_scale=True))["layout"]["yaxis"]["type"] == "log"
    assert sent(plots.losses(log, log_scale=True))["layout"]["xaxis"].get("type", "linear") == "linear"
    assert sent(plots.losses(log))["layout"]["yaxis"].get("type", "linear") == "linear"


def test_codebooks_are_drawn_in_order_each_with_its_colour(log: RunLog) -> None:
    for split in ("train", "eval"):
        drawn = sent(plots.codebooks(log, smoothing=0.9 if split == "eval" else 0, split=split))["data"]
        assert [each["name"] for each in drawn] == [str(k) for k in range(8)]
        assert len({each["line"]["color"] for each in drawn}) == 8
        assert np.allclose(numbers(drawn[3]["y"]), log.series("audio_loss_cb3", split)[1], rtol=1e-5)


def test_both_learning_rates_are_drawn_as_logged(log: RunLog) -> None:
    figure = plots.learning_rates(log)
    assert np.allclose(numbers(line(figure, "text side")["y"]), log.series("learning_rate")[1], rtol=1e-5)
    assert np.allclose(numbers(line(figure, "audio side")["y"]), 2e-4)


def test_one_learning_rate_needs_no_sides(tmp_path: Path) -> None:
    path = tmp_path / "logging.jsonl"
    path.write_text('{"loss": 1.0, "learning_rate": 0.1, "global_step/max_steps": "1/2"}\n', encoding="utf-8")
    log = RunLog(path)
    log.refresh()
    figure = plots.learning_rates(log)
    assert [each["name"] for each in sent(figure)["data"]] == ["learning rate"]
    assert len(sent(plots.losses(log, smoothing=0))["data"]) == 1


def test_the_gradient_norm_is_drawn_as_logged(log: RunLog) -> None:
    drawn = line(plots.gradient_norm(log, smoothing=0), "gradient norm")
    assert np.allclose(numbers(drawn["y"]), log.series("grad_norm")[1], rtol=1e-5)


def test_a_long_run_is_redrawn_with_few_points(tmp_path: Path) -> None:
    log = made(tmp_path / "logging.jsonl", 6_000, evals=1_000)
    figures = (
        plots.losses(log, smoothing=0.9),
        plots.codebooks(log),
        plots.learning_rates(log),
        plots.gradient_norm(log),
    )
    for figure in figures:
        assert all(len(numbers(each["x"])) <= 500 for each in sent(figure)["data"])
        assert all(numbers(each["x"])[-1] == 6_000 for each in sent(figure)["data"])
        assert len(str(figure.to_json())) < 60_000


def test_before_the_first_step_the_plot_says_so(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "none.jsonl")
    for figure in (plots.losses(log), plots.codebooks(log), plots.learning_rates(log), plots.gradient_norm(log)):
        assert "No step logged yet" in texts(figure)
        assert not sent(figure)["data"]
        assert len(str(figure.to_json())) < 3_000
    assert "No step" not in texts(plots.losses(made(tmp_path / "some.jsonl", 4)))


def test_where_the_loss_broke_is_said(tmp_path: Path) -> None:
    log = made(tmp_path / "logging.jsonl", 40, broken_from=25)
    figure = plots.losses(log, smoothing=0.5)
    assert "no number from step 25" in texts(figure)
    drawn = line(figure, "total")
    y, x = numbers(drawn["y"]), numbers(drawn["x"])
    assert np.isfinite(y[x < 25]).all() and np.isnan(y[x >= 25]).all()
    assert "no number" not in texts(plots.gradient_norm(log))


def test_zoom_belongs_to_the_run(log: RunLog, tmp_path: Path) -> None:
    first, again = sent(plots.losses(log)), sent(plots.losses(log, smoothing=0.9))
    other = sent(plots.losses(made(tmp_path / "other.jsonl", 8)))
    assert first["layout"]["uirevision"] == again["layout"]["uirevision"] != other["layout"]["uirevision"]


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("page", ["#ffffff", "#fafafa", "#18181b", "#09090b"])
def test_everything_is_seen_on_light_and_dark_pages(log: RunLog, page: str) -> None:
    behind = _luminance(page)
    for figure in (plots.losses(log), plots.codebooks(log), plots.learning_rates(log), plots.gradient_norm(log)):
        data, layout = sent(figure)["data"], sent(figure)["layout"]
        assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
        text = _luminance(layout["font"]["color"])
        assert (max(text, behind) + 0.05) / (min(text, behind) + 0.05) >= 4.0
        for each in data:
            drawn = _luminance(each["line"]["color"])
            assert (max(drawn, behind) + 0.05) / (min(drawn, behind) + 0.05) >= 3.0, each["line"]["color"]


def test_what_gradio_would_spoil_is_not_in_the_figure(log: RunLog) -> None:
    figure = sent(plots.losses(log))
    assert "title" not in figure["layout"], "Gradio widens the margin to 100 pixels"
    assert figure["config"]["displayModeBar"] is False
    assert figure["layout"]["height"] <= 320
