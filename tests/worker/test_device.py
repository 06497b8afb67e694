"""What the runtime says of a device: of the CPU here, and of devices that are faked."""

from typing import Any

import openvino as ov
import pytest

from autotune.machines.wire import WireDevice
from autotune.worker.device import device_facts


@pytest.fixture(scope="module")
def core() -> ov.Core:
    """The runtime."""
    return ov.Core()


def test_the_cpu_says_what_it_is(core: ov.Core) -> None:
    """Ranges, properties and whether they may be set; it knows no batches and no tiles."""
    facts = WireDevice(**device_facts(core, "CPU")).facts()
    assert "FP32" in facts.capabilities
    assert facts.streams is not None
    assert facts.requests == (1, 1, 1)
    assert facts.properties["NUM_STREAMS"] == "RW"
    assert facts.properties["FULL_DEVICE_NAME"] == "RO"
    assert (facts.max_batch, facts.best_batch, facts.tiles) == (None, None, None)


class FakeCore:
    """A runtime whose devices say what they are told to; anything else is refused."""

    def __init__(self, **properties: Any) -> None:
        self._properties = properties

    def get_property(self, device: str, name: str, asked: Any = None) -> Any:
        """As the runtime: batches only where a model is named."""
        value = self._properties.get(name)
        if value is None or (name.endswith("BATCH_SIZE") and not asked):
            message = f"{device}: Unsupported property {name}"
            raise RuntimeError(message)
        return value


def test_batches_are_those_of_a_model() -> None:
    """Asked with the model, and left out without one."""
    core: Any = FakeCore(MAX_BATCH_SIZE=64, OPTIMAL_BATCH_SIZE=16, NPU_MAX_TILES=4)
    network: Any = object()
    assert device_facts(core, "GPU", network)["max_batch"] == 64
    assert device_facts(core, "GPU", network)["best_batch"] == 16
    assert "max_batch" not in device_facts(core, "GPU")
    assert device_facts(core, "NPU")["tiles"] == 4


def test_a_device_that_says_nothing_is_described_by_its_name() -> None:
    """No failure: nobody knows."""
    core: Any = FakeCore()
    facts = WireDevice(**device_facts(core, "GPU.1")).facts()
    assert (facts.name, facts.capabilities, facts.properties, facts.kind) == ("GPU.1", (), {}, "")
