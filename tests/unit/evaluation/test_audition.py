"""Auditions: texts that were not trained, every checkpoint heard and measured, one proposed with its reason, and used."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.audio import Waveform, read_audio
from studio.audio.writing import write_audio
from studio.engine.checkpoints import read_scope
from studio.engine.speech.reference import Consent
from studio.errors import StudioError
from studio.evaluation.audition.asking import AuditionRequest, held_out_texts
from studio.evaluation.audition.choosing import proposal_of
from studio.evaluation.audition.intervals import (
    is_clearly_above,
    mean_interval,
    means_by_text,
    share_interval,
)
from studio.evaluation.audition.library import AuditionLibrary
from studio.evaluation.audition.table import FIGURES, AuditionTable, SystemFigures
from studio.evaluation.blind.session import BlindSession
from studio.evaluation.comparison.comparison import ComparedSystem, Comparison, sound_file
from studio.evaluation.comparison.generation import Ended
from studio.evaluation.comparison.measuring import LEFT_OUT, TakeMeasurer
from studio.evaluation.measures import Listeners, mean_of, measure_all
from studio.evaluation.measures.kept_takes import Given, subject_of_file
from studio.settings import ASSETS
from studio.store import comparisons as queries
from studio.store.tables import now
from studio.takes.wearing import dressed, put_on, worn_by
from studio.training.library import JobLibrary
from studio.ui.tabs.compare.auditioned import audition_html
from studio.ui.tabs.speak.form_values import Form
from tests.auditions import HELD_OUT, TRAINED, ended_run, row
from tests.refusals import refusal
from tests.takes import SHORT, request, saved_voice
from tests.trained import write_adapter
from tests.unit.evaluation.test_generation import made_here

OWN = Consent("licence", "CC0 1.0")


@pytest.fixture(scope="module")
def adapters(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("loras")
    return [write_adapter(tiny_checkpoint, folder / str(seed), seed=seed) for seed in (1, 2)]


@pytest.fixture
def rows(said: dict[Path, str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows that are trained and rows that are held out; one of these has a text that is trained as well."""
    (clip, words), (other, _) = list(said.items())[:2]
    return [row(clip, words, TRAINED, other)], [row(clip, words, text, other) for text in (TRAINED.upper(), *HELD_OUT)]


@pytest.fixture
def run(apart: Any, owner: str, tiny_checkpoint: Path, rows: Any, adapters: list[Path]) -> str:
    return ended_run(apart.settings, apart.store, tiny_checkpoint, *rows, adapters, owner=owner)


@pytest.fixture
def auditions(apart: Any, owner: str) -> AuditionLibrary:
    return AuditionLibrary(apart.settings, apart.store, owner)


def deaf_listeners(settings: Any, *, asr_model: str, leave_out: Any) -> Listeners:
    """No recogniser, and the rest as ever."""
    return Listeners(leave_out=leave_out, folder=settings.evaluation_folder, why_silent="No recogniser is here.")


def spoken(auditions: AuditionLibrary, comparison: Comparison, sounds: list[Waveform]) -> None:
    """As if its takes had been made: of each system others of the recordings."""
    library = auditions.comparisons
    with library.store.writing() as session:
        for number, take in enumerate(queries.takes(session, comparison.id)):
            write_audio(
                sounds[number % len(sounds)], sound_file(library.folder(comparison.id), take.id), synthetic=True
            )
            take.state, take.made_at, take.report = "made", now(), {"ended": number % 3 > 0, "rtf": 0.5}
            queries.save(session, take)
    ended(auditions, comparison)


def ended(auditions: AuditionLibrary, comparison: Comparison) -> None:
    with auditions.comparisons.store.writing() as session:
        record = queries.comparison_by_id(session, comparison.id)
        assert record is not None
        record.state = "completed"
        queries.save(session, record)


