"""Training rows: each form gives the turns that speaking would use, and what is wrong with a row is a sentence."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from studio.engine.prompt import Conversation, Turn, render
from studio.engine.prompt.conversation import SYSTEM_TEXT
from studio.engine.rows import RowTurn, TrainingRow, parse_row, read_rows
from studio.engine.speech.plan import plan_speech
from studio.engine.speech.request import SpeechRequest
from studio.engine.text import Script
from studio.errors import StudioError

INSTRUCTION = "Please generate speech for given text in reference audio's voice:"
SYSTEM = Conversation(()).system_content
LEARNT = "learnt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Rows name clips by path; what is in them is not looked at."""
    for name in ("reference.wav", "target.wav", "other.wav"):
        (tmp_path / name).write_bytes(b"sound")
    (tmp_path / "wavs").mkdir()
    return tmp_path


def turn(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def audio(path: str) -> dict[str, Any]:
    return {"type": "audio", "audio_url": path, "raw_audio": "", "duration": None, "offset": None}


def native() -> dict[str, Any]:
    return {
        "messages": [
            turn("system", SYSTEM),
            turn("user", "What is said in the reference."),
            turn("assistant", "<audio>", loss=False),
            turn("user", "The text to speak."),
            turn("assistant", "<audio>"),
        ],
        "audios": ["reference.wav", "target.wav"],
        "speaker": "anna",
    }


def in_parts() -> dict[str, Any]:
    return {
        "messages": [
            turn("system", "You are a helpful assistant."),
            turn(
                "user",
                [
                    text("What is said in the reference."),
                    audio("reference.wav"),
                    text(f"{INSTRUCTION} The text to speak."),
                ],
            ),
            turn("assistant", [text("The text to speak."), audio("target.wav")]),
        ],
        "start_index": 0,
        "speaker": "anna",
        "misc": {"duration": 2.5},
    }


def reference_apart() -> dict[str, Any]:
    return {
        "messages": [turn("user", "The text to speak."), turn("assistant", "<audio>")],
        "audios": ["target.wav"],
        "reference_audio": "reference.wav",
        "reference_text": "What is said in the reference.",
    }


FORMS = {"native": native, "in parts": in_parts, "reference apart": reference_apart}


def turns(folder: Path, row: dict[str, Any]) -> list[tuple[str, ...]]:
    """The turns of a parsed row, short: the text or the name of the clip, and whether it is learnt."""
    return [
        (turn.clip.name if turn.clip else turn.text, *([LEARNT] if turn.trained else []))
        for turn in parse_row(row, folder=folder).turns
    ]


FULL = [("What is said in the reference.",), ("reference.wav",), ("The text to speak.",), ("target.wav", LEARNT)]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_turns_of_speaking_with_a_reference(form: str, folder: Path) -> None:
    assert turns(folder, FORMS[form]()) == FULL
    assert parse_row(FORMS[form](), folder=folder).warnings == ()


@pytest.mark.parametrize("form", FORMS)
def test_a_row_written_again_is_the_same_row(form: str, folder: Path) -> None:
    row = parse_row(FORMS[form](), folder=folder)
    written = json.loads(json.dumps(row.as_row()))
    assert parse_row(written, folder=Path("/nowhere")) == row
    assert [message.get("loss") for message in written["messages"] if message["role"] == "assistant"] == [False, None]


def test_a_row_renders_as_the_prompt_of_speaking(folder: Path) -> None:
    row = parse_row(native(), folder=folder)
    spoken = (Turn("user", FULL[0][0]), Turn("assistant"), Turn("user", FULL[2][0]), Turn("assistant", trained=True))
    assert row.conversation().turns == spoken
    assert render(row.conversation()) == render(Conversation(spoken))
    assert row.clips == (folder / "reference.wav", folder / "target.wav")
    assert row.speaker == "anna"


def test_without_a_system_turn_the_engines_default_stands(folder: Path) -> None:
    row = parse_row(reference_apart(), folder=folder)
    assert row.system is None
    assert row.conversation().system_content == SYSTEM
    assert "system" not in {message["role"] for message in row.as_row()["messages"]}


@pytest.mark.parametrize("place", ["message", "parts", "top level", "both"])
def test_a_system_text_is_taken_as_written(place: str, folder: Path) -> None:
    row = reference_apart()
    if place in ("top level", "both"):
        row["system"] = SYSTEM
    if place != "top level":
        row["messages"].insert(0, turn("system", [text(SYSTEM)] if place == "parts" else SYSTEM))
    assert parse_row(row, folder=folder).system == SYSTEM
    assert parse_row(row, folder=folder).conversation().system_content == SYSTEM


def test_an_empty_system_text_is_none(folder: Path) -> None:
    assert parse_row({**reference_apart(), "system": " "}, folder=folder).system is None


# What is trained


@pytest.mark.parametrize(("value", "trained"), [(False, 0), (0, 0), (0.0, 0), (True, 1), (1, 1), (1.0, 1), (None, 1)])
def test_loss_is_read_as_ms_swift_stores_it(value: Any, trained: bool, folder: Path) -> None:
    row = native()
    row["messages"][2]["loss"] = value
    assert [t.trained for t in parse_row(row, folder=folder).turns] == [False, bool(trained), False, True]


def earlier_turn_in_parts() -> dict[str, Any]:
    row = in_parts()
    row["messages"][1:] = [
        turn("user", [text("What is said in the reference.")]),
        turn("assistant", audio("reference.wav")),
        turn("user", "The text to speak."),
        turn("assistant", [audio("target.wav")]),
    ]
    return row


def test_a_reference_in_an_earlier_turn_of_parts_is_not_trained(folder: Path) -> None:
    assert turns(folder, earlier_turn_in_parts()) == FULL


def test_loss_flags_in_parts_are_believed(folder: Path) -> None:
    row = earlier_turn_in_parts()
    row["messages"][2]["loss"] = True
    assert turns(folder, row)[1] == ("reference.wav", LEARNT)


@pytest.mark.parametrize(("start", "learnt"), [(1, 2), (2, 2), (3, 1), (3.0, 1), (4, 1)])
def test_messages_before_start_index_are_not_trained(start: float, learnt: int, folder: Path) -> None:
    row = {**earlier_turn_in_parts(), "start_index": start}
    assert sum(LEARNT in entry for entry in turns(folder, row)) == learnt


def test_a_turn_that_names_the_reference_again_is_not_trained(folder: Path) -> None:
    row = native()
    del row["messages"][2]["loss"]
    assert turns(folder, {**row, "reference_audio": "reference.wav"}) == FULL


def test_a_text_answer_is_trained(folder: Path) -> None:
    row = {
        "messages": [
            turn("user", "Hello?"),
            turn("assistant", "Hello."),
            turn("user", "Bye."),
            turn("assistant", "Bye."),
        ]
    }
    assert turns(folder, row) == [("Hello?",), ("Hello.", LEARNT), ("Bye.",), ("Bye.", LEARNT)]
    assert "audios" not in parse_row(row, folder=folder).as_row()
    row["messages"][1]["loss"] = False
    assert turns(folder, row)[1] == ("Hello.",)


# References and transcripts


def test_a_clip_in_a_user_string_is_a_reference(folder: Path) -> None:
    row = native()
    row["messages"] = [
        turn("user", "What is said in the reference.<audio>\nThe text to speak."),
        turn("assistant", "<audio>"),
    ]
    assert turns(folder, row) == FULL
    assert turns(folder, {**row, "reference_audio": "reference.wav"}) == FULL, "it is not put in twice"


def test_the_text_beside_a_clip_fills_only_an_empty_user_turn(folder: Path) -> None:
    row = in_parts()
    row["messages"][1]["content"].pop()
    assert turns(folder, row) == FULL
    row = in_parts()
    row["messages"][2]["content"][0] = text("Something else.")
    assert turns(folder, row) == FULL


def test_a_user_message_may_end_with_its_reference(folder: Path) -> None:
    row = in_parts()
    row["messages"].insert(2, turn("user", row["messages"][1]["content"].pop()["text"]))
    assert turns(folder, row) == FULL


def test_the_instruction_is_never_spoken_nor_taken_for_a_transcript(folder: Path) -> None:
    row = in_parts()
    row["messages"][1]["content"] = [text(f"{INSTRUCTION.upper()}\nThe text to speak."), audio("reference.wav")]
    assert turns(folder, row) == [("",), *FULL[1:]]


def test_audio_parts_are_read_however_they_name_the_file(folder: Path) -> None:
    row = in_parts()
    row["messages"][1]["content"][1] = {"type": "audio", "audio": "reference.wav"}
    row["messages"][2]["content"] = {"type": "audio", "audio_url": {"url": "target.wav"}}
    assert turns(folder, row) == FULL


@pytest.mark.parametrize("key", ["reference_text", "reference_transcript", "ref_text", "ref_transcript", "misc"])
@pytest.mark.parametrize("listed", [False, True])
def test_the_transcript_is_found_under_any_of_its_names(key: str, listed: bool, folder: Path) -> None:
    row = reference_apart()
    transcript = row.pop("reference_text")
    row["reference_audio"] = ["reference.wav"] if listed else "reference.wav"
    value = [transcript] if listed else transcript
    row[key] = {"ref_transcript": value} if key == "misc" else value
    assert turns(folder, row) == FULL


def test_a_transcript_apart_belongs_to_the_reference_in_the_messages(folder: Path) -> None:
    row = in_parts()
    del row["messages"][1]["content"][0]
    row["misc"]["ref_transcript"] = "What is said in the reference."
    assert turns(folder, row) == FULL


@pytest.mark.parametrize("form", FORMS)
def test_a_reference_without_transcript_is_allowed_with_one_warning(form: str, folder: Path) -> None:
    row = FORMS[form]()
    if form == "native":
        row["messages"][1]["content"] = ""
    elif form == "in parts":
        del row["messages"][1]["content"][0]
    else:
        del row["reference_text"]
    assert turns(folder, row) == [("",), *FULL[1:]]
    (warning,) = parse_row(row, folder=folder).warnings
    assert "no transcript" in warning


def test_several_references_come_in_order(folder: Path) -> None:
    row = reference_apart()
    row |= {"reference_audio": ["reference.wav", "other.wav"], "reference_text": ["One.", "Two."]}
    assert turns(folder, row) == [("One.",), ("reference.wav",), ("Two.",), ("other.wav",), *FULL[2:]]


@pytest.mark.parametrize("audios", [["target.wav"], "target.wav", ["reference.wav", "target.wav"]])
@pytest.mark.parametrize("answer", ["The text to speak.", ""])
def test_without_marks_the_last_answer_is_the_one_clip(audios: Any, answer: str, folder: Path) -> None:
    row = {**reference_apart(), "audios": audios}
    row["messages"][1]["content"] = answer
    assert turns(folder, row) == FULL


def test_a_clip_that_is_its_own_reference_is_warned_of(folder: Path) -> None:
    (warning,) = parse_row({**reference_apart(), "reference_audio": "target.wav"}, folder=folder).warnings
    assert "another recording" in warning


def test_speaker_tags_are_ordinary_text(folder: Path) -> None:
    row = native()
    row["messages"][3]["content"] = "[SPEAKER0] Hello.\n[SPEAKER1] Hello!"
    assert turns(folder, row)[2] == ("[SPEAKER0] Hello.\n[SPEAKER1] Hello!",)


@pytest.mark.parametrize(
    ("given", "speaker"), [(1688, "1688"), (1688.0, "1688"), ("", None), (None, None), (" a ", "a")]
)
def test_a_speaker_may_be_a_number(given: Any, speaker: str | None, folder: Path) -> None:
    assert parse_row({**native(), "speaker": given}, folder=folder).speaker == speaker


# Paths


def test_paths_begin_at_the_folder_and_then_at_the_working_directory(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "target.wav").write_bytes(b"sound")
    monkeypatch.chdir(elsewhere)
    assert parse_row(native(), folder=folder).clips == (folder / "reference.wav", folder / "target.wav")
    (folder / "target.wav").unlink()
    assert parse_row(native(), folder=folder).clips == (folder / "reference.wav", elsewhere / "target.wav")
    monkeypatch.chdir(folder.parent)
    assert parse_row(
        reference_apart() | {"audios": [str(elsewhere / "target.wav")]}, folder=Path(folder.name)
    ).clips == (
        folder / "reference.wav",
        elsewhere / "target.wav",
    )


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("https://example.com/a.wav", "address.*download it first"),
        ("HTTP://example.com/a.wav", "address.*download it first"),
        ("data:audio/wav;base64,AAAA", "address.*download it first"),
        ("missing.wav", "'missing.wav' does not exist"),
        ("target.wav/missing.wav", "does not exist"),
        ("a\0b", "does not exist"),
        ("x" * 5000, "cannot be opened"),
        ("wavs", "'wavs' is a folder"),
        ("/dev/null", "not a regular file"),
        ("", "path of a clip"),
        (None, "path of a clip"),
        (["target.wav"], "path of a clip"),
        ({"url": 3}, "path of a clip"),
    ],
)
def test_a_clip_that_is_no_file_is_refused(path: Any, sentence: str, folder: Path) -> None:
    with pytest.raises(StudioError, match=sentence):
        parse_row({**native(), "audios": ["reference.wav", path]}, folder=folder)


