"""Our tables, beside Optuna's in the same database; documented by their comments.

A database may hold several studies, and each may be measured on several machines. Every row but a
machine's leads to its study: sessions, measurements and failures name it (`study_id`; numbers of
trials are those of a study), a block leads there by its measurement, an event, a slice of the
reference and a race by its session, a contender, a launch and a slice by its race; `rows.of_study`
goes these ways. A file, `study.db`, holds one study.

What a version added to a table reads, in an older file, as what the column's `BEFORE` says, else as
its default, else as null: to viewers (`older`) and when it is brought up to date (`migrations`).

History: 1, the first. 2: races (`autotune_race`, `autotune_contender`, `autotune_slice`), the
reference (`autotune_reference`), and `autotune_measurement.feed`. 3: `autotune_study.owner`. 4:
where things were measured (`autotune_machine`, `autotune_launch`, `machine_id` of sessions and
slices), `autotune_contender.dropped`, `autotune_measurement.unproven`, and `items_per_request` and
`fed` of `autotune_study`. 5: several studies in a database (`study_id` of sessions, measurements
and failures; numbers of trials are unique in a study, names of studies in a database), and
`machine_id` of measurements and failures. 6: what a measurement and a launch cost beside time
(CPU time, energy, memory by phase, a model cache): columns of `autotune_measurement` and of blocks,
`autotune_resident`, and `why_no_energy` of sessions. 7: the preparation of inputs, where it is a
part of a request (`prepare_s` and `prepare_cpu_s` of blocks, `autotune_measurement.prepare_ms`). 8:
what the guard found of answers (`autotune_measurement.accuracy`).
"""

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from autotune.storage.columns import BEFORE, block, costs, real, text, whole, within

SCHEMA_VERSION = 8

METADATA = MetaData()


def _machine_column(info: dict[str, str] | None = None) -> Column[int]:
    return Column(
        "machine_id",
        ForeignKey("autotune_machine.id"),
        nullable=True,
        comment="Where it was measured; null where an older version could not say.",
        info=info,
    )


def _machine_of_session() -> Column[int]:
    """Before trials said it themselves, they were all of where their session ran."""
    known = "SELECT machine_id FROM autotune_session WHERE id = main_table.session_id"
    return _machine_column({BEFORE: f"({known})"})


def _study_column() -> Column[int]:
    return within(
        "study_id",
        "autotune_study.id",
        comment="Its study; before schema 5 there was one in a database.",
        server_default="1",
        info={BEFORE: "(SELECT id FROM autotune_study)"},
    )


STUDY = Table(
    "autotune_study",
    METADATA,
    Column("id", Integer, primary_key=True, comment="1 in a file, which holds one study."),
    whole("schema_version", "Version of the autotune tables.", nullable=False),
    text("name", "Name of the study, also in Optuna's tables.", index=True, unique=True),
    text("created_at", "UTC, ISO 8601."),
    text("spec", "The study as TOML, when it began."),
    text("model_sha256", "Digest of the model file and its weights."),
    text("inputs", "JSON: shapes of the inputs and digest of the input file. Must not change."),
    text(
        "goal",
        "JSON: objective, percentile, cap_ms that requests are held to, headroom: the cap that was "
        "given is larger by it. Must not change.",
    ),
    text("space", "JSON: choices of every dimension. Must not change."),
    text(
        "owner",
        "Digest of the user and the machine that began it or said --trust; null before schema 3.",
        nullable=True,
    ),
    whole("items_per_request", "Items in a request at batch 1; null for one. Must not change."),
    text(
        "fed",
        "JSON: data (random or real), and warnings where random data may mislead; null before "
        "schema 4.",
        nullable=True,
    ),
    comment="What a study is: one row for each.",
)

MACHINE = Table(
    "autotune_machine",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False, unique=True, comment="Of hardware and runtime."),
    text("hardware", "JSON: CPU model, and how many CPUs there are and may be used."),
    text("runtime", "JSON: version of OpenVINO, devices, and variables that workers ran under."),
    comment="One row for each machine and runtime; numbers of two rows are never pooled.",
)

SESSION = Table(
    "autotune_session",
    METADATA,
    Column("id", Integer, primary_key=True),
    text("started_at", "UTC, ISO 8601."),
    real("elapsed_s", "Monotonic time spent, brought up to date at every trial.", nullable=False),
    text("end", "Why it ended; null while it runs or after a crash.", nullable=True),
    text("machine", "JSON: fingerprint of machine and runtime."),
    text("versions", "JSON: versions of Python and packages."),
    text(
        "why_no_energy",
        "Why the energy of the CPU packages could not be read; null where it could, and before "
        "schema 6.",
        nullable=True,
    ),
    _machine_column(),
    _study_column(),
    comment="One row for each start of the tuner; their times add up to the budget spent.",
)

