"""Whatever becomes of a process, every task has its result or a sentence."""

from __future__ import annotations

from collections.abc import Iterator

from studio.datasets.spreading.worker_processes import DeadlyTask, over_processes
from tests.doubler import Doubler


def test_a_task_that_ends_every_process_is_given_up_and_takes_no_other_along() -> None:
    asked: list[int] = []

    def tasks() -> Iterator[int]:
        for number in range(40):
            asked.append(number)
            yield number

    found: dict[int, object] = {}
    for number, result in over_processes(Doubler, tasks(), 2, lambda: False):
        assert len(asked) - len(found) < 10  # two for each process, and those that come again: not all at once
        found[number] = result
    assert isinstance(found.pop(5), DeadlyTask) and str(found.pop(3)) == "three"
    assert found == {number: 2 * number for number in range(40) if number not in (3, 5)}