# What is refused

USER, CLIP = turn("user", "Hello."), turn("assistant", "<audio>")


@pytest.mark.parametrize(
    ("messages", "num_clips", "sentence"),
    [
        (None, 1, "no messages"),
        ([], 1, "no messages"),
        ("Hello.", 1, "no messages"),
        ([None, CLIP], 1, '"role" and a "content"'),
        ([{"role": "user"}, CLIP], 1, '"role" and a "content"'),
        ([turn("narrator", "Hello."), CLIP], 1, '"narrator" is unknown'),
        ([USER, CLIP, turn("tool", "42")], 1, "tools"),
        ([USER, turn("system", "Be calm."), CLIP], 1, "must be the first"),
        ([turn("system", "a"), turn("system", "b"), USER, CLIP], 1, "must be the first"),
        ([turn("system", "<audio>"), USER, CLIP], 2, "system turn cannot hold a clip"),
        ([USER, USER, CLIP], 1, "Two user turns"),
        ([USER, CLIP, CLIP], 2, "Two assistant turns"),
        ([CLIP], 1, "first turn after the system turn must be a user turn"),
        ([turn("system", "a"), CLIP, USER, CLIP], 2, "first turn after the system turn must be a user turn"),
        ([turn("system", "a")], 0, "first turn after the system turn must be a user turn"),
        ([USER, CLIP, USER], 1, "last turn must be an assistant turn"),
        ([turn("user", "Hello.<audio>")], 1, "Nothing in the row is trained"),
        ([USER, turn("assistant", "<audio>", loss=False)], 1, "Nothing in the row is trained"),
        ([turn("user", " "), CLIP], 1, "user turn before a trained turn is empty"),
        ([turn("user", ""), turn("assistant", "Hello.")], 0, "user turn before a trained turn is empty"),
        ([USER, turn("assistant", " ")], 0, "assistant turn is empty"),
        ([USER, turn("assistant", "<audio><audio>")], 2, "two clips"),
        ([USER, CLIP], 2, "1 times in the messages and audios has 2 entries"),
        ([USER, CLIP], 0, "1 times in the messages and audios has 0 entries"),
        ([USER, turn("assistant", "Hello.")], 2, "0 times in the messages and audios has 2 entries"),
        ([USER, turn("assistant", "<audio>", loss="no")], 1, '"loss" of a turn must be true or false'),
        ([USER, turn("assistant", "<audio>", loss=0.5)], 1, '"loss" of a turn must be true or false'),
        ([USER, turn("assistant", None)], 1, "content of a turn must be text"),
        ([turn("user", [["Hello."]]), CLIP], 1, "content of a turn must be text"),
        ([turn("user", text(None)), CLIP], 1, "content of a turn must be text"),  # type: ignore[arg-type]
        ([turn("user", {"type": "image", "image": "a.png"}), CLIP], 1, "content of a turn must be text"),
    ],
)
def test_messages_that_cannot_be_trained_on_are_refused(
    messages: Any, num_clips: int, sentence: str, folder: Path
) -> None:
    with pytest.raises(StudioError, match=sentence):
        parse_row({"messages": messages, "audios": ["target.wav", "other.wav"][:num_clips]}, folder=folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"start_index": 9}, "Nothing in the row is trained"),
        ({"start_index": "1"}, '"start_index" must be a whole number'),
        ({"start_index": 1.5}, '"start_index" must be a whole number'),
        ({"start_index": True}, '"start_index" must be a whole number'),
        ({"system": ["a"]}, '"system" must be text'),
        ({"system": "Be calm."}, "two system texts that differ"),
        ({"speaker": ["anna"]}, '"speaker" must be'),
        ({"speaker": "<|eot_id|>"}, "control token"),
        (
            {"reference_audio": "other.wav", "ref_text": ["One.", "Two."]},
            "1 clips in reference_audio and 2 transcripts",
        ),
        ({"reference_audio": "other.wav", "ref_text": 5}, "transcript of the reference must be text"),
        (
            {"reference_audio": "other.wav", "ref_text": "a <|eot_id|>"},
            "text of the user turn contains the control token",
        ),
        ({"reference_audio": "other.wav", "ref_text": "a <audio>"}, "contains <audio>"),
        ({"reference_audio": 5}, '"reference_audio" must give the path'),
        ({"audios": 5}, '"audios" must give the path'),
    ],
)
def test_what_stands_beside_the_messages_is_checked(change: dict[str, Any], sentence: str, folder: Path) -> None:
    with pytest.raises(StudioError, match=sentence):
        parse_row({**native(), **change}, folder=folder)


