"""Our tables, beside Optuna's in the same database; documented by their comments.

History: 1, the first. 2: races (`autotune_race`, `autotune_contender`, `autotune_slice`), the
reference (`autotune_reference`), and `autotune_measurement.feed`. 3: `autotune_study.owner`. 4:
where things were measured (`autotune_machine`, `autotune_launch`, `machine_id` of sessions and
slices), `autotune_contender.dropped`, `autotune_measurement.unproven`, and `items_per_request` and
`fed` of `autotune_study`.
"""

from typing import Any

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 4

METADATA = MetaData()


def _text(name: str, comment: str, *, nullable: bool = False, index: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable, comment=comment, index=index)


def _real(name: str, comment: str, *, nullable: bool = True) -> Column[float]:
    return Column(name, Float, nullable=nullable, comment=comment)


def _whole(name: str, comment: str, *, nullable: bool = True) -> Column[int]:
    return Column(name, Integer, nullable=nullable, comment=comment)


def _machine_column() -> Column[int]:
    return Column(
        "machine_id",
        ForeignKey("autotune_machine.id"),
        nullable=True,
        comment="Where it was measured; null where an older version could not say.",
    )


def _block_columns() -> list[Column[Any]]:
    """The columns of a block, for each table that has some."""
    return [
        _real("duration_s", "From one completion to a later one.", nullable=False),
        Column(
            "latencies",
            LargeBinary,
            nullable=False,
            comment="zlib of little-endian uint32 differences of ascending latencies, "
            "ticks of 100 ns.",
        ),
        _real("occupancy", "Share of time in which a request slot was busy.", nullable=False),
        _real("loop_cpu_s", "CPU time of the load loop.", nullable=False),
        _real("process_cpu_s", "CPU time of the worker.", nullable=False),
        _real("steal_s", "CPU time taken by the hypervisor from the CPUs that the worker may use."),
        _real("pressure_s", "Time in which some task of the worker's cgroup waited for a CPU."),
        _whole("throttled", "Periods in which a quota of the worker's cgroups ran out."),
        _whole("major_faults", "Pages that came from disk.", nullable=False),
        _real("clock_drift_s", "Wall clock against monotonic clock.", nullable=False),
        _whole(
            "cpus",
            "CPUs that the worker may use: its affinity, or fewer under a quota.",
            nullable=False,
        ),
    ]


STUDY = Table(
    "autotune_study",
    METADATA,
    Column("id", Integer, primary_key=True, comment="Always 1: a database holds one study."),
    _whole("schema_version", "Version of the autotune tables.", nullable=False),
    _text("name", "Name of the study, also in Optuna's tables."),
    _text("created_at", "UTC, ISO 8601."),
    _text("spec", "The study as TOML, when it began."),
    _text("model_sha256", "Digest of the model file and its weights."),
    _text("inputs", "JSON: shapes of the inputs and digest of the input file. Must not change."),
    _text(
        "goal",
        "JSON: objective, percentile, cap_ms that requests are held to, headroom: the cap that was "
        "given is larger by it. Must not change.",
    ),
    _text("space", "JSON: choices of every dimension. Must not change."),
    _text(
        "owner",
        "Digest of the user and the machine that began it or said --trust; null before schema 3.",
        nullable=True,
    ),
    _whole("items_per_request", "Items in a request at batch 1; null for one. Must not change."),
    _text(
        "fed",
        "JSON: data (random or real), and warnings where random data may mislead; null before "
        "schema 4.",
        nullable=True,
    ),
    comment="What the study is; one row.",
)

MACHINE = Table(
    "autotune_machine",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False, unique=True, comment="Of hardware and runtime."),
    _text("hardware", "JSON: CPU model, and how many CPUs there are and may be used."),
    _text("runtime", "JSON: version of OpenVINO, devices, and variables that workers ran under."),
    comment="One row for each machine and runtime; numbers of two rows are never pooled.",
)

SESSION = Table(
    "autotune_session",
    METADATA,
    Column("id", Integer, primary_key=True),
    _text("started_at", "UTC, ISO 8601."),
    _real("elapsed_s", "Monotonic time spent, brought up to date at every trial.", nullable=False),
    _text("end", "Why it ended; null while it runs or after a crash.", nullable=True),
    _text("machine", "JSON: fingerprint of machine and runtime."),
    _text("versions", "JSON: versions of Python and packages."),
    _machine_column(),
    comment="One row for each start of the tuner; their times add up to the budget spent.",
)

