"""Whether commands that cannot be run here exist: modules, sub-commands and options, asked of the commands themselves."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from functools import lru_cache

from tests.documented import ROOT
from tests.documented_runs import Turns

_SHOWN = re.compile(r"(?<![\w-])(--?[A-Za-z][\w-]*)")
_ELLIPSIS = "…"


class Helps:
    """Asks commands for their ``--help``, each once."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._known: dict[tuple[str, ...], tuple[int, str]] = {}
        self._made: dict[tuple[str, ...], str] = {}

    def problems(self, part: Sequence[str]) -> Iterator[str]:
        """What is wrong with a command: nothing, if it can be right."""
        program, *rest = [word for word in part if word != _ELLIPSIS]
        if re.fullmatch(r"python(3(\.\d+)?)?", program) and rest:
            module, arguments = (rest[1], rest[2:]) if rest[0] == "-m" and rest[1:] else (rest[0], rest[1:])
            yield from self._module(module, arguments)
        elif program == "torchrun":
            yield from self.problems(["python", *rest[rest.index("-m") :]])
        elif program == "make":
            yield from self._make(rest)
        elif program == "docker":
            yield from _docker(rest)
        elif program == "ray":
            pass  # asked where it is installed: tests/cluster
        elif program == "swift":
            yield from _unknown(rest, trainer_options())
        elif program.startswith(("scripts/", "tools/")):
            if not (ROOT / program).is_file():
                yield f"{program} does not exist"
            elif program == "scripts/train_higgs_audio.sh":
                yield from _unknown(rest, trainer_options() | {"--dataset_path"})
        elif program.endswith("/pip"):
            yield from (
                f"{word} does not exist" for word in rest if word.endswith(".txt") and not (ROOT / word).is_file()
            )
        else:
            yield f"{program} is no program that this test knows"

    def _module(self, module: str, arguments: Sequence[str]) -> Iterator[str]:
        commands: list[str] = []
        if module == "studio":
            while commands != arguments and (not commands or " COMMAND " in self._help(module, commands)[1]):
                commands.append(arguments[len(commands)])
                if commands[-1].startswith("-"):
                    commands.pop()
                    break
        elif module == "swift_plugins.launch":
            commands = list(arguments[:1])
        code, said = self._help(module, commands if module == "studio" else ())
        if code != 0:
            yield f"{module} {' '.join(commands)} --help ends with {code}: {said.strip()[-200:]}"
            return
        options = set(_SHOWN.findall(said)) | {"--help"}
        if module == "swift_plugins.launch":
            if commands and f"{module} {commands[0]} " not in said:
                yield f"{module} has no command {commands[0]}"
            options |= trainer_options()
        yield from _unknown(arguments[len(commands) :], options)

    def options(self, module: str, *commands: str) -> set[str]:
        """The options that a command's help shows."""
        return set(_SHOWN.findall(self._help(module, commands)[1]))

    def _help(self, module: str, commands: Sequence[str]) -> tuple[int, str]:
        key = (module, *commands)
        if key not in self._known:
            code, out, error = self._turns.module(module, *commands, "--help")
            self._known[key] = code, out + error
        return self._known[key]

    def _make(self, arguments: Sequence[str]) -> Iterator[str]:
        key = tuple(arguments)
        if key not in self._made:
            environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
            done = subprocess.run(
                ["make", "-n", *arguments],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            self._made[key] = (
                "" if done.returncode == 0 else f"make -n ends with {done.returncode}: {done.stderr.strip()}"
            )
        if self._made[key]:
            yield self._made[key]
        for word in arguments:
            name, equals, _ = word.partition("=")
            if not equals and not re.search(rf"^{word}:", _texts("Makefile"), re.MULTILINE):
                yield f"the Makefile has no {word}"  # a folder of that name would do for make
            if equals and not re.search(rf"\b{name}\b", _texts("Makefile", "tools/environment.py")):
                yield f"nothing in the Makefile reads {name}"


def _unknown(arguments: Sequence[str], known: set[str] | frozenset[str]) -> Iterator[str]:
    for word in arguments:
        if re.match(r"--?[A-Za-z]", word) and (name := word.split("=")[0]) not in known:
            yield f"{name} is no option of it"


def _docker(arguments: Sequence[str]) -> Iterator[str]:
    """Build arguments are the Dockerfile's, and variables the studio's."""
    from studio.settings import Settings

    built = set(re.findall(r"^ARG (\w+)", _texts("Dockerfile"), re.MULTILINE))
    settings = {f"STUDIO_{name.upper()}" for name in Settings.model_fields} | {"HF_TOKEN", "HF_HOME", "HF_HUB_OFFLINE"}
    for option, value in itertools.pairwise(arguments):
        name = value.split("=")[0]
        if option == "--build-arg" and name not in built:
            yield f"{name} is no ARG of the Dockerfile"
        if option in ("-e", "--env") and name not in settings:
            yield f"{name} is no setting"


def _texts(*names: str) -> str:
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


@lru_cache(maxsize=1)
def trainer_options() -> frozenset[str]:
    """Options of ``sft`` and ``export``: fields of ms-swift's argument classes, and the plugin's own."""
    from studio.training.config import swift_arguments as known

    swift = known._package("swift")
    exports = set(known._fields("ExportArguments", known._classes(list((swift / "arguments").rglob("*.py")))))
    assert exports, "ms-swift's ExportArguments was not found"
    return frozenset(f"--{name}" for name in (*known.known_arguments(), *exports, "external_plugins"))
