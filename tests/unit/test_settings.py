"""Settings come from the environment; a value that makes no sense is named with its variable."""

from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from studio.errors import StudioError
from studio.settings import Settings, get_settings, on_space


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings are read once in a process; here they are read anew in each test, from a clean environment."""
    for name in ("STUDIO_HOME", "SPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def test_without_any_variable_the_studio_is_for_this_machine_alone() -> None:
    settings = get_settings()
    assert settings.home == Path(platformdirs.user_data_dir("higgs-voice-studio", appauthor=False))
    assert (settings.host, settings.port) == ("127.0.0.1", 7860)
    assert settings.checkpoint is None
    assert (settings.device, settings.precision) == ("auto", "auto")
    assert settings.username is settings.password is None


def test_variables_of_the_environment_decide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {
        "HOME": tmp_path / "voices 🎤", "CHECKPOINT": "anna/voice", "DEVICE": "cpu", "PRECISION": "bfloat16",
        "MAX_TEXT_CHARS": 500, "MAX_REFERENCE_SECONDS": 12.5, "PORT": 0, "SWITCH_CHECKPOINT": "false",
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(f"STUDIO_{name}", str(value))
    settings = get_settings()
    assert settings.home == tmp_path / "voices 🎤"
    assert (settings.checkpoint, settings.device, settings.precision) == ("anna/voice", "cpu", "bfloat16")
    assert (settings.max_text_chars, settings.max_reference_seconds, settings.port) == (500, 12.5, 0)
    assert settings.switch_checkpoint is False


def test_everything_a_user_makes_lies_under_the_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    folders = [settings.checkpoints_folder, settings.code_cache_folder, settings.page_cache_folder]
    assert len(set(folders)) == 3
    assert all(tmp_path in folder.parents for folder in folders)
    assert list(tmp_path.iterdir()) == [], "asking for a folder made it"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVICE", "tpu"),
        ("PRECISION", "int4"),
        ("PORT", "70000"),
        ("PORT", "http"),
        ("MAX_TEXT_CHARS", "0"),
        ("MAX_REFERENCE_SECONDS", "-1"),
        ("MAX_UPLOAD_MB", "many"),
        ("SWITCH_CHECKPOINT", "perhaps"),
    ],
)
def test_a_value_that_makes_no_sense_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"STUDIO_{name}", value)
    with pytest.raises(StudioError, match=rf"^The setting {name.lower()} \(STUDIO_{name}\) is wrong: .+\.$") as caught:
        get_settings()
    assert "\n" not in str(caught.value)


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = get_settings()
    monkeypatch.setenv("STUDIO_PORT", "1234")
    assert get_settings() is first


def test_changes_make_a_checked_copy(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, max_text_chars=77)
    changed = settings.with_changes(checkpoint="anna/voice", device="cpu")
    assert (changed.checkpoint, changed.device) == ("anna/voice", "cpu")
    assert (changed.home, changed.max_text_chars) == (tmp_path, 77)
    assert settings.checkpoint is None
    with pytest.raises(StudioError, match=r"STUDIO_DEVICE\) is wrong"):
        settings.with_changes(device="abacus")


def test_on_a_space_visitors_may_not_switch_the_checkpoint_unless_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not on_space()
    assert Settings(home=tmp_path).may_switch_checkpoint
    monkeypatch.setenv("SPACE_ID", "anna/studio")
    assert on_space()
    assert not Settings(home=tmp_path).may_switch_checkpoint
    assert Settings(home=tmp_path, switch_checkpoint=True).may_switch_checkpoint


@pytest.mark.skipif(Path("/data").exists(), reason="this machine has a /data folder of its own")
def test_a_space_without_persistent_storage_uses_the_platforms_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Settings().home
    monkeypatch.setenv("SPACE_ID", "anna/studio")
    assert Settings().home == usual


def test_the_password_is_not_shown_where_settings_are_printed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, username="anna", password="open sesame")
    assert "sesame" not in f"{settings!r} {settings}"
