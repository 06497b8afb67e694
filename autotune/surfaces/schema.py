"""The tables of a surface file, documented by their comments.

History: 1, the first. 2: what a slice cost beside time (`cpu_s`, `rss_bytes`, `peak_rss_bytes`,
`energy_j`); null in a file of before. 3: `surface.workload`.
"""

from sqlalchemy import Column, Integer, MetaData, String, Table, UniqueConstraint

from autotune.storage.columns import packed, real, text, whole, within

SURFACE_SCHEMA_VERSION = 3
APPLICATION_ID = 0x61757466
"""Reads "autf": what tools such as file(1) see."""

METADATA = MetaData()

SURFACE = Table(
    "surface",
    METADATA,
    Column("id", Integer, primary_key=True, comment="Always 1: a file holds one surface."),
    whole("schema_version", "Version of these tables.", nullable=False),
    text("name", "Name of the study that was recorded."),
    text("started_at", "UTC, ISO 8601."),
    text("spec", "The study as TOML."),
    text("model_sha256", "Digest of the model file."),
    text("shapes", "JSON: shapes of the inputs."),
    text("machine", "JSON: fingerprint of machine and runtime."),
    text("versions", "JSON: versions of Python and packages."),
    text("space", "JSON: choices of every dimension, and CPUs."),
    text("record_plan", "JSON: launches, rounds, slices."),
    text("levels", "JSON: shares at which latencies are kept."),
    text(
        "workload",
        "JSON: what the model was asked, and the digest of its inputs; null for data of one static "
        "shape.",
        nullable=True,
    ),
    comment="What was recorded, where and how; one row.",
)

COMPILED = Table(
    "compiled",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("compile_key", String(12), nullable=False, unique=True, comment="Digest of the key."),
    comment="One row for each compile key.",
)

CELL = Table(
    "cell",
    METADATA,
    Column("id", Integer, primary_key=True, comment="Position, from 0."),
    within("compiled_id", "compiled.id", index=True),
    text("configuration", "JSON: as requested."),
    comment="One row for each configuration: the hints first, then the whole space.",
)

LAUNCH = Table(
    "launch",
    METADATA,
    Column("id", Integer, primary_key=True),
    within("compiled_id", "compiled.id", index=True),
    whole("launch", "Which set of fresh processes, from 0.", nullable=False),
    real("at_s", "Seconds of recording when its group began.", nullable=False),
    text("opening", "JSON: times and read-back properties; null on failure.", nullable=True),
    text("failure", "JSON: why there is nothing.", nullable=True),
    whole("peak_rss_bytes", "High-water mark of the worker's memory."),
    UniqueConstraint("compiled_id", "launch"),
    comment="One row for each fresh process.",
)

SLICE = Table(
    "slice",
    METADATA,
    Column("id", Integer, primary_key=True),
    within("launch_id", "launch.id", index=True),
    within("cell_id", "cell.id", index=True),
    whole("round", "Which round of its launch, from 0.", nullable=False),
    real("at_s", "Seconds of recording at its end.", nullable=False),
    real("duration_s", "From one completion to a later one.", nullable=False),
    whole("completions", "Requests, not items.", nullable=False),
    real("occupancy", "Busy share of a request slot's time.", nullable=False),
    packed(
        "latencies",
        "Little-endian uint32: nearest-rank latencies at the levels, ticks of 100 ns.",
    ),
    real("cpu_s", "CPU time of the worker without the load loop's; null before schema 2."),
    whole("rss_bytes", "Resident memory of the worker at the end; null before schema 2."),
    whole("peak_rss_bytes", "High-water mark since its requests were made; null before schema 2."),
    real("energy_j", "Joules of all CPU packages of the machine; null where unknown."),
    comment="One row for each turn of a cell.",
)
