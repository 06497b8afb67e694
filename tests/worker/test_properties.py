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
        ("FULL_DEVICE_NAME", "x", "those that may be named: .*KEY_CACHE_PRECISION"),
        ("NUM_STREAM", "2", r"did you mean NUM_STREAMS \(\[space\] streams\)"),
        ("KEY_CACHE_GROUP_SIZE", "many", "CPU does not take 'many'"),
        ("KEY_CACHE_PRECISION", "f3", "CPU does not take 'f3'"),
        ("QQQ", "1", "CPU has no such property; those that may be named: .*KEY_CACHE_PRECISION"),
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


@pytest.mark.parametrize("device", ["AUTO:CPU", "MULTI:CPU"])
def test_values_of_a_device_that_stands_for_others_are_tried(core: ov.Core, device: str) -> None:
    """Of its own properties as well, which it takes only together with its devices."""
    check_properties(core, [device], {"MODEL_PRIORITY": ["HIGH", "LOW"]})
    with pytest.raises(PropertyError, match=f"MODEL_PRIORITY: {device} does not take 'X'"):
        check_properties(core, [device], {"MODEL_PRIORITY": ["X"]})


def test_nobody_is_sent_to_a_property_that_is_refused(core: ov.Core) -> None:
    """What is meant is one that may be named, or has a key of its own."""
    with pytest.raises(PropertyError) as error:
        check_properties(core, ["CPU"], {"ENABLE_CPU_PINNNG": ["YES"]})
    assert "ENABLE_CPU_PINNING ([space] pinning)" in str(error.value)
    assert "RESERVATION" not in str(error.value)
