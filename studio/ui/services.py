"""The services behind the page, made once for a process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.engine.host import EngineHost
from studio.listening.transcriber import Transcriber
from studio.settings import Settings
from studio.store.store import Store
from studio.takes.generations import Generations
from studio.takes.library import TakeLibrary
from studio.takes.service import TakeService
from studio.training.adapters import AdapterLibrary
from studio.ui.visitors import owner_of
from studio.voices.drafts import Drafts
from studio.voices.library import VoiceLibrary

if TYPE_CHECKING:
    import gradio as gr

    from studio.training.library import JobLibrary


@dataclass(frozen=True)
class Services:
    """What the tabs call. Libraries are given out for one visitor at a time."""

    settings: Settings
    store: Store
    take_service: TakeService
    generations: Generations
    transcriber: Transcriber
    drafts: Drafts

    @classmethod
    def from_settings(cls, settings: Settings) -> Services:
        """Services that have loaded and opened nothing yet."""
        store = Store(settings.store_file)
        take_service = TakeService.from_settings(settings, store=store)
        return cls(
            settings,
            store,
            take_service,
            Generations(take_service),
            Transcriber(settings.asr_model, device=settings.device),
            Drafts(settings),
        )

    @property
    def host(self) -> EngineHost:
        """Where the engine is."""
        return self.take_service.host

    def owner(self, request: gr.Request) -> str:
        """Whose libraries the visitor sees."""
        return owner_of(request, self.settings)

    def voices(self, request: gr.Request) -> VoiceLibrary:
        """The visitor's voices."""
        return VoiceLibrary(self.settings, self.store, self.owner(request))

    def adapters(self, request: gr.Request) -> AdapterLibrary:
        """The visitor's trained voices."""
        return AdapterLibrary(self.settings, self.store, self.owner(request))

    def jobs(self, request: gr.Request) -> JobLibrary:
        """The visitor's training runs."""
        from studio.training.library import JobLibrary

        return JobLibrary(self.settings, self.store, self.owner(request))

    def takes(self, request: gr.Request) -> TakeLibrary:
        """The visitor's takes."""
        return TakeLibrary(self.settings, self.store, self.owner(request))
