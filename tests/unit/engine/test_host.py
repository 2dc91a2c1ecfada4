"""The host of a process's one engine: loads late, switches, gives memory back, and always knows what it has."""

import gc
import shutil
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from studio.engine.checkpoints import MARKER_FILE, TINY_FOLDER
from studio.engine.host import DEMO_NOTICE, TINY_NOTICE, EngineHost
from studio.errors import StudioError


@pytest.fixture
def host(tiny_checkpoint: Path, tmp_path: Path) -> EngineHost:
    return EngineHost(
        str(tiny_checkpoint), checkpoints_folder=tmp_path / "checkpoints", code_cache=tmp_path / "codes", device="cpu"
    )


def test_nothing_is_loaded_before_it_is_needed(host: EngineHost, tiny_checkpoint: Path) -> None:
    assert (host.status.state, host.status.name) == ("empty", str(tiny_checkpoint))
    engine = host.engine()
    assert host.engine() is engine
    status = host.status
    assert (status.state, status.name, status.error) == ("ready", str(tiny_checkpoint), None)
    assert (status.device, status.precision, status.num_parameters) == ("cpu", "float32", engine.num_parameters)


def test_noise_is_announced_as_noise(host: EngineHost) -> None:
    host.engine()
    assert host.status.speaks is False
    assert host.status.notices == (TINY_NOTICE,)
    assert "noise, not speech" in TINY_NOTICE
    assert "--checkpoint" in TINY_NOTICE


def test_visitors_do_not_see_the_servers_folders(host: EngineHost, tmp_path: Path) -> None:
    assert host.status.shown_name == "tiny"
    named = EngineHost("anna/voice", checkpoints_folder=tmp_path, code_cache=tmp_path)
    assert named.status.shown_name == "anna/voice"


def test_unloading_gives_the_memory_back_and_the_next_request_loads_again(host: EngineHost, references: Any) -> None:
    speech = host.engine().clone("Hello.", references[:1], seed=1)
    model, codec = weakref.ref(host.engine()._model), weakref.ref(host.engine().codec._model)
    host.unload()
    gc.collect()
    assert (model(), codec()) == (None, None)
    assert host.status.state == "unloaded", "somebody's wish, unlike empty: no visitor's arrival may undo it"
    assert np.array_equal(host.engine().clone("Hello.", references[:1], seed=1).codes, speech.codes)
    assert host.status.state == "ready"
    assert host.engine().codec.num_encodes == 0, "the codes of the clip are on disk"


def test_an_engine_that_someone_unloaded_is_replaced(host: EngineHost) -> None:
    first = host.engine()
    first.unload()
    assert host.engine() is not first
    assert host.engine().is_loaded


def test_requests_at_once_load_one_engine(host: EngineHost) -> None:
    with ThreadPoolExecutor(4) as pool:
        engines = list(pool.map(lambda _: host.engine(), range(4)))
    assert len({id(engine) for engine in engines}) == 1


def test_switching_replaces_the_engine(host: EngineHost, other_checkpoint: Path) -> None:
    before = host.engine()
    codes = before.clone("Hello.", seed=1).codes
    model = weakref.ref(before._model)
    switched = host.switch(str(other_checkpoint))
    assert host.engine() is switched
    assert host.status.name == str(other_checkpoint)
    assert not np.array_equal(switched.clone("Hello.", seed=1).codes, codes)
    gc.collect()
    assert model() is None
    assert not before.is_loaded