def test_every_checkpoint_is_heard_on_texts_that_were_not_trained_and_the_figures_are_those_of_single_commands(
    auditions: AuditionLibrary, apart: Any, owner: str, run: str, said: dict[Path, str], sounds: list[Waveform]
) -> None:
    wanted = AuditionRequest(texts=2, strengths=(1.0, 0.3), consent=OWN)
    begun = auditions.start(run, wanted, start=False)
    comparison = begun.comparison
    assert (comparison.texts, begun.texts_from) == (HELD_OUT, "rows that the run held out")
    assert [system.label for system in comparison.systems] == [
        "base", "Demo · step 10", "Demo · step 10 at 0.3", "Demo · step 20", "Demo · step 20 at 0.3",
    ]  # fmt: skip
    assert begun.proposal is None
    assert "0 of 10 takes made" in begun.sentence
    spoken(auditions, comparison, sounds)
    assert auditions.comparisons.comparison(comparison.id).unmeasured == 10
    stop = threading.Event()
    stop.set()
    stopped = TakeMeasurer(apart.settings, apart.store, comparison.id, stop=stop, listeners_of=deaf_listeners)
    assert stopped.run(Ended("completed")).state == "stopped"
    assert auditions.comparisons.resume(comparison.id, start=False).state == "queued"
    measurer = TakeMeasurer(apart.settings, apart.store, comparison.id, listeners_of=deaf_listeners)
    assert measurer.run(Ended("completed")) == Ended("completed")
    ended(auditions, comparison)
    done = auditions.audition(comparison.id)
    assert not done.comparison.unmeasured
    assert [(each.step, each.strength) for each in done.table.systems] == [
        (None, None), (10, 1.0), (10, 0.3), (20, 1.0), (20, 0.3),
    ]  # fmt: skip
    # The same takes by ``python -m studio evaluate FILE --reference CLIP --text T``: every figure is the same.
    clip, words = next(iter(said.items()))
    listeners = deaf_listeners(apart.settings, asr_model="", leave_out=LEFT_OUT)
    takes = auditions.comparisons.takes(comparison.id)
    for each in done.table.systems:
        theirs = [take for take in takes if take.system_id == each.id]
        given = [Given(comparison.texts[take.text], "", read_audio(clip), words) for take in theirs]
        files = [subject_of_file(take.path, each) for take, each in zip(theirs, given, strict=True)]
        alone = list(measure_all(files, listeners))
        assert [take.figures["similarity"] for take in theirs] == [each.as_json()["similarity"] for each in alone]
        assert [take.figures["dnsmos"] for take in theirs] == [each.as_json()["dnsmos"] for each in alone]
        for figure in ("similarity", "ovrl"):
            assert each.mean(figure) == pytest.approx(mean_of(figure, alone), abs=1e-4)
        assert each.mean("end_rate") == np.mean([take.report["ended"] for take in theirs])
        assert each.mean("wer") is None
        assert each.absent["wer"] == "No recogniser is here."
        assert each.losses == ({} if each.is_base else {"loss": 3.21, "audio_loss": 3.3})
    assert done.table.models["similarity"]
    assert done.proposal is not None
    assert "No recogniser is here." in done.sentence
    told = audition_html(done)
    for each in done.table.systems:
        assert f">{each.name}<" in told
        assert f"{each.mean('similarity'):.2f}" in told
    assert "No recogniser is here." in told
    # The two that are worth a vote are what listeners hear, until somebody lets them hear others.
    assert {system.id for system in done.comparison.heard_systems} == set(done.proposal.pair)
    session = BlindSession.of_owner(apart.settings, apart.store, comparison.id, owner)
    heard = 0
    while (trial := session.next()) is not None:
        session.vote(trial.id, "tie")
        heard += 1
    assert heard == 3  # two texts, and one of them again
    assert {each.left for each in session.reveal()} <= {system.label for system in done.comparison.heard_systems}
    auditions.comparisons.let_hear(comparison.id, ())
    assert len(auditions.comparisons.comparison(comparison.id).heard_systems) == 5

    # The run goes, with its checkpoints, and the audition is what it was.
    figures = done.as_json()["table"]
    JobLibrary(apart.settings, apart.store, owner).delete(run)
    old = auditions.audition(comparison.id)
    assert (old.sentence, [system.gone is None for system in old.comparison.systems]) == (
        done.sentence, [True, False, False, False, False],
    )  # fmt: skip
    assert [{**each, "gone": None} for each in old.as_json()["table"]] == [{**each, "gone": None} for each in figures]
    assert "There is no trained voice" in refusal(
        lambda: auditions.use(comparison.id, old.comparison.systems[1].id, voice="Anna")
    )


