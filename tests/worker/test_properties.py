"""Properties that a study names by hand, on the real runtime."""

import openvino as ov
import pytest

from autotune.worker.properties import PropertyError, check_properties


@pytest.fixture(scope="module")
def core() -> ov.Core:
    """The runtime."""
    return ov.Core()


def test_what_a_device_takes_passes(core: ov.Core) -> None:
    """Numbers, names and switches, on a device, and on those that stand for it."""
    named = {"KEY_CACHE_GROUP_SIZE": ["16", "32"], "ENABLE_TENSOR_PARALLEL": ["YES", "NO"]}
    check_properties(core, ["CPU", "AUTO:CPU", "HETERO:CPU", "BATCH:CPU(4)"], named)
    check_properties(core, ["AUTO:CPU"], {"SCHEDULE_POLICY": ["DEVICE_PRIORITY"]})


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("KEY_CACHE_GROUPSIZE", "1", "no such property; did you mean .*KEY_CACHE_GROUP_SIZE"),
        ("FULL_DEVICE_NAME", "x", "reports it, and it cannot be set"),
        ("KEY_CACHE_GROUP_SIZE", "many", "CPU does not take 'many'"),
        ("KEY_CACHE_PRECISION", "f3", "CPU does not take 'f3'"),
        ("QQQ", "1", "CPU has no such property$"),
    ],
)
def test_what_it_does_not_take_is_refused(core: ov.Core, name: str, value: str, why: str) -> None:
    """In the runtime's words where it is the value."""
    with pytest.raises(PropertyError, match=f"{name}: .*{why}"):
        check_properties(core, ["CPU"], {name: [value]})


def test_all_faults_are_told_at_once(core: ov.Core) -> None:
    """One message."""
    with pytest.raises(PropertyError, match=r"ONE: .*; TWO: "):
        check_properties(core, ["CPU"], {"ONE": ["1"], "TWO": ["2"]})
