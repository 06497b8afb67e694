"""Spaces of hardware that is not here: what is offered, and that no draw is clamped or tried twice.

The rules are written down a second time here, from the reference's table of what OpenVINO clamps,
ignores or refuses, and know nothing of how a space repairs.
"""

import random
from typing import Any

import pytest

from autotune.domain.hardware import Hardware
from autotune.domain.inspection import DeviceFacts
from autotune.errors import SpecError
from autotune.search.derive import Known, derive_space, seeds
from autotune.search.offering import offer_of
from autotune.space.configuration import Configuration
from autotune.space.dimensions import BY_NAME, DIMENSIONS, Api
from autotune.space.directed import unnested
from autotune.space.named import PARTS
from autotune.space.offers import offers_of
from autotune.space.space import SearchSpace
from autotune.spec import SpaceSpec

CPU = DeviceFacts(name="a CPU", capabilities=("FP32", "BF16", "INT8"), streams=None)
GPU = DeviceFacts(
    name="a GPU",
    capabilities=("FP16", "INT8"),
    streams=(1, 2),
    max_batch=32,
    best_batch=8,
    kind="integrated",
    properties={"GPU_QUEUE_THROTTLE": "RW", "NUM_STREAMS": "RW", "GPU_QUEUE_PRIORITY": "RW"},
)
DISCRETE = DeviceFacts(
    name="a large GPU",
    capabilities=("FP16", "INT8"),
    streams=(1, 9),
    max_batch=1024,
    best_batch=16,
    kind="discrete",
    properties={**GPU.properties, "GPU_DISABLE_WINOGRAD_CONVOLUTION": "RW"},
)
NPU = DeviceFacts(
    name="an NPU",
    capabilities=("FP16", "INT8"),
    streams=(0, 8),
    requests=(1, 8, 1),
    tiles=4,
    properties={"NPU_TURBO": "RW", "NPU_TILES": "RW", "NPU_COMPILATION_MODE_PARAMS": "RW"},
)
HARDWARE = {
    "two sockets": Hardware(cpus=128, cores=64, sockets=2, nodes=2, devices={"CPU": CPU}),
    "hybrid": Hardware(
        cpus=24, cores=16, core_types={"P": 8, "E": 8}, devices={"CPU": CPU, "GPU": GPU}
    ),
    "plain": Hardware(cpus=4, cores=4, devices={"CPU": CPU}),
    "discrete": Hardware(cpus=16, cores=8, devices={"CPU": CPU, "GPU.0": GPU, "GPU.1": DISCRETE}),
    "npu": Hardware(
        cpus=16,
        cores=12,
        core_types={"P": 4, "E": 8},
        devices={"CPU": CPU, "GPU": GPU, "NPU": NPU},
    ),
}
PRECISIONS = {
    "CPU": ("f32", "bf16"),
    "GPU": ("f32", "f16"),
    "GPU.0": ("f32", "f16"),
    "GPU.1": ("f32", "f16"),
}
CASES = [
    ("two sockets", ["CPU"]),
    ("hybrid", ["CPU"]),
    ("hybrid", ["CPU", "GPU"]),
    ("plain", ["CPU", "AUTO:CPU", "HETERO:CPU", "MULTI:CPU", "BATCH:CPU(4)"]),
    ("discrete", ["GPU.1"]),
    ("discrete", ["GPU.0", "GPU.1", "CPU", "AUTO:GPU.1,CPU"]),
    ("npu", ["NPU"]),
    ("npu", ["NPU", "CPU", "GPU", "AUTO:NPU,CPU", "BATCH:GPU(8)"]),
]


def space_of(which: str, devices: list[str], **overrides: Any) -> SearchSpace:
    """Of a model that can be batched, with a cap of 40 ms."""
    known = Known(precisions=PRECISIONS, cap_ms=40.0)
    return derive_space(SpaceSpec(**{"device": devices, **overrides}), HARDWARE[which], known)


# --- what is offered


def offered(which: str, device: str) -> dict[str, Any]:
    """The choices of what has a choice."""
    offer = offer_of(device, HARDWARE[which], precisions=PRECISIONS, cap_ms=40.0)
    found = {name: one.choices for name, one in offers_of(offer).items() if not one.is_expert}
    return {name: choices for name, choices in found.items() if len(choices) > 1}


BATCHES = (1, 2, 4, 8, 16, 32, 64)
HALF_THE_CAP = (1, 2, 5, 10, 20)