def test_a_checkpoint_becomes_what_a_voice_is_spoken_with_until_it_is_gone(
    auditions: AuditionLibrary, apart: Any, owner: str, run: str, kathleen: Any
) -> None:
    voices, adapters = apart.voices(owner), apart.adapters(owner)
    saved_voice(apart, owner, kathleen)
    found = auditions.start(run, AuditionRequest(texts=1, strengths=(0.5,), voice="Anna"), start=False)
    assert found.comparison.plan.references == ()
    assert "No checkpoint is proposed" in refusal(lambda: auditions.use(found.id))
    assert "The base is no trained voice" in refusal(lambda: auditions.use(found.id, found.comparison.systems[0].id))
    worn = auditions.use(found.id, found.comparison.systems[2].id)
    assert (worn.name, worn.adapter_strength) == ("Anna", 0.5)
    told = worn_by(worn, adapters)
    # What a voice wears is chosen where nobody asked for another, and the request then says so: it can be repeated.
    asked, notice = dressed(request(SHORT, "Anna"), voices, adapters)
    assert (asked.adapter, asked.adapter_strength, notice) == (worn.adapter, 0.5, "")
    other = request(SHORT, "Anna", adapter_folder=Path("elsewhere"))
    assert dressed(other, voices, adapters) == (other, "")
    assert dressed(request(SHORT), voices, adapters) == (request(SHORT), "")
    assert (told.adapter and told.adapter.step, told.strength) == (20, 0.5)
    assert "comes with the studio" in refusal(
        lambda: auditions.use(found.id, found.comparison.systems[2].id, voice="Kathleen")
    )
    JobLibrary(apart.settings, apart.store, owner).delete(run)
    gone = worn_by(voices.voice("Anna"), adapters)
    assert gone.adapter is None
    assert "was deleted" in gone.notice
    assert dressed(request(SHORT, "Anna"), voices, adapters) == (request(SHORT, "Anna"), gone.notice)
    assert put_on(voices, adapters, "Anna", "").adapter == ""


def test_texts_come_from_what_was_held_out_then_what_the_base_was_made_for_and_never_from_what_was_trained(
    apart: Any, owner: str, tiny_checkpoint: Path, rows: Any, tmp_path: Path
) -> None:
    trained, held = rows
    jobs = JobLibrary(apart.settings, apart.store, owner)
    run = ended_run(apart.settings, apart.store, tiny_checkpoint, trained, [], [], owner=owner)
    plain = held_out_texts(jobs.job(run), 8)
    assert plain.source == "the sentences of the run's samples"
    assert len(plain.texts) == 2
    # A base with a scope: its own lines, less the one that was trained.
    small = shutil.copytree(tiny_checkpoint, tmp_path / "small")
    shutil.copy(ASSETS / "demo-checkpoint" / "scope.json", small)
    scope = read_scope(small)
    assert scope is not None
    taught = [dict(trained[0], messages=[*trained[0]["messages"][:2], {"role": "user", "content": scope.examples[1]},
                                         trained[0]["messages"][3]])]  # fmt: skip
    run = ended_run(apart.settings, apart.store, small, taught, held[1:2], [], owner=owner)
    both = held_out_texts(jobs.job(run), 4)
    assert both.texts == (HELD_OUT[0], scope.examples[0], *scope.examples[2:4])
    assert both.source == "rows that the run held out and lines that the base was made for"
    jobs.job(run).folder.rows_file.unlink()
    assert "nobody knows which texts it learnt" in refusal(lambda: held_out_texts(jobs.job(run), 4))


