"""best.json: the configuration to deploy, with what it was measured to do and where.

History of the format: 1, the first. 2: `certificate`, `measured.feed`, and two more values of
`status`. 3: `measured.peak_rss_bytes`. 4: `model.items_per_request`, `measured.data`,
`measured.warnings`, `unproven`, `environment`, and one more value of `status`. 5: `core_budget`;
`measured.costs` and `certificate.costs`; limits beside latency (`limits`, `measured.limits`,
`certificate.limits`); efficiency (one more value of `objective`, `resource`, and fields of
`measured` and `certificate`); `portable` and `bound_to`. 6: `model.workload`, `preprocessing` and
`shape_plan`, one more value of `measured.feed`, and `prepare_ms` among its costs.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError, create_model
from pydantic_core import PydanticSerializationError

from autotune.domain.goal import Goal, Objective, Resource
from autotune.domain.limits import BY_NAME, limits_of
from autotune.domain.model_file import fault_of, located
from autotune.domain.paths import relative
from autotune.domain.race import Status
from autotune.errors import AutotuneError, ModelError
from autotune.export.best_accuracy import BestAccuracy, BestReference
from autotune.export.best_measured import BestBaseline, BestMeasured
from autotune.export.best_workload import BestWorkload
from autotune.export.certificate import BestCertificate
from autotune.export.files import write_atomically
from autotune.export.section import Above, Count, FileSection, Finite, Positive, Text
from autotune.host.core_budget import CoreBudget, parse_request
from autotune.space.dimension import Bound, Dimension
from autotune.space.dimensions import BATCH, REQUESTS, TABLE
from autotune.storage.digests import digest_of

FORMAT_VERSION: Literal[7] = 7
Size = Annotated[int, Field(ge=0, lt=10**9)]
BEST = "best.json"
"""As `tune` calls it, in the study's folder."""
_MAX_BYTES = 2**20


class BestModel(FileSection):
    """The model that was tuned."""

    path: Text = Field(description="Relative to the folder of this file, or absolute.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="Of the model file; with weights in files of their own, of the digests of all."
    )
    shapes: dict[Text, list[Size]] = Field(
        description="Static input shapes at batch 1 by input name; empty for the model's own."
    )
    inputs: Text | None = Field(
        default=None, description="File of the input data; null for random data. As `path`."
    )
    items_per_request: Positive = Field(
        default=1, description="Items in a request at batch 1: what throughputs count."
    )
    workload: BestWorkload | None = Field(
        default=None,
        description="What else it was asked; null for data of one static shape, and before format "
        "6.",
    )
    reference: BestReference | None = Field(
        default=None,
        description="The model as it was given, of which this file has a variant; null where it "
        "is that, and before format 7.",
    )


class BestCoreBudget(FileSection):
    """The CPUs that it was confined to when it was measured."""

    asked: Text = Field(description='As it was asked for: a count such as "6", or a list.')
    count: Positive = Field(description="CPUs.")
    cpus: list[Size] = Field(
        min_length=1, description="Their numbers on the machine that measured, ascending."
    )


class BestSla(FileSection):
    """The constraint."""

    percentile: Annotated[float, Field(gt=0, lt=100)]
    cap_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    headroom: Finite = Field(
        default=0.0,
        description="Asked for: the choice was made under cap_ms / (1 + headroom), and requests "
        "over that are counted.",
    )


class _Deployed(FileSection):
    """What is deployed; a field follows for each dimension that is no property."""

    format_version: Literal[1, 2, 3, 4, 5, 6, 7]
    created_at: Text = Field(description="UTC, ISO 8601.")
    model: BestModel
    device: Text
    properties: dict[Text, Text] = Field(
        description="Every property for compile_model; PERFORMANCE_HINT is always present."
    )
    effective: dict[Text, Text] = Field(description="What the compiled model reported.")
    num_requests: Positive
    batch_size: Positive


def _or_none(one: Dimension) -> Any:
    return one.type | None if one.default is None else one.type


_OF_ITS_OWN = {REQUESTS.name, BATCH.name}
BESIDE = [one for one in TABLE if one.property is None and one.name not in {"device", *_OF_ITS_OWN}]
"""What is no property, and is chosen all the same: a field of the file for each."""
if TYPE_CHECKING:
    _Loaded = _Deployed
else:
    _Loaded = create_model(
        "_Loaded",
        __base__=_Deployed,
        **{one.column: one.type if one.first else (_or_none(one), one.default) for one in BESIDE},
    )


