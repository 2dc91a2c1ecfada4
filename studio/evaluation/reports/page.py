"""The report as one HTML file: sounds, plots, settings, hashes and votes within it. It needs no network and no script."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from studio import __version__
from studio.audio.reading import read_audio
from studio.audio.synthetic_mark import MARK
from studio.audio.writing import encode_audio
from studio.errors import StudioError
from studio.evaluation.comparison.comparison import ComparedTake
from studio.evaluation.comparison.hearing import equally_loud
from studio.evaluation.comparison.systems import KINDS
from studio.evaluation.reports.plots import course, preferences, ranking
from studio.evaluation.reports.report import Report

_POLICY = "default-src 'none'; media-src data:; style-src 'unsafe-inline'"
"""The page may ask nobody for anything, whatever somebody wrote into a label."""
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --accent: #4f46e5; }
@media (prefers-color-scheme: dark) { :root { --accent: #a5b4fc; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; font-size: 0.9rem; }
th, td { text-align: left; vertical-align: top; padding: 0.4rem 0.6rem; border-bottom: 1px solid var(--line); }
audio { width: 15rem; height: 2.2rem; } code { font-size: 0.8rem; overflow-wrap: anywhere; }
figure { margin: 1rem 0; } svg { width: 100%; max-width: 680px; } svg text { font-size: 12px; fill: currentColor; }
.reference { stroke: var(--line); stroke-dasharray: 4; } .interval { stroke: var(--accent); stroke-width: 3; }
circle { fill: var(--accent); } .line { fill: none; stroke: var(--accent); stroke-width: 2; }
.band { fill: var(--accent); opacity: 0.2; } .note { border-left: 3px solid var(--accent); padding-left: 0.8rem; }
small { opacity: 0.75; }
"""


def html_of(report: Report) -> str:
    """The whole page. Every two takes of a text are equally loud in it; files keep their mark."""
    comparison = report.comparison
    plots = preferences(report) + course(report) + ranking(report)
    parts = [
        f"<h1>{escape(comparison.name)}</h1>",
        f"<p><small>Made with Higgs Voice Studio {escape(__version__)}, {report.made_at:%Y-%m-%d %H:%M} UTC. Comparison of "
        f"{comparison.created_at:%Y-%m-%d}, {len(comparison.texts)} texts, seeds "
        f"{', '.join(map(str, comparison.plan.seeds))}.</small></p>",
        f'<p class="note">The speech in this file was made by a model, but for what is called a real recording. Its sounds '
        f"say so of themselves: “{escape(MARK)}”.</p>",
        "<h2>What the votes say</h2>",
        f"<ul>{_each('li', report.lines)}</ul>" if report.votes or report.lines else "<p>There are no votes yet.</p>",
        plots,
        _method(report),
        "<h2>To listen to</h2>",
        _sounds(report),
        "<h2>Systems</h2>",
        _systems(report),
        "<h2>Votes</h2>",
        _votes(report),
        f"<p><small>SHA-256 of texts, seeds and settings: <code>{report.plan_sha256}</code></small></p>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escape(comparison.name)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _method(report: Report) -> str:
    said = [
        "A tie counts as half a vote for both; votes that both were bad are counted apart. Pairs that came again with their "
        "sides swapped tell of the listener only.",
        "The interval of a preference holds however often somebody looked (betting confidence sequence, Waudby-Smith and "
        "Ramdas 2024)" + (", for all pairs together." if len(report.tally.pairs) > 1 else "."),
    ]
    if report.tally.ranking:
        said.append(
            "The ranking is Bradley–Terry with ties as half wins, by the lower bounds of 95 % intervals from samples of "
            "listeners and sentences; those hold for one look."
        )
    if report.tally.of_one:
        said.append("One person cast all votes: it is their preference.")
    return f"<p><small>{escape(' '.join(said))}</small></p>"


def _sounds(report: Report) -> str:
    systems = [system for system in report.comparison.systems if not system.withheld]
    rows = []
    for text, words in enumerate(report.comparison.texts):
        takes = [take for take in report.takes if take.text == text]
        players = _players(takes)
        for seed in sorted({take.seed for take in takes}):
            cells = []
            for system in systems:
                found = next((take for take in takes if (take.system_id, take.seed) == (system.id, seed)), None)
                cells.append(_take_cell(found, players) if found else "")
            rows.append([f"{escape(words)}<br><small>seed {seed}</small>", *cells])
    return _table(["Text", *(escape(system.shown_label) for system in systems)], rows)


def _players(takes: Sequence[ComparedTake]) -> dict[str, str]:
    """A player for each take of one text, all equally loud."""
    sounds = {}
    for take in takes:
        if take.can_play:
            try:
                sounds[take.id] = read_audio(take.path)
            except StudioError:  # its file is damaged: the others are to be heard all the same
                continue
    if not sounds:
        return {}
    synthetic = {take.id: take.synthetic for take in takes}
    found = {}
    for take_id, sound in zip(sounds, equally_loud(list(sounds.values())), strict=True):
        data = base64.b64encode(encode_audio(sound, "mp3", synthetic=synthetic[take_id])).decode()
        found[take_id] = f'<audio controls preload="none" src="data:audio/mpeg;base64,{data}"></audio>'
    return found


def _take_cell(take: ComparedTake, players: dict[str, str]) -> str:
    if take.id not in players:
        return escape(take.failure or ("not made yet" if take.state == "waiting" else "its sound is gone"))
    facts = [f"{take.report['seconds']:.1f} s"] if "seconds" in take.report else []
    facts += ["did not end by itself"] if take.report.get("ended") is False else []
    facts += [f"{name} {_figure(value)}" for name, value in sorted(take.figures.items()) if _is_number(value)]
    told = f"<br><small>{escape(', '.join(facts))}<br><code>{escape(take.sha256[:16])}</code></small>"
    return players[take.id] + told


def _systems(report: Report) -> str:
    rows = []
    for system in report.comparison.systems:
        if system.withheld:
            rows.append([escape(system.shown_label), "", "", ""])
            continue
        settings = "<br>".join(
            f"{escape(name)}: {escape(_setting(value))}"
            for name, value in system.settings.items()
            if value not in (None, "", {})
        )
        rows.append([escape(system.label), KINDS.get(system.kind, ""), settings, escape(system.gone or "")])
    return _table(["Name", "What it is", "Settings", "Since then"], rows)


def _votes(report: Report) -> str:
    label = {system.id: system.shown_label for system in report.comparison.systems}
    rows = [
        [
            f"{each.made_at:%Y-%m-%d %H:%M}", escape(each.listener),
            escape(report.comparison.texts[int(each.vote.sentence)]), escape(label[each.vote.left]),
            escape(label[each.vote.right]), each.vote.choice.replace("_", " ") + (" (again)" if each.vote.repeat_of else ""),
            escape(each.reason),
        ]
        for each in report.votes
    ]  # fmt: skip
    return _table(["Time (UTC)", "Listener", "Text", "Left", "Right", "Vote", "Reason"], rows)


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<table><thead><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr></thead><tbody>{body}</tbody></table>"
    )


def _each(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _setting(value: Any) -> str:
    """A setting as text; several, such as the losses of a checkpoint, with their names."""
    return (
        ", ".join(f"{name} {_setting(each)}" for name, each in value.items()) if isinstance(value, dict) else str(value)
    )


def _figure(value: float) -> str:
    return f"{value:.3g}"