def test_what_cannot_be_heard_is_refused_in_a_sentence(
    auditions: AuditionLibrary, apart: Any, owner: str, run: str, rows: Any, adapters: list[Path], tiny_checkpoint: Path,
    kathleen: Any,
) -> None:  # fmt: skip
    assert "by what right" in refusal(lambda: auditions.start(run))
    wrong = AuditionRequest(consent=OWN, steps=(15,))
    assert "no checkpoint of step 15: there are 10, 20" in refusal(lambda: auditions.start(run, wrong))
    many = AuditionRequest(consent=OWN, strengths=tuple(0.01 * each for each in range(1, 41)))
    assert "choose some of the steps" in refusal(lambda: auditions.start(run, many))
    empty = ended_run(apart.settings, apart.store, tiny_checkpoint, *rows, [], owner=owner)
    assert "none was registered" in refusal(lambda: auditions.start(empty))
    # Rows whose reference is a clip of the library: its consent is known, asked at the start, and asked again each time.
    anna = saved_voice(apart, owner, kathleen)
    clip = anna.clips[0]
    taught = [row(clip.path, clip.transcript.text, TRAINED, next(iter(kathleen)), speaker="Anna")]
    own = ended_run(apart.settings, apart.store, tiny_checkpoint, taught, rows[1], adapters[:1], owner=owner)
    begun = auditions.start(own, AuditionRequest(texts=1), start=False)
    assert made_here(auditions.comparisons, begun.comparison, apart) == Ended("completed")
    assert {voice["id"] for take in auditions.comparisons.takes(begun.id) for voice in take.request["voices"]} == {""}
    begun = auditions.start(own, AuditionRequest(texts=1), start=False)
    assert [system.settings["voice"] for system in begun.comparison.systems] == ["Anna", "Anna"]
    apart.voices(owner).withdraw_consent("Anna")
    assert "was withdrawn" in refusal(lambda: auditions.start(own, AuditionRequest(texts=1)))
    assert made_here(auditions.comparisons, begun.comparison, apart).state == "failed"
    assert [system.withheld for system in auditions.audition(begun.id).comparison.systems] == [True, True]
    assert auditions.audition(begun.id).table.systems == ()


def system(step: int | None, loss: float = 1.0, failed: int = 0, **figures: Any) -> SystemFigures:
    """A row of a table from the figures of each text."""
    by_text = {
        name: means_by_text(list(enumerate(figures.get(name) or ()))) for name in FIGURES
    }  # fmt: skip
    intervals = {name: mean_interval(found, least=-1, most=5) for name, found in by_text.items()}
    intervals["end_rate"] = share_interval(by_text["end_rate"])
    absent = {name: "It was not heard." for name, found in intervals.items() if found is None}
    shown = ComparedSystem(f"s{step}", f"step {step}", "adapter" if step else "base", {})
    losses = {} if step is None else {"eval_loss": loss}
    return SystemFigures(shown, step, None if step is None else 1.0, 8, failed, intervals, absent, losses, by_text)


GOOD = [0.0, 0.1, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0]
WRONG = [0.2, 0.3, 0.1, 0.2, 0.4, 0.1, 0.2, 0.1]
ALL, SOME = [1.0] * 8, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0]


def alike(level: float) -> list[float]:
    return [level + 0.01 * (number % 3) for number in range(8)]


def proposed(*systems: SystemFigures) -> Any:
    return proposal_of(AuditionTable(systems, {}))


def test_the_most_similar_of_those_that_say_the_words_and_stop_is_proposed_with_its_reason() -> None:
    base = system(None, similarity=alike(0.6), wer=GOOD, end_rate=ALL)
    best = system(120, 0.9, similarity=alike(0.8), wer=GOOD, end_rate=ALL)
    endless = system(200, 0.5, similarity=alike(0.9), wer=GOOD, end_rate=SOME)
    found = proposed(base, system(40, 1.2, similarity=alike(0.7), wer=GOOD, end_rate=ALL), best, endless)
    assert found.winner == "s120"
    assert found.pair == ("s120", "s40")
    assert found.sentence == (
        "Step 120: similarity 0.81 (base 0.61), words as right as the base's (WER 2 % against 2 %), ends by itself in 100 %; "
        "the lowest loss on held-out rows is step 200, which ends by itself in 62 % only."
    )
    # Equals: the earlier step. A wrong word in ten is surely worse on eight texts, and not on three.
    tie = proposed(base, system(20, similarity=alike(0.803), wer=GOOD), system(10, similarity=alike(0.8), wer=GOOD))
    assert tie.winner == "s10"
    wrong = system(10, similarity=alike(0.9), wer=WRONG)
    assert (
        "gets more words wrong (WER 20 %"
        in proposed(base, wrong, system(20, similarity=alike(0.8), wer=GOOD)).left_out["s10"]
    )
    few = {"similarity": [0.9, 0.91, 0.9], "wer": [0.1, 0.2, 0.1]}
    assert proposed(system(None, similarity=[0.5] * 3, wer=[0.0] * 3), system(10, **few)).winner == "s10"
    assert (
        proposed(base, system(10, failed=1, similarity=alike(0.9)), system(20, similarity=alike(0.7))).winner == "s20"
    )