class BestFile(_Loaded):
    """A deployable configuration and its evidence."""

    status: Status = Field(
        description="certified: the SLA and all limits hold at 1 % over at least three launches of "
        "fresh processes, none of them against it; provisional: it passes on less evidence or on a "
        "noisy machine; unconfirmed: the search's own number, from one process, optimistic; "
        "unproven: its answers could not be shown to be those of single requests."
    )
    unproven: Text | None = Field(
        default=None,
        description="Why the answers could not be shown to be those of single requests; null where "
        "they were, and before format 4.",
    )
    objective: Objective
    resource: Resource | None = Field(
        default=None, description="What efficiency counts by, where that is the objective."
    )
    sla: BestSla | None
    limits: dict[Text, Above] = Field(
        default={},
        description="Limits beside latency that were asked for, by their keys in study.toml: in "
        "bytes, seconds, joules or items per second.",
    )
    portable: bool = Field(
        default=False, description="Whether what holds elsewhere was preferred among equals."
    )
    bound_to: dict[Text, Bound] = Field(
        default={},
        description="Each setting that is not left to the runtime, and what its value is right "
        "for: this model, this machine, or neither alone. Empty before format 5.",
    )
    measured: BestMeasured
    accuracy: BestAccuracy | None = Field(
        default=None, description="What the guard found; null without one, and before format 7."
    )
    certificate: BestCertificate | None = Field(
        default=None, description="Null without a race in which it was chosen."
    )
    baselines: list[BestBaseline]
    better_hint: Text | None = Field(description="Name of the baseline to beat.")
    ratio_to_better_hint: Finite | None = Field(description="Above 1: better than OpenVINO's hint.")
    machine: dict[str, Any]
    versions: dict[Text, Text]
    environment: dict[Text, Text] = Field(
        default={}, description="Variables that the workers ran under, such as LD_PRELOAD."
    )
    core_budget: BestCoreBudget | None = Field(
        default=None,
        description="The CPUs that everything was confined to; null where none were asked for, and "
        "before format 5. A quota or an affinity that nobody asked for is in `machine`.",
    )
    study: Text
    trial: Count

    @property
    def goal(self) -> Goal:
        """What it was chosen for; requests are held to the cap that was given.

        Raises:
            ValueError: a limit that this version does not know.
        """
        return Goal(
            self.objective,
            self.sla.percentile if self.sla else 99.0,
            self.sla.cap_ms if self.sla else None,
            limits=limits_of(self.limits),
            resource=self.resource or Resource.CPU,
            portable=self.portable,
        )

    @property
    def items(self) -> int:
        """Items in a request."""
        return self.model.items_per_request * self.batch_size

    @property
    def budget(self) -> CoreBudget | None:
        """The CPUs that it was confined to, of those of its machine.

        Raises:
            ValueError: the file was edited: they contradict each other.
        """
        found = self.core_budget
        if found is None:
            return None
        asked = parse_request(found.asked)
        cpus, visible = tuple(found.cpus), self.machine.get("logical_cpus")
        is_one = {found.count, asked.count} == {len(cpus)} and list(cpus) == sorted(set(cpus))
        if not is_one or asked.listed not in {(), cpus}:
            raise ValueError("core_budget: asked, count and cpus contradict each other")
        return CoreBudget(asked, cpus, visible if isinstance(visible, int) else len(cpus))

    @property
    def beside(self) -> dict[str, Any]:
        """What was chosen beside properties, batch and requests: by dimension."""
        return {one.column: getattr(self, one.column) for one in BESIDE}


def write_best(file: BestFile, path: Path) -> None:
    """Write best.json, whole or not at all.

    Raises:
        AutotuneError: it cannot be written.
    """
    try:
        # What a later version added is left out at its default: others read the file as well.
        absent = {one.column for one in BESIDE if not one.is_said(getattr(file, one.column))}
        absent |= {"core_budget"} if file.core_budget is None else set()
        without: dict[str, Any] = dict.fromkeys(absent, True)
        without |= {"accuracy": True} if file.accuracy is None else {}
        unsaid = {name for name in ("workload", "reference") if getattr(file.model, name) is None}
        without |= {"model": unsaid} if unsaid else {}
        text = file.model_dump_json(indent=2, exclude=without)
    except PydanticSerializationError as error:
        raise AutotuneError(f"{path}: cannot be written: {error}") from error
    write_atomically(path, text + "\n")


def best_at(path: Path) -> Path:
    """The file itself; a study's folder stands for the one in it."""
    return path / BEST if path.is_dir() else path


def read_best(path: Path) -> BestFile:
    """The best.json at a path, checked.

    Raises:
        AutotuneError: missing, too large, of a newer format, or not valid; the message says where.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= _MAX_BYTES else ""
        values = json.loads(text)
    except OSError as error:
        raise AutotuneError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise AutotuneError(f"{path}: is no JSON file of at most 1 MiB: {error}") from error
    version = values.get("format_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise AutotuneError(
            f"{path}: format {version} is newer than this autotune knows ({FORMAT_VERSION}); "
            "upgrade autotune"
        )
    unknown = _unknown_limits(values)
    if unknown:
        raise AutotuneError(
            f"{path}: limits.{unknown[0]:.80} is no limit that this autotune knows; there are "
            f"{', '.join(BY_NAME)}"
        )
    try:
        return BestFile.model_validate_json(text)
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc']) or 'file'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        raise AutotuneError(f"{path}: is no valid best.json: {'; '.join(faults[:5])}") from None


def _unknown_limits(values: object) -> list[str]:
    found = values.get("limits") if isinstance(values, dict) else None
    return [name for name in found if name not in BY_NAME] if isinstance(found, dict) else []


def model_of(best: BestFile, path: Path, moved: Path | None) -> Path:
    """The model file of the best.json at `path`, checked to be the one that was tuned.

    Raises:
        ModelError: it is missing, unreadable, or another one.
    """
    found = located(moved or path.parent / best.model.path)
    fault = fault_of(found)
    if fault is not None:
        moved_away = "; if it was moved, say where it is (--model FILE, or model= in Python)"
        raise ModelError(fault if os.path.lexists(found) else fault + moved_away)
    try:
        digest = digest_of(found)
    except OSError as error:
        file = error.filename or found
        raise ModelError(f"{file}: the model cannot be read: {error.strerror}") from error
    if not digest.is_called(best.model.sha256):
        raise ModelError(f"{found}: is not the model of {path} (its SHA-256 differs)")
    return found


def relative_model_path(model: Path, folder: Path) -> str:
    """The model as seen from the folder of best.json, so that both can be moved together."""
    return relative(model, folder)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of best.json; shipped as best.schema.json beside this module."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **BestFile.model_json_schema(mode="serialization"),
    }