MEASUREMENT = Table(
    "autotune_measurement",
    METADATA,
    Column("id", Integer, primary_key=True),
    within("session_id", "autotune_session.id"),
    whole("trial_number", "Number of the Optuna trial."),
    Column("phase", String(16), nullable=False, comment="search; later: reference, race, verify."),
    Column("origin", String(16), nullable=False, comment="seed, warm, sampled, sweep."),
    text("measured_at", "UTC, ISO 8601."),
    text("configuration", "JSON: as requested."),
    text("configuration_key", "Digest of the configuration.", index=True),
    text("compile_key", "Digest of what needs a new compile_model."),
    text("effective", "JSON: every property read back from the compiled model."),
    text(
        "effective_key",
        "Digest of what decides the speed; equal keys are measured once.",
        index=True,
    ),
    whole(
        "optimal_requests",
        "What the compiled model calls its optimal request count.",
        nullable=False,
    ),
    whole("num_requests", "Requests kept in flight.", nullable=False),
    whole("reused_from", "Trial whose measurement this row repeats: same effective key."),
    text(
        "verdict",
        "met, missed, unclear against the study's cap; null without a cap.",
        nullable=True,
    ),
    text("stop_reason", "missed, dominated, decided, limit."),
    real("throughput_per_s", "Mean items per second over the counted blocks.", nullable=False),
    real("throughput_low_per_s", "Lower end of the 95 % interval from block means."),
    real("throughput_high_per_s", "Upper end."),
    whole("requests", "Completed requests in the counted blocks.", nullable=False),
    whole("over_cap", "Of these, slower than the study's cap.", nullable=False),
    real("latency_mean_ms", "Request latency over the counted blocks.", nullable=False),
    real("latency_p50_ms", "Nearest rank.", nullable=False),
    real("latency_p90_ms", "Nearest rank.", nullable=False),
    real("latency_p95_ms", "Nearest rank.", nullable=False),
    real("latency_p99_ms", "Nearest rank.", nullable=False),
    real("latency_max_ms", "Slowest request.", nullable=False),
    real("latency_goal_ms", "The percentile of the study's goal.", nullable=False),
    real("occupancy", "Share of time in which a request slot was busy.", nullable=False),
    real("loop_cpu_share", "CPU share of the load loop.", nullable=False),
    real("measure_s", "Time under load, warm-up included.", nullable=False),
    whole("peak_rss_bytes", "High-water mark of the worker's memory in its whole life."),
    *costs(),
    real("start_s", "Spawning the worker and importing the runtime.", nullable=False),
    real("read_s", "Reading and reshaping the model.", nullable=False),
    real("compile_s", "compile_model.", nullable=False),
    real("first_inference_ms", "First request after compiling.", nullable=False),
    real("output_error", "Largest deviation from batch 1, relative to the largest output."),
    text(
        "unproven",
        "Why the answers could not be shown to be those of single requests; null where they were, "
        "and before schema 4: the last event of the kind unproven then has the say.",
        nullable=True,
    ),
    text(
        "accuracy",
        "JSON: metric, its value and the reference's, what is lost with its 95 % interval, and "
        "what may be; null without a guard, and before schema 8.",
        nullable=True,
    ),
    Column(
        "feed",
        String(8),
        nullable=False,
        server_default="bind",
        comment="bind: inputs set once; copy: copied before every request.",
    ),
    text("flags", "JSON list: reasons to doubt the blocks."),
    whole("warmup_blocks", "How many of the first blocks are not counted.", nullable=False),
    _study_column(),
    _machine_of_session(),
    UniqueConstraint("study_id", "trial_number"),
    comment="One row for each measured configuration; statistics repeat what the blocks say, "
    "so that a viewer need not decode them.",
)

BLOCK = Table(
    "autotune_block",
    METADATA,
    Column("id", Integer, primary_key=True),
    within("measurement_id", "autotune_measurement.id", index=True),
    whole(
        "position",
        "Order within the measurement, from 0; the first ones are warm-up.",
        nullable=False,
    ),
    *block(),
    UniqueConstraint("measurement_id", "position"),
    comment="One row for each block of load.",
)

REFERENCE = Table(
    "autotune_reference",
    METADATA,
    Column("id", Integer, primary_key=True),
    within("session_id", "autotune_session.id", index=True),
    real("at_s", "Seconds since the session began, at the end of the slice.", nullable=False),
    text("configuration_key", "Digest of the reference's configuration: the better hint."),
    *block(),
    comment="One row for each slice of the reference, measured between trials to see drift.",
)

RACE = Table(
    "autotune_race",
    METADATA,
    Column("id", Integer, primary_key=True),
    within("session_id", "autotune_session.id"),
    text("started_at", "UTC, ISO 8601."),
    whole("trials", "Recorded trials when it began.", nullable=False),
    whole("baseline", "Position of the search's better hint; ratios are taken to the race's."),
    Column("feed", String(8), nullable=False, comment="bind or copy, as for measurements."),
    real("tie_margin", "Relative difference below which contenders are equal.", nullable=False),
    real("noise", "The machine's calibrated A/A noise; null where never calibrated."),
    Column("end", String(16), comment="decided, budget, launches, stopped, empty; null: cut off."),
    real("duration_s", "Time that it took; null while it goes on."),
    comment="One row for each race, the last stage of a study.",
)

