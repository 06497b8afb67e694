"""What is no workload is exported as it was before there were any: to the byte."""

from pathlib import Path

import pytest

from autotune.domain.measurement import Feed
from autotune.export.best_file import BestCoreBudget
from autotune.export.targets import TARGETS
from autotune.export.targets.target import Tuned
from autotune.space.dimensions import Api
from tests.export.targets.builders import make_file, make_tuned

PLAIN = Path(__file__).parent / "plain"
"""Programs of before workloads were exported, but for the word on a model that is gone."""
BUDGET = {
    "core_budget": BestCoreBudget(asked="3", count=3, cpus=[4, 5, 8]),
    "machine": {"logical_cpus": 16, "affinity_cpus": 3, "quota_cpus": None},
}
CASES = {
    "bound": make_tuned(),
    "copied": make_tuned(make_file(feed=Feed.COPY, batch_size=2, num_requests=4)),
    "data": make_tuned(make_file(batch_size=2), data="../inputs.npz"),
    "blocking": make_tuned(make_file(api=Api.SYNC, feed=Feed.COPY), data="../inputs.npz"),
    "budget": make_tuned(make_file().model_copy(update=BUDGET)),
}


@pytest.mark.parametrize(("target", "file"), [("python", "infer.py"), ("cpp", "infer.cpp")])
@pytest.mark.parametrize(("name", "tuned"), CASES.items(), ids=CASES)
def test_a_program_without_a_workload_is_as_it_was(
    name: str, tuned: Tuned, target: str, file: str
) -> None:
    """Whoever exports again gets the same files."""
    kept = PLAIN / f"{name}.{file.rpartition('.')[2]}.txt"

    assert TARGETS[target](tuned).files[file] == kept.read_text()
