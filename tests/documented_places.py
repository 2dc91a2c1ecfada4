"""Where the commands of a document run: a folder, a home, and real things for the names that the document makes up."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import textwrap
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.asr_model import joined_model
from tests.documented import Command, Page
from tests.documented_runs import SPOKEN, Turns, in_shell, make_folder
from tests.jobs import of_jobs, until

MEASURED = """
from studio.training.preflight import probe
probe._measure = lambda *arguments: probe.Measured(2**30, 0.1, 1.0)
"""
"""Two steps of the trainer need not be made again to see what they take: ``test_preflight.py`` does that."""
SMALL_TRAINER = """
from dataclasses import replace
from studio.training import library
from tests.jobs import TRAINER
import sys
SMALL = {"program": [sys.executable, str(TRAINER), "steps=10", "pace=0.02"]}
real = globals().get("real") or library.JobLibrary.start
library.JobLibrary.start = lambda self, checked, name="": real(
    self, replace(checked, spec=checked.spec.model_copy(update=SMALL)), name
)
"""
MS_SWIFT = "library.JobLibrary.start = real"
LIBRARY = """
from studio.settings import Settings
from studio.store.store import Store
from studio.training.library import JobLibrary
settings = Settings()
store = Store(settings.store_file)
jobs = JobLibrary(settings, store)
"""
LONG_JOB = (
    LIBRARY + "from tests.jobs import checked\nanswer = jobs.start(checked('steps=20000', 'save=20000'), 'long').id"
)
TRAINED = LIBRARY + textwrap.dedent("""
    import json, os
    from pathlib import Path
    from studio.store import jobs as records
    from tests.jobs import spec
    from tests.trained import register, write_adapter
    base = Path(os.environ["STUDIO_CHECKPOINT"])
    adapter = write_adapter(base, settings.home / "random-adapter")
    (adapter / "trainer_state.json").write_text(json.dumps({"global_step": 250, "max_steps": 250}))
    row = register(settings, store, adapter, base, step=250)
    with store.writing() as session:
        job = records.job_by_id(session, row.job_id)
        job.spec = spec().model_copy(update={"base_folder": str(base)}).model_dump(mode="json")
        records.save(session, job)
    answer = [row.job_id, row.id]
