"""Utterances measured on Ray: by the same function, with the same figures, whoever is killed meanwhile."""

from __future__ import annotations

import json
import os
import re
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


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9"])
def test_a_cluster_that_is_not_there_is_one_sentence(address: str) -> None:
    with pytest.raises(StudioError, match=rf"There is no Ray cluster to join at {address} \(.*\): start it"):
        list(over_ray(lambda: abs, [1], address, 1, lambda: False, carry=lambda number: number))


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
