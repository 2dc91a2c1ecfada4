"""Utterances measured by a cluster that is joined, as part of it and through Ray Client.

Apart from what always runs: Ray gives its own servers some seconds to start, which a busy machine does not keep.
"""

from __future__ import annotations

from studio.datasets.dataset import Dataset
from studio.datasets.library import DatasetLibrary
from studio.datasets.measures.measuring import measure_dataset
from studio.datasets.spreading.ray_cluster import over_ray
from studio.errors import StudioError
from tests import doubler
from tests.doubler import Doubler


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

    ray.cloudpickle.register_pickle_by_value(doubler)
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
