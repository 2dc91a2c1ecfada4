"""Speaking with trained voices: each request with its own, the base untouched, and only as long as their voices may."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.engine.speech.request import SpeechRequest
from studio.engine.text import Script
from studio.settings import Settings
from studio.takes import stream as stream_module
from studio.takes.queue import GenerationQueue
from studio.takes.service import TakeService
from tests.refusals import refusal
from tests.takes import LONG, SHORT, request, saved_voice
from tests.trained import register, write_adapter


@pytest.fixture(scope="module")
def lora(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("lora")
    return {seed: write_adapter(tiny_checkpoint, folder / f"demo-{seed}", seed=seed) for seed in (1, 2)}


@pytest.fixture
def trained(service: Any, owner: str, lora: dict[int, Path], tiny_checkpoint: Path) -> Any:
    def make(seed: int = 1, **options: Any) -> Any:
        options = {"owner": owner, "run": f"Demo {seed}", **options}
        return register(service.settings, service.store, lora[seed], tiny_checkpoint, **options)

    return make


def consent_of(*voices: Any) -> list[dict[str, Any]]:
    return [{"voice_id": voice.id, "name": voice.name, "ground": "licence"} for voice in voices]


def codes(service: Any, asked: Any, owner: str) -> np.ndarray:
    stream = service.stream(asked, owner=owner)
    for _ in stream:
        pass
    return stream.spoken.speech.codes


def test_each_request_is_spoken_with_its_own_and_the_base_as_if_there_were_none(
    service: Any, owner: str, trained: Any
) -> None:
    base = request(SHORT, seed=4)
    asked = [base, *(replace(base, adapter=trained(seed).id) for seed in (1, 2))]
    alone = [codes(service, each, owner) for each in asked]
    for one in (0, 1, 2):
        assert not np.array_equal(alone[one], alone[one - 1])
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda each: codes(service, each, owner), asked * 3))
    for found, expected in zip(together, alone * 3, strict=True):
        assert np.array_equal(found, expected)
    # Whatever somebody else speaks with at this moment, a request is spoken with what it says.
    engine = service.host.engine()
    other = engine.load_adapter(service.adapters(owner).adapter(asked[1].adapter).folder)
    with closing(engine.stream(SpeechRequest(Script(LONG), seed=4, adapter=other))) as stream:
        next(stream)
        assert np.array_equal(codes(service, base, owner), alone[0])
        next(stream)
        assert np.array_equal(codes(service, asked[2], owner), alone[2])


def test_a_take_keeps_it_and_is_spoken_again_with_it(service: Any, owner: str, trained: Any, tmp_path: Path) -> None:
    row = trained()
    spoken = service.speak(request(SHORT, seed=4, adapter="Demo 1 · step 30"), tmp_path / "one.wav", owner=owner)
    assert (spoken.take.adapter, spoken.take.adapter_id) == ("Demo 1 · step 30", row.id)
    (kept,) = service.takes(owner).takes()
    asked = service.takes(owner).request_of(kept)
    assert asked.adapter == row.id
    service.speak(asked, tmp_path / "again.wav", owner=owner, keep=False)
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "one.wav").read_bytes()
    shutil.rmtree(service.adapters(owner).adapter(row.id).folder)
    assert "gone from the disk" in refusal(lambda: service.takes(owner).request_of(kept))
    with service.store.writing() as session:
        session.delete(row)
    sentence = refusal(lambda: service.takes(owner).request_of(kept))
    assert sentence.startswith("Demo 1 · step 30, the trained voice of this take, was deleted")


def test_the_takes_of_the_page_keep_it_too(service: Any, owner: str, trained: Any) -> None:
    row = trained()
    (made,) = GenerationQueue(service).submit(request(SHORT, seed=4, adapter=row.id), owner=owner, tab="tab")
    while not made.ended:
        made.next_pieces(10_000, 0.2)
    assert made.take is not None, made.sentence
    assert (made.take.adapter, made.take.adapter_id) == (row.name, row.id)


def test_one_that_may_not_be_used_is_refused_at_once(service: Any, owner: str, trained: Any, kathleen: Any) -> None:
    anna = saved_voice(service, owner, kathleen)
    row, broken = trained(consent=consent_of(anna)), trained(2)
    service.voices(owner).withdraw_consent("Anna")
    shutil.rmtree(service.adapters(owner).adapter(broken.id).folder)
    for do in (service.check, service.stream):
        assert "consent for Anna" in refusal(lambda do=do: do(request(SHORT, adapter=row.id), owner=owner))
        assert "gone from the disk" in refusal(lambda do=do: do(request(SHORT, adapter=broken.id), owner=owner))
        assert "no trained voice" in refusal(lambda do=do: do(request(SHORT, adapter=row.id), owner="other"))
    assert "consent for Anna" in refusal(lambda: service.load_adapter(row.id, owner=owner))
    # Nor is there a way around by the path of its files.
    folder = service.adapters(owner).adapter(row.id).folder
    for do in (service.check, service.stream):
        assert "consent for Anna" in refusal(lambda do=do: do(request(SHORT, adapter_folder=folder), owner=owner))


def test_it_falls_silent_when_the_consent_of_a_voice_in_it_ends(
    service: Any, owner: str, trained: Any, kathleen: Any
) -> None:
    anna = saved_voice(service, owner, kathleen)
    row = trained(consent=consent_of(anna))
    stream = service.stream(request(LONG, seed=1, adapter=row.id), owner=owner)
    next(stream)
    service.voices(owner).withdraw_consent("Anna")
    assert "consent for Anna was withdrawn" in refusal(lambda: list(stream))


def test_what_is_withdrawn_while_it_is_kept_is_not_kept(
    service: Any, owner: str, trained: Any, kathleen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = saved_voice(service, owner, kathleen)
    asked = request(SHORT, seed=1, adapter=trained(consent=consent_of(anna)).id)
    monkeypatch.setattr(stream_module, "CONSENT_SECONDS", 3600.0)
    stream = service.stream(asked, owner=owner)
    for _ in stream:
        pass
    spoken = stream.spoken
    service.voices(owner).withdraw_consent("Anna")
    library = service.takes(owner)
    assert "consent for Anna was withdrawn" in refusal(lambda: library.keep(spoken))
    assert library.count() == 0


def test_another_checkpoint_than_its_base_is_refused_before_it_speaks(
    service: Any, owner: str, lora: dict[int, Path], tiny_checkpoint: Path, other_checkpoint: Path, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home", checkpoint=str(other_checkpoint), device="cpu")
    other = TakeService.from_settings(settings)
    row = register(settings, other.store, lora[1], tiny_checkpoint, owner=owner)
    for do in (
        lambda: other.stream(request(SHORT, adapter=row.id), owner=owner),
        lambda: other.load_adapter(row.id, owner=owner),
    ):
        assert "was trained on tiny, and other is loaded: load tiny" in refusal(do)
    other.store.close()


def test_loading_ahead_reads_the_files_once_and_changes_nothing_for_others(
    service: Any, owner: str, trained: Any
) -> None:
    row = trained()
    base = codes(service, request(SHORT, seed=4), owner)
    assert service.load_adapter(row.id, owner=owner) is True
    loaded = service.adapters(owner).adapter(row.id)
    engine = service.host.engine()
    assert engine.load_adapter(loaded.folder) is engine.load_adapter(loaded.folder)
    assert np.array_equal(codes(service, request(SHORT, seed=4), owner), base)
    (loaded.folder / "adapter_model.safetensors").write_bytes(b"broken")
    assert "damaged" in refusal(lambda: service.load_adapter(row.id, owner=owner))


def test_memory_that_somebody_gave_back_is_not_taken_again_only_to_choose(
    settings: Any, owner: str, lora: dict[int, Path], tiny_checkpoint: Path
) -> None:
    service = TakeService.from_settings(settings)
    row = register(settings, service.store, lora[1], tiny_checkpoint, owner=owner)
    service.host.engine()
    service.host.unload()
    assert service.load_adapter(row.id, owner=owner) is False
    assert service.host.status.state == "unloaded"


def test_a_folder_that_is_in_no_library_speaks_and_is_remembered(
    service: Any, owner: str, lora: dict[int, Path], trained: Any, tmp_path: Path
) -> None:
    asked = request(SHORT, seed=4, adapter_folder=lora[1])
    spoken = service.speak(asked, tmp_path / "one.wav", owner=owner)
    assert (spoken.take.adapter, spoken.take.adapter_id) == ("demo-1", "")
    assert service.takes(owner).request_of(spoken.take).adapter_folder == lora[1]
    assert np.array_equal(spoken.speech.codes, codes(service, request(SHORT, seed=4, adapter=trained().id), owner))
    assert "holds no adapter_config.json" in refusal(lambda: service.check(request(SHORT, adapter_folder=tmp_path)))
