"""What a worker says is outside input."""

import base64
import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.inspection import DeviceFacts, ModelPort, Overview
from autotune.domain.model_facts import ModelFacts, Weights
from autotune.machines.protocol import (
    BlockDone,
    Examined,
    Failed,
    Inspected,
    Looked,
    Message,
    parse_message,
)

BLOCK: dict[str, Any] = {
    "say": "block",
    "duration_s": 0.5,
    "latency_ticks": base64.b64encode(bytes(8)).decode(),
    "occupancy": 1.0,
    "loop_cpu_s": 0.1,
    "process_cpu_s": 0.2,
    "steal_s": None,
    "pressure_s": None,
    "throttled": None,
    "major_faults": 0,
    "clock_drift_s": 0.0,
}
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
_WORDS = st.sampled_from(
    ["ready", "failed", "looked", "inspected", "opened", "progress", "block", "stopped"]
)


def parses(line: bytes) -> bool:
    """Whether it is an answer; anything but a ValueError is a fault of the parser."""
    try:
        return isinstance(parse_message(line), Message)
    except ValueError:
        return False


@given(st.binary())
def test_any_bytes_are_an_answer_or_a_value_error(line: bytes) -> None:
    """Nothing else."""
    parses(line)


@given(_JSON)
def test_any_json_is_an_answer_or_a_value_error(value: object) -> None:
    """Nothing else."""
    parses(json.dumps(value).encode())


@given(_WORDS, st.dictionaries(st.sampled_from(sorted(BLOCK)), _JSON))
def test_any_fields_are_an_answer_or_a_value_error(word: str, fields: dict[str, object]) -> None:
    """Also with the right names."""
    parses(json.dumps({**BLOCK, **fields, "say": word}).encode())


@given(st.sampled_from(sorted(BLOCK)), _JSON)
def test_a_block_that_parses_is_a_block_of_the_domain(name: str, value: object) -> None:
    """With one field replaced by anything: either refused, or usable without a further check."""
    line = json.dumps({**BLOCK, name: value}).encode()
    if parses(line):
        answer = parse_message(line)
        if isinstance(answer, BlockDone):
            block = answer.block(cpus=2)
            assert block.completions > 0
            assert isinstance(block.flags, frozenset)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("duration_s", 0),
        ("duration_s", float("nan")),
        ("occupancy", float("nan")),
        ("steal_s", float("inf")),
        ("loop_cpu_s", -1),
        ("latency_ticks", ""),
        ("latency_ticks", "AAAA"),
        ("latency_ticks", "no base64"),
        ("major_faults", 2**63),
        ("major_faults", -1),
        ("unheard_of", 1),
    ],
)
def test_a_block_that_cannot_be_is_refused(name: str, value: object) -> None:
    """Numbers are finite, times not negative, latencies whole; the message names the field."""
    with pytest.raises(ValueError, match=name):
        parse_message(json.dumps({**BLOCK, name: value}).encode())


def test_a_deep_nesting_is_refused() -> None:
    """Without exhausting the stack."""
    assert not parses(b"[" * 100_000)


def test_a_text_has_a_limit() -> None:
    """A message is for people."""
    assert isinstance(parse_message(b'{"say":"failed","kind":"lost","message":"x"}'), Failed)
    long = json.dumps({"say": "failed", "kind": "lost", "message": "x" * 20_001})
    assert not parses(long.encode())


PORT = {"name": "x", "shape": "[1,3]", "type": "f32"}
DEVICE = {
    "name": "a CPU",
    "capabilities": ["FP32"],
    "streams": [1, 2],
    "requests": [1, 8, 1],
    "max_batch": 64,
    "best_batch": 16,
    "tiles": 4,
    "kind": "integrated",
    "properties": {"NUM_STREAMS": "RW"},
}
SEEN = {
    "openvino": "2026.4",
    "devices": {"CPU": DEVICE, "NPU": {**DEVICE, "streams": None}},
    "inputs": [PORT],
    "outputs": [{**PORT, "name": "y"}, PORT],
}


