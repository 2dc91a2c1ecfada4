"""*Speak*: a clip, what is said in it, by what right, and a text; then listen and keep it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from studio.audio.waveform import Waveform
from studio.audio.writing import AUDIO_FORMATS, encode_audio
from studio.engine.dialogue import parse_script
from studio.engine.generation import MAX_SEED, Sampling
from studio.engine.prompt import DEFAULT_SCENE
from studio.engine.reference import CONSENT_GROUNDS, Consent
from studio.engine.speech import Speech, SpeechStream
from studio.errors import StudioError
from studio.settings import Settings
from studio.takes.request import ReferenceClip, SpeakRequest
from studio.takes.service import TakeService
from studio.takes.transit import put_in_transit
from studio.ui.shown import card, error_sentence

_NOTE_LABELS = {"permission": "Who gave permission, and when?", "licence": "Which licence, and from where is the clip?"}


class StopSignals:
    """What the Stop button of each browser session sets: from the click on Speak on, also while the request still waits
    in the queue or for the model.
    """

    def __init__(self) -> None:
        self._signals: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def begin(self, session: str) -> threading.Event:
        """A new signal for a request that begins; what the session still had running is stopped."""
        self.stop(session)
        signal = threading.Event()
        with self._lock:
            self._signals[session] = signal
        return signal

    def of(self, session: str) -> threading.Event:
        """The signal of the session's present request."""
        with self._lock:
            return self._signals.setdefault(session, threading.Event())

    def stop(self, session: str) -> None:
        """Stop the session's request, if there is one."""
        with self._lock:
            signal = self._signals.get(session)
        if signal is not None:
            signal.set()

    def forget(self, session: str, signal: threading.Event) -> None:
        """The request is over."""
        with self._lock:
            if self._signals.get(session) is signal:
                del self._signals[session]


def create_speak_tab(service: TakeService, settings: Settings) -> None:
    """Lay the tab out and wire it."""
    with gr.Row(equal_height=False, elem_classes="speak-columns"):
        with gr.Column(scale=1, min_width=320):
            gr.Markdown(
                "### 1 · The voice\nRecord or upload a clip of it. Without a clip the model picks a voice.",
                elem_classes="step",
            )
            clip = gr.Audio(
                label="Clip, 5 to 30 seconds",
                sources=["microphone", "upload"],
                type="filepath",
                elem_id="clip",
                buttons=[],
            )
            transcript = gr.Textbox(
                label="What is said in the clip, word for word",
                placeholder="Type exactly what you hear in the clip.",
                lines=2,
                elem_id="transcript",
            )
            ground = gr.Radio(
                label="Whose voice is it?",
                choices=[(wording[0].upper() + wording[1:], value) for value, wording in CONSENT_GROUNDS.items()],
                value=None,
                elem_id="consent",
            )
            note = gr.Textbox(label=_NOTE_LABELS["permission"], visible=False, elem_id="consent-note", max_length=1000)
        with gr.Column(scale=1, min_width=320):
            gr.Markdown(
                "### 2 · The text\nType it in any language the model knows, long or short.", elem_classes="step"
            )
            text = gr.Textbox(
                label="What should the voice say?",
                placeholder="Hello, this is my voice.",
                lines=5,
                elem_id="text",
                info="Without a clip, lines that begin with [Name] make a dialogue between voices the model picks.",
            )
            with gr.Accordion("Advanced", open=False, elem_id="advanced"):
                scene = gr.Textbox(
                    label="Scene",
                    value=DEFAULT_SCENE,
                    elem_id="scene",
                    info="Where it is spoken, in words; may be empty.",
                )
                temperature = gr.Slider(
                    0.0, 1.5, value=0.3, step=0.05, label="Temperature", elem_id="temperature",
                    info="0 always says it the same way; higher is livelier and less sure.",
                )  # fmt: skip
                with gr.Row():
                    top_p = gr.Slider(
                        0.05, 1.0, value=0.95, step=0.05, label="Top-p", info="Drop unlikely codes beyond this sum."
                    )
                    top_k = gr.Slider(
                        0, 500, value=50, step=1, label="Top-k", info="Keep this many codes; 0 keeps all."
                    )
                # Not gr.Number, which shows 0 for "none" and so would pin the seed.
                seed = gr.Textbox(
                    label="Seed", placeholder="a new one each time", max_length=20, elem_id="seed",
                    info="Leave it empty for a new one; the same seed says it the same way again.",
                )  # fmt: skip
            with gr.Row(elem_classes="actions"):
                speak = gr.Button("Speak", variant="primary", size="lg", elem_id="speak", scale=3)
                stop = gr.Button("Stop", size="lg", elem_id="stop", interactive=False, scale=1)
            status = gr.HTML(elem_id="status", padding=False)
            live = gr.Audio(
                label="Live",
                streaming=True,
                autoplay=True,
                interactive=False,
                visible=False,
                elem_id="live",
                buttons=[],
            )
            result = gr.Audio(
                label="Your take", interactive=False, visible=False, elem_id="result", buttons=[], type="filepath"
            )
            with gr.Row(visible=False, elem_id="downloads") as downloads:
                buttons = {
                    suffix: gr.DownloadButton(f"Download {name.label}", size="sm", elem_id=f"download-{suffix[1:]}")
                    for suffix, name in AUDIO_FORMATS.items()
                }

    signals = StopSignals()
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    def begin(request: gr.Request) -> tuple[Any, ...]:
        signals.begin(request.session_hash or "")
        return (
            gr.Button("Speaking …", interactive=False),
            gr.Button(interactive=True),
            card("Waiting for its turn, or for the model …"),
        )

    def end() -> tuple[Any, ...]:
        return gr.Button("Speak", interactive=True), gr.Button(interactive=False)

    def stop_now(request: gr.Request) -> tuple[Any, ...]:
        signals.stop(request.session_hash or "")
        return *end(), card("Stopped; nothing was kept."), gr.Audio(visible=False)

    def refused(request: gr.Request) -> tuple[Any, ...]:
        stopped = signals.of(request.session_hash or "").is_set()  # a request taken back counts as failed too
        said = card("One of the values does not fit its field: look under Advanced.", "bad")
        return *end(), gr.skip() if stopped else said

    ground.change(_show_note, ground, note, queue=False, **private)
    begun = speak.click(begin, None, [speak, stop, status], queue=False, **private)
    spoken = begun.then(
        _speaker(service, settings, signals),
        [clip, transcript, ground, note, text, scene, temperature, top_p, top_k, seed],
        [status, live, result, downloads, *buttons.values()],
        concurrency_id="gpu",
        concurrency_limit=1,
        **private,
    )
    spoken.then(end, None, [speak, stop], queue=False, **private)
    # What Gradio itself refuses, before the studio sees it, must not leave the buttons locked.
    spoken.failure(refused, None, [speak, stop, status], queue=False, **private)
    stop.click(stop_now, None, [speak, stop, status, live], cancels=[spoken], queue=False, **private)
    live.stop(lambda: gr.Audio(visible=False), None, live, queue=False, **private)  # heard to its end