@pytest.mark.parametrize("index", [0, 1, 3])
def test_control_tokens_are_refused_in_every_text(index: int, folder: Path) -> None:
    row = native()
    row["messages"][index]["content"] += " <|start_header_id|>"
    with pytest.raises(StudioError, match=r"control token <\|start_header_id\|>"):
        parse_row(row, folder=folder)


def test_scene_tokens_belong_into_the_system_turn_alone_and_as_a_pair(folder: Path) -> None:
    row = native()
    row["messages"][0]["content"] = SYSTEM_TEXT + "<|scene_desc_start|>"
    with pytest.raises(StudioError, match="scene in the system turn"):
        parse_row(row, folder=folder)
    row = native()
    row["messages"][1]["content"] = SYSTEM
    with pytest.raises(StudioError, match="control token"):
        parse_row(row, folder=folder)


@pytest.mark.parametrize("row", [None, [], "row", 5, {}])
def test_a_row_that_is_no_object_with_messages_is_refused(row: Any, folder: Path) -> None:
    with pytest.raises(StudioError, match="no messages"):
        parse_row(row, folder=folder)


VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 1.5, float("nan"), float("inf"), "", " ", "a", "<audio>", "<audio><audio>",
    "target.wav", "wavs", "\0", "\ud800", "<|eot_id|>", "user", "assistant", "system", [], [[]], [None], ["a", 1], {},
    {"a": 1}, {"type": "text"}, {"type": "audio"}, {"type": []}, {"url": {}}, {"role": {}, "content": []}, text("a"),
    audio("target.wav"),
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to every value inside ``value``."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