MEASUREMENT = Table(
    "autotune_measurement",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("session_id", ForeignKey("autotune_session.id"), nullable=False),
    Column(
        "trial_number", Integer, nullable=True, unique=True, comment="Number of the Optuna trial."
    ),
    Column("phase", String(16), nullable=False, comment="search; later: reference, race, verify."),
    Column("origin", String(16), nullable=False, comment="seed, warm, sampled, sweep."),
    _text("measured_at", "UTC, ISO 8601."),
    _text("configuration", "JSON: as requested."),
    _text("configuration_key", "Digest of the configuration.", index=True),
    _text("compile_key", "Digest of what needs a new compile_model."),
    _text("effective", "JSON: every property read back from the compiled model."),
    _text(
        "effective_key",
        "Digest of what decides the speed; equal keys are measured once.",
        index=True,
    ),
    _whole(
        "optimal_requests",
        "What the compiled model calls its optimal request count.",
        nullable=False,
    ),
    _whole("num_requests", "Requests kept in flight.", nullable=False),
    _whole("reused_from", "Trial whose measurement this row repeats: same effective key."),
    _text(
        "verdict",
        "met, missed, unclear against the study's cap; null without a cap.",
        nullable=True,
    ),
    _text("stop_reason", "missed, dominated, decided, limit."),
    _real("throughput_per_s", "Mean items per second over the counted blocks.", nullable=False),
    _real("throughput_low_per_s", "Lower end of the 95 % interval from block means."),
    _real("throughput_high_per_s", "Upper end."),
    _whole("requests", "Completed requests in the counted blocks.", nullable=False),
    _whole("over_cap", "Of these, slower than the study's cap.", nullable=False),
    _real("latency_mean_ms", "Request latency over the counted blocks.", nullable=False),
    _real("latency_p50_ms", "Nearest rank.", nullable=False),
    _real("latency_p90_ms", "Nearest rank.", nullable=False),
    _real("latency_p95_ms", "Nearest rank.", nullable=False),
    _real("latency_p99_ms", "Nearest rank.", nullable=False),
    _real("latency_max_ms", "Slowest request.", nullable=False),
    _real("latency_goal_ms", "The percentile of the study's goal.", nullable=False),
    _real("occupancy", "Share of time in which a request slot was busy.", nullable=False),
    _real("loop_cpu_share", "CPU share of the load loop.", nullable=False),
    _real("measure_s", "Time under load, warm-up included.", nullable=False),
    _whole("peak_rss_bytes", "High-water mark of the worker's resident memory."),
    _real("start_s", "Spawning the worker and importing the runtime.", nullable=False),
    _real("read_s", "Reading and reshaping the model.", nullable=False),
    _real("compile_s", "compile_model.", nullable=False),
    _real("first_inference_ms", "First request after compiling.", nullable=False),
    _real("output_error", "Largest deviation from batch 1, relative to the largest output."),
    _text(
        "unproven",
        "Why the answers could not be shown to be those of single requests; null where they were, "
        "and before schema 4: the last event of the kind unproven then has the say.",
        nullable=True,
    ),
    Column(
        "feed",
        String(8),
        nullable=False,
        server_default="bind",
        comment="bind: inputs set once; copy: copied before every request.",
    ),
    _text("flags", "JSON list: reasons to doubt the blocks."),
    _whole("warmup_blocks", "How many of the first blocks are not counted.", nullable=False),
    comment="One row for each measured configuration; statistics repeat what the blocks say, "
    "so that a viewer need not decode them.",
)

BLOCK = Table(
    "autotune_block",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("measurement_id", ForeignKey("autotune_measurement.id"), nullable=False, index=True),
    _whole(
        "position",
        "Order within the measurement, from 0; the first ones are warm-up.",
        nullable=False,
    ),
    *_block_columns(),
    UniqueConstraint("measurement_id", "position"),
    comment="One row for each block of load.",
)

REFERENCE = Table(
    "autotune_reference",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("session_id", ForeignKey("autotune_session.id"), nullable=False, index=True),
    _real("at_s", "Seconds since the session began, at the end of the slice.", nullable=False),
    _text("configuration_key", "Digest of the reference's configuration: the better hint."),
    *_block_columns(),
    comment="One row for each slice of the reference, measured between trials to see drift.",
)

