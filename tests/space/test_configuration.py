"""Configurations: their text forms, their keys, and what the runtime makes of them."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.space.configuration import Configuration, Effective
from autotune.space.dimensions import Api, PerformanceHint
from tests.builders import make_configuration
from tests.domain.builders import make_effective

COUNTS = st.none() | st.integers(1, 64)
CONFIGURATIONS = st.builds(
    Configuration,
    device=st.sampled_from(["CPU", "GPU", "GPU.1", "NPU", "AUTO:GPU,CPU", "MULTI:CPU"]),
    hint=st.sampled_from(PerformanceHint),
    streams=COUNTS,
    threads_per_stream=COUNTS,
    pinning=st.none() | st.booleans(),
    precision=st.sampled_from([None, "f32", "bf16", "f16"]),
    batch_size=st.integers(1, 64),
    num_requests=COUNTS,
    api=st.sampled_from(Api),
)
TUNED = Configuration(
    device="CPU",
    streams=2,
    threads_per_stream=3,
    pinning=True,
    precision="f32",
    batch_size=4,
    num_requests=6,
)


@given(CONFIGURATIONS)
def test_dictionary_round_trip(configuration: Configuration) -> None:
    """A configuration survives its dictionary, and that dictionary survives JSON."""
    values = json.loads(json.dumps(configuration.to_dict()))
    assert Configuration.from_dict(values) == configuration
    assert Configuration.from_dict(values).key == configuration.key
    assert Configuration.from_dict(values).hint is configuration.hint
    assert Configuration.from_dict(values).api is configuration.api


@given(CONFIGURATIONS, CONFIGURATIONS)
def test_keys_name_configurations(one: Configuration, other: Configuration) -> None:
    """Different configurations have different keys, equal ones equal keys."""
    assert (one.key == other.key) == (one == other)
    assert (one.compile_key.key == other.compile_key.key) == (one.compile_key == other.compile_key)


def test_keys_are_the_same_in_every_process() -> None:
    """A key is a digest of the content, so that it can be looked up in a database."""
    assert Configuration(device="CPU").key == "d25378f3e717"
    assert len(TUNED.compile_key.key) == 12


@given(CONFIGURATIONS)
def test_properties_are_text_and_name_a_hint(configuration: Configuration) -> None:
    """Every property is text as the runtime takes it, and PERFORMANCE_HINT is never left out."""
    properties = configuration.properties
    assert properties["PERFORMANCE_HINT"] == configuration.hint
    assert all(isinstance(value, str) for value in properties.values())


def test_properties_of_a_tuned_cpu() -> None:
    """Streams and threads per stream become NUM_STREAMS and the total of threads."""
    assert TUNED.properties == {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": "2",
        "INFERENCE_NUM_THREADS": "6",
        "ENABLE_CPU_PINNING": "YES",
        "INFERENCE_PRECISION_HINT": "f32",
    }


def test_a_bare_hint_sets_nothing_else() -> None:
    """What is left to the hint is not set."""
    bare = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
    assert bare.properties == {"PERFORMANCE_HINT": "LATENCY"}


@pytest.mark.parametrize("device", ["GPU", "GPU.0"])
def test_a_gpu_never_batches_by_itself(device: str) -> None:
    """Automatic batching would let a lone request wait for its time-out."""
    assert Configuration(device=device).properties["ALLOW_AUTO_BATCHING"] == "NO"


@pytest.mark.parametrize("device", ["AUTO", "AUTO:GPU,CPU", "MULTI:CPU", "HETERO:GPU,CPU"])
def test_meta_devices_choose_their_own_streams(device: str) -> None:
    """Streams are not passed to devices that stand for others."""
    assert "NUM_STREAMS" not in Configuration(device=device, streams=2).properties


@given(CONFIGURATIONS, COUNTS, st.sampled_from(Api))
def test_compile_key_leaves_out_requests_and_api(
    configuration: Configuration, num_requests: int | None, api: Api
) -> None:
    """Another request count or API runs on the same compiled model."""
    changed = replace(configuration, num_requests=num_requests, api=api)
    assert changed.compile_key == configuration.compile_key


@pytest.mark.parametrize(
    "change",
    [
        {"device": "GPU"},
        {"streams": 1},
        {"threads_per_stream": 2},
        {"pinning": False},
        {"precision": "bf16"},
        {"batch_size": 8},
        {"hint": PerformanceHint.LATENCY},
    ],
)
def test_compile_key_holds_everything_else(change: dict[str, object]) -> None:
    """Any other change needs a new compiled model."""
    changed = Configuration.from_dict({**TUNED.to_dict(), **change})
    assert changed.compile_key != TUNED.compile_key


@pytest.mark.parametrize(
    ("configuration", "is_hint"),
    [
        (Configuration(device="CPU"), True),
        (Configuration(device="CPU", hint=PerformanceHint.LATENCY), True),
        (Configuration(device="CPU", batch_size=2), False),
        (Configuration(device="CPU", num_requests=1), False),
        (TUNED, False),
    ],
)
def test_a_baseline_is_a_bare_hint(configuration: Configuration, *, is_hint: bool) -> None:
    """Only a hint at batch 1 with its own number of requests is a baseline."""
    assert configuration.is_hint is is_hint


@pytest.mark.parametrize(
    ("configuration", "text"),
    [
        (Configuration(device="CPU"), "CPU THROUGHPUT hint"),
        (TUNED, "CPU 2 streams x 3 threads, 6 requests, batch 4, f32"),
        (
            replace(TUNED, pinning=False),
            "CPU 2 streams x 3 threads, 6 requests, batch 4, f32, unpinned",
        ),
        (replace(TUNED, api=Api.SYNC, precision=None), "CPU 2 streams x 3 threads, sync, batch 4"),
        (
            Configuration(device="GPU", batch_size=8),
            "GPU THROUGHPUT hint, optimal requests, batch 8",
        ),
    ],
)
def test_a_configuration_in_words(configuration: Configuration, text: str) -> None:
    """The text form names what a person needs to tell configurations apart."""
    assert str(configuration) == text


# --- what the runtime makes of it


def test_requests_are_resolved() -> None:
    """An open request count is the optimal one; a blocking loop has one request."""
    effective = make_effective(optimal_requests=4)
    assert effective.requests(Configuration(device="CPU")) == 4
    assert effective.requests(TUNED) == 6
    assert effective.requests(replace(TUNED, api=Api.SYNC)) == 1


def test_effective_properties_cannot_be_changed() -> None:
    """What was read back is evidence: neither the owner nor the caller can change it."""
    given_properties = {"NUM_STREAMS": "2"}
    effective = Effective(given_properties, 4)
    given_properties["NUM_STREAMS"] = "3"
    assert effective.properties["NUM_STREAMS"] == "2"
    with pytest.raises(TypeError):
        effective.properties["NUM_STREAMS"] = "3"  # type: ignore[index]


def test_equal_effects_have_equal_keys() -> None:
    """A hint and a tuned configuration that resolve to the same settings are one deployment."""
    same = {"NUM_STREAMS": "2", "INFERENCE_NUM_THREADS": "6"}
    hint, tuned = Configuration(device="CPU", batch_size=4), replace(TUNED, num_requests=6)
    by_hint = Effective({"PERFORMANCE_HINT": "THROUGHPUT", **same}, 6)
    by_hand = Effective({"PERFORMANCE_HINT": "LATENCY", **same}, 6)
    assert by_hint.key(hint) == by_hand.key(tuned)


@pytest.mark.parametrize(
    "change", [{"num_requests": 5}, {"batch_size": 8}, {"device": "GPU"}, {"api": Api.SYNC}]
)
def test_different_effects_have_different_keys(change: dict[str, object]) -> None:
    """Requests, batch, device and API decide the speed as much as the properties do."""
    effective = make_effective(NUM_STREAMS="2")
    changed = Configuration.from_dict({**TUNED.to_dict(), **change})
    assert effective.key(changed) != effective.key(TUNED)
    assert make_effective(NUM_STREAMS="3").key(TUNED) != effective.key(TUNED)


@pytest.mark.parametrize(
    "field",
    [
        {"streams": "x"},
        {"streams": 0},
        {"streams": 10**30},
        {"batch_size": None},
        {"pinning": "maybe"},
        {"pinning": 1},
        {"device": 3},
        {"num_requests": True},
    ],
    ids=str,
)
def test_a_stored_field_of_another_type_is_refused(field: dict[str, Any]) -> None:
    """Anybody may have written the database."""
    (name,) = field
    with pytest.raises(ValueError, match=name):
        Configuration.from_dict({**make_configuration().to_dict(), **field})


def test_an_unknown_field_is_refused() -> None:
    """It may mean anything."""
    with pytest.raises(KeyError, match="colour"):
        Configuration.from_dict({**make_configuration().to_dict(), "colour": "red"})