""")
ORIGINAL = (
    "from pathlib import Path\nfrom tests.unit.engine.test_convert import write_original\nwrite_original(Path('OLD'))"
)
ONCE = re.compile(r"train export \S+ --out my-voice --merge|checkpoint convert OLD NEW --base NATIVE")
"""Commands that take long and stand in two documents: what they gave the first time counts for both."""

Ran = tuple[int, str, str]


@dataclass
class Place:
    """A document, its folder and its home; its commands run here in their order.

    Attributes:
        names: for each name that the document makes up, what stands for it in a command.
        before: what has to happen before a command whose text matches.
    """

    page: Page
    folder: Path
    turns: Turns
    environment: dict[str, str]
    names: dict[str, Callable[[str], str]] = field(default_factory=dict)
    before: dict[str, Callable[[], Any]] = field(default_factory=dict)
    results: dict[str, Ran] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)

    def code(self, text: str) -> Any:
        """Python in the shared process, with this home."""
        return self.turns.code(text, self.folder, **self.environment)

    def studio(self, *arguments: str) -> str:
        """A command that the document takes to have been given before."""
        code, out, error = self.turns.module("studio", *arguments, folder=self.folder, **self.environment)
        assert code == 0, error
        return out

    def run(self, command: Command) -> Ran:
        """Run a command; the same one again is not run again."""
        for pattern, prepare in self.before.items():
            if re.search(pattern, command.text):
                prepare()
        text = command.text
        for name, value in self.names.items():
            if re.search(rf"\b{name}\b", text):
                text = re.sub(rf"\b{name}\b", value(command.text).replace("\\", r"\\"), text)
        for path in self.written(Command(command.where, text)):
            path.unlink(missing_ok=True) if path.is_file() else shutil.rmtree(path, ignore_errors=True)
        (argv, *_) = Command(command.where, text).parts
        if Command("", text).plain and argv[:2] == ["python", "-m"]:
            ran = self.turns.module(argv[2], *argv[3:], folder=self.folder, **self.environment)
        else:
            ran = in_shell(text, self.folder, **self.environment)
        self.results[command.text] = ran
        return ran

    def written(self, command: Command) -> list[Path]:
        """The files and folders that a command says it will write."""
        found = re.findall(r"> (\S+)$", command.text)
        for argv in command.parts:
            found += [
                value
                for option, value in itertools.pairwise(argv)
                if option in ("--out", "--output_file", "--output_dir")
            ]
            if argv[3:5] == ["checkpoint", "tiny"]:
                found.append(argv[5])
            if argv[3:5] == ["checkpoint", "convert"]:
                found.append(argv[6])
        return [self.folder / name for name in found]

    def cannot_listen(self, command: Command) -> bool:
        """Whether a command listens and there is no model for that; then what later commands build on has been done."""
        if "--transcribe" not in command.text or "STUDIO_ASR_MODEL" in self.environment:
            return False
        self.run(replace(command, text=command.text.replace("--transcribe", f'--transcript "{SPOKEN}"')))
        return True

    def close(self) -> None:
        """End what still runs."""
        for process in of_jobs(set(self.jobs.values())):
            os.kill(process.pid, signal.SIGKILL)


def place_for(page: Page, folder: Path, turns: Turns, tiny: Path) -> Place:
    """A folder with everything that a document takes for granted."""
    home = folder.parent / f"{folder.name}-home"
    environment = {
        "STUDIO_HOME": str(home),
        "STUDIO_CHECKPOINT": str(tiny),
        "STUDIO_DEVICE": "cpu",
        "HF_HUB_OFFLINE": "1",
        "MODELSCOPE_CACHE": str(home / "modelscope"),
    }
    with suppress(LookupError, OSError):
        environment["STUDIO_ASR_MODEL"] = str(joined_model())
    place = Place(page, make_folder(folder), turns, environment)
    if page.name in ("README.md", "docs/higgs-v2.md"):
        place.before["checkpoint convert"] = lambda: (folder / "OLD").exists() or place.code(ORIGINAL)
        place.names["NATIVE"] = lambda text: str(tiny)
    place.before["train (check|start)"] = lambda: place.code(MEASURED)
    if page.name == "README.md":
        place.names["ID"] = lambda text: place.results["python -m studio train list"][1].split()[0]
    if page.name == "docs/datasets.md":
        place.names["ID"] = lambda text: json.loads(place.studio("take", "list", "--json"))["takes"][0]["id"][:8]
    if page.name == "docs/jobs.md":
        _prepare_jobs(place)
    return place


def _prepare_jobs(place: Place) -> None:
    """Runs that can be looked at, stopped and exported.

    The two runs that this document starts have a small trainer: README starts one with ms-swift, and ``test_train_cli.py``
    another.
    """

    def anna() -> None:
        place.studio("voice", "add", "Anna", "my-clip.wav", "--transcript", SPOKEN, "--speaker-consent", "own")

    def running() -> None:
        place.jobs["long"] = place.code(LONG_JOB)
        log = Path(place.environment["STUDIO_HOME"]) / "jobs" / place.jobs["long"] / "run" / "logging.jsonl"
        until(log.exists, 60)

    def trained() -> None:
        if "trained" not in place.jobs:
            place.jobs["trained"], place.jobs["adapter"] = place.code(TRAINED)

    def job(text: str) -> str:
        if "train stop" in text or "train resume" in text:
            return place.jobs["long"][:8]
        if "train export" in text:
            return place.jobs["trained"][:8]
        return json.loads(place.studio("train", "list", "--json"))["jobs"][-1]["id"][:8]  # the first that was started

    place.names |= {"3f9c21": job, "81d0e4": lambda text: place.jobs["adapter"]}
    place.before |= {
        "train start": lambda: place.code(SMALL_TRAINER),
        "train list": lambda: place.code(MS_SWIFT),
        "train stop": running,
        "train resume": lambda: until(lambda: not of_jobs({place.jobs["long"]}), 60),
        "train export": trained,
        "speak": anna,
    }
