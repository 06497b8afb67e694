"""A best.json that was edited is refused by whoever would run it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune import load_best
from autotune.errors import UsageError
from autotune.export.to_targets import export
from autotune.racing.named import contender_of_file
from tests import models
from tests.export.test_deployment import write

EDITS = (
    ("CACHE_DIR", "/tmp/x"),
    ("NUM_STREAMS", "AUTO"),
    ("NUM_STREAMS", "0"),
    ("INFERENCE_NUM_THREADS", "3"),
    ("INFERENCE_NUM_THREADS", "many"),
    ("ENABLE_CPU_PINNING", "true"),
    ("PERFORMANCE_HINT", None),
    ("PERFORMANCE_HINT", "CUMULATIVE_THROUGHPUT"),
    ("ALLOW_AUTO_BATCHING", "NO"),
)
"""A property, and what somebody made of it; None for taken out."""
USERS: dict[str, Callable[[Path, Path], object]] = {
    "verify": lambda path, _: contender_of_file(path),
    "compile": lambda path, _: load_best(path).compile(None),
    "export": lambda path, out: export(path, ["python"], out),
}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(("name", "value"), EDITS)
def test_edited_properties_are_refused_by_everyone(
    tmp_path: Path, model_folder: Path, user: str, name: str, value: str | None
) -> None:
    """What autotune would never write is not run as if it had been tuned; nothing is written."""
    path = write(tmp_path, model_folder / models.TINY)
    values = json.loads(path.read_text())
    if value is None:
        del values["properties"][name]
    else:
        values["properties"][name] = value
    path.write_text(json.dumps(values))
    with pytest.raises(UsageError, match=r"best\.json: properties: .*not what autotune writes"):
        USERS[user](path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