def test_switching_to_what_is_not_there_keeps_the_present_one(
    host: EngineHost, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    engine = host.engine()
    with pytest.raises(StudioError, match="does not exist"):
        host.switch(str(tmp_path / "absent"))
    assert host.engine() is engine
    assert engine.is_loaded
    assert host.status.state == "ready"
    assert host.status.name == str(tiny_checkpoint)


def test_while_a_checkpoint_is_fetched_the_page_can_say_so(host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import OfflineModeIsEnabled

    host.engine()
    seen = []

    def fetch(*_: Any, **__: Any) -> str:
        seen.append((host.status.state, host.status.shown_name))
        raise OfflineModeIsEnabled

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    with pytest.raises(StudioError, match="hub cannot be reached"):
        host.switch("anna/voice")
    assert seen == [("loading", "anna/voice")]
    assert host.status.state == "ready"
    assert host.status.shown_name == "tiny"


@pytest.mark.parametrize("error", [IndexError("a bug"), KeyboardInterrupt()])
def test_whatever_goes_wrong_while_loading_ends_it_and_the_next_request_tries_again(
    host: EngineHost, other_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    import transformers

    def fail(*_: Any, **__: Any) -> None:
        raise error

    for load in (host.engine, lambda: host.switch(str(other_checkpoint))):
        with monkeypatch.context() as patched:
            patched.setattr(transformers.HiggsAudioV2ForConditionalGeneration, "from_pretrained", fail)
            with pytest.raises(type(error)):
                load()
        assert host.status.state == "failed"
        assert "its log has the details" in (host.status.error or "")
        assert "a bug" not in (host.status.error or "")
        assert host.engine().is_loaded
        assert (host.status.state, host.status.shown_name) == ("ready", "tiny")


def test_giving_back_memory_before_anything_was_loaded_is_remembered_too(host: EngineHost) -> None:
    host.unload()
    assert host.status.state == "unloaded"
    assert host.engine().is_loaded


def test_giving_back_memory_does_not_hide_why_loading_failed(tmp_path: Path) -> None:
    host = EngineHost(str(tmp_path / "no"), checkpoints_folder=tmp_path, code_cache=tmp_path, device="cpu")
    with pytest.raises(StudioError):
        host.engine()
    host.unload()
    assert host.status.state == "failed"
    assert "does not exist" in (host.status.error or "")
    assert str(tmp_path) not in (host.status.error or ""), "the page shows this to visitors"


@pytest.mark.parametrize("whose", ["the studio's", "somebody's"])
def test_remains_of_the_tiny_checkpoint_make_room_for_a_new_one(
    tiny_checkpoint: Path, tmp_path: Path, whose: str
) -> None:
    home = tmp_path / "checkpoints"
    remains = shutil.copytree(tiny_checkpoint, home / "tiny-random")
    (remains / "config.json").unlink()
    if whose == "somebody's":
        (remains / "studio_checkpoint.json").unlink()
    host = EngineHost(TINY_FOLDER, checkpoints_folder=home, code_cache=tmp_path / "codes")
    assert host.engine().clone("Hello.", seed=1).num_frames > 0
    left = sorted(path.name for path in home.iterdir())
    assert left[-1] == "tiny-random"
    if whose == "somebody's":
        assert len(left) == 2
        assert left[0].startswith(".broken-tiny-random-")
        assert (home / left[0] / "tiny-random" / "model.safetensors").is_file()
    else:
        assert len(left) == 1


def test_a_checkpoint_that_cannot_be_found_is_remembered_as_failed_and_tried_again(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "later"
    host = EngineHost(str(folder), checkpoints_folder=tmp_path, code_cache=tmp_path / "codes", device="cpu")
    with pytest.raises(StudioError, match="does not exist"):
        host.engine()
    assert host.status.state == "failed"
    assert "does not exist" in (host.status.error or "")
    shutil.copytree(tiny_checkpoint, folder)
    assert host.engine().is_loaded
    assert (host.status.state, host.status.error) == ("ready", None)


def test_a_damaged_checkpoint_leaves_the_studio_able_to_switch_back(
    host: EngineHost, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    host.engine()
    damaged = shutil.copytree(tiny_checkpoint, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"x" * 1000)
    with pytest.raises(StudioError, match="weights are damaged"):
        host.switch(str(damaged))
    assert host.status.state == "failed"
    assert "weights are damaged" in (host.status.error or "")
    assert host.switch(str(tiny_checkpoint)).clone("Hello.", seed=1).num_frames > 0
    assert host.status.state == "ready"


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU the default is another")
def test_without_a_choice_and_a_gpu_the_demo_checkpoint_speaks_and_says_how_limited_it_is(tmp_path: Path) -> None:
    said: list[str] = []
    host = EngineHost(
        None, announce=said.append, checkpoints_folder=tmp_path / "checkpoints", code_cache=tmp_path / "codes"
    )
    assert host.engine().precision == "float32", "stored in half precision, which a CPU is slow in"
    assert host.status.speaks and host.status.scope is not None
    assert host.status.notices == (DEMO_NOTICE,)
    assert not said and not (tmp_path / "checkpoints").exists(), "it comes with the studio: nothing is built or fetched"


def test_the_tiny_checkpoint_is_built_once_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    options: dict[str, Any] = {"checkpoints_folder": tmp_path / "checkpoints", "code_cache": tmp_path / "codes"}
    first = EngineHost(TINY_FOLDER, announce=said.append, **options)
    assert first.engine().clone("Hello.", seed=1).num_frames > 0
    assert said == ["Building the tiny test checkpoint …"]
    assert TINY_NOTICE in first.status.notices
    assert first.status.name == str(tmp_path / "checkpoints" / "tiny-random")
    second = EngineHost(TINY_FOLDER, announce=said.append, **options)
    second.engine()
    assert len(said) == 1


def test_two_studios_that_start_together_on_a_new_home_both_speak(tmp_path: Path) -> None:
    options: dict[str, Any] = {"checkpoints_folder": tmp_path / "checkpoints", "code_cache": tmp_path / "codes"}
    hosts = [EngineHost(TINY_FOLDER, **options) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        engines = list(pool.map(lambda host: host.engine(), hosts))
    assert all(engine.is_loaded for engine in engines)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["tiny-random"]


def test_a_checkpoint_with_a_scope_says_what_it_can_say_also_when_its_memory_was_given_back(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    limited = tmp_path / "limited"
    shutil.copytree(tiny_checkpoint, limited)
    (limited / "scope.json").write_text('{"words": ["hello"], "examples": ["Hello."]}')
    (limited / MARKER_FILE).write_text('{"kind": "demo", "speaks": true}')
    host = EngineHost(str(limited), checkpoints_folder=tmp_path, code_cache=tmp_path / "codes")
    assert host.status.scope is None
    host.engine()
    assert host.status.scope is not None and host.status.scope.examples == ("Hello.",)
    assert any("small demo checkpoint" in notice for notice in host.status.notices)
    host.unload()
    assert host.status.state == "unloaded" and host.status.scope is not None
    host.switch(str(tiny_checkpoint))
    assert host.status.scope is None
