"""What random configurations of all rows come to on the real runtime, on every device here."""

import random

import openvino as ov
import pytest

from autotune.domain.hardware import Hardware
from autotune.search.derive import Known, derive_space
from autotune.space.configuration import Configuration, Effective
from autotune.space.devices import members_of, set_always
from autotune.space.dimensions import DIMENSIONS
from autotune.space.directed import flattened
from autotune.spec import SpaceSpec
from autotune.worker.model import effective_properties
from tests import planted

pytestmark = pytest.mark.openvino
DEVICES = ("CPU", "AUTO:CPU", "MULTI:CPU", "HETERO:CPU", "BATCH:CPU(4)")
EXPERTS = {
    "partitioner": ["STATIC", "AUTO"],
    "sparse_rate": [0.5, 1.0],
    "quantization_group": [0, 32],
    "kv_cache": ["u8", "f32"],
    "properties": {"KEY_CACHE_GROUP_SIZE": [16, 32]},
}
"""Not the denormals: they are of the whole process, and other tests run in it."""


def drawn(device: str, count: int) -> list[Configuration]:
    """Configurations of a space over one device."""
    hardware = Hardware(cpus=2, cores=2, devices={})
    known = Known(precisions={"CPU": ["f32"]}, cap_ms=20.0)
    space = derive_space(SpaceSpec(**{"device": [device], **EXPERTS}), hardware, known)
    draw = random.Random(1)  # noqa: S311 - nothing secret
    sizes = [len(space.choices[name]) for name in DIMENSIONS]
    points = [tuple(draw.randrange(size) for size in sizes) for _ in range(count)]
    return [space.configuration(point) for point in points]


@pytest.mark.parametrize("device", DEVICES)
def test_what_is_set_is_what_is_read(device: str) -> None:
    """Every property of every row, on the device or on those that it stands for."""
    core, network = ov.Core(), planted.linear()
    own = set_always(device)
    for configuration in drawn(device, 8):
        asked = configuration.properties
        compiled = core.compile_model(network, device, asked)
        read = effective_properties(compiled, flattened(asked))
        wanted = {k: v for k, v in flattened(asked).items() if k not in own}
        if device == "MULTI:CPU":  # which reports THROUGHPUT, whatever goes on to its devices
            wanted.pop("PERFORMANCE_HINT")
        told = {k: read[k] for k in wanted if k in read}
        assert told == {k: wanted[k] for k in told}
        effective = Effective(read, int(read["OPTIMAL_NUMBER_OF_INFER_REQUESTS"]))
        assert effective.unread(configuration) == []
        assert effective.arithmetic == "f32"


def test_the_same_deployment_is_known_by_any_name() -> None:
    """AUTO, and AUTO with its only device; BATCH of any size that came to nothing."""
    core, network = ov.Core(), planted.linear()

    def key(device: str, batch: int = 1, **fields: object) -> str:
        configuration = Configuration(device=device, batch_size=1, num_requests=2, **fields)  # type: ignore[arg-type]
        model = network.clone()
        model.reshape({0: [batch, *list(model.inputs[0].get_shape())[1:]]})
        compiled = core.compile_model(model, device, configuration.properties)
        read = effective_properties(compiled, flattened(configuration.properties))
        return Effective(read, int(read["OPTIMAL_NUMBER_OF_INFER_REQUESTS"])).key(configuration)

    assert key("AUTO") == key("AUTO:CPU")
    assert key("AUTO:CPU") != key("CPU")
    assert key("HETERO:CPU") != key("MULTI:CPU")
    # A model that has a batch already is not collected: both run at batch 1 without a word.
    assert key("BATCH:CPU(4)", batch=2) == key("BATCH:CPU(8)", batch=2)
    assert key("BATCH:CPU(4)") != key("BATCH:CPU(8)")


def test_members_are_named_once() -> None:
    """Of `BATCH:CPU(4)` the device is CPU."""
    assert members_of("BATCH:CPU(4)") == ("CPU",)