def test_it_is_honest_where_nothing_is_better_or_nothing_can_be_heard() -> None:
    base = system(None, similarity=alike(0.8), wer=GOOD, end_rate=ALL)
    found = proposed(base, system(10, similarity=alike(0.7), wer=GOOD), system(20, similarity=alike(0.75), wer=WRONG))
    assert (found.winner, found.pair) == (None, ("s10", "sNone"))
    assert found.sentence.startswith(
        "No checkpoint is better than the base: the most similar, step 10, has 0.71 and the base 0.81"
    )
    every = proposed(base, system(10, similarity=alike(0.9), wer=WRONG))
    assert (every.winner, every.pair) == (None, ("sNone", "s10"))
    unheard = proposed(system(None, similarity=alike(0.6)), system(10, similarity=alike(0.9)))
    assert unheard.winner == "s10"
    assert unheard.sentence.endswith("Whether the words are right is not known: It was not heard.")
    silent = proposed(system(None), system(10))
    assert (silent.winner, silent.sentence) == (
        None,
        "No proposal, since similarity could not be measured: It was not heard.",
    )
    unsure = [0.9, 0.5, 0.7, 0.6, 0.8, 0.5, 0.6, 0.9]
    assert (
        "cannot tell from the base's"
        in proposed(system(None, similarity=alike(0.66)), system(10, similarity=unsure)).sentence
    )


def test_intervals_and_the_test_of_signs_are_those_of_the_books() -> None:
    from scipy.stats import permutation_test, t

    values = dict(enumerate([0.2, 0.5, 0.3, 0.9]))
    found = mean_interval(values, least=0, most=1)
    assert found is not None
    low, high = t.interval(0.95, 3, loc=np.mean(list(values.values())), scale=np.std(list(values.values()), ddof=1) / 2)
    assert (found.low, found.high) == (max(0, low), pytest.approx(min(1, high)))
    share = share_interval(dict(enumerate([1.0] * 10)))
    assert share is not None
    assert (share.mean, share.high, share.low) == (1.0, 1.0, pytest.approx(0.7225, abs=1e-4))  # Wilson, 10 of 10
    drawn = np.random.default_rng(3)
    for num in (4, 5, 8, 20):
        for shift in (0.0, 0.4, 1.0):
            one, two = drawn.normal(shift, 1, num), drawn.normal(0, 1, num)
            exact = permutation_test(
                (one, two), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
                alternative="greater", n_resamples=2**14, rng=np.random.default_rng(1),
            ).pvalue  # fmt: skip
            if abs(exact - 0.05) > 0.01:
                assert is_clearly_above(dict(enumerate(one)), dict(enumerate(two))) == (exact <= 0.05)
    assert not is_clearly_above({0: 1.0}, {0: 0.0})
    assert not is_clearly_above({0: 1.0}, {1: 0.0})


def test_the_page_asks_for_what_a_voice_is_spoken_with_at_its_strength(
    apart: Any, owner: str, run: str, kathleen: Any
) -> None:
    voices, adapters = apart.voices(owner), apart.adapters(owner)
    anna = saved_voice(apart, owner, kathleen)
    chosen = adapters.adapters()[0]
    put_on(voices, adapters, "Anna", chosen.id, 0.3)
    worn = worn_by(voices.voice(anna.id), adapters)
    form = Form.of(Form(voice=anna.id, text=SHORT, adapter=chosen.id, strength=worn.strength, retry="2").values)
    asked = form.request(voices, adapters)
    assert (asked.adapter, asked.adapter_strength, asked.retry) == (chosen.id, 0.3, 2)
    alone = Form.of(Form(text=SHORT, adapter=chosen.id, retry="a lot").values).request(voices, adapters)
    assert (alone.adapter_strength, alone.retry) == (1.0, None)
    assert Form(voice=anna.id, text=SHORT, strength=0.3).request(voices, adapters).adapter_strength == 1.0
    with pytest.raises(StudioError, match=r"strength must be a number from 0\.05 to 2: look beside the trained voice"):
        Form(text=SHORT, adapter=chosen.id, strength=3).request(voices, adapters)