def _show_note(ground: str | None) -> Any:
    return gr.Textbox(visible=ground in _NOTE_LABELS, label=_NOTE_LABELS.get(ground or "", ""))


def _speaker(
    service: TakeService, settings: Settings, signals: StopSignals
) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """The event behind the Speak button: a generator of updates for (status, live, result, downloads, *buttons)."""
    unchanged = [gr.skip()] * (1 + len(AUDIO_FORMATS))
    hidden = [gr.Audio(value=None, visible=False), gr.Row(visible=False), *([gr.skip()] * len(AUDIO_FORMATS))]

    def speak(
        clip: str | None,
        transcript: str,
        ground: str | None,
        note: str,
        text: str,
        scene: str,
        temperature: float,
        top_p: float,
        top_k: float,
        seed: str,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        session = request.session_hash or ""
        signal = signals.of(session)
        stream: SpeechStream | None = None
        if signal.is_set():
            return
        yield card("Preparing …"), gr.Audio(value=None, visible=False), *hidden
        try:
            asked = SpeakRequest(
                text=text or "",
                references=_reference(clip, transcript, ground, note, text or ""),
                scene=scene or "",
                sampling=Sampling(temperature=temperature, top_p=top_p, top_k=int(top_k)),
                seed=_seed(seed),
            )
            stream = service.stream(asked, cancel=signal)
            shown = False
            for piece in stream:
                wav = encode_audio(Waveform(piece, stream.sample_rate), "wav")
                progress = card(
                    f"Speaking: {stream.generated_seconds:.1f} s of about {stream.expected_seconds:.0f} s …"
                )
                if not shown:  # the player has to be on the page before it can be fed
                    shown = True
                    yield progress, gr.Audio(visible=True), gr.skip(), *unchanged
                yield progress, wav, gr.skip(), *unchanged
            if stream.cancelled:
                yield card("Stopped; nothing was kept."), gr.Audio(visible=False), *hidden
                return
            yield _finished(stream.speech), gr.skip(), *_files(stream.speech, settings)
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            yield card(error_sentence(error), "bad"), gr.Audio(visible=False), *hidden
        finally:
            # Also when the browser went away in the middle: the generator is then closed here.
            if stream is not None:
                stream.close()
            signals.forget(session, signal)

    return speak


def _seed(typed: str | None) -> int | None:
    typed = (typed or "").strip()
    if not typed:
        return None
    if not (typed.isascii() and typed.isdigit()):
        raise StudioError(f"The seed '{typed}' is no whole number: type one from 0 to {MAX_SEED}, or leave it empty.")
    return int(typed)


def _reference(
    clip: str | None, transcript: str, ground: str | None, note: str, text: str
) -> tuple[ReferenceClip, ...]:
    if clip is None:
        if (transcript or "").strip():
            raise StudioError("There is a transcript but no clip: record or upload the clip, or clear the transcript.")
        return ()
    speakers = {line.speaker for line in parse_script(text) if line.speaker is not None}
    if len(speakers) > 1:
        raise StudioError(
            f"This dialogue has {len(speakers)} speakers, and here is one clip: remove the clip and the model picks the "
            "voices, or use the command line with a clip for each."
        )
    if ground is None:
        raise StudioError("Say whose voice it is before it is cloned: choose one of the answers below the transcript.")
    return (ReferenceClip(Path(clip), transcript or "", Consent(ground, note or "")),)  # type: ignore[arg-type]


def _finished(speech: Speech) -> str:
    facts = {
        "Duration": f"{speech.seconds:.2f} s",
        "Computing": f"{speech.elapsed:.1f} s (RTF {speech.rtf:.2f})",
        "Seed": str(speech.seed),
    }
    shortcomings = speech.shortcomings()
    if not shortcomings:
        return card("The take is ready.", "good", facts=facts)
    return card(f"The take is ready, but {' '.join(shortcomings)}", "warn", facts=facts)


def _files(speech: Speech, settings: Settings) -> list[Any]:
    """The take in every format, as updates for (result, downloads, *buttons)."""
    paths = put_in_transit(speech, settings.page_cache_folder)
    downloads = [gr.DownloadButton(value=str(path)) for path in paths.values()]
    return [gr.Audio(value=str(paths[".wav"]), visible=True), gr.Row(visible=True), *downloads]