def test_a_hybrid_cpu_has_core_types_and_hyper_threading() -> None:
    """And no policy for two sockets."""
    counts = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24)
    assert offered("hybrid", "CPU") == {
        "streams": counts,
        "threads_per_stream": counts,
        "requests_per_stream": (1, 2, 3, 4),
        "batch": BATCHES,
        "pinning": (True, False),
        "precision": ("f32", "bf16"),
        "hyper_threading": (True, False),
        "core_type": ("ANY_CORE", "PCORE_ONLY"),
    }


def test_two_sockets_have_a_policy() -> None:
    """And cores of one kind."""
    found = offered("two sockets", "CPU")
    assert found["distribution_policy"] == (None, "TENSOR_PARALLEL")
    assert "core_type" not in found
    assert max(found["streams"]) == 128


@pytest.mark.parametrize(("name", "key"), sorted(PARTS.items()))
def test_what_a_named_property_decides_is_not_swept_beside_it(name: str, key: str) -> None:
    """One thing under two names: which of them wins is the runtime's secret."""
    (one,) = (row for row in BY_NAME.values() if row.key == key)
    space = space_of("two sockets", ["CPU"], properties={name: ["YES", "NO"]})
    assert space.choices[one.name] == (one.default,)
    assert len(space.choices["named_properties"]) == 2


def test_a_plain_cpu_has_none_of_these_and_says_why() -> None:
    """In words that a user of `autotune devices` reads."""
    found = offers_of(offer_of("CPU", HARDWARE["plain"]))
    why = {name: found[name].why_not for name in ("hyper_threading", "core_type")}
    assert why == {
        "hyper_threading": "no more logical CPUs may be used than there are cores",
        "core_type": "the cores that may be used are all of one kind",
    }
    assert found["distribution_policy"].why_not == "the CPUs that may be used are of one socket"
    assert found["npu_turbo"].why_not == "a setting of NPU"


def test_a_gpu_has_its_ranges() -> None:
    """Streams of its range, at most four; batches that fit; no time-out beyond half the cap."""
    assert offered("hybrid", "GPU") == {
        "streams": (1, 2),
        "requests_per_stream": (1, 2, 3, 4),
        "batch": (1, 2, 4, 8, 16, 32),
        "precision": ("f32", "f16"),
        "throttle": ("MEDIUM", "LOW"),
        "auto_batching": (False, True),
        "batch_timeout": HALF_THE_CAP,
    }
    assert offered("discrete", "GPU.1")["streams"] == (1, 2, 3, 4)
    assert offered("discrete", "GPU.1")["batch"] == BATCHES


def test_an_npu_has_requests_tiles_and_a_hint() -> None:
    """No streams, no precision, no batch that it would not run as one."""
    assert offered("npu", "NPU") == {
        "hint": ("THROUGHPUT", "LATENCY"),
        "requests_per_stream": (1, 2, 3, 4, 5, 6, 7, 8),
        "npu_turbo": (False, True),
        "npu_tiles": (1, 2, 3, 4),
        "compilation": ("optimization-level=1", "optimization-level=2"),
    }
    found = offers_of(offer_of("NPU", HARDWARE["npu"]))
    assert found["streams"].why_not == "an NPU takes requests, and has no streams to set"


def test_members_have_what_they_have_in_common() -> None:
    """What one of them alone has is set on that one; what is fine is left alone."""
    found = offered("npu", "AUTO:NPU,CPU")
    assert found["hint"] == ("THROUGHPUT", "CUMULATIVE_THROUGHPUT", "LATENCY")
    assert found["npu_turbo"] == (False, True)
    assert found["precision"] == ("f32", "bf16")
    why = offers_of(offer_of("AUTO:NPU,CPU", HARDWARE["npu"]))["npu_tiles"].why_not
    assert "[space] npu_tiles sets it" in why
    named = space_of("npu", ["AUTO:NPU,CPU"], npu_tiles=[1, 4])
    assert named.choices["npu_tiles"] == (1, 4)
    assert "hint" not in offered("plain", "AUTO:CPU")


def test_a_device_that_collects_needs_no_batch() -> None:
    """It has the settings of its device as its own, and a time-out."""
    found = offered("plain", "BATCH:CPU(4)")
    assert found["batch_timeout"] == HALF_THE_CAP
    assert "batch" not in found
    assert found["streams"] == (1, 2, 3, 4)


def test_what_is_named_and_not_here_is_refused() -> None:
    """With the reason."""
    with pytest.raises(
        SpecError, match=r"\[space\] hyper_threading: not here: no more logical CPUs .*; leave"
    ):
        space_of("plain", ["CPU"], hyper_threading=[False])
    with pytest.raises(SpecError, match=r"\[space\] npu_turbo: not here: a setting of NPU"):
        space_of("plain", ["CPU"], npu_turbo=[True])


