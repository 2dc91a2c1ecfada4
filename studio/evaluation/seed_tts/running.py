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

Announce = Callable[[str, int, int], None]
"""What is done ("spoken", "scored"), how many, and of how many."""


@dataclass(frozen=True)
class Run:
    """What came of a run: the results, and why takes could not be spoken, by name."""

    results: Results
    unspoken: dict[str, str]


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


def evaluate_list(
    given: EvaluationList, folder: Path, out: Path, settings: Settings, *, part: Part = Part(),  # noqa: B008
    language: str = "en", asr_model: str = "", workers: int = 1, speaking: Speaking | None = None,
    announce: Announce = lambda what, done, total: None, stopped: Callable[[], bool] = lambda: False,
) -> Run:  # fmt: skip
    """Score a part of a list; what ``out`` holds already is not scored again, unless the take is another since.

    Args:
        folder: of the takes, ``name.wav``.
        out: file of the results, a line appended for each utterance.
        workers: processes that score beside each other.
        speaking: speaks first what has no take yet; None leaves missing takes missing.
        stopped: looked at before each take.

    Raises:
        StudioError: there is no recogniser, ``out`` holds other results, the checkpoint cannot be loaded; or a line cannot be
            scored, which is told when all others are.
    """
    probe = Scorer(settings, asr_model)  # before a night of speaking, not after
    spoken_with = speaking.spoken_with if speaking else ""
    _make(folder)
    results = ResultsFile(out, Header.of(given, part, language, probe.models, spoken_with))
    lines, unspoken = part.of(given.lines), dict[str, str]()
    if speaking is not None:
        unspoken = speak_missing(lines, folder, language, speaking, announce=announce, stopped=stopped)
        speaking.service.host.unload()  # its memory is for the recogniser now
    tasks: list[ListTask] = []
    for line in lines:
        if _is_scored(line, folder, results):
            continue
        if line.take(folder) is not None:
            tasks.append(ListTask(line, folder, language))
        elif not stopped():
            results.add(missing_score(line.name, unspoken.get(line.name, "There is no such take.")))
    known, failed = len(lines) - len(tasks), list[tuple[str, StudioError]]()
    begin = (lambda: probe) if workers <= 1 else scorer(settings, asr_model)
    with closing(over_processes(begin, tasks, workers, stopped)) as found:
        for done, (task, score) in enumerate(found, known + 1):
            announce("scored", done, len(lines))
            if isinstance(score, StudioError):
                failed.append((task.line.name, score))
            else:
                results.add(score)
    if failed:
        name, error = failed[0]
        raise StudioError(f"{len(failed)} lines could not be scored, the first is '{name}': {error}")
    return Run(Results(results.header, results.scores), unspoken)


def speak_missing(
    lines: tuple[Line, ...], folder: Path, language: str, speaking: Speaking, *,
    announce: Announce = lambda what, done, total: None, stopped: Callable[[], bool] = lambda: False,
) -> dict[str, str]:  # fmt: skip
    """Speak what has no take yet, each in the voice of its prompt, into the folder, in order.

    Returns:
        Why takes could not be spoken, a sentence each, by name: one bad prompt must not cost the night's run.
    """
    unspoken: dict[str, str] = {}
    waiting = [line for line in lines if line.take(folder) is None]
    for done, line in enumerate(waiting):
        if stopped():
            break
        announce("spoken", done, len(waiting))
        request = SpeakRequest(
            line.text,
            (ReferenceClip(line.prompt, line.prompt_text, speaking.consent),),
            sampling=speaking.sampling,
            seed=speaking.seed,
            language=language,
            adapter=speaking.adapter,
            retry=0,  # its authors hear nothing back
        )
        try:
            speaking.service.speak(request, folder / f"{line.name}.wav", keep=False)
        except StudioError as error:
            unspoken[line.name] = str(error)
    return unspoken


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudioError(
            f"The folder {shown_name(folder)} cannot be made ({error.strerror}): choose another."
        ) from error


def _is_scored(line: Line, folder: Path, results: ResultsFile) -> bool:
    """Whether its score is that of the take as it is now."""
    score, take = results.scores.get(line.name), line.take(folder)
    if score is None:
        return False
    return bool(score.missing) if take is None else score.took == signature(take)