RACE = Table(
    "autotune_race",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("session_id", ForeignKey("autotune_session.id"), nullable=False),
    _text("started_at", "UTC, ISO 8601."),
    _whole("trials", "Recorded trials when it began.", nullable=False),
    _whole("baseline", "Position of the search's better hint; ratios are taken to the race's."),
    Column("feed", String(8), nullable=False, comment="bind or copy, as for measurements."),
    _real("tie_margin", "Relative difference below which contenders are equal.", nullable=False),
    _real("noise", "The machine's calibrated A/A noise; null where never calibrated."),
    Column("end", String(16), comment="decided, budget, launches, stopped, empty; null: cut off."),
    _real("duration_s", "Time that it took; null while it goes on."),
    comment="One row for each race, the last stage of a study.",
)

CONTENDER = Table(
    "autotune_contender",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("race_id", ForeignKey("autotune_race.id"), nullable=False, index=True),
    _whole("position", "Order of promise, from 0.", nullable=False),
    _text("name", "What tables call it."),
    _whole("trial_number", "The trial that found it."),
    _text("configuration", "JSON: as requested."),
    _real("search_per_s", "The search's own throughput, items per second."),
    _real("search_latency_ms", "The search's own latency percentile."),
    _real("open_s", "What opening it is expected to take.", nullable=False),
    _text("opening", "JSON: what its last launch found; null before the first.", nullable=True),
    _text("failure", "JSON: why it is out, if it failed.", nullable=True),
    _text(
        "dropped",
        "slower or missed: why it gets no more turns, although it runs; null while it has some.",
        nullable=True,
    ),
    _whole("peak_rss_bytes", "High-water mark of its workers' resident memory."),
    UniqueConstraint("race_id", "position"),
    comment="One row for each contender of a race.",
)

LAUNCH = Table(
    "autotune_launch",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("race_id", ForeignKey("autotune_race.id"), nullable=False, index=True),
    _whole("launch", "Which set of fresh processes, from 0.", nullable=False),
    Column("session_id", ForeignKey("autotune_session.id"), nullable=False),
    _machine_column(),
    _real("at_s", "Seconds since the race began, at the end of its first slice.", nullable=False),
    UniqueConstraint("race_id", "launch"),
    comment="One row for each launch of a race, all of one machine; none before schema 4.",
)

SLICE = Table(
    "autotune_slice",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("race_id", ForeignKey("autotune_race.id"), nullable=False, index=True),
    _whole("contender", "Its position.", nullable=False),
    _whole("launch", "Which set of fresh processes, from 0.", nullable=False),
    _whole("round", "Which round of its launch, from 0.", nullable=False),
    _real("at_s", "Seconds since the race began, at the end of the slice.", nullable=False),
    _machine_column(),
    *_block_columns(),
    UniqueConstraint("race_id", "launch", "round", "contender"),
    comment="One row for each turn of a contender.",
)

FAILURE = Table(
    "autotune_failure",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("session_id", ForeignKey("autotune_session.id"), nullable=False),
    Column(
        "trial_number", Integer, nullable=False, unique=True, comment="Number of the Optuna trial."
    ),
    Column("origin", String(16), nullable=False, comment="seed, warm, sampled, sweep."),
    _text("failed_at", "UTC, ISO 8601."),
    _text("configuration", "JSON: as requested."),
    _text("configuration_key", "Digest of the configuration.", index=True),
    Column("kind", String(32), nullable=False, comment="See FailureKind."),
    Column("phase", String(16), nullable=False, comment="start, open, load, close."),
    _text("message", "One line."),
    _text("stderr_tail", "Last output of the worker."),
    _whole("exit_code", "Of the worker; negative for a signal."),
    comment="One row for each trial without a measurement.",
)

EVENT = Table(
    "autotune_event",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("session_id", ForeignKey("autotune_session.id"), nullable=False),
    _text("at", "UTC, ISO 8601."),
    Column(
        "kind",
        String(32),
        nullable=False,
        comment="repaired, paused, accepted_change, items, no_batch, doubt, random_inputs; "
        "unproven: what inspection could not show, held against older measurements as well.",
    ),
    _text("data", "JSON."),
    comment="What else happened.",
)
