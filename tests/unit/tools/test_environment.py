"""How .venv is made and repaired, with real environments and a real pip, without a network."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import environment


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with pip, shared by the tests that do not break it."""
    folder = tmp_path_factory.mktemp("environment") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    def point_at(folder: Path) -> None:
        monkeypatch.setattr(environment, "VENV", folder)
        monkeypatch.setattr(environment, "PYTHON", folder / "bin" / "python")
        monkeypatch.setattr(environment, "_UNFINISHED", folder / ".unfinished")

    return point_at


def wheel(folder: Path, name: str) -> str:
    """A package without content but one module; returns its line in a list with hashes."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "value = 1\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        record = ""
        for file, text in files.items():
            archive.writestr(file, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{file},sha256={digest},{len(text)}\n"
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def test_a_sound_environment_has_no_fault(made: Path, use: Callable[[Path], None]) -> None:
    use(made)
    assert environment.fault_of_environment() is None


def test_one_whose_python_is_gone_is_broken(tmp_path: Path, use: Callable[[Path], None]) -> None:
    folder = tmp_path / ".venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(tmp_path / "gone")
    use(folder)
    assert environment.fault_of_environment() == "is broken (its Python does not start)"


def test_one_of_another_python_is_said_to_be(tmp_path: Path, use: Callable[[Path], None]) -> None:
    folder = tmp_path / ".venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text(f"#!/bin/sh\necho 3 9 {folder}\n")
    (folder / "bin" / "python").chmod(0o755)
    use(folder)
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert environment.fault_of_environment() == f"was made by Python 3.9, and this is {ours}"


def test_one_that_was_moved_is_noticed(made: Path, tmp_path: Path, use: Callable[[Path], None]) -> None:
    moved = tmp_path / "elsewhere"
    (moved / "bin").mkdir(parents=True)
    (moved / "bin" / "python").write_text(f'#!/bin/sh\nexec {made}/bin/python "$@"\n')
    (moved / "bin" / "python").chmod(0o755)
    use(moved)
    assert environment.fault_of_environment() == "was made in another folder"


def test_a_broken_one_is_made_anew_with_one_sentence(
    tmp_path: Path, use: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / ".venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(tmp_path / "gone")
    use(folder)
    installed: list[str] = []
    monkeypatch.setattr(environment, "install_studio", lambda: installed.append("studio"))
    assert environment.main(["run"]) == 0
    assert (
        capsys.readouterr().err == "The environment in .venv is broken (its Python does not start): it is made anew.\n"
    )
    assert environment.fault_of_environment() is None
    home = (folder / "pyvenv.cfg").read_text()
    assert f"home = {Path(os.path.realpath(sys.executable)).parent}\n" in home  # not a link that may go
    assert environment.main(["run"]) == 0
    assert installed == ["studio"]  # the second time all is there


def test_what_was_cut_off_is_installed_again_and_only_that(
    made: Path, tmp_path: Path, use: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(made)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    listed = tmp_path / "requirements.txt"
    listed.write_text("".join(wheel(tmp_path, name) for name in ("whole_one", "no_record", "no_module")))
    assert environment.install(listed)
    packages = next(made.glob("lib/python*/site-packages"))
    (packages / "no_record-1.0.dist-info" / "RECORD").unlink()  # killed before its list was written
    (packages / "no_module.py").unlink()  # lost in a crash
    untouched = (packages / "whole_one.py").stat().st_mtime_ns
    environment.remove_halves(packages)
    assert environment.install(listed)
    assert (packages / "no_record-1.0.dist-info" / "RECORD").is_file()
    assert (packages / "no_module.py").is_file()
    assert (packages / "whole_one.py").stat().st_mtime_ns == untouched


def test_an_archive_that_is_not_the_one_of_the_lock_is_refused(
    made: Path, tmp_path: Path, use: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(made)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    line = wheel(tmp_path, "tampered")
    with zipfile.ZipFile(tmp_path / "tampered-1.0-py3-none-any.whl", "a") as archive:
        archive.writestr("more.py", "")
    listed = tmp_path / "requirements.txt"
    listed.write_text(line)
    with pytest.raises(environment.Stopped, match="run the same command again"):
        environment.install(listed)
    assert not environment.install(listed, required=False)


def test_a_failed_installation_is_not_taken_for_a_whole_one(
    made: Path, use: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(made)

    def fail() -> None:
        raise environment.Stopped("the network is gone")

    monkeypatch.setattr(environment, "install_studio", fail)
    assert environment.main(["run"]) == 1
    assert capsys.readouterr().err == "the network is gone\n"
    assert not environment.is_current("run")
    assert (made / ".unfinished").exists()


@pytest.mark.parametrize(
    ("torch", "driver", "cpu_offered", "expected"),
    [
        ("auto", False, True, ["cpu"]),
        ("auto", False, False, ["cuda"]),
        ("auto", True, True, ["cuda"]),
        ("cpu", True, True, ["cpu"]),
        ("cuda", False, True, ["cuda"]),
    ],
)
def test_torch_fits_the_machine(
    torch: str, driver: bool, cpu_offered: bool, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH", torch)
    monkeypatch.setattr(environment, "has_nvidia_driver", lambda: driver)
    monkeypatch.setattr(environment, "install_cpu_torch", lambda: cpu_offered)
    taken: list[str] = []
    names = {environment.LOCK: "cuda", environment.CPU_LOCK: "cpu"}
    monkeypatch.setattr(environment, "install", lambda lock: taken.append(names[lock]))
    environment.install_studio()
    assert taken == expected


@pytest.mark.parametrize(("torch", "sentence"), [("cpu", "cannot be had"), ("gpu", "use cpu, cuda or auto")])
def test_a_torch_that_cannot_be_is_a_sentence(torch: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH", torch)
    monkeypatch.setattr(environment, "install_cpu_torch", lambda: False)
    with pytest.raises(environment.Stopped, match=sentence):
        environment.install_studio()


def test_the_same_command_again_does_nothing_and_a_new_lock_does(
    made: Path, use: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(made)
    installed: list[int] = []
    monkeypatch.setattr(environment, "install_studio", lambda: installed.append(1))
    lock = tmp_path / "requirements.txt"
    lock.write_text("a==1\n")
    monkeypatch.setattr(environment, "LOCK", lock)
    for _ in range(2):
        assert environment.main(["run"]) == 0
    assert len(installed) == 1
    lock.write_text("a==2\n")
    assert environment.main(["run"]) == 0
    assert len(installed) == 2


def test_ray_is_installed_beside_what_the_tests_need_and_only_where_it_is_asked_for(
    made: Path, use: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(made)
    installed: list[Path] = []
    monkeypatch.setattr(environment, "install_studio", lambda: installed.append(environment.LOCK))
    monkeypatch.setattr(environment, "install", lambda lock, required=True: bool(installed.append(lock)) or True)
    assert environment.main(["test"]) == 0
    assert environment.RAY_LOCK not in installed and not environment.is_current("ray")
    assert environment.main(["ray"]) == 0
    assert installed[-1] == environment.RAY_LOCK
    assert environment.is_current("test") and environment.is_current("ray")
