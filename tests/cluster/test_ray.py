"""Utterances measured on Ray: by the same function, with the same figures, whoever is killed meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from studio.datasets.dataset import Dataset
from studio.datasets.library import DatasetLibrary
from studio.datasets.measures.measuring import measure_dataset
from studio.datasets.spreading.ray_cluster import over_ray
from studio.errors import StudioError
from tests.documented import DOCUMENTS, ROOT, read_page

LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")


class Doubler:
    """Doubles numbers, cannot double three, and does not survive five."""

    def __call__(self, number: int) -> int:
        if number == 3:
            raise StudioError("three")
        if number == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * number


def test_an_actor_that_is_killed_loses_no_utterance_and_nothing_listens_to_others(
    dataset: Dataset, library: DatasetLibrary
) -> None:
    command = [
        sys.executable, "-m", "studio", "dataset", "measure", "Kathleen", "--no-transcribe", "--ray", "local",
        "--workers", "2", "--json",
    ]  # fmt: skip
    environment = {**os.environ, "STUDIO_HOME": str(library.settings.home), "STUDIO_DEVICE": "cpu"}
    run = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    killed: set[int] = set()
    listening: set[str] = set()
    try:
        while run.poll() is None:
            for child in psutil.Process(run.pid).children(recursive=True):
                try:
                    if not killed and "_Worker)).submit" in " ".join(child.cmdline()):  # which has an utterance
                        child.kill()
                        killed.add(child.pid)
                    sockets = child.net_connections("inet")
                    listening |= {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN}
                except psutil.Error:
                    continue
            time.sleep(0.1)
    except BaseException:
        run.terminate()  # and Ray with it
        raise
    out, error = run.communicate()
    assert run.returncode == 0, error
    assert killed and not any(map(psutil.pid_exists, killed))
    assert json.loads(out)["minutes"] > 0.1
    assert listening and listening <= set(LOOPBACK), listening
    there = {each.id: each.measures for each in library.utterances(dataset.id)}
    assert all(there.values())
    for figures in library.settings.measures_folder.glob("*.json"):
        figures.unlink()
    measure_dataset(library, dataset)
    assert {each.id: each.measures for each in library.utterances(dataset.id)} == there


def test_what_was_measured_through_ray_client_is_kept_when_it_is_stopped(
    dataset: Dataset, library: DatasetLibrary, cluster: tuple[str, str]
) -> None:
    done: list[int] = []
    measure_dataset(
        library, dataset, ray=cluster[1], workers=1, announce=lambda now, total: done.append(now),
        stopped=lambda: len(done) >= 2,
    )  # fmt: skip
    measured = sum(bool(each.measures) for each in library.utterances(dataset.id))
    assert measured == len(done) >= 2


def test_a_task_that_ends_every_actor_is_given_up_and_takes_no_other_along(cluster: tuple[str, str]) -> None:
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    carried: list[int] = []

    def carry(number: int) -> int:
        if number == 7:
            raise StudioError("seven is gone")
        carried.append(number)
        return number

    found = dict(over_ray(Doubler, range(12), cluster[0], 2, lambda: False, carry=carry))
    refused = {number: str(found.pop(number)) for number in (3, 5, 7)}
    assert refused[3] == "three" and refused[7] == "seven is gone"
    assert refused[5].startswith("It ended every process that worked on it: look at its recording")
    assert found == {number: 2 * number for number in range(12) if number not in refused}
    assert carried.count(5) == 2 and carried.count(0) == 1  # what was lost came again, and nothing else


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9"])
def test_a_cluster_that_is_not_there_is_one_sentence(address: str) -> None:
    with pytest.raises(StudioError, match=rf"There is no Ray cluster to join at {address} \(.*\): start it"):
        list(over_ray(Doubler, [1], address, 1, lambda: False, carry=lambda number: number))


def test_documented_commands_of_ray_exist_as_they_are_written() -> None:
    commands = [
        part for path in DOCUMENTS for block in read_page(path).blocks if block.language == "sh"
        for command in block.commands for part in command.parts if part[0] == "ray"
    ]  # fmt: skip
    shown = subprocess.run(
        [sys.executable, "-m", "ray.scripts.scripts", "start", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert commands and all(command[1] == "start" for command in commands)
    options = {word.split("=")[0] for command in commands for word in command[2:]}
    assert options <= set(re.findall(r"--[a-z-]+", shown))
