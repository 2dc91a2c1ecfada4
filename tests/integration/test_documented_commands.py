"""README.md and docs/*.md are true: every command in them runs, or where it cannot run here, it exists as it is written."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.audio import read_audio
from studio.settings import Settings
from tests.documented import DOCUMENTS, ELISIONS, LANGUAGES, NEEDS, ROOT, Block, Command, logical_lines, read_page
from tests.documented_help import Helps, trainer_options
from tests.documented_places import ONCE, Place, Ran, place_for
from tests.documented_runs import Turns

PAGES = [read_page(path) for path in DOCUMENTS]
BLOCKS = [block for page in PAGES for block in page.blocks]
SHELL = [block for block in BLOCKS if block.language == "sh"]
TO_RUN = [command for block in SHELL if not block.needs for command in block.commands]
TO_ASK = [command for block in SHELL if block.needs for command in block.commands]
PROGRAM = re.compile(
    r"(\w+=\S+ )*(python[\d.]* |pip |make( |$)|docker |torchrun |swift |source |scripts/\w|tools/bare)"
)
GROUPS = re.compile(r"(voice|take|train|compare|checkpoint) [a-z-]+( |$)")
OTHERS = {"--gpus", "--build-arg"}  # docker's
SKIPPED: Ran = (77, "", "no speech recogniser")
OWN_PATH = re.compile(r"(studio|tests|tools|docs|swift_plugins|assets|scripts|benchmarks)/[\w./*-]+")


pytestmark = pytest.mark.timeout(900)  # a machine that is busy with something else is no failure


def ids(entries: list[Any]) -> list[str]:
    return [entry.where for entry in entries]


@pytest.fixture(scope="module")
def turns() -> Iterator[Turns]:
    turns = Turns(ROOT)
    yield turns
    turns.close()


@pytest.fixture(scope="module")
def helps(turns: Turns) -> Helps:
    return Helps(turns)


class Session:
    """All documents; the commands of one run in their order, each with those before it."""

    def __init__(self, folder: Path, turns: Turns, tiny: Path) -> None:
        self._folder, self._turns, self._tiny = folder, turns, tiny
        self.places: dict[str, Place] = {}
        self._once: dict[str, Ran] = {}
        self._ran: dict[str, Ran] = {}

    def place(self, name: str) -> Place:
        if name not in self.places:
            page = next(page for page in PAGES if page.name == name)
            folder = self._folder / Path(name).stem
            self.places[name] = place_for(page, folder, self._turns, self._tiny)
        return self.places[name]

    def run(self, command: Command) -> Ran:
        name = command.where.split(":")[0]
        place = self.place(name)
        for each in TO_RUN:
            if each.where.split(":")[0] == name and each.where not in self._ran:
                self._ran[each.where] = self._first(each, place)
            if each == command:
                break
        return self._ran[command.where]

    def _first(self, command: Command, place: Place) -> Ran:
        again = re.sub(r"\b(ID|3f9c21)\b", "ID", found[0]) if (found := ONCE.search(command.text)) else ""
        if again in self._once:
            return self._once[again]
        if place.cannot_listen(command):
            return SKIPPED
        ran = place.run(command)
        if ran[0] == 0 and (missing := [problem for path in place.written(command) if (problem := unwritten(path))]):
            ran = (1, ran[1], " ".join(missing))
        if again:
            self._once[again] = ran
        return ran


@pytest.fixture(scope="module")
def session(turns: Turns, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    session = Session(tmp_path_factory.mktemp("documents"), turns, tiny_checkpoint)
    yield session
    for place in session.places.values():
        place.close()


def unwritten(path: Path) -> str:
    """Why what a command said it would write is not there, or not what its name says; "" where it is."""
    if path.is_dir():
        whole = any((path / name).is_file() for name in ("config.json", "adapter_config.json"))
    elif path.suffix == ".jsonl":
        whole = path.is_file() and bool([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])
    elif path.suffix in (".wav", ".flac", ".mp3"):
        whole = path.is_file() and read_audio(path).duration > 0
    else:
        whole = path.is_file() and path.stat().st_size > 0
    return "" if whole else f"{path.name} was not written."


@pytest.mark.parametrize("command", TO_RUN, ids=ids(TO_RUN))
def test_a_documented_command_runs(command: Command, session: Session) -> None:
    ran = session.run(command)
    if ran is SKIPPED:
        pytest.skip("no speech recogniser: see requirements-test-models.txt")
    code, out, error = ran
    assert code == 0, f"{command}\n{out[-1500:]}\n{error[-1500:]}"


@pytest.mark.parametrize("command", TO_ASK, ids=ids(TO_ASK))
def test_a_command_that_cannot_run_here_exists_as_it_is_written(command: Command, helps: Helps) -> None:
    assert [problem for part in command.parts for problem in helps.problems(part)] == [], str(command)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_in_running_text_exist(page: Any, helps: Helps) -> None:
    problems = []
    everything = all_options(helps)
    for where, code in page.inline():
        if GROUPS.match(code):
            code = f"python -m studio {code}"
        if PROGRAM.match(code):
            text = re.sub(r"'\{.*?\}'", "{}", code)
            problems += [
                f"{where}: `{code}`: {problem}"
                for part in Command(where, text).parts
                for problem in helps.problems(part)
            ]
        else:
            unknown = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", code)) - everything
            problems += [f"{where}: `{code}`: {option} is an option of no command" for option in sorted(unknown)]
        if OWN_PATH.fullmatch(code) and not list(ROOT.glob(code)):
            problems.append(f"{where}: {code} does not exist")
    assert problems == []


def all_options(helps: Helps) -> set[str]:
    """The options of every command that the documents name."""
    found = OTHERS | trainer_options()
    for page in PAGES:
        spans = [f"python -m studio {code}" if GROUPS.match(code) else code for _, code in page.inline()]
        shown = [command.text for block in page.blocks if block.language == "sh" for command in block.commands]
        for text in (*spans, *shown):
            if match := re.search(r"python[\d.]* (?:-m )?(studio( [a-z-]+){1,2}|[\w./]+)", text):
                module, *commands = match[1].split()
                found |= helps.options(module, *commands)
                if commands[1:]:
                    found |= helps.options(module, commands[0])
    return found


@pytest.mark.parametrize("block", BLOCKS, ids=ids(BLOCKS))
def test_a_block_is_what_it_says(block: Block, session: Session) -> None:
    assert block.language in LANGUAGES, (
        f"{block.where}: '{block.language}' is no language of a block: {sorted(LANGUAGES)}"
    )
    if block.language == "sh":
        assert block.commands, f"{block.where}: a block of commands without a command"
        assert not block.needs or block.needs in NEEDS, f"{block.where}: '{block.needs}' is no known need"
    else:
        assert not block.needs, f"{block.where}: only commands have needs"
    if block.language == "text":
        assert [line for line in block.text.splitlines() if PROGRAM.match(line.strip().removeprefix("$ "))] == [], (
            block.where
        )
    if block.language == "json":
        text = re.sub(r"(?<=\[)…(?=\])", "", block.text) if block.mark == ELISIONS else block.text
        assert block.mark == ELISIONS or "…" not in text, f"{block.where}: an elision that is not marked"
        assert json.loads(text)
    if block.language == "python":
        place = session.place(block.name)
        place.code(block.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_linked_exists(page: Any) -> None:
    missing = []
    for where, target in page.links():
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.path.parent / name) if name else page.path
        if not file.exists() or (anchor and anchor not in headings(file)):
            missing.append(f"{where}: {target}")
    assert missing == []


def headings(file: Path) -> set[str]:
    """Anchors as GitHub makes them."""
    lines = [line for _, line in read_page(file).prose if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in lines}


def test_the_table_of_settings_names_each_setting_with_its_default() -> None:
    rows = [line.strip("|").split(" | ") for _, line in PAGES[0].prose if line.startswith("| `STUDIO_")]
    told = {name: row[1] for row in rows for name in re.findall(r"`(STUDIO_\w+)`", row[0])}
    fields = {f"STUDIO_{name.upper()}": field.default for name, field in Settings.model_fields.items()}
    assert set(told) == set(fields)
    for name, default in fields.items():
        if isinstance(default, str | int | float) and not isinstance(default, bool):
            literal = f"{default:g}" if isinstance(default, float) else str(default)
            assert told[name].startswith(f"`{literal}`"), f"{name} is {literal} where nothing is set: {told[name]}"
        elif name != "STUDIO_HOME":
            assert not told[name].startswith("`"), f"{name} has no default of its own: {told[name]}"


def test_every_command_is_found_as_a_shell_reads_it(tmp_path: Path) -> None:
    text = "A=1 x \"a # b\" \\\n  --out c.wav  # why\n\n# nothing\nprintf 'a > b' > t.txt && y | z\n"
    assert list(logical_lines(text, 5)) == [
        (5, 'A=1 x "a # b" --out c.wav'),
        (9, "printf 'a > b' > t.txt && y | z"),
    ]
    first, second = (Command("", line) for _, line in logical_lines(text))
    assert (first.parts, first.plain) == ([["x", "a # b", "--out", "c.wav"]], False)
    assert (second.parts, second.plain) == ([["printf", "a > b"], ["y"], ["z"]], False)
    assert Command("", "python -m studio speak 'a b'").plain
    page = read_page(tmp_path / "x.md", "<!-- needs: docker -->\n```sh\na\n```\n`b\nc` [d](e.md)\n```\nf\n```\n")
    assert [(block.language, block.needs, block.line) for block in page.blocks] == [("sh", "docker", 2), ("", "", 7)]
    with pytest.raises(ValueError, match="3: the block is not closed"):
        read_page(tmp_path / "x.md", "\n\n```sh\na\n")


def test_names_that_a_document_makes_up_stand_in_it(session: Session) -> None:
    for page in PAGES:
        shown = " ".join(command.text for block in page.blocks for command in block.commands)
        assert [name for name in session.place(page.name).names if not re.search(rf"\b{name}\b", shown)] == []
