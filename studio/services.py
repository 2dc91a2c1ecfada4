"""What page, API and command line call. Each service is made when it is first asked for, and imported then."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from studio.files import clear_old
from studio.settings import Settings

if TYPE_CHECKING:
    from studio.adapters.library import AdapterLibrary
    from studio.datasets.background import Works
    from studio.datasets.library import DatasetLibrary
    from studio.engine.host import EngineHost
    from studio.evaluation.audition.library import AuditionLibrary
    from studio.evaluation.blind.session import BlindSession
    from studio.evaluation.comparison.library import ComparisonLibrary
    from studio.listening.transcriber import Transcriber
    from studio.store.store import Store
    from studio.takes.library import TakeLibrary
    from studio.takes.queue import GenerationQueue
    from studio.takes.service import TakeService
    from studio.training.library import JobLibrary
    from studio.voices.drafts import Drafts
    from studio.voices.library import VoiceLibrary


@dataclass(frozen=True)
class Services:
    """The services of one process. Libraries are given out for one owner at a time; "" is whoever runs the studio."""

    settings: Settings

    @cached_property
    def store(self) -> Store:
        from studio.store.store import Store

        return Store(self.settings.store_file)

    @cached_property
    def take_service(self) -> TakeService:
        from studio.takes.service import TakeService

        return TakeService.from_settings(self.settings, store=self.store, transcriber=self.transcriber)

    @cached_property
    def generations(self) -> GenerationQueue:
        from studio.takes.queue import GenerationQueue

        return GenerationQueue(self.take_service)

    @cached_property
    def transcriber(self) -> Transcriber:
        return self.transcriber_of()

    def transcriber_of(self, model: str = "") -> Transcriber:
        """One with another model than the settings'; "" for theirs."""
        from studio.listening.transcriber import Transcriber

        return Transcriber(model or self.settings.asr_model, device=self.settings.device)

    @cached_property
    def drafts(self) -> Drafts:
        from studio.voices.drafts import Drafts

        return Drafts(self.settings)

    @cached_property
    def works(self) -> Works:
        """What is being done to named sets."""
        from studio.datasets.background import Works

        return Works()

    @property
    def host(self) -> EngineHost:
        return self.take_service.host

    def voices(self, owner: str = "") -> VoiceLibrary:
        from studio.voices.library import VoiceLibrary

        return VoiceLibrary(self.settings, self.store, owner)

    def adapters(self, owner: str = "") -> AdapterLibrary:
        from studio.adapters.library import AdapterLibrary

        return AdapterLibrary(self.settings, self.store, owner)

    def jobs(self, owner: str = "") -> JobLibrary:
        from studio.training.library import JobLibrary

        return JobLibrary(self.settings, self.store, owner)

    def datasets(self, owner: str = "") -> DatasetLibrary:
        """The named sets of an owner."""
        from studio.datasets.library import DatasetLibrary

        return DatasetLibrary(self.settings, self.store, owner)

    def comparisons(self, owner: str = "") -> ComparisonLibrary:
        from studio.evaluation.comparison.library import ComparisonLibrary

        return ComparisonLibrary(self.settings, self.store, owner)

    def auditions(self, owner: str = "") -> AuditionLibrary:
        """The checkpoints of runs, heard beside their base."""
        from studio.evaluation.audition.library import AuditionLibrary

        return AuditionLibrary(self.settings, self.store, owner)

    def blind_session(self, comparison_id: str, owner: str = "") -> BlindSession:
        """Of the owner of a comparison; whoever has its link joins by :meth:`BlindSession.join`."""
        from studio.evaluation.blind.session import BlindSession

        return BlindSession.of_owner(self.settings, self.store, comparison_id, owner)

    def is_shared(self, link: str) -> bool:
        """Whether the token of a link leads to a comparison that others may vote on."""
        from studio.evaluation.blind.session import BlindSession

        return BlindSession.is_open(self.store, link)

    def join(self, link: str, name: str = "") -> tuple[BlindSession, str]:
        """A new listener of a comparison; see :meth:`BlindSession.join`."""
        from studio.evaluation.blind.session import BlindSession

        return BlindSession.join(self.settings, self.store, link, name)

    def listener(self, secret: str, link: str) -> BlindSession | None:
        """A listener who was here before; see :meth:`BlindSession.go_on`."""
        from studio.evaluation.blind.session import BlindSession

        return BlindSession.go_on(self.settings, self.store, secret, link)

    def takes(self, owner: str = "") -> TakeLibrary:
        from studio.takes.library import TakeLibrary

        return TakeLibrary(self.settings, self.store, owner)

    def clear_remains(self) -> None:
        """What is in transit or was never saved goes after a day, and what killed processes left behind."""
        from studio.datasets.library import clear_remains as clear_sets
        from studio.datasets.rows.uploads import clear_remains as clear_uploads
        from studio.evaluation.comparison.library import clear_remains as clear_comparisons
        from studio.takes.library import clear_remains as clear_takes
        from studio.training.folder import rows_files
        from studio.training.library import clear_remains as clear_jobs
        from studio.voices.library import clear_remains as clear_voices

        clear_old(self.settings.page_cache_folder)
        clear_old(self.settings.drafts_folder)
        clear_uploads(self.settings, rows_files(self.settings.jobs_folder))
        if self.settings.store_file.exists():
            clear_voices(self.settings, self.store)
            clear_takes(self.settings, self.store)
            clear_jobs(self.settings, self.store)
            clear_sets(self.settings, self.store)
            clear_comparisons(self.settings, self.store)
