"""The map of :mod:`studio.datasets.spreading.worker_processes` over the machines of a Ray cluster.

    this process ── tasks ─▶ _Line ─▶ Ray Data: draw ─▶ map_batches(_Worker) ─▶ _Line ── results ─▶ this process

Ray Data runs inside the cluster, in an actor of ours, because it does not run through Ray Client (``ray://``). This process
hands that actor tasks with what they need to be done anywhere, and asks it for results; so no machine of the cluster has to
see this one's files, and no more is on its way than the cluster can take. Ray starts a worker that died again and gives
it what the dead one had; a batch that ended several workers is lost to Ray Data, and its tasks come again, each alone.

Ray is an extra (``requirements-ray.txt``): nothing here imports it before a cluster is asked for.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import queue
import secrets
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from studio.datasets.spreading.worker_processes import Begin, DeadlyTask, Result, Task, limit_threads, tried
from studio.errors import StudioError
from studio.settings import PROJECT

LOCAL = "local"
_ON_THE_WAY_BYTES = 512 * 2**20
"""Of the cluster's shared memory, what Ray Data may fill with tasks that wait."""
_LOCAL_STORE_BYTES = 256 * 2**20
_ANSWER_SECONDS = 10.0
_LONGEST_PLACE = 40
"""Characters of a folder's path: a socket's, which Ray makes deep in it, has at most 103 to 107."""
_LINES = 3
"""How often the machine with our actor may be lost."""


def over_ray(
    begin: Begin[Task, Result], tasks: Sequence[Task], address: str, workers: int | None, stopped: Callable[[], bool], *,
    carry: Callable[[Task], Task],
) -> Generator[tuple[Task, Result | StudioError]]:  # fmt: skip
    """Each task with what came of it, in no order, done by actors on Ray: one processor and one thread each.

    An actor that is killed loses none: Ray starts it again. A task that ends three actors which have nothing else is given
    up, with a sentence in place of what would have come of it.

    Args:
        begin: called once in each actor.
        address: "local" starts Ray on this machine, for this process alone; "auto" and ``HOST:PORT`` join the cluster that
            this machine is part of; ``ray://HOST:PORT`` one that it is not.
        workers: actors; None: one for each processor of the cluster.
        stopped: looked at every second; the actors are ended then.
        carry: puts into a task what it needs to be done elsewhere, directly before it travels.

    Raises:
        StudioError: Ray is not installed, there is no cluster at this address, or it cannot run this.
    """
    with _joined(address, workers) as ray:
        actors = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        left = dict(enumerate(tasks))
        lost = 0
        # What does not come back comes again, and then no worker has another task beside it that could be to blame.
        for in_flight, retries in ((2, 1), (1, 2)):
            whole = False
            while left and not whole and not stopped():
                line = _Passage(ray, begin, actors, in_flight, retries)
                try:
                    for number, result in line.results(left, carry, stopped):
                        if number in left:
                            yield left.pop(number), result
                    whole = True
                except ray.exceptions.RayError as error:
                    lost += 1
                    if lost >= _LINES or not isinstance(error, ray.exceptions.RayActorError):
                        raise StudioError(f"Ray could not run this: {_reason(error)}") from error
                finally:
                    line.end()
        if not stopped():
            for task in left.values():
                yield task, DeadlyTask()


class _Passage:
    """One pass of tasks through the cluster, as this process sees it."""

    def __init__(self, ray: Any, begin: Begin[Any, Any], actors: int, in_flight: int, retries: int) -> None:
        self._ray = ray
        line = ray.remote(num_cpus=0, max_concurrency=4, max_restarts=0)(_Line)
        # By Ray's own pickle, here and below: what is defined in a test or a notebook travels, too.
        self._line = line.remote(ray.cloudpickle.dumps(begin), actors, in_flight, retries)

    def results(
        self, left: dict[int, Any], carry: Callable[[Any], Any], stopped: Callable[[], bool]
    ) -> Iterator[tuple[int, Any]]:
        """Hand over what is left as there is room for it, and give out what came of it, by number."""
        numbers = iter(list(left))
        waiting: tuple[int, bytes] | None = None
        handed = False
        while not stopped():
            while not handed:
                if waiting is None and (number := next(numbers, None)) is not None:
                    try:
                        waiting = number, self._ray.cloudpickle.dumps(carry(left[number]))
                    except StudioError as error:
                        yield number, error
                        continue
                if not self._ray.get(self._line.put.remote(waiting)):
                    break
                handed, waiting = waiting is None, None
            done, found = self._ray.get(self._line.results.remote())
            for number, result in found:
                result = pickle.loads(result)  # noqa: S301  of our own workers
                if isinstance(result, BaseException) and not isinstance(result, StudioError):
                    raise result
                yield number, result
            if done is not None:
                if done:
                    raise StudioError(f"Ray could not run this: {done}")
                return

    def end(self) -> None:
        """Let go of the actors."""
        with contextlib.suppress(Exception):
            self._ray.kill(self._line)