def test_an_expert_names_what_is_offered_to_nobody() -> None:
    """A list is sampled."""
    assert "partitioner" not in space_of("plain", ["CPU"]).sampled
    named = space_of("plain", ["CPU"], partitioner=["STATIC", "AUTO"], denormals=[True])
    assert "partitioner" in named.sampled
    assert {named.configuration(p).properties["CPU_DENORMALS_OPTIMIZATION"] for p in some(named)}


def test_a_cpu_alone_is_stored_as_before() -> None:
    """Nothing is said of what is not there."""
    assert set(space_of("plain", ["CPU"]).to_dict()) == {"cpus", *FIRST}


FIRST = [
    "device",
    "threads_per_stream",
    "streams",
    "requests_per_stream",
    "batch",
    "pinning",
    "precision",
    "api",
]


@pytest.mark.parametrize(("which", "devices"), CASES)
def test_a_space_is_stored_and_read(which: str, devices: list[str]) -> None:
    """With each device's own choices."""
    space = space_of(which, devices)
    assert SearchSpace.from_dict(space.to_dict()) == space
    for point in some(space, 300):
        configuration = space.configuration(point)
        assert space.locate(configuration) == point
        assert space.nearest(configuration) == point
        assert point in space.same_model(configuration)
        assert Configuration.from_dict(configuration.to_dict()) == configuration


@pytest.mark.parametrize(("which", "devices"), CASES)
def test_every_device_has_its_seeds(which: str, devices: list[str]) -> None:
    """Both hints, and a lone request, which lies in the space."""
    space = space_of(which, devices)
    found = seeds(space)
    assert [one.device for one in found if one.is_hint] == [d for d in devices for _ in range(2)]
    lone = [one for one in found if not one.is_hint]
    assert [one.device for one in lone] == devices
    assert all(space.locate(one) is not None for one in lone)


# --- no draw is clamped, and no two are one


def some(space: SearchSpace, count: int = 1000) -> list[tuple[int, ...]]:
    """Canonical forms of any combinations."""
    draw = random.Random(count)  # noqa: S311 - nothing secret
    sizes = [len(space.choices[name]) for name in DIMENSIONS]
    drawn = [tuple(draw.randrange(size) for size in sizes) for _ in range(count)]
    return [space.canonical(point) for point in drawn]


def told(configuration: Configuration) -> dict[str, dict[str, str]]:
    """What each of the devices is told that run it, whoever tells them."""
    properties = configuration.properties
    if ":" not in configuration.device:
        return {configuration.device: properties}
    kind, _, members = configuration.device.partition(":")
    if kind == "BATCH":
        return {members.partition("(")[0]: properties}
    each = unnested(properties.get("DEVICE_PROPERTIES", ""))
    return {member: each.get(member, {}) for member in members.split(",")}


def effective(configuration: Configuration, hardware: Hardware) -> tuple[object, ...]:
    """What the runtime makes of a configuration by the documented rules; none of it clamped."""
    is_sync = configuration.api == "sync"
    device, requests = configuration.device, configuration.num_requests or 0
    gathered = int(device.partition("(")[2].rstrip(")") or 1) if device.startswith("BATCH") else 1
    each = []
    for name, mine in told(configuration).items():
        kind = name.partition(".")[0]
        streams = int(mine.get("NUM_STREAMS", "1"))
        if kind == "CPU":
            each.append(on_cpu(mine, hardware))
        elif kind == "GPU":
            facts = hardware.devices[name]
            assert streams <= min(4, (facts.streams or (1, 1))[1])
            assert configuration.batch_size <= (facts.max_batch or 1)
            if mine.get("ALLOW_AUTO_BATCHING") == "YES":
                assert configuration.batch_size == 1
                assert not is_sync
                gathered = facts.best_batch or 1
            elif not device.startswith("BATCH"):
                assert "AUTO_BATCH_TIMEOUT" not in mine
            each.append(tuple(sorted(mine.items())))
        else:
            assert "NUM_STREAMS" not in mine
            assert 1 <= int(mine.get("NPU_TILES", "1")) <= (hardware.devices[name].tiles or 1)
            each.append(tuple(sorted(mine.items())))
        if is_sync:
            assert (streams, requests) == (1, 1)
            assert gathered == 1
        elif device != "NPU":
            assert requests % (streams * gathered) == 0
    if configuration.device == "NPU":
        assert 1 <= requests <= 8
    hint = configuration.properties["PERFORMANCE_HINT"]
    decides = hint if device == "NPU" or device.startswith("AUTO") else ""
    timeout = configuration.properties.get("AUTO_BATCH_TIMEOUT")
    return (device, *each, requests, configuration.batch_size, is_sync, decides, timeout)


