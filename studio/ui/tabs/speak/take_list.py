"""The right side of *Speak*: every take, and what can be done with one."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from studio.audio.writing import AUDIO_FORMATS
from studio.errors import StudioError
from studio.services import Services
from studio.settings import ASSETS
from studio.takes.into_dataset import add_take
from studio.takes.library import TakeLibrary
from studio.takes.take import Take
from studio.ui.events import CHOICE, RAW, UNLIMITED, unless_sent
from studio.ui.html import card, error_sentence
from studio.ui.players import sound_player
from studio.ui.staging import Staging
from studio.ui.visitors import owner_of
from studio.voices.languages import LANGUAGES

PAGE = 8
MAX_STEM_CHARS = 50
_LIST_JS = (ASSETS / "takes.js").read_text(encoding="utf-8")
# Times are stored in UTC and shown in the visitor's own time.
_TIMES_JS = """
const local = () => element.querySelectorAll("time").forEach((time) => {
  time.textContent = new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
});
local();
watch("value", local);
"""
_NONE = "No takes yet: what you speak is kept here."
_NONE_FOUND = "No take fits: search for something else, or look at all of them."


@dataclass(frozen=True)
class TakesView:
    """The components that the rest of the tab needs.

    Attributes:
        shown: state, the id of the take in the panel.
        made: state, changes whenever the list has become another.
        again: the button "Use these settings again".
        added: state, changes whenever a take was added to a dataset.
    """

    shown: gr.State
    made: gr.State
    again: gr.Button
    added: gr.State


def create_takes(services: Services, staging: Staging) -> TakesView:
    """Lay the takes out and wire them."""
    shown, made, added = gr.State(None), gr.State(""), gr.State("")
    turned = gr.State(("", False, 1))  # how many pages were asked for, and of which search
    with gr.Column(visible=False, elem_id="take-panel", elem_classes="take-panel") as panel:
        heading = gr.HTML(padding=False, js_on_load=_TIMES_JS, elem_id="take-heading")
        player = sound_player(
            label="Your take", show_label=False, interactive=False, elem_id="result", buttons=[], type="filepath"
        )
        with gr.Row(elem_id="downloads", elem_classes="take-buttons"):
            downloads = {
                suffix: gr.DownloadButton(
                    f"Download {suffix[1:].upper()}",
                    size="sm",
                    elem_id=f"download-{suffix[1:]}",
                    interactive=False,
                    min_width=60,
                )
                for suffix in AUDIO_FORMATS
            }
        with gr.Row(elem_classes="take-buttons"):
            again = gr.Button("Use these settings again", size="sm", elem_id="take-again", min_width=180, scale=2)
            star = gr.Button("Star", size="sm", elem_id="take-star", min_width=80)
            delete = gr.Button("Delete", size="sm", elem_id="take-delete", min_width=80)
        trouble = gr.HTML(padding=False, elem_id="take-trouble")
        with gr.Accordion("Add to a dataset", open=False, elem_id="take-dataset") as adding:
            dataset = gr.Dropdown(label="Dataset", choices=[], value=None, elem_id="take-dataset-name")
            with gr.Row(elem_classes="actions"):
                add = gr.Button("Add this take", size="sm", elem_id="take-dataset-add")
            added_said = gr.HTML(padding=False, elem_id="take-dataset-said")
        with gr.Accordion("How it was made", open=False, elem_id="take-facts"):
            facts = gr.HTML(padding=False)
    with gr.Row(visible=False, elem_classes="take-search") as finding:
        search = gr.Textbox(
            label="Search takes", placeholder="Search takes by words or voice", max_length=200, elem_id="take-search",
            scale=3, min_width=140, container=False,
        )  # fmt: skip
        starred = gr.Checkbox(label="Starred only", elem_id="take-starred", container=False, min_width=120, scale=1)
    listed = gr.HTML(
        value={"takes": [], "chosen": None, "none": _NONE},  # type: ignore[arg-type]  our own script reads it
        html_template="",
        js_on_load=_LIST_JS,
        apply_default_css=False,
        padding=False,
        elem_id="takes",
    )
    more = gr.Button("Show more", size="sm", visible=False, elem_id="take-more", elem_classes="quiet")

    asked = gr.State(False)  # whether the next press on Delete deletes
    panel_outputs = [panel, heading, player, *downloads.values(), star, delete, trouble, facts, added_said, asked]
    nothing = [gr.skip()] * len(panel_outputs)

    def library_of(request: gr.Request) -> TakeLibrary:
        return services.takes(owner_of(request, services.settings))

    def look(words: str | None, only_starred: bool, asked: Any, take_id: str | None, request: gr.Request) -> tuple:
        library, words = library_of(request), words or ""
        limit = PAGE * _num_pages(asked, words, only_starred)
        try:
            found = library.takes(words, starred=only_starred, limit=limit + 1)
            any_take = bool(found) or library.count() > 0
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return _listing([], None, error_sentence(error)), gr.Button(visible=False), gr.skip()
        none = _NONE_FOUND if any_take else _NONE
        return _listing(found[:limit], take_id, none), gr.Button(visible=len(found) > limit), gr.Row(visible=any_take)

    def turn(words: str | None, only_starred: bool, asked: Any) -> tuple[str, bool, int]:
        return words or "", only_starred, _num_pages(asked, words or "", only_starred) + 1

    def show(take_id: str | None, request: gr.Request) -> list[Any]:
        """The take in the panel: its WAV at once, the other formats in the next event."""
        if take_id is None:
            return [gr.Column(visible=False), *nothing[1:-1], False]
        library = library_of(request)
        try:
            take = library.take(take_id)
        except Exception as error:  # noqa: BLE001
            return [gr.Column(visible=False), *nothing[1:-1], _say(error, False)]
        said, wav = "", None
        try:
            wav = staging.copy(take.id, _file_name(take, ".wav"), lambda path: library.export(take, path))
        except Exception as error:  # noqa: BLE001
            said = card(error_sentence(error), "bad")
        return [
            gr.Column(visible=True),
            _heading(take),
            gr.Audio(value=wav, visible=wav is not None),
            gr.DownloadButton(value=wav, interactive=wav is not None),
            *[gr.DownloadButton(interactive=False)] * (len(downloads) - 1),
            _star_button(take),
            gr.Button("Delete", variant="secondary"),
            said or _withdrawn(take),
            _facts(take),
            "",
            False,
        ]

    def fetch(take_id: str | None, request: gr.Request) -> list[Any]:
        """The other formats of the take in the panel."""
        updates: list[Any] = []
        library = library_of(request)
        for suffix in list(downloads)[1:]:
            try:
                take = library.take(take_id or "")
                copy = staging.copy(
                    take.id, _file_name(take, suffix), lambda path, take=take: library.export(take, path)
                )
                updates.append(gr.DownloadButton(value=copy, interactive=True))
            except Exception as error:  # noqa: BLE001
                error_sentence(error)  # a bug goes to the log; the panel has said what is wrong with the take
                updates.append(gr.DownloadButton(interactive=False))
        return updates

    def choose(event: gr.EventData, request: gr.Request) -> Any:
        take_id = getattr(event, "id", None)
        try:
            return library_of(request).take(take_id if isinstance(take_id, str) else "").id
        except Exception as error:  # noqa: BLE001
            return _say(error, None)

    def toggle_star(take_id: str | None, request: gr.Request) -> tuple[Any, Any]:
        try:
            library = library_of(request)
            take = library.star(take_id or "", not library.take(take_id or "").starred)
            return _star_button(take), f"star {take.id} {take.starred}"
        except Exception as error:  # noqa: BLE001
            return _say(error, gr.skip()), gr.skip()

    def remove(take_id: str | None, sure: bool, request: gr.Request) -> tuple[Any, ...]:
        if not sure:
            return gr.skip(), gr.Button("Press again to delete", variant="stop"), True, gr.skip()
        try:
            library_of(request).delete(take_id or "")
        except Exception as error:  # noqa: BLE001
            return _say(error, gr.skip()), gr.Button("Delete", variant="secondary"), False, gr.skip()
        staging.forget(take_id or "")
        return None, gr.Button("Delete", variant="secondary"), False, f"deleted {take_id}"

    def offer_datasets(chosen: Any, request: gr.Request) -> Any:
        """The sets that a take can be added to; what is chosen stays, and without a choice the newest is."""
        try:
            found = services.datasets(owner_of(request, services.settings)).datasets()
            choices = [(each.name, each.id) for each in found if each.state == "ready"]
            ids = [dataset_id for _, dataset_id in choices]
            present = chosen if chosen in ids else next(iter(ids), None)
            info = "" if choices else "There is none yet: import recordings on Dataset first."
            return gr.Dropdown(choices=choices, info=info, **unless_sent(present, chosen))
        except Exception as error:  # noqa: BLE001
            return _say(error, gr.skip())

    def add_to_dataset(take_id: str | None, chosen: Any, request: gr.Request) -> tuple[Any, Any]:
        try:
            owner = owner_of(request, services.settings)
            if not chosen:
                raise StudioError("Choose the dataset that the take is to be added to.")
            to, utterance = add_take(services.takes(owner), services.datasets(owner), take_id or "", str(chosen))
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return card(error_sentence(error), "bad"), gr.skip()
        said = f"It is {utterance.name} in {to.name} now, marked as made by a model; Undo in the review takes it out."
        return card(said, "good"), f"added {utterance.id}"

    # One event for whatever changes the list: of two, the answer to the earlier question could come last and stay.
    gr.on(
        [search.change, starred.change, turned.change, made.change, shown.change],
        look,
        [search, starred, turned, shown],
        [listed, more, finding],
        **CHOICE,
        **UNLIMITED,
    )
    more.click(turn, [search, starred, turned], turned, **UNLIMITED)
    listed.select(choose, None, shown, **CHOICE, **UNLIMITED)
    shown.change(show, shown, panel_outputs, **UNLIMITED).then(fetch, shown, list(downloads.values())[1:], **UNLIMITED)
    star.click(toggle_star, shown, [star, made], **UNLIMITED)
    delete.click(remove, [shown, asked], [shown, delete, asked, made], **UNLIMITED)
    adding.expand(offer_datasets, dataset, dataset, **RAW)
    add.click(add_to_dataset, [shown, dataset], [added_said, added], trigger_mode="once", **RAW)
    return TakesView(shown, made, again, added)


def _num_pages(turned: tuple[str, bool, int], words: str, only_starred: bool) -> int:
    """Pages to show: as many as were asked for of this very search, else the first."""
    return turned[2] if tuple(turned[:2]) == (words, only_starred) else 1


def _say(error: Exception, value: Any) -> Any:
    """Say in a corner what went wrong, and give back ``value``."""
    gr.Warning(escape(error_sentence(error)))
    return value


def _listing(takes: list[Take], chosen: str | None, none: str) -> dict[str, Any]:
    return {"takes": [_row(take) for take in takes], "chosen": chosen, "none": none}


def _row(take: Take) -> dict[str, Any]:
    mark = "Consent withdrawn" if take.consent_withdrawn_at else "" if take.is_there else "Sound file is gone"
    return {
        "id": take.id,
        "title": take.title,
        "detail": " · ".join(part for part in (_voices(take), take.adapter, f"{take.seconds:.1f} s") if part),
        "when": take.created_at.isoformat(timespec="seconds"),
        "starred": take.starred,
        "mark": mark,
    }


def _voices(take: Take) -> str:
    names = [voice.name for voice in take.voices] + list(take.settings.get("descriptions") or ())
    if not names:
        return "The model's own voice"
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _heading(take: Take) -> str:
    detail = f"{escape(_voices(take))} · {take.seconds:.1f} s · {_time(take)}"
    return (
        f'<h3 class="take-name" dir="auto" data-take="{escape(take.id)}">{escape(take.title)}</h3>'
        f'<p class="take-detail">{detail}</p>'
    )


def _time(take: Take) -> str:
    moment = take.created_at
    return f'<time datetime="{moment.isoformat(timespec="seconds")}">{moment:%Y-%m-%d %H:%M} UTC</time>'


def _withdrawn(take: Take) -> str:
    return card(take.can_repeat, "warn") if take.consent_withdrawn_at and take.can_repeat else ""


def _facts(take: Take) -> str:
    settings = take.settings
    descriptions = settings.get("descriptions") or {}
    rows = [
        ("Text", take.text),
        *[(f"Voice of {voice.speaker}" if voice.speaker else "Voice", voice.name) for voice in take.voices],
        *[(f"Voice of {name}", f"picked by the model, {words}") for name, words in descriptions.items()],
        *([] if take.voices or descriptions else [("Voice", "picked by the model")]),
        ("Checkpoint", take.checkpoint),
        *([("Trained voice", take.adapter)] if take.adapter else []),
        ("Seed", str(take.seed)),
        ("Temperature", _figure(settings.get("temperature"))),
        ("Top-p", _figure(settings.get("top_p"))),
        ("Top-k", _figure(settings.get("top_k"))),
        ("Repetition", f"{_figure(settings.get('ras_max_repeats'))} in {_figure(settings.get('ras_window'))}"),
        ("Scene", settings.get("scene") or "none"),
        ("Language", LANGUAGES.get(settings.get("language") or "", "found from the script")),
        ("Duration", f"{take.seconds:.2f} s at {take.sample_rate / 1000:g} kHz"),
        ("Computing", f"{take.elapsed:.1f} s (RTF {take.rtf:.2f})"),
        ("Studio", take.report.get("studio") or "before versions were kept"),
        *([("Shortcomings", " ".join(take.shortcomings))] if take.shortcomings else []),
    ]
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td dir='auto'>{escape(str(value))}</td></tr>" for name, value in rows
    )
    return f"<table class='facts'><tbody>{body}</tbody></table>"


def _figure(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else "–"


def _star_button(take: Take) -> Any:
    return gr.Button("★ Starred" if take.starred else "☆ Star")


def safe_stem(stem: str) -> str:
    """A file name without its suffix, made of any text: letters, their marks and digits of every script, and hyphens."""
    kept = "".join(char if unicodedata.category(char)[0] in "LMN" or char in "-_" else " " for char in stem)
    # Most file systems count bytes, a character may take four, and 255 is the limit.
    return "-".join(kept.split())[:MAX_STEM_CHARS].strip("-_") or "take"


def _file_name(take: Take, suffix: str) -> str:
    return f"{safe_stem(take.title)[:32].rstrip('-_')}-{take.seed}{suffix}"