@pytest.mark.parametrize("form", FORMS)
def test_whatever_stands_anywhere_a_row_is_read_or_refused(form: str, folder: Path) -> None:
    chance, outcomes = random.Random(form), set()
    more = {
        "start_index": 0,
        "system": SYSTEM,
        "misc": {"ref_transcript": "a"},
        "ref_text": "a",
        "reference_audio": "other.wav",
    }
    for attempt in range(4000):
        row = {**more, **FORMS[form]()} if attempt % 2 else FORMS[form]()
        for _ in range(chance.randint(1, 2)):
            *way, last = chance.choice(places(row)[1:])
            inside: Any = row
            for key in way:
                inside = inside[key]
            if chance.random() < 0.2:
                del inside[last]
            elif chance.random() < 0.2 and isinstance(inside, list):
                inside.insert(last, chance.choice([copy.deepcopy(inside[last]), *VALUES]))
            else:
                inside[last] = copy.deepcopy(chance.choice(VALUES))
        try:
            parsed = parse_row(row, folder=folder)
        except StudioError as error:
            outcomes.add("refused")
            assert str(error).endswith((".", "…"))
        else:
            outcomes.add("read")
            assert isinstance(parsed, TrainingRow)
            assert parse_row(parsed.as_row(), folder=folder) == parsed
            assert parsed.turns[0].role == "user"
            assert RowTurn("assistant") not in parsed.turns
    assert outcomes == {"read", "refused"}


