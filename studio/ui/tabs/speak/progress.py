"""Watching generations from the page. Nothing here makes speech: a follower that is closed stops nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr
import numpy as np

from studio import formatting
from studio.audio.waveform import Waveform
from studio.audio.writing import encode_audio
from studio.engine.host import EngineHost
from studio.services import Services
from studio.takes.generation import Generation
from studio.ui.html import card, error_sentence
from studio.ui.visitors import owner_of

_TICK_SECONDS = 0.5


def busy(running: bool) -> tuple[Any, Any]:
    """The Speak and the Stop button."""
    return (gr.Button("Speaking …" if running else "Speak", interactive=not running), gr.Button(interactive=running))


def hidden_live() -> Any:
    """The live player, empty and away."""
    return gr.Audio(value=None, visible=False)


def found(services: Services, request: gr.Request, ids: Any) -> list[Generation]:
    """The visitor's own generations of these ids."""
    owner = owner_of(request, services.settings)
    known = (services.generations.find(owner, str(wanted)) for wanted in ids or ())
    return [generation for generation in known if generation is not None]


class Follower:
    """The event that follows: a generator of updates for (status, live, speak, stop, made, shown)."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def follow(self, ids: Any, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """Follow the generations of these ids until all have ended."""
        skip = gr.skip()
        generations, host = found(self._services, request, ids), self._services.host
        if not generations:
            yield skip, skip, *busy(False), skip, skip
            return
        try:
            heard = False
            for generation in generations:
                for update in _updates(generation, host):
                    if isinstance(update, np.ndarray):
                        if not heard:  # the player has to be on the page before it can be fed
                            heard = True
                            yield progress(generation, host), gr.Audio(visible=True), skip, skip, skip, skip
                        wav = encode_audio(Waveform(update, generation.sample_rate), "wav")
                        yield progress(generation, host), wav, skip, skip, skip, skip
                    else:
                        yield update, skip, skip, skip, skip, skip
                if generation.take is not None:
                    yield skip, skip, skip, skip, generation.id, generation.take.id
            if self._superseded(generations):
                return  # Stop and Speak were pressed meanwhile: the page shows what is newer
            live = skip if heard and not _stopped(generations) else hidden_live()
            yield outcome(generations), live, *busy(False), generations[-1].id, skip
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            yield card(error_sentence(error), "bad"), hidden_live(), *busy(False), skip, skip

    def _superseded(self, generations: Sequence[Generation]) -> bool:
        """Whether the tab has asked for something newer."""
        mine = generations[-1]
        return mine not in self._services.generations.of(mine.owner, mine.tab)[: len(generations)]


def _updates(generation: Generation, host: EngineHost) -> Iterator[np.ndarray | str]:
    """Sound as it comes, and between it what to say where that has changed."""
    start, said, ended = 0, "", False
    while not ended:
        pieces, ended = generation.next_pieces(start, _TICK_SECONDS)
        start += len(pieces)
        if pieces:
            yield np.concatenate(pieces)
        elif not ended and (now := progress(generation, host)) != said:
            said = now
            yield now


def progress(generation: Generation, host: EngineHost) -> str:
    """How far it is. What stands in the live region changes with the state only: a screen reader must not count along."""
    which = f"Take {generation.number} of {generation.of} · " if generation.of > 1 else ""
    bar = ""
    if generation.state == "queued":
        head, ahead = "Waiting", generation.ahead
        detail = f"{ahead} before you" if ahead else "it is your turn next"
    elif not generation.generated_seconds:
        what = "the model is being loaded · " if host.status.state == "loading" else ""
        head, detail = "Preparing", f"{what}{math.floor(generation.elapsed)} s elapsed"
    else:
        done, expected = generation.generated_seconds, generation.expected_seconds
        head = "Speaking"
        detail = f"{done:.1f} s of about {formatting.duration(max(expected, 1))} · {math.floor(generation.elapsed)} s elapsed"
        # Speech may take longer than expected: a full bar would look like the end.
        share = 100 * min(done / max(expected, 0.1), 0.97)
        bar = f'<progress max="100" value="{share:.0f}" aria-label="Speaking"></progress>'
    return (
        f'<div class="card info progress"><strong role="status">{head}</strong> '
        f"<span>{escape(which + detail)}</span>{bar}</div>"
    )


def _stopped(generations: Sequence[Generation]) -> bool:
    return any(generation.state == "stopped" for generation in generations)


def outcome(generations: Sequence[Generation]) -> str:
    """What became of generations that have ended."""
    made = [generation for generation in generations if generation.take is not None]
    failed = [generation for generation in generations if generation.state == "failed"]
    takes = "The take is ready" if len(generations) == 1 else f"{len(made)} of {len(generations)} takes are ready"
    if _stopped(generations):
        return card(f"Stopped; {takes.lower()}." if made else "Stopped; nothing was kept.")
    if failed:
        sentence = failed[0].sentence or "It could not be spoken."
        return card(f"{takes}. {sentence}" if made else sentence, "bad")
    if not made:
        return card("What was spoken here is over; its takes are in the list.")
    take = made[-1].take
    assert take is not None
    facts = {
        "Duration": f"{take.seconds:.2f} s",
        "Computing": f"{take.elapsed:.1f} s (RTF {take.rtf:.2f})",
        "Seed": str(take.seed),
    }
    if len(generations) > 1:
        facts, takes = {}, f"{len(made)} takes are ready"
    shortcomings = [each for generation in made if generation.take for each in generation.take.shortcomings]
    if not shortcomings:
        return card(f"{takes}.", "good", facts=facts)
    return card(f"{takes}, but {' '.join(dict.fromkeys(shortcomings))}", "warn", facts=facts)
