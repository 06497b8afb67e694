"""The space: every combination has one canonical form, and every canonical point is legal."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.space.configuration import CompileKey, Configuration
from autotune.space.dimensions import DIMENSIONS, Api, PerformanceHint, is_cpu
from autotune.space.space import Point, SearchSpace
from tests.domain.builders import make_effective
from tests.space.builders import make_space


def point_at(space: SearchSpace, **values: Any) -> Point:
    """The point with these values, and the first choice elsewhere."""
    return tuple(
        space.choices[name].index(values.get(name, space.choices[name][0])) for name in DIMENSIONS
    )


def some(*values: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    """Distinct choices out of these, in any order."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True).map(tuple)


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Spaces of any devices, APIs, counts and CPUs; ordered dimensions ascend."""
    counts = some(1, 2, 3, 4, 6, 8, 16).map(lambda values: tuple(sorted(values)))
    choices = {
        "device": draw(some("CPU", "GPU", "NPU")),
        "threads_per_stream": draw(counts),
        "streams": draw(counts),
        "requests_per_stream": draw(counts),
        "batch": draw(counts),
        "pinning": draw(some(True, False)),
        "precision": draw(some("f32", "bf16")),
        "api": draw(some(Api.ASYNC, Api.SYNC)),
    }
    least = choices["threads_per_stream"][0] * choices["streams"][0]
    cpus = draw(st.integers(least if "CPU" in choices["device"] else 1, 300))
    return SearchSpace(choices, cpus)


@st.composite
def spaces_and_points(draw: st.DrawFn) -> tuple[SearchSpace, Point]:
    """A space and any combination of its choices."""
    space = draw(spaces())
    return space, tuple(draw(st.integers(0, len(space.choices[name]) - 1)) for name in DIMENSIONS)


# --- canonical form


@given(spaces_and_points())
def test_repair_is_done_once(drawn: tuple[SearchSpace, Point]) -> None:
    """A canonical point is its own canonical form."""
    space, point = drawn
    assert space.canonical(space.canonical(point)) == space.canonical(point)


@given(spaces_and_points())
def test_every_combination_is_in_the_space(drawn: tuple[SearchSpace, Point]) -> None:
    """Whatever a sampler proposes becomes one of the points."""
    space, point = drawn
    assert space.canonical(point) in set(space.points())


@given(spaces())
def test_no_point_has_more_threads_than_cpus(space: SearchSpace) -> None:
    """On the CPU, streams times threads per stream never exceed the CPUs."""
    for point in space.points():
        configuration = space.configuration(point)
        if is_cpu(configuration.device):
            assert configuration.streams is not None
            assert configuration.threads_per_stream is not None
            assert configuration.streams * configuration.threads_per_stream <= space.cpus


@given(spaces())
def test_no_configuration_has_two_points(space: SearchSpace) -> None:
    """Different points are different configurations, and `size` counts them."""
    points = list(space.points())
    configurations = {space.configuration(point) for point in points}
    assert len(configurations) == len(set(points)) == len(points) == space.size


@given(spaces_and_points())
def test_repair_changes_only_what_makes_no_sense(drawn: tuple[SearchSpace, Point]) -> None:
    """Device, batch, precision and API stay; a legal pair of streams and threads stays."""
    space, point = drawn
    before, after = space.values(point), space.values(space.canonical(point))
    for name in ("device", "batch", "precision", "api"):
        assert after[name] == before[name]
    fits = before["threads_per_stream"] * before["streams"] <= space.cpus
    if is_cpu(before["device"]) and fits and before["api"] is Api.ASYNC:
        assert space.canonical(point) == point


@given(spaces())
def test_a_configuration_is_found_again(space: SearchSpace) -> None:
    """A configuration made at a point lies at that point."""
    for point in space.points():
        assert space.locate(space.configuration(point)) == point


def test_threads_are_kept_and_streams_give_way() -> None:
    """Too many threads in all are taken from the streams."""
    space = make_space(cpus=4)
    repaired = space.canonical(point_at(space, threads_per_stream=2, streams=4))
    assert repaired == point_at(space, threads_per_stream=2, streams=2)


def test_threads_give_way_where_one_stream_has_too_many() -> None:
    """Threads that exceed the CPUs in a single stream are taken from the threads."""
    space = make_space(cpus=2)
    repaired = space.canonical(point_at(space, threads_per_stream=4, streams=1))
    assert repaired == point_at(space, threads_per_stream=2, streams=1)


def test_a_blocking_request_has_one_form() -> None:
    """With the synchronous API, streams and requests per stream make no difference."""
    space = make_space(api=(Api.ASYNC, Api.SYNC))
    synchronous = [p for p in space.points() if space.values(p)["api"] is Api.SYNC]
    assert {space.values(p)["streams"] for p in synchronous} == {1}
    assert {space.values(p)["requests_per_stream"] for p in synchronous} == {1}
    configuration = space.configuration(synchronous[0])
    assert configuration.num_requests == 1
    assert configuration.hint is PerformanceHint.LATENCY


def test_a_gpu_has_neither_threads_nor_pinning() -> None:
    """Dimensions that a device does not have are not set, and not tried twice."""
    space = make_space(device=("GPU",), pinning=(True, False), streams=(1, 2, 64))
    assert space.size == 3 * 2 * 2  # streams, requests per stream, batch
    for point in space.points():
        configuration = space.configuration(point)
        assert configuration.threads_per_stream is None
        assert configuration.pinning is None


def test_size_of_a_small_space() -> None:
    """Four CPUs allow six pairs of one, two or four threads and streams."""
    assert make_space(cpus=4).size == 6 * 2 * 2
    assert make_space(cpus=1).size == 1 * 2 * 2


# --- illegal spaces


def test_an_impossible_cpu_space_is_refused() -> None:
    """The message names both choices and the CPUs."""
    with pytest.raises(ValueError, match=r"streams \[4\].*threads_per_stream \[2\].*4 CPUs"):
        make_space(cpus=4, streams=(4,), threads_per_stream=(2,))


def test_the_cpus_do_not_bound_other_devices() -> None:
    """Streams of a GPU may outnumber the CPUs of the machine."""
    space = make_space(cpus=1, device=("GPU",), streams=(4,), threads_per_stream=(2,))
    assert {space.configuration(point).streams for point in space.points()} == {4}


def test_a_dimension_without_choice_is_refused() -> None:
    """Every dimension has at least one choice, and none is missing."""
    with pytest.raises(ValueError, match="none empty"):
        make_space(batch=())
    with pytest.raises(ValueError, match="dimensions"):
        SearchSpace({"device": ("CPU",)}, 1)


# --- what lies where


def test_sampled_are_the_dimensions_with_a_choice() -> None:
    """A dimension with one choice is fixed."""
    assert make_space().sampled == (
        "threads_per_stream",
        "streams",
        "requests_per_stream",
        "batch",
    )


def test_a_hint_lies_where_the_runtime_put_it() -> None:
    """With what was read back, a bare hint is found at the settings it resolved to."""
    space = make_space(cpus=4)
    hint = Configuration(device="CPU")
    effective = make_effective(
        4,
        NUM_STREAMS="2",
        INFERENCE_NUM_THREADS="4",
        ENABLE_CPU_PINNING="YES",
        INFERENCE_PRECISION_HINT="f32",
    )
    expected = point_at(space, threads_per_stream=2, streams=2, requests_per_stream=2)
    assert space.locate(hint, effective) == expected
    assert space.locate(hint) is None


@pytest.mark.parametrize(
    "properties",
    [
        {"NUM_STREAMS": "3"},  # not among the choices
        {"INFERENCE_NUM_THREADS": "3"},  # not the same for every stream
        {"INFERENCE_NUM_THREADS": "8"},  # more than there are CPUs
        {"ENABLE_CPU_PINNING": "NO"},
        {"INFERENCE_PRECISION_HINT": "bf16"},
        {"NUM_STREAMS": "0"},
        {"NUM_STREAMS": "-1"},
        {"NUM_STREAMS": "AUTO"},
    ],
)
def test_a_hint_outside_of_the_space_is_nowhere(properties: dict[str, str]) -> None:
    """Settings that no point has are located nowhere, whatever the runtime reports."""
    inside = {
        "NUM_STREAMS": "2",
        "INFERENCE_NUM_THREADS": "4",
        "ENABLE_CPU_PINNING": "YES",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    effective = make_effective(4, **{**inside, **properties})
    assert make_space(cpus=4).locate(Configuration(device="CPU"), effective) is None


def test_a_space_is_stored_as_json() -> None:
    """The dictionary form holds the CPUs and every choice, and survives JSON."""
    values = make_space(api=(Api.ASYNC, Api.SYNC)).to_dict()
    assert json.loads(json.dumps(values)) == values
    assert values["cpus"] == 4
    assert values["api"] == ["async", "sync"]


def test_what_is_no_space_is_not_read() -> None:
    """A dimension is missing, or has a choice that does not exist."""
    values = make_space().to_dict()
    del values["batch"]
    with pytest.raises(ValueError, match="not a search space: 'batch'"):
        SearchSpace.from_dict(values)
    with pytest.raises(ValueError, match="by post"):
        SearchSpace.from_dict({**make_space().to_dict(), "api": ["by post"]})
    with pytest.raises(ValueError, match="not a search space"):
        SearchSpace.from_dict({**make_space().to_dict(), "cpus": "four"})


@given(spaces())
def test_a_stored_space_is_read_back(space: SearchSpace) -> None:
    """Through JSON, with every choice of the type that it had."""
    found = SearchSpace.from_dict(json.loads(json.dumps(space.to_dict())))
    assert found == space
    assert all(isinstance(api, Api) for api in found.choices["api"])
    assert list(found.points()) == list(space.points())


# --- every point


def by_brute_force(space: SearchSpace) -> list[Point]:
    """Every combination that is its own canonical form."""
    everything = itertools.product(*(range(len(space.choices[name])) for name in DIMENSIONS))
    return [point for point in everything if space.canonical(point) == point]


@given(spaces())
def test_points_are_the_canonical_combinations(space: SearchSpace) -> None:
    """All of them, once, in lexical order: those that are their own canonical form."""
    assert list(space.points()) == by_brute_force(space)


@given(st.integers(1, 12), st.permutations([Api.ASYNC, Api.SYNC]), st.permutations(["CPU", "GPU"]))
def test_points_of_two_devices_and_both_apis(
    cpus: int, apis: list[Api], devices: list[str]
) -> None:
    """In any order of the choices, and however few pairs of streams and threads are legal."""
    space = make_space(
        cpus, device=tuple(devices), api=tuple(apis), pinning=(True, False), streams=(1, 3, 8)
    )
    assert list(space.points()) == by_brute_force(space)


# --- points that share a compiled model


@given(spaces().filter(lambda space: space.size <= 400))
def test_the_same_model_is_the_same_compile_key(space: SearchSpace) -> None:
    """Of every point: those whose configurations are compiled alike, itself among them."""
    by_key: dict[CompileKey, list[Point]] = {}
    for point in space.points():
        by_key.setdefault(space.configuration(point).compile_key, []).append(point)
    for point in space.points():
        configuration = space.configuration(point)
        assert space.same_model(configuration) == by_key[configuration.compile_key]


def test_a_meta_device_has_one_model_for_all_streams() -> None:
    """It is not told of streams, so a model that fails to open fails for every one of them."""
    space = make_space(device=("AUTO",))
    configuration = space.configuration(next(space.points()))
    alike = [
        point
        for point in space.points()
        if space.configuration(point).compile_key == configuration.compile_key
    ]
    assert len(alike) == 3 * 2  # streams, requests per stream
    assert space.same_model(configuration) == alike


def test_what_is_nowhere_shares_no_model() -> None:
    """A bare hint, or a configuration of another space."""
    assert make_space().same_model(Configuration(device="CPU")) == []
    wider = make_space(streams=(1, 3))
    other = wider.configuration(point_at(wider, streams=3))
    assert make_space().same_model(other) == []


# --- the nearest point


@given(spaces())
def test_a_configuration_of_the_space_is_nearest_to_itself(space: SearchSpace) -> None:
    """There is nothing to be moved."""
    for point in itertools.islice(space.points(), 200):
        assert space.nearest(space.configuration(point)) == point


@given(spaces(), spaces())
def test_the_nearest_is_a_point(space: SearchSpace, other: SearchSpace) -> None:
    """Whatever space a configuration comes from; None only where its device is missing."""
    for point in itertools.islice(other.points(), 0, None, 1 + other.size // 50):
        configuration = other.configuration(point)
        found = space.nearest(configuration)
        assert (found is None) == (configuration.device not in space.choices["device"])
        if found is not None:
            assert space.canonical(found) == found
            assert space.configuration(found).device == configuration.device


@pytest.mark.parametrize(
    ("choices", "batch", "expected"),
    [
        ((1, 2, 4), 4, 4),
        ((1, 8), 2, 1),
        ((1, 8), 4, 8),
        ((1, 2, 64), 32, 64),
        ((3, 4), 64, 4),
        ((6, 7), 1, 6),
    ],
)
def test_ordered_choices_are_near_by_ratio(
    choices: tuple[int, ...], batch: int, expected: int
) -> None:
    """From 1 to 2 is as far as from 32 to 64."""
    point = make_space(batch=choices).nearest(tuned(batch_size=batch))
    assert point is not None
    assert make_space(batch=choices).values(point)["batch"] == expected


def test_each_dimension_is_moved_for_itself() -> None:
    """Streams, threads and requests per stream, as far as the CPUs allow."""
    space = make_space(
        cpus=16, threads_per_stream=(1, 4), streams=(1, 4), requests_per_stream=(1, 3)
    )
    point = space.nearest(tuned(streams=5, threads_per_stream=3, num_requests=10))
    assert point == point_at(space, threads_per_stream=4, streams=4, requests_per_stream=3)
    tight = make_space(cpus=4, threads_per_stream=(1, 4), streams=(1, 4))
    point = tight.nearest(tuned(streams=5, threads_per_stream=3, num_requests=10))
    assert point == point_at(tight, threads_per_stream=4, streams=1, requests_per_stream=2)


def test_choices_without_order_are_kept_or_stand_at_the_first() -> None:
    """The same precision, pinning and API where the space has it."""
    space = make_space(
        precision=("f32", "bf16"), pinning=(True, False), api=(Api.ASYNC, Api.SYNC), batch=(1,)
    )
    kept = space.nearest(tuned(precision="bf16", pinning=False))
    assert kept == point_at(space, precision="bf16", pinning=False, streams=2)
    lost = make_space().nearest(tuned(precision="f16", pinning=False))
    assert lost == point_at(make_space(), streams=2)
    blocking = space.nearest(tuned(streams=1, num_requests=1, api=Api.SYNC))
    assert blocking == point_at(space, api=Api.SYNC)


def test_what_the_runtime_decided_is_near_to_nothing() -> None:
    """A hint has no streams to compare; a device that is not there has no place."""
    assert make_space().nearest(Configuration(device="CPU")) is None
    assert make_space().nearest(tuned(device="GPU")) is None


def tuned(**fields: Any) -> Configuration:
    """Two streams of one thread on the CPU, two requests."""
    values: dict[str, Any] = {
        "device": "CPU",
        "streams": 2,
        "threads_per_stream": 1,
        "pinning": True,
        "precision": "f32",
        "num_requests": 2,
        **fields,
    }
    return Configuration(**values)
