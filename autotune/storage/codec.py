"""Rows to values of the domain and back."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any

import numpy as np

from autotune.domain.accuracy import Accuracy
from autotune.domain.failure import Failure, FailureKind
from autotune.domain.goal import Verdict
from autotune.domain.measurement import (
    Block,
    Feed,
    Flag,
    Interval,
    Latency,
    Measurement,
    Opening,
    Readings,
    StopReason,
)
from autotune.domain.race import Contender, Dossier, Dropped, LaunchReadings, Slice
from autotune.space.configuration import Configuration, Effective

_MAX_LATENCY_BYTES = 256 * 2**20


def pack_ticks(ticks: bytes) -> bytes:
    """Ascending latencies as compressed differences: about a byte for each request."""
    differences = np.diff(np.frombuffer(ticks, dtype="<u4"), prepend=np.uint32(0))
    return zlib.compress(differences.astype("<u4").tobytes())


def unpack_ticks(packed: bytes) -> bytes:
    """What `pack_ticks` packed.

    Raises:
        ValueError: it did not pack this.
    """
    inflating = zlib.decompressobj()
    try:
        raw = inflating.decompress(packed, _MAX_LATENCY_BYTES)
        if not inflating.eof:
            raise ValueError("cut off, or too many")  # noqa: TRY301 - as what numpy raises
        return np.cumsum(np.frombuffer(raw, dtype="<u4"), dtype="<u4").tobytes()
    except (zlib.error, ValueError) as error:
        message = f"latencies are damaged: {error}"
        raise ValueError(message) from error


def block_row(block: Block) -> dict[str, Any]:
    """Columns of `autotune_block`."""
    row = asdict(block)
    row["latencies"] = pack_ticks(row.pop("latency_ticks"))
    return row


_SHORTEST_S = 1e-6
_BLOCK_COLUMNS = tuple(field.name for field in fields(Block) if field.name != "latency_ticks")


def block_of(row: Mapping[str, Any]) -> Block:
    """The block in a row."""
    values = {name: row[name] for name in _BLOCK_COLUMNS}
    if not values["duration_s"] >= _SHORTEST_S:
        raise ValueError(f"a block of {values['duration_s']} s")
    return Block(latency_ticks=unpack_ticks(row["latencies"]), **values)


def measurement_row(measurement: Measurement) -> dict[str, Any]:
    """Columns of `autotune_measurement` that follow from the measurement itself."""
    configuration, opening, latency = (
        measurement.configuration,
        measurement.opening,
        measurement.latency,
    )
    return {
        "configuration": json.dumps(configuration.to_dict(), sort_keys=True),
        "configuration_key": configuration.key,
        "compile_key": configuration.compile_key.key,
        "effective": json.dumps(dict(opening.effective.properties), sort_keys=True),
        "effective_key": opening.effective.key(configuration),
        "optimal_requests": opening.effective.optimal_requests,
        "num_requests": measurement.num_requests,
        "verdict": measurement.verdict,
        "stop_reason": measurement.stop_reason,
        "throughput_per_s": measurement.throughput.mean,
        "throughput_low_per_s": measurement.throughput.low,
        "throughput_high_per_s": measurement.throughput.high,
        "requests": latency.requests,
        "over_cap": measurement.over_cap,
        **{
            f"latency_{name}": value
            for name, value in asdict(latency).items()
            if name != "requests"
        },
        "occupancy": measurement.occupancy,
        "loop_cpu_share": measurement.loop_cpu_share,
        "measure_s": measurement.measure_s,
        "peak_rss_bytes": measurement.peak_rss_bytes,
        **_readings_row(measurement.readings),
        "start_s": opening.start_s,
        "read_s": opening.read_s,
        "compile_s": opening.compile_s,
        "first_inference_ms": opening.first_inference_ms,
        "cached_compile_s": opening.cached_compile_s,
        "cached_first_inference_ms": opening.cached_first_inference_ms,
        "why_not_cached": opening.why_not_cached,
        "output_error": opening.output_error,
        "unproven": opening.unproven,
        "accuracy": opening.accuracy and json.dumps(opening.accuracy.to_dict()),
        "feed": measurement.feed,
        "flags": json.dumps(sorted(measurement.flags)),
        "warmup_blocks": measurement.warmup_blocks,
    }


def _readings_row(readings: Readings) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(readings, name) for name in _NUMBERS}
    for name in _COSTS:
        found: Interval | None = getattr(readings, name)
        row |= {
            name: found and found.mean,
            f"{name}_low": found and found.low,
            f"{name}_high": found and found.high,
        }
    return row


def _readings_of(row: Mapping[str, Any]) -> Readings:
    values: dict[str, Any] = {name: row[name] for name in _NUMBERS}
    for name in _COSTS:
        if row[name] is not None:
            values[name] = Interval(row[name], row[f"{name}_low"], row[f"{name}_high"])
    return Readings(**values)


_COSTS = ("cpu_s_per_item", "energy_j_per_item")
_NUMBERS = ("steady_rss_bytes", "open_peak_rss_bytes", "load_peak_rss_bytes", "prepare_ms")


@lru_cache(maxsize=4096)
def _configuration(text: str) -> Configuration:
    """A configuration that was measured again, or reused, is one object."""
    return Configuration.from_dict(json.loads(text))


@lru_cache(maxsize=1024)
def _effective(text: str, optimal_requests: int) -> Effective:
    """Configurations of one compiled model share what it reported.

    Raises:
        ValueError: a property is no text.
    """
    properties = json.loads(text)
    if not all(isinstance(value, str) for value in properties.values()):
        raise ValueError("a property is no text")
    return Effective(properties, optimal_requests)


def measurement_of(row: Mapping[str, Any], blocks: tuple[Block, ...]) -> Measurement:
    """The measurement in a row and its blocks."""
    return Measurement(
        configuration=_configuration(row["configuration"]),
        opening=Opening(
            effective=_effective(row["effective"], row["optimal_requests"]),
            start_s=row["start_s"],
            read_s=row["read_s"],
            compile_s=row["compile_s"],
            first_inference_ms=row["first_inference_ms"],
            output_error=row["output_error"],
            unproven=row["unproven"],
            accuracy=_accuracy(row["accuracy"]),
            cached_compile_s=row["cached_compile_s"],
            cached_first_inference_ms=row["cached_first_inference_ms"],
            why_not_cached=row["why_not_cached"],
            peak_rss_bytes=row["open_peak_rss_bytes"],
        ),
        num_requests=row["num_requests"],
        blocks=blocks,
        warmup_blocks=row["warmup_blocks"],
        verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
        stop_reason=StopReason(row["stop_reason"]),
        throughput=Interval(
            row["throughput_per_s"], row["throughput_low_per_s"], row["throughput_high_per_s"]
        ),
        latency=Latency(
            requests=row["requests"],
            **{name: row[f"latency_{name}"] for name in _LATENCIES},
        ),
        over_cap=row["over_cap"],
        occupancy=row["occupancy"],
        loop_cpu_share=row["loop_cpu_share"],
        measure_s=row["measure_s"],
        peak_rss_bytes=row["peak_rss_bytes"],
        feed=Feed(row["feed"]),
        flags=frozenset(Flag(name) for name in json.loads(row["flags"])),
        readings=_readings_of(row),
    )


def _accuracy(text: str | None) -> Accuracy | None:
    return None if text is None else Accuracy.from_dict(json.loads(text))


_LATENCIES = ("mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms", "goal_ms")


def failure_row(failure: Failure) -> dict[str, Any]:
    """Columns of `autotune_failure` that follow from the failure itself."""
    return asdict(failure)


def failure_of(row: Mapping[str, Any]) -> Failure:
    """The failure in a row."""
    return Failure(
        FailureKind(row["kind"]), row["message"], row["phase"], row["stderr_tail"], row["exit_code"]
    )


def contender_row(contender: Contender, dossier: Dossier) -> dict[str, Any]:
    """Columns of `autotune_contender` that follow from the contender and what is known of it."""
    taken = dossier.peak_rss_bytes
    return {
        "name": contender.name,
        "trial_number": contender.trial,
        "configuration": json.dumps(contender.configuration.to_dict(), sort_keys=True),
        "search_per_s": contender.search_per_s,
        "search_latency_ms": contender.search_latency_ms,
        "search_efficiency": contender.search_efficiency,
        "open_s": contender.open_s,
        **dossier_row(dossier),
        "peak_rss_bytes": contender.peak_rss_bytes if taken is None else taken,
    }


def dossier_row(dossier: Dossier) -> dict[str, Any]:
    """Columns of `autotune_contender` that change while the race goes on."""
    return {
        "opening": dossier.opening and opening_text(dossier.opening),
        "failure": dossier.failure and json.dumps(asdict(dossier.failure)),
        "dropped": dossier.dropped,
        **({} if dossier.peak_rss_bytes is None else {"peak_rss_bytes": dossier.peak_rss_bytes}),
    }


def contender_of(row: Mapping[str, Any]) -> tuple[Contender, Dossier]:
    """The contender in a row, and what is known of it."""
    contender = Contender(
        name=row["name"],
        configuration=Configuration.from_dict(json.loads(row["configuration"])),
        trial=row["trial_number"],
        search_per_s=row["search_per_s"],
        search_latency_ms=row["search_latency_ms"],
        search_efficiency=row["search_efficiency"],
        open_s=row["open_s"],
        peak_rss_bytes=row["peak_rss_bytes"],
    )
    dossier = Dossier(
        opening=None if row["opening"] is None else opening_of(row["opening"]),
        failure=None if row["failure"] is None else failure_of(json.loads(row["failure"])),
        dropped=None if row["dropped"] is None else Dropped(row["dropped"]),
        peak_rss_bytes=row["peak_rss_bytes"],
    )
    return contender, dossier


def opening_text(opening: Opening) -> str:
    """An opening as JSON; what schema 6 added only where it is known."""
    later = {name: getattr(opening, name) for name in _LATER}
    return json.dumps(
        {
            "effective": {
                "properties": dict(opening.effective.properties),
                "optimal_requests": opening.effective.optimal_requests,
            },
            "start_s": opening.start_s,
            "read_s": opening.read_s,
            "compile_s": opening.compile_s,
            "first_inference_ms": opening.first_inference_ms,
            "output_error": opening.output_error,
            "unproven": opening.unproven,
            **{name: value for name, value in later.items() if value is not None},
            **({} if opening.accuracy is None else {"accuracy": opening.accuracy.to_dict()}),
        }
    )


_LATER = ("cached_compile_s", "cached_first_inference_ms", "why_not_cached", "peak_rss_bytes")


def opening_of(text: str) -> Opening:
    """The opening in a JSON text."""
    values = json.loads(text)
    effective, accuracy = values.pop("effective"), values.pop("accuracy", None)
    return Opening(
        effective=Effective(effective["properties"], effective["optimal_requests"]),
        accuracy=None if accuracy is None else Accuracy.from_dict(accuracy),
        **values,
    )


def resident_row(found: LaunchReadings) -> dict[str, Any]:
    """Columns of `autotune_resident`."""
    return asdict(found)


def resident_of(row: Mapping[str, Any]) -> LaunchReadings:
    """What a fresh process took, in a row."""
    return LaunchReadings(**{field.name: row[field.name] for field in fields(LaunchReadings)})


def slice_row(piece: Slice) -> dict[str, Any]:
    """Columns of `autotune_slice` that follow from the slice."""
    return {
        "contender": piece.contender,
        "launch": piece.launch,
        "round": piece.round,
        "at_s": piece.at_s,
        **block_row(piece.block),
    }


def slice_of(row: Mapping[str, Any]) -> Slice:
    """The slice in a row."""
    return Slice(row["launch"], row["round"], row["contender"], row["at_s"], block_of(row))