def on_cpu(mine: dict[str, str], hardware: Hardware) -> tuple[object, ...]:
    """Of the CPU; switches that do nothing here do not count."""
    streams, threads = int(mine["NUM_STREAMS"]), int(mine["INFERENCE_NUM_THREADS"])
    both = mine.get("ENABLE_HYPER_THREADING", "YES") == "YES"
    which = mine.get("SCHEDULING_CORE_TYPE", "ANY_CORE")
    extra = hardware.cpus - hardware.cores
    most = {
        "ANY_CORE": hardware.cores + (extra if both else 0),
        "PCORE_ONLY": hardware.core_types.get("P", 0) + (extra if both else 0),
        "ECORE_ONLY": hardware.core_types.get("E", 0),
    }[which]
    assert threads <= most
    assert threads % streams == 0
    policy = mine.get("MODEL_DISTRIBUTION_POLICY")
    assert policy is None or (streams == 1 and hardware.sockets > 1)
    assert ("ENABLE_HYPER_THREADING" in mine) <= hardware.has_smt
    assert ("SCHEDULING_CORE_TYPE" in mine) <= bool(hardware.core_types)
    same = both if which != "ECORE_ONLY" else True
    others = {k: v for k, v in mine.items() if k != "ENABLE_HYPER_THREADING"}
    others.pop("PERFORMANCE_HINT", None)
    return (same, *sorted(others.items()))


@pytest.mark.parametrize(("which", "devices"), CASES)
@pytest.mark.parametrize("api", [["async"], ["sync", "async"]])
def test_no_draw_is_clamped_and_no_two_are_one(
    which: str, devices: list[str], api: list[str]
) -> None:
    """A thousand combinations of each, by the rules as the reference has them."""
    named = {"core_type": ["ANY_CORE", "PCORE_ONLY", "ECORE_ONLY"]} if which == "hybrid" else {}
    space = space_of(which, devices, api=api, **named)
    found: dict[tuple[object, ...], Configuration] = {}
    for point in some(space):
        assert space.canonical(point) == point
        configuration = space.configuration(point)
        comes_to = effective(configuration, HARDWARE[which])
        assert found.setdefault(comes_to, configuration) == configuration


@pytest.mark.parametrize(("which", "devices"), [CASES[3], CASES[6]])
def test_points_are_what_draws_come_to(which: str, devices: list[str]) -> None:
    """In a space that is small enough to be listed whole; each once, in order."""
    space = space_of(which, devices, batch=[1, 2], requests_per_stream=[1, 2], precision=["f32"])
    points = list(space.points())
    assert points == sorted(set(points))
    assert set(some(space, 3000)) <= set(points)
    assert all(space.canonical(point) == point for point in points)
    assert len({space.configuration(point) for point in points}) == len(points)


# --- studies of before


def flat(devices: tuple[str, ...]) -> SearchSpace:
    """As a version stored it that gave all devices the same choices."""
    return SearchSpace(
        {
            "device": devices,
            "threads_per_stream": (1, 2, 3, 4),
            "streams": (1, 2, 3, 4),
            "requests_per_stream": (1, 2, 3, 4),
            "batch": (1, 2, 4, 8, 16, 32, 64),
            "pinning": (True, False),
            "precision": ("f32", "bf16"),
            "api": (Api.ASYNC,),
        },
        4,
    )


@pytest.mark.parametrize("devices", [("CPU",), ("CPU", "AUTO:CPU"), ("AUTO",), ("CPU", "NPU")])
def test_an_older_study_goes_on_with_the_space_that_it_had(devices: tuple[str, ...]) -> None:
    """And what stands for others was left to its hint there."""
    begun = flat(devices)
    known = Known(precisions=PRECISIONS, cap_ms=40.0)
    hardware = Hardware(cpus=4, cores=4, devices={"CPU": CPU})
    named: dict[str, Any] = {"device": list(devices)}
    found = derive_space(SpaceSpec(**named), hardware, known, begun)
    assert found == begun
    assert found.to_dict() == begun.to_dict()
    assert set(found.to_dict()) == {"cpus", *FIRST}
    for point in found.points():
        configuration = found.configuration(point)
        if configuration.device.startswith("AUTO"):
            assert "NUM_STREAMS" not in str(configuration.properties)
            assert "on_members" not in configuration.to_dict()


OF_ALL: dict[str, Any] = {"device": ["NPU", "CPU", "AUTO:NPU,CPU"]}


def test_a_newer_study_goes_on_with_its_own_choices() -> None:
    """Whatever is known of the model by now."""
    begun = space_of("npu", OF_ALL["device"])
    known = Known(precisions=PRECISIONS, cap_ms=40.0)
    again = derive_space(SpaceSpec(**OF_ALL), HARDWARE["npu"], known, begun)
    assert again == begun
