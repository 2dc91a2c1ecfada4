"""How the rows of a set get what is heard before them, and which texts the model reads otherwise than they are written."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from studio.datasets.dataset import Dataset
from studio.datasets.exports.pairing import MAX_SCENE_CHARS, MAX_VARIANTS, Pairing
from studio.datasets.exports.read_texts import ReadText, read_otherwise
from studio.datasets.library import DatasetLibrary
from studio.services import Services
from studio.ui.events import CHOICE, RAW
from studio.ui.html import card, error_sentence
from studio.ui.visitors import owner_of

_SHOWN = 40
"""Texts in the table."""
_EXPLAINED = (
    "In training the model hears another utterance of the same speaker first, and learns to go on in that voice. With "
    "several rows each utterance is learnt after several clips: so it learns the voice and not the pair."
)


class Pairs:
    """Lays the panel out.

    Args:
        chosen: the list of sets.
        changed: the page's word that a set changed.
    """

    def __init__(self, services: Services, chosen: gr.Radio, changed: gr.State) -> None:
        self._services, self._chosen, self._changed = services, chosen, changed
        self._shown = gr.State("")  # the set and the choice that the fields were last filled with
        with gr.Accordion(
            "What a training hears and reads", open=False, visible=False, elem_id="set-pairs"
        ) as self._panel:
            gr.HTML(f'<p class="hint">{_EXPLAINED}</p>', padding=False)
            with gr.Row():
                self._variants = gr.Number(
                    label="Rows for each utterance", precision=0, minimum=1, maximum=MAX_VARIANTS, elem_id="pairs-variants",
                    min_width=120, value=1,
                )  # fmt: skip
                self._without = gr.Number(
                    label="Without a reference (%)",
                    minimum=0,
                    maximum=100,
                    elem_id="pairs-without",
                    min_width=120,
                    value=10,
                )
                self._seed = gr.Number(
                    label="Seed of the choice", precision=0, minimum=0, elem_id="pairs-seed", min_width=120, value=42
                )
            self._scene = gr.Textbox(
                label="Scene", max_length=MAX_SCENE_CHARS, elem_id="pairs-scene", value="",
                placeholder="Audio is recorded from a quiet room.", info="Of utterances that say none.",
            )  # fmt: skip
            with gr.Row(elem_classes="actions"):
                self._save = gr.Button("Save", size="sm", variant="primary", elem_id="pairs-save")
            self._said = gr.HTML(padding=False, elem_id="pairs-said")
            self._texts = gr.HTML(padding=False, elem_id="pairs-texts")

    def wire(self) -> None:
        """What happens."""
        fields = [self._variants, self._without, self._seed, self._scene]
        outputs = [self._panel, *fields, self._said, self._texts, self._shown]
        how: dict[str, Any] = {**CHOICE, **RAW}
        for event in (self._chosen.change, self._changed.change):
            event(self._look, [self._chosen, self._shown], outputs, **how)
        self._save.click(self._saved, [self._chosen, *fields], [self._said, self._changed], **RAW)

    def _look(self, chosen: Any, shown: str, request: gr.Request) -> dict[Any, Any]:
        if not chosen:
            return {self._panel: gr.Accordion(visible=False), self._shown: ""}
        try:
            library = self._library(request)
            dataset = library.dataset(str(chosen))
            found = read_otherwise(library.utterances(dataset.id))
            there = {self._panel: gr.Accordion(visible=True), self._texts: texts_html(found)}
            return {**there, **self._filled(dataset, shown)}
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return {self._said: card(error_sentence(error), "bad")}

    def _filled(self, dataset: Dataset, shown: str) -> dict[Any, Any]:
        """The fields; as they are where they were filled from the very same, since somebody may be typing."""
        pairing, seen = dataset.pairing, f"{dataset.id} {dataset.pairing!r}"
        if seen == shown:
            return {}
        return {
            self._variants: pairing.variants,
            self._without: round(100 * pairing.without, 3),
            self._seed: pairing.seed,
            self._scene: pairing.scene,
            self._said: "",
            self._shown: seen,
        }

    def _saved(
        self, chosen: Any, variants: Any, without: Any, seed: Any, scene: Any, request: gr.Request
    ) -> dict[Any, Any]:  # fmt: skip
        try:
            scene = str(scene or "").strip()
            pairing = Pairing(int(seed or 0), float(without or 0) / 100, int(variants or 0), scene)
            dataset = self._library(request).set_pairing(str(chosen), pairing)
        except Exception as error:  # noqa: BLE001
            return {self._said: card(error_sentence(error), "bad")}
        return {self._said: card(dataset.pairing.sentence, "good"), self._changed: secrets.token_hex(4)}

    def _library(self, request: gr.Request) -> DatasetLibrary:
        return self._services.datasets(owner_of(request, self._services.settings))


def texts_html(found: Sequence[ReadText]) -> str:
    """Transcripts as they are written beside what the model reads of them; the first forty."""
    if not found:
        return '<p class="hint">The model reads every transcript as it is written.</p>'
    rows = "".join(
        f"<li><span dir='auto'>{escape(each.written)}</span> "
        + (f"→ <ins dir='auto'>{escape(each.read)}</ins>" if each.read else f"<strong>{escape(each.refusal)}</strong>")
        + "</li>"
        for each in found[:_SHOWN]
    )
    more = f"<p class='hint'>And {len(found) - _SHOWN:,} more.</p>" if len(found) > _SHOWN else ""
    count = f"{len(found):,} transcript{'s are' if len(found) > 1 else ' is'} read otherwise than written"
    return f"<p><strong>{count}; what is written stays.</strong></p><ul class='differing'>{rows}</ul>{more}"
