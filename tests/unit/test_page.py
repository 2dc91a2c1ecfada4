"""What the page arranges before it is served: a login, the way to itself."""

from __future__ import annotations

import os
import socket
from collections import Counter
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.services import Services
from studio.settings import Settings
from studio.ui import serving as page
from studio.ui.layout import lay_out


@pytest.mark.parametrize("half", [{"username": "anna"}, {"password": "a secret word"}])
def test_half_a_login_is_refused_and_is_no_open_door(half: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="A login needs both"):
        page.serve(Settings(home=tmp_path, **half), block=False)


def test_a_taken_port_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StudioError, match=f"Port {port} on 127.0.0.1 cannot be used"):
            page.serve(Settings(home=tmp_path, port=port), block=False)


def test_a_home_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StudioError, match="set STUDIO_HOME to another"):
        page.build_page(Settings(home=tmp_path / "file" / "home"))


def test_no_two_parts_of_the_page_have_one_id(tmp_path: Path) -> None:
    """What is looked for by its id, by scripts and styles, would be the first of the two."""
    built = lay_out(Services(Settings(home=tmp_path)))
    names = Counter(name for each in built.blocks.values() if (name := getattr(each, "elem_id", None)))
    assert len(names) > 100
    assert [name for name, count in names.items() if count > 1] == []


def test_nothing_that_a_visitor_chose_is_dropped_while_the_choice_before_is_answered(tmp_path: Path) -> None:
    """Gradio drops a second event of a kind that is on its way: a slow server would show the coach of the clip before."""
    built = lay_out(Services(Settings(home=tmp_path)))
    chosen = {"input", "select", "upload", "clear", "stop_recording", "blur", "change", "key_up"}
    names = {number: getattr(each, "elem_id", None) or str(each) for number, each in built.blocks.items()}
    wired = [
        (names.get(target, ""), event, each.trigger_mode)
        for each in built.fns.values()
        for target, event in each.targets
        if event in chosen
    ]
    assert len(wired) > 60
    assert [each for each in wired if each[2] == "once"] == []


def test_gradio_has_what_keeps_an_idle_page_from_looking_all_the_time(tmp_path: Path) -> None:
    queue = lay_out(Services(Settings(home=tmp_path))).queue()._queue
    assert vars(queue)["sleep_when_free"] < page.QUEUE_LOOK_SECONDS, "Gradio itself looks seldom now: ours can go"


def test_a_proxy_for_the_outside_world_does_not_stand_between_the_studio_and_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "example.org")
    served = page.serve(Settings(home=tmp_path, port=0), block=False)
    served.close()
    assert os.environ["NO_PROXY"].split(",")[0] == "example.org"


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "0.0.0.0", "username": "anna", "password": "a secret word"}, True),
        ({"host": "0.0.0.0", "switch_checkpoint": True}, True),
        ({"switch_checkpoint": False}, False),
    ],
)
def test_strangers_cannot_switch_the_checkpoint_unless_they_are_let(given: dict, allowed: bool, tmp_path: Path) -> None:
    assert Settings(home=tmp_path, **given).may_switch_checkpoint is allowed