class _Line:
    """In the cluster: takes tasks, runs Ray Data over them, and hands out results. Its actors end with it."""

    def __init__(self, begin: bytes, actors: int, in_flight: int, retries: int) -> None:
        ray = _ray()
        self._waiting: queue.Queue[tuple[int, bytes]] = queue.Queue(2 * actors)
        self._found: queue.Queue[tuple[int, bytes]] = queue.Queue()
        self._closed = threading.Event()
        self._end: str | None = None
        itself = ray.get_runtime_context().current_actor
        threading.Thread(target=self._run, args=(itself, begin, actors, in_flight, retries), daemon=True).start()

    def put(self, task: tuple[int, bytes] | None) -> bool:
        """Take a task; None says that the one before was the last. False where there is no room for it."""
        if task is None:
            self._closed.set()
            return True
        try:
            self._waiting.put_nowait(task)
        except queue.Full:
            return False
        return True

    def take(self) -> tuple[int, bytes] | None:
        """A task to be worked on, when there is one; None behind the last."""
        while True:
            closed = self._closed.is_set()
            try:
                return self._waiting.get(timeout=0.1)
            except queue.Empty:
                if closed:
                    return None

    def results(self) -> tuple[str | None, list[tuple[int, bytes]]]:
        """What was found since, awaited for at most a second; and at the end "", or why it ended early; else None."""
        end = self._end
        found: list[tuple[int, bytes]] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._found.get(timeout=0.01 if end is not None else 1))
            while True:
                found.append(self._found.get_nowait())
        return end, found

    def _run(self, itself: Any, begin: bytes, actors: int, in_flight: int, retries: int) -> None:
        try:
            ray = _ray()
            importlib.import_module("ray.data")
            context = ray.data.DataContext.get_current()
            context.max_errored_blocks = -1  # what was lost comes again, see over_ray
            context.enable_progress_bars = False
            # A block for each task and each result: else they wait until there are 128 MB of them.
            context.target_max_block_size = 1
            context.execution_options.resource_limits = context.execution_options.resource_limits.copy(
                object_store_memory=_ON_THE_WAY_BYTES
            )
            batches = (
                ray.data.from_items([{"line": 0}])
                .map_batches(_draw, fn_args=(itself,), batch_size=None, num_cpus=0, max_retries=0)
                .map_batches(
                    _Worker, fn_constructor_args=(begin,), batch_size=None, num_cpus=1, max_restarts=-1,
                    max_task_retries=retries,
                    compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=in_flight),
                )
                .iter_batches(batch_size=None, prefetch_batches=0)
            )  # fmt: skip
            for batch in batches:
                for number, result in zip(batch["number"], batch["result"], strict=True):
                    self._found.put((int(number), result))
            self._end = ""
        except Exception as error:  # noqa: BLE001  told to whoever asked
            self._end = _reason(error)


def _draw(_: Any, line: Any) -> Iterator[dict[str, Any]]:
    """Tasks as they come."""
    ray = _ray()
    while (task := ray.get(line.take.remote())) is not None:
        yield {"number": [task[0]], "task": [task[1]]}


class _Worker:
    """An actor: what a process does, see :mod:`studio.datasets.spreading.worker_processes`."""

    def __init__(self, begin: bytes) -> None:
        limit_threads()
        self._do = pickle.loads(begin)()  # noqa: S301  of our own process

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for number, content in zip(batch["number"], batch["task"], strict=True):
            try:
                result = pickle.dumps(tried(self._do, pickle.loads(content)))  # noqa: S301
            except Exception as error:  # noqa: BLE001  a bug, raised again where the work was asked for
                result = pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
            yield {"number": [number], "result": [result]}


# Joining


@contextlib.contextmanager
def _joined(address: str, workers: int | None) -> Iterator[Any]:
    """Ray, connected; started here for "local", and ended with it."""
    place = ""
    environment = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        # Of Ray for machines that only ever are one: it listens on the loopback interface alone, and only who knows the
        # token is let in, so that others on this machine cannot run their code as this user.
        environment |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
        environment |= {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
        # Workers with the priority of other processes: with Ray's own whatever else runs comes first.
        environment |= {"RAY_worker_niceness": "0"}
        options |= {"include_dashboard": False, "object_store_memory": _LOCAL_STORE_BYTES}
        options |= {"num_cpus": workers or os.cpu_count() or 1}
        place = tempfile.mkdtemp(prefix="ray.")  # only this user reads what passes through, and nothing of it stays
        options |= {"_temp_dir": place} if len(place) <= _LONGEST_PLACE else {}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        try:
            ray = _ray()
        except ImportError:
            raise StudioError(
                "Ray is not installed: `pip install --no-deps --require-hashes -r requirements-ray.txt`, or leave --ray out."
            ) from None
        _require_answer(address)
        try:
            ray.init(address, runtime_env=_our_code(), **options)
        except Exception as error:
            raise StudioError(f"There is no Ray cluster to join at {address}: {_reason(error)}") from error
        # Ray tells of workers that died, also while it ends, on stdout, which belongs to what the command has to say.
        with contextlib.redirect_stdout(sys.stderr):
            try:
                yield ray
            finally:
                ray.shutdown()
    finally:
        if place:
            shutil.rmtree(place, ignore_errors=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _require_answer(address: str) -> None:
    """Raise StudioError where nobody answers at an address, for which Ray itself would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return  # a name of Ray's own, such as "auto"
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise StudioError(
            f"There is no Ray cluster to join at {address} ({_reason(error)}): start it, or correct the address."
        ) from error


def _ray() -> Any:
    """Ray, which may not be installed."""
    return importlib.import_module("ray")


def _our_code() -> dict[str, Any]:
    """This code for the workers, so that all do the very same; the packages it needs are installed where they are."""
    unneeded = [path for path in PROJECT.iterdir() if path.name not in ("studio", "assets")]
    unneeded += [path for path in (PROJECT / "assets").iterdir() if path.name != "listening"]
    return {"working_dir": str(PROJECT), "excludes": [f"/{path.relative_to(PROJECT)}" for path in unneeded]}


def _reason(error: BaseException) -> str:
    """The last line that an error has to say."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
