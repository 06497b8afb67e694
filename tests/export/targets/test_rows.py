"""Every dimension goes into every target, or is listed as lost there: none is forgotten."""

from pathlib import Path
from typing import Any

import pytest

from autotune.export.configuration import configuration_of
from autotune.export.targets import TARGETS
from autotune.export.targets.target import UnsupportedError
from autotune.space.dimension import Dimension
from autotune.space.dimensions import TABLE
from autotune.space.named import NAMED
from tests.builders import make_configuration
from tests.export.targets.builders import make_file, make_tuned

VALUES: dict[str, Any] = {"float": 0.5, "int": 2, "bool": True}
DEVICES = {"CPU": "CPU", "GPU": "GPU", "NPU": "NPU", "BATCH": "BATCH:CPU(4)"}
PROPERTIES = [one for one in TABLE if one.property is not None]


def value_of(one: Dimension) -> Any:
    """Some value that is not its default."""
    if one.allowed:
        return one.allowed[0]
    if one.name == "hint":
        return one.type("LATENCY")
    return VALUES[one.type.__name__]


def file_of(one: Dimension) -> Any:
    """A best.json with the row at that value, on a device that has it."""
    device = DEVICES[one.on[0]] if one.on else "CPU"
    own = {"threads_per_stream": 1, "pinning": True} if device == "CPU" else {}
    base = {"device": device, "threads_per_stream": None, "pinning": None, **own}
    return make_file(**{**base, one.column: value_of(one)})


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("one", PROPERTIES, ids=lambda one: one.name)
def test_every_row_is_exported_or_lost(target: str, one: Dimension) -> None:
    """With its property and its value in a file, or with its property among the losses."""
    best = file_of(one)
    assert one.property is not None
    assert one.property in best.properties
    try:
        made = TARGETS[target](make_tuned(best))
    except UnsupportedError:
        assert best.device != "CPU"
        return
    written = "".join(made.files.values())
    losses = " ".join(loss.what for loss in made.losses)
    assert one.property in written or f"{one.property}=" in losses or is_named_otherwise(one)


def is_named_otherwise(one: Dimension) -> bool:
    """What a target has an own word for: Triton's switch for bf16, say."""
    return one.name == "precision"


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_named_by_hand_is_exported_or_lost(target: str) -> None:
    """Like any other property."""
    best = make_file(**{NAMED.column: "A_PROPERTY=x"})
    made = TARGETS[target](make_tuned(best))
    losses = " ".join(loss.what for loss in made.losses)
    assert "A_PROPERTY" in "".join(made.files.values()) + losses


@pytest.mark.parametrize("device", ["AUTO:CPU", "MULTI:CPU", "HETERO:CPU", "BATCH:CPU(4)"])
def test_what_is_set_on_members_is_read_again(device: str) -> None:
    """From best.json: the very configuration."""
    best = make_file(device=device, on_members=True, denormals=True)
    found = configuration_of(best, Path("best.json"))
    assert found.properties == best.properties
    assert (found.streams, found.threads_per_stream) == (2, 1)
    wanted = make_configuration(device=device, on_members=True, denormals=True)
    assert found.key == wanted.key


@pytest.mark.parametrize("device", ["AUTO", "AUTO:CPU", "AUTO:GPU,CPU"])
def test_a_file_of_before_fallbacks_were_off_is_still_read(device: str) -> None:
    """Although none is written like it any more."""
    best = make_file(
        device=device, streams=None, threads_per_stream=None, pinning=None, precision=None
    )
    then = {"PERFORMANCE_HINT": "THROUGHPUT"}
    older = best.model_copy(update={"properties": then})
    assert configuration_of(older, Path("best.json")).device == device
