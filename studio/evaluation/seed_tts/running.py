"""Going through a list: speaking what has no take yet, scoring what has no score yet, by workers beside each other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from studio.datasets.spreading.worker_processes import over_processes
from studio.engine.model.sampling import Sampling
from studio.engine.speech.reference import Consent
from studio.errors import StudioError
from studio.evaluation.seed_tts.listing import EvaluationList, Line, Part
from studio.evaluation.seed_tts.results import Header, Results, ResultsFile
from studio.evaluation.seed_tts.scoring import ListTask, Scorer, missing_score, scorer, signature
from studio.files import shown_name
from studio.settings import Settings
from studio.takes.request import ReferenceClip, SpeakRequest
from studio.takes.service import TakeService

Announce = Callable[[int, int], None]


@dataclass(frozen=True)
class Speaking:
    """How missing takes are spoken.

    Attributes:
        consent: by what right the voices of the prompts are used.
        seed: of every take, so that a run can be repeated.
    """

    service: TakeService
    consent: Consent
    seed: int = 0
    sampling: Sampling = Sampling()  # noqa: RUF009  frozen
    adapter: str = ""

    @property
    def spoken_with(self) -> str:
        """The checkpoint and what is on top of it; it is loaded for that."""
        checkpoint = self.service.host.engine().files.shown_name
        return f"{checkpoint} + {self.adapter}" if self.adapter else checkpoint


def speak_missing(
    lines: tuple[Line, ...], folder: Path, language: str, speaking: Speaking, *,
    announce: Announce = lambda done, total: None, stopped: Callable[[], bool] = lambda: False,
) -> dict[str, str]:  # fmt: skip
    """Speak what has no take yet, each in the voice of its prompt, into the folder, in order.

    Returns:
        Why takes could not be spoken, a sentence each, by name: one bad prompt must not cost the night's run.

    Raises:
        StudioError: the folder cannot be written, or the checkpoint cannot be loaded.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudioError(f"The folder {shown_name(folder)} cannot be made ({error.strerror}): choose another.") from error
    speaking.service.host.engine()
    unspoken: dict[str, str] = {}
    waiting = [line for line in lines if line.take(folder) is None]
    for done, line in enumerate(waiting):
        if stopped():
            break
        announce(done, len(waiting))
        request = SpeakRequest(
            line.text,
            (ReferenceClip(line.prompt, line.prompt_text, speaking.consent),),
            sampling=speaking.sampling,
            seed=speaking.seed,
            language=language,
            adapter=speaking.adapter,
        )
        try:
            speaking.service.speak(request, folder / f"{line.name}.wav", keep=False)
        except StudioError as error:
            unspoken[line.name] = str(error)
    return unspoken


def evaluate_list(
    given: EvaluationList, folder: Path, out: Path, settings: Settings, *, part: Part = Part(),  # noqa: B008
    language: str = "en", asr_model: str = "", workers: int = 1, spoken_with: str = "", unspoken: dict[str, str] | None = None,
    announce: Announce = lambda done, total: None, stopped: Callable[[], bool] = lambda: False,
) -> Results:  # fmt: skip
    """Score a part of a list; what ``out`` holds already is not scored again, unless the take is another since.

    Args:
        folder: of the takes, ``name.wav``.
        out: file of the results, a line appended for each utterance.
        workers: processes that score beside each other.
        unspoken: why takes are missing, by name.

    Raises:
        StudioError: there is no recogniser, ``out`` holds other results, or a line cannot be scored, which is told when all
            others are.
    """
    probe = Scorer(settings, asr_model)
    results = ResultsFile(out, Header.of(given, part, language, probe.models, spoken_with))
    lines = part.of(given.lines)
    waiting = [line for line in lines if not _is_scored(line, folder, results)]
    # Missing ones first: they cost nothing.
    tasks = []
    for line in waiting:
        if line.take(folder) is None:
            results.add(missing_score(line.name, (unspoken or {}).get(line.name, "There is no such take.")))
        else:
            tasks.append(ListTask(line, folder, language))
    begin = (lambda: probe) if workers <= 1 else scorer(settings, asr_model)
    failed: list[tuple[str, StudioError]] = []
    with closing(over_processes(begin, tasks, workers, stopped)) as found:
        for task, score in found:
            if isinstance(score, StudioError):
                failed.append((task.line.name, score))
            else:
                results.add(score)
            announce(len(lines) - len(tasks) + len(results.scores.keys() & {each.line.name for each in tasks}), len(lines))
    if failed:
        name, error = failed[0]
        raise StudioError(f"{len(failed)} lines could not be scored, the first is '{name}': {error}")
    return Results(results.header, results.scores)


def _is_scored(line: Line, folder: Path, results: ResultsFile) -> bool:
    """Whether its score is that of the take as it is now."""
    score, take = results.scores.get(line.name), line.take(folder)
    if score is None:
        return False
    return bool(score.missing) if take is None else score.took == signature(take)
