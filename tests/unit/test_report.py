"""What the studio says of the machine it runs on."""

import os
from importlib import metadata
from pathlib import Path

import pytest

from studio.settings import Settings
from studio.system.programs import outside_programs
from studio.system.report import (
    LICENCES,
    PACKAGES,
    Check,
    device_summary,
    doctor,
    package_versions,
)
from studio.system.storage import folder_bytes, storage_summary


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    home = tmp_path_factory.mktemp("report") / "new home"
    return {check.name: check for check in doctor(Settings(home=home))}


def test_versions_are_those_installed() -> None:
    versions = package_versions()
    assert set(versions) == {"python", *PACKAGES}
    assert versions["torch"] == metadata.version("torch")
    assert versions["ms-swift"] == metadata.version("ms-swift")


def test_a_sound_installation_passes_every_check(checks: dict[str, Check]) -> None:
    assert [check for check in checks.values() if not check.ok] == []
    assert {"python", "package torch", "package gradio", "home", "device", "disk", "model hub"} <= set(checks)
    assert "import transformers.models.higgs_audio_v2" in checks
    assert "import swift" in checks
    assert all(check.detail for check in checks.values())


def test_an_unreachable_hub_is_no_failure(checks: dict[str, Check]) -> None:
    assert checks["model hub"].ok
    assert checks["model hub"].detail in ("reachable", "not reachable: only local checkpoints")


def test_a_home_that_cannot_be_written_is_found_with_what_to_do() -> None:
    checks = {check.name: check for check in doctor(Settings(home=Path("/sys/studio-home")))}
    assert not checks["home"].ok
    assert "/sys/studio-home" in checks["home"].detail
    assert "STUDIO_HOME" in checks["home"].detail


def test_the_device_is_described_in_figures_that_make_sense() -> None:
    summary = device_summary()
    assert summary["device"] in ("cpu", "cuda", "mps")
    assert summary["name"]
    assert 0 < summary["free_gib"] <= summary["memory_gib"]


def test_storage_is_counted_by_part(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    for folder, size in ((settings.checkpoints_folder, 1000), (settings.code_cache_folder / "ab", 30)):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(bytes(size))
    summary = storage_summary(settings)
    assert (summary["checkpoints"], summary["code cache"], summary["page cache"]) == (1000, 30, 0)
    assert summary["free on disk"] > 0


def test_a_home_that_is_not_there_yet_takes_no_storage(tmp_path: Path) -> None:
    summary = storage_summary(Settings(home=tmp_path / "not" / "yet"))
    assert summary["checkpoints"] == 0
    assert summary["free on disk"] > 0
    assert not (tmp_path / "not").exists()


def test_links_are_not_followed_when_bytes_are_counted(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(100_000))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "big")
    assert folder_bytes(tmp_path / "folder") < 1_000
    assert folder_bytes(tmp_path / "absent") == 0


def test_files_that_vanish_while_bytes_are_counted_are_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("a", "b", "inner/c"):
        (tmp_path / name).write_bytes(bytes(10))
    lstat = Path.lstat

    def vanishing(path: Path) -> os.stat_result:
        path.unlink()  # as a cache does that is cleared in just this moment
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", vanishing)
    assert folder_bytes(tmp_path) == 0


def test_the_licences_of_both_models_are_named() -> None:
    terms = dict(LICENCES)
    assert terms["Higgs Audio v2 (model weights)"] == "Boson Higgs Audio 2 Community License"
    assert terms["Llama 3 (base of the model)"] == "Meta Llama 3 Community License"


def test_doctor_finds_a_configured_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    missing = tmp_path / "no such model"
    check = {c.name: c for c in doctor(Settings(home=tmp_path, checkpoint=str(missing)))}["checkpoint"]
    assert not check.ok
    assert str(missing) in check.detail  # whose own machine it is may see the path
    assert "STUDIO_CHECKPOINT" in check.detail


def test_doctor_names_a_checkpoint_that_is_whole(tiny_checkpoint: Path, tmp_path: Path) -> None:
    check = {c.name: c for c in doctor(Settings(home=tmp_path, checkpoint=str(tiny_checkpoint)))}["checkpoint"]
    assert check.ok
    assert "tiny" in check.detail


def test_every_outside_program_is_named_with_its_use_and_whether_it_is_there(
    checks: dict[str, Check], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"program ffmpeg", "program ffprobe", "program uv", "program chromium"} <= set(checks)
    assert checks["program ffmpeg"].ok  # a machine without it is sound
    assert checks["program ffmpeg"].detail == f"not found ({_use('ffmpeg')})"
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {program.name: program for program in outside_programs()}
    assert (found["ffmpeg"].path, found["ffmpeg"].state) == (str(tmp_path / "ffmpeg"), "found")
    assert (found["make"].path, found["make"].state) == (None, "not found")


def _use(name: str) -> str:
    return next(program.use for program in outside_programs() if program.name == name)
