"""The space of a study, from the machine, the model and the study's own wishes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.hardware import Hardware
from autotune.domain.inspection import DeviceFacts
from autotune.errors import SpecError
from autotune.search.derive import Known, derive_space, seeds, trusted_precisions
from autotune.space.configuration import Configuration
from autotune.space.dimensions import Api, PerformanceHint
from autotune.space.space import SearchSpace
from autotune.spec import SpaceSpec


def derived(cpus: int = 4, *, why_no_batch: str | None = None, **overrides: Any) -> SearchSpace:
    """The space on so many CPUs with these overrides."""
    gpu = DeviceFacts(name="a GPU", capabilities=("FP16",), streams=(1, 2))
    hardware = Hardware(cpus=cpus, cores=cpus, devices={"GPU": gpu})
    known = Known(precisions={"CPU": ("f32",)}, why_no_batch=why_no_batch)
    return derive_space(SpaceSpec(**overrides), hardware, known)


@pytest.mark.parametrize(
    ("cpus", "counts", "legal"),
    [
        (1, (1,), 1),
        (2, (1, 2), 3),
        (3, (1, 2, 3), 5),
        (16, (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16), 42),
        (64, (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64), 128),
    ],
)
def test_threads_and_streams_go_up_to_the_cpus(
    cpus: int, counts: tuple[int, ...], legal: int
) -> None:
    """Fine steps for few, coarse ones for many, the number of CPUs always among them."""
    space = derived(cpus)
    assert space.choices["threads_per_stream"] == counts
    assert space.choices["streams"] == counts
    assert space.choices["requests_per_stream"] == (1, 2, 3, 4)
    assert space.choices["batch"] == (1, 2, 4, 8, 16, 32, 64)
    pairs = sum(threads * streams <= cpus for threads in counts for streams in counts)
    assert pairs == legal
    assert space.size == pairs * 4 * 7 * 2  # requests, batches, pinning


@given(st.integers(1, 512))
def test_any_machine_has_a_space(cpus: int) -> None:
    """One stream on all CPUs and one thread for each stream are in every space."""
    space = derived(cpus, batch=[1], pinning=[True], requests_per_stream=[1])
    configurations = {space.configuration(point) for point in space.points()}
    pairs = {(c.streams, c.threads_per_stream) for c in configurations}
    assert {(1, cpus), (cpus, 1)} <= pairs


def test_overrides_fix_narrow_and_widen() -> None:
    """What the study says goes before what is derived, and is brought into order."""
    space = derived(4, streams=[8, 1], requests_per_stream=[6], batch=[3], pinning=[False])
    assert space.choices["streams"] == (1, 8)
    assert space.choices["requests_per_stream"] == (6,)
    assert space.choices["batch"] == (3,)
    assert space.choices["pinning"] == (False,)


def test_a_model_that_cannot_be_batched_has_batch_one() -> None:
    """Batches are not tried on a model that answers wrongly."""
    assert derived(why_no_batch="outputs differ").choices["batch"] == (1,)
    assert derived(why_no_batch="outputs differ", batch=[1]).choices["batch"] == (1,)


def test_asking_for_batches_of_such_a_model_is_refused() -> None:
    """The message says why, and the way out."""
    with pytest.raises(SpecError, match=r"\[space\] batch: .*outputs differ; leave batch out"):
        derived(why_no_batch="outputs differ", batch=[1, 2])


def test_more_threads_than_cpus_are_refused() -> None:
    """Overrides that no combination of fits the machine are an error of the study file."""
    with pytest.raises(SpecError, match=r"\[space\]: no combination of .* fits the 4 CPUs"):
        derived(4, streams=[4], threads_per_stream=[2])


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [("api", ["sync"], "wait for others"), ("batch", [2], "collects single requests")],
)
def test_what_a_device_cannot_have_is_not_left_out_in_silence(
    key: str, value: list[object], why: str
) -> None:
    """Who asks for it is told; beside a device that has it, it is that one's."""
    asked: dict[str, Any] = {key: value}
    with pytest.raises(SpecError, match=rf"\[space\] {key}: not on BATCH:CPU\(4\): .*{why}"):
        derived(device=["BATCH:CPU(4)"], **asked)
    space = derived(device=["BATCH:CPU(4)", "CPU"], **asked)
    assert len(space.choices[key]) == 1


@pytest.mark.parametrize(("device", "streams"), [("GPU", (1, 2)), ("VPU", (1, 2, 3, 4))])
def test_other_devices_report_their_streams(device: str, streams: tuple[int, ...]) -> None:
    """The most streams come from the device, or are four where it does not tell."""
    assert derived(16, device=[device]).choices["streams"] == streams


def test_streams_of_a_gpu_are_not_bound_by_the_cpus() -> None:
    """A study without the CPU may ask for more streams or threads than the machine has CPUs."""
    space = derived(1, device=["GPU"], streams=[4], threads_per_stream=[8])
    assert all(seed.device == "GPU" for seed in seeds(space))


# --- precision


@pytest.mark.parametrize(
    ("native", "default", "untrusted", "trusted"),
    [
        (["f32"], "f32", [], ("f32",)),
        (["f32", "bf16"], "f32", [], ("f32", "bf16")),
        (["f32", "bf16"], "f32", ["bf16"], ("f32",)),
        (["f32", "bf16", "f16"], "bf16", ["f16"], ("f32", "bf16")),
        ([], "f16", [], ("f16",)),
    ],
)
def test_a_precision_that_is_in_doubt_must_be_asked_for(
    native: list[str], default: str, untrusted: list[str], trusted: tuple[str, ...]
) -> None:
    """All that are native but for those; at least what the runtime uses by itself."""
    assert trusted_precisions(native, default, untrusted) == trusted


def test_an_asked_for_precision_needs_no_trust() -> None:
    """The study may name any precision."""
    assert derived(precision=["f16"]).choices["precision"] == ("f16",)


# --- seeds


def test_seeds_are_both_hints_and_a_single_request() -> None:
    """Every study first measures what the runtime would do by itself."""
    latency, throughput, lone = seeds(derived(4))
    assert latency == Configuration(device="CPU", hint=PerformanceHint.LATENCY)
    assert throughput == Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
    assert (lone.streams, lone.threads_per_stream, lone.num_requests, lone.batch_size) == (
        1,
        4,
        1,
        1,
    )


def test_every_device_has_its_hints() -> None:
    """Two hints for each device that the study names."""
    found = [(s.device, s.hint) for s in seeds(derived(device=["GPU", "CPU"])) if s.is_hint]
    assert found == [(d, h) for d in ("GPU", "CPU") for h in ("LATENCY", "THROUGHPUT")]


@given(
    cpus=st.integers(1, 64),
    api=st.sampled_from([["async"], ["sync"], ["sync", "async"]]),
    threads=st.none() | st.lists(st.integers(1, 64), min_size=1, max_size=3, unique=True),
)
def test_the_lone_request_lies_in_the_space(
    cpus: int, api: list[str], threads: list[int] | None
) -> None:
    """Whatever is overridden, the third seed is one of the points."""
    try:
        space = derived(cpus, api=[Api(a) for a in api], threads_per_stream=threads)
    except SpecError:
        return
    assert space.locate(seeds(space)[-1]) is not None