A_DEVICE = DeviceFacts(
    name="a CPU",
    capabilities=("FP32",),
    streams=(1, 2),
    requests=(1, 8, 1),
    max_batch=64,
    best_batch=16,
    tiles=4,
    kind="integrated",
    properties={"NUM_STREAMS": "RW"},
)


def test_what_was_looked_at_is_a_value_of_the_domain() -> None:
    """With all that was said."""
    line = json.dumps({"say": "looked", **SEEN, "static_inputs": [PORT]}).encode()
    answer = parse_message(line)
    assert isinstance(answer, Looked)
    port = ModelPort(**PORT)
    assert answer.overview() == Overview(
        openvino="2026.4",
        devices={
            "CPU": A_DEVICE,
            "NPU": replace(A_DEVICE, streams=None),
        },
        inputs=(port,),
        outputs=(replace(port, name="y"), port),
        static_inputs=(port,),
    )


def test_what_a_device_is_absent_for_is_said() -> None:
    """By its name."""
    line = json.dumps({"say": "looked", **SEEN, "absent": {"GPU": "no driver"}}).encode()
    answer = parse_message(line)
    assert isinstance(answer, Looked)
    assert answer.overview().absent == {"GPU": "no driver"}


def test_what_was_examined_is_a_value_of_the_domain() -> None:
    """With all that was said."""
    said = {
        "layouts": {"x": "[N,C,H,W]"},
        "compressed": {"i8": 16},
        "operations": {"Relu": 2},
        "tables": {"ids": 30522},
        "batch_lost": "Reshape 'r' has a constant first dimension 1",
    }
    texts = {name: [name] for name in ("foreign", "variables", "data_dependent")}
    weights = [{"type": "i8", "values": 16, "size_bytes": 16}]
    line = json.dumps(
        {
            "say": "examined",
            "openvino": "2026.4",
            "inputs": [PORT],
            "outputs": [PORT],
            "static_inputs": [PORT],
            "weights": weights,
            **said,
            **texts,
        }
    ).encode()
    answer = parse_message(line)
    assert isinstance(answer, Examined)
    port = ModelPort(**PORT)
    facts: dict[str, Any] = {**said, **{name: tuple(found) for name, found in texts.items()}}
    assert answer.facts() == ModelFacts(
        openvino="2026.4",
        inputs=(port,),
        outputs=(port,),
        static_inputs=(port,),
        weights=(Weights(type="i8", values=16, size_bytes=16),),
        **facts,
    )


def test_what_was_inspected_is_a_value_of_the_domain() -> None:
    """Every field has the name and what it says; only ports, devices and lists are other types."""
    fields = {
        **SEEN,
        "default_precision": "bf16",
        "precision_errors": {"bf16": 0.01, "f16": None},
        "untrusted": {"f16": "it overflows"},
        "unproven_precisions": {"CPU": {"bf16": "too close"}},
        "is_deterministic": False,
        "why_no_batch": "other answers",
        "unproven_batch": "samples alike",
        "static_shapes": {"x": [1, 3]},
        "items_per_request": 4,
        "fed_warnings": ["zeros"],
        "why_no_energy": "there are no counters",
        "why_no_memory": "a sandbox",
        "why_one_request": "it keeps state",
        "unsaid_ids": {"ids": 30522},
        "workload": {
            "samples": 3,
            "is_random": True,
            "stand_ins": {"x": [1, 5]},
            "notes": ["one was skipped"],
            "shapes": [{"x": [1, 3]}, {"x": [1, 5]}],
            "weights": [0.5, 0.5],
            "pads": {"x": [[0.0, 1]]},
            "costs_ms": [[[3], 0.5], [[5], 0.75]],
            "why_no_padding": "it changes answers",
            "why_no_open_shapes": "it cannot",
            "why_no_graph": "they differ",
            "is_prepared": True,
            "images_vary": True,
            "image_size": [480, 640],
            "image_sizes": 4,
            "states": "carried",
        },
    }
    answer = parse_message(json.dumps({"say": "inspected", **fields}).encode())
    assert isinstance(answer, Inspected)
    assert json.loads(json.dumps(asdict(answer.inspection()))) == fields