CONTENDER = Table(
    "autotune_contender",
    METADATA,
    Column("id", Integer, primary_key=True),
    within("race_id", "autotune_race.id", index=True),
    whole("position", "Order of promise, from 0.", nullable=False),
    text("name", "What tables call it."),
    whole("trial_number", "The trial that found it."),
    text("configuration", "JSON: as requested."),
    real("search_per_s", "The search's own throughput, items per second."),
    real("search_latency_ms", "The search's own latency percentile."),
    real(
        "search_efficiency",
        "The search's own items for each CPU-second or joule; null where the goal asks for "
        "neither, and before schema 6.",
    ),
    real("open_s", "What opening it is expected to take.", nullable=False),
    text("opening", "JSON: what its last launch found; null before the first.", nullable=True),
    text("failure", "JSON: why it is out, if it failed.", nullable=True),
    text(
        "dropped",
        "slower or missed: why it gets no more turns, although it runs; null while it has some.",
        nullable=True,
    ),
    whole("peak_rss_bytes", "High-water mark of its workers' resident memory."),
    UniqueConstraint("race_id", "position"),
    comment="One row for each contender of a race.",
)

LAUNCH = Table(
    "autotune_launch",
    METADATA,
    Column("id", Integer, primary_key=True),
    within("race_id", "autotune_race.id", index=True),
    whole("launch", "Which set of fresh processes, from 0.", nullable=False),
    within("session_id", "autotune_session.id"),
    _machine_column(),
    real("at_s", "Seconds since the race began, at the end of its first slice.", nullable=False),
    UniqueConstraint("race_id", "launch"),
    comment="One row for each launch of a race, all of one machine; none before schema 4.",
)

RESIDENT = Table(
    "autotune_resident",
    METADATA,
    Column("id", Integer, primary_key=True),
    within("race_id", "autotune_race.id", index=True),
    whole("launch", "Which set of fresh processes, from 0.", nullable=False),
    whole("contender", "Its position.", nullable=False),
    real("read_s", "Reading and reshaping the model.", nullable=False),
    real("compile_s", "compile_model.", nullable=False),
    real("first_inference_ms", "First request after compiling.", nullable=False),
    whole("open_peak_rss_bytes", "High-water mark of resident memory until the first answer."),
    whole("load_peak_rss_bytes", "The same since its requests were made."),
    whole("steady_rss_bytes", "Resident memory under load, the median over the slices."),
    UniqueConstraint("race_id", "launch", "contender"),
    comment="One row for each fresh process of a contender, in each launch; none before schema 6.",
)

SLICE = Table(
    "autotune_slice",
    METADATA,
    Column("id", Integer, primary_key=True),
    within("race_id", "autotune_race.id", index=True),
    whole("contender", "Its position.", nullable=False),
    whole("launch", "Which set of fresh processes, from 0.", nullable=False),
    whole("round", "Which round of its launch, from 0.", nullable=False),
    real("at_s", "Seconds since the race began, at the end of the slice.", nullable=False),
    _machine_column(),
    *block(),
    UniqueConstraint("race_id", "launch", "round", "contender"),
    comment="One row for each turn of a contender.",
)

FAILURE = Table(
    "autotune_failure",
    METADATA,
    Column("id", Integer, primary_key=True),
    within("session_id", "autotune_session.id"),
    whole("trial_number", "Number of the Optuna trial.", nullable=False),
    Column("origin", String(16), nullable=False, comment="seed, warm, sampled, sweep."),
    text("failed_at", "UTC, ISO 8601."),
    text("configuration", "JSON: as requested."),
    text("configuration_key", "Digest of the configuration.", index=True),
    Column("kind", String(32), nullable=False, comment="See FailureKind."),
    Column("phase", String(16), nullable=False, comment="start, open, load, close."),
    text("message", "One line."),
    text("stderr_tail", "Last output of the worker."),
    whole("exit_code", "Of the worker; negative for a signal."),
    _study_column(),
    _machine_of_session(),
    UniqueConstraint("study_id", "trial_number"),
    comment="One row for each trial without a measurement.",
)

EVENT = Table(
    "autotune_event",
    METADATA,
    Column("id", Integer, primary_key=True),
    within("session_id", "autotune_session.id"),
    text("at", "UTC, ISO 8601."),
    Column(
        "kind",
        String(32),
        nullable=False,
        comment="repaired, paused, accepted_change, items, no_batch, doubt, random_inputs, inputs, "
        "plans, graph, states, variants; "
        "unproven: what inspection could not show, held against older measurements as well.",
    ),
    text("data", "JSON."),
    comment="What else happened.",
)