# Files


def lines(path: Path) -> list[tuple[int, str]]:
    return [(number, str(row) if isinstance(row, StudioError) else row["text"]) for number, row in read_rows(path)]


ONE, TWO = '{"text": "eins"}', '{"text": "зwei"}'


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        (f"{ONE}\n{TWO}\n", (1, 2)),
        (f"{ONE}\r\n\r\n  \n{TWO}", (1, 4)),
        (f"\n{ONE}\n{TWO}", (2, 3)),
        (f"[{ONE}, {TWO}]", (1, 2)),
        (f"[\n  {ONE},\n\n  {TWO}\n]\n", (1, 2)),
    ],
)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows"])
def test_lines_and_lists_are_told_apart_by_content(
    content: str, numbers: tuple[int, int], bom: bytes, name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(bom + content.encode())
    assert lines(tmp_path / name) == list(zip(numbers, ["eins", "зwei"], strict=True))


def test_a_file_with_one_object_over_several_lines_is_one_row(tmp_path: Path) -> None:
    (tmp_path / "row.json").write_text(json.dumps({"text": "eins"}, indent=2))
    assert lines(tmp_path / "row.json") == [(1, "eins")]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (b'{"text": "a', "not valid JSON"),
        (b'{"text": "caf\xe9"}', "not UTF-8"),
        (b"[1, 2]", "must be a JSON object"),
        (b"5", "must be a JSON object"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b'{"text": ' + b"9" * 5000 + b"}", "too large"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_bad_line_stands_in_its_place_and_the_others_go_on(
    bad: bytes, sentence: str, first: bool, tmp_path: Path
) -> None:
    rows = [bad, ONE.encode()] if first else [ONE.encode(), bad, ONE.encode()]
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(rows))
    found = dict(lines(tmp_path / "rows.jsonl"))
    assert sentence in found.pop(1 if first else 2)
    assert set(found.values()) == {"eins"}
    assert len(found) == len(rows) - 1


def test_an_entry_of_a_list_that_is_no_object_stands_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(f"[{ONE}, 5, {ONE}]")
    assert [number for number, row in read_rows(tmp_path / "rows.json") if isinstance(row, StudioError)] == [2]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "holds no rows"),
        (b"\xef\xbb\xbf\n \n", "holds no rows"),
        (b"[]", "empty list"),
        (b'[\n{"text": "a"},\n{"text": \n]', "not a valid JSON list .line 4"),
        (b"[" * 100_000, "nested too deep"),
        ('{"text": "a"}'.encode("utf-16"), "not text in UTF-8"),
    ],
)
def test_a_file_without_rows_is_refused_at_once(content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(StudioError, match=sentence):
        read_rows(tmp_path / "rows.jsonl")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("missing.jsonl", "does not exist"),
        (".", "is a folder"),
        ("a\0b", "does not exist"),
        ("/dev/null", "not a regular file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_at_once(path: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=sentence):
        read_rows(tmp_path / path)


def test_rows_that_were_read_can_be_parsed(folder: Path) -> None:
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(form()) for form in FORMS.values()))
    read = [row for _, row in read_rows(folder / "rows.jsonl")]
    assert [turns(folder, dict(row)) for row in read if not isinstance(row, StudioError)] == [FULL] * 3


@pytest.mark.parametrize("text", ["It costs 5°C，today", "No full stop", "[SPEAKER0] Two  spaces [laugh]", "“Quoted”"])
def test_the_text_to_speak_is_asked_for_as_the_engine_will_ask(folder: Path, text: str) -> None:
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "<audio>"}]
    asked = parse_row({"messages": messages, "audios": ["target.wav"]}, folder=folder).conversation().turns[0].text
    tag, _, untagged = text.rpartition("[SPEAKER0] ")
    plan = plan_speech(SpeechRequest(Script(untagged), language="en"), max_chars=1000, frame_rate=25)
    assert asked == (tag or text[: len(text) - len(untagged)]) + plan.chunks[0].prompt_text


def test_a_text_with_nothing_to_say_is_refused_before_a_clip(folder: Path) -> None:
    messages = [{"role": "user", "content": "…"}, {"role": "assistant", "content": "<audio>"}]
    row = parse_row({"messages": messages, "audios": ["target.wav"]}, folder=folder)
    with pytest.raises(StudioError, match="nothing to say"):
        row.conversation()
