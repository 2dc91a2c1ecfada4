"""One Ray for the tests that join a cluster, with the sets that the unit tests use."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from tests.jobs import until
from tests.unit.datasets.conftest import dataset, library, source  # noqa: F401


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def cluster() -> Iterator[tuple[str, str]]:
    """Addresses of a cluster of one machine: for those that are part of it, and for Ray Client."""
    port, client_port = free_port(), free_port()
    ours = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    ours["RAY_worker_niceness"] = "0"
    os.environ.update(ours, RAY_USAGE_STATS_ENABLED="0")  # before Ray is imported in this process
    place = tempfile.mkdtemp(prefix="ray.", dir="/tmp")  # short: the path of a socket has at most 107 bytes
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}",
        f"--ray-client-server-port={client_port}", "--include-dashboard=false", "--num-cpus=2", f"--temp-dir={place}",
        "--object-store-memory=200000000", "--min-worker-port=0", "--max-worker-port=0",
    ]  # fmt: skip
    head = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert head.stdout
    said = ""
    for line in head.stdout:
        said += line
        if "Ray runtime started" in line:
            break
    else:
        pytest.fail(f"Ray did not start:\n{said}")
    until(lambda: listens(client_port), 90)  # Ray Client answers later than Ray says that it has started
    yield f"127.0.0.1:{port}", f"ray://127.0.0.1:{client_port}"
    head.terminate()
    head.wait(60)
    shutil.rmtree(place, ignore_errors=True)
    for name in ours:
        del os.environ[name]
