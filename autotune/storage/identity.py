"""What a study must keep for its numbers to belong together, and whether it has."""

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, inspect, select

from autotune.domain.fed import Fed
from autotune.domain.goal import Goal, Objective, Resource
from autotune.domain.limits import limits_of
from autotune.errors import StorageError, StudyMismatchError
from autotune.space.dimensions import BY_NAME
from autotune.space.space import STORED
from autotune.storage.faults import faults_explained
from autotune.storage.rows import StudyRows, rows_explained
from autotune.storage.schema import STUDY

_MOST_ITEMS = 65536
_KNOWN = set(STORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a study must keep for its numbers to belong together."""

    name: str
    spec: str
    """The study as TOML, when it began."""
    model_sha256: str
    inputs: dict[str, Any]
    """Shapes by input name, and the digest of the file with input data."""
    goal: Goal
    space: dict[str, Any]
    items_per_request: int = 1
    """Items in a request at batch 1."""
    fed: Fed | None = None
    """What the model is fed with; None in a study of an older version. May change."""
    earlier_sha256: tuple[str, ...] = ()
    """What earlier versions called this model; not stored."""


def identity_row(identity: Identity) -> dict[str, Any]:
    """Columns of `autotune_study` that must not change, and its name and text."""
    return {
        "name": identity.name,
        "spec": identity.spec,
        "model_sha256": identity.model_sha256,
        "inputs": json.dumps(identity.inputs),
        "goal": json.dumps(goal_to_dict(identity.goal)),
        "space": json.dumps(identity.space),
        "items_per_request": identity.items_per_request,
    }


def goal_to_dict(goal: Goal) -> dict[str, Any]:
    """A goal as it is stored: what a later version added only where it is not at its default."""
    found: dict[str, Any] = {
        "objective": goal.objective.value,
        "percentile": goal.percentile,
        "cap_ms": goal.cap_ms,
        "headroom": goal.headroom,
    }
    if goal.limits:
        found["limits"] = {limit.name: limit.value for limit in goal.limits}
    if goal.resource is not Resource.CPU:
        found["resource"] = goal.resource.value
    if goal.portable:
        found["portable"] = True
    return found


def stored_identity(rows: StudyRows) -> Identity:
    """What a study is; also before it is brought up to date.

    Raises:
        StorageError: it cannot be read.
    """
    row = rows.one(select(*_columns(rows)).where(rows.of(STUDY)))
    with rows_explained(rows.name, "what the study is"):
        items = row.get("items_per_request") or 1
        if not 1 <= items <= _MOST_ITEMS:
            message = f"{items} items in a request"
            raise ValueError(message)
        return Identity(
            name=row["name"],
            spec=row["spec"],
            model_sha256=row["model_sha256"],
            inputs=json.loads(row["inputs"]),
            goal=_goal(json.loads(row["goal"])),
            space=json.loads(row["space"]),
            items_per_request=items,
            fed=Fed.from_dict(json.loads(row["fed"])) if row.get("fed") else None,
        )


def refuse_unknown(rows: StudyRows) -> None:
    """Refuse a study of a later version, whose space has a dimension that this one does not know.

    Whatever else may be wrong with it is said where it is read.

    Raises:
        StorageError: with the way out.
    """
    found = rows.all(select(STUDY.c.space).where(rows.of(STUDY)))
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        unknown = {name for row in found for name in json.loads(row["space"])} - _KNOWN
        if unknown:
            raise StorageError(
                f"{rows.name}: its space has the dimension {min(unknown):.80}, which this version "
                "does not know: written by a newer autotune; upgrade autotune"
            )


def refuse_another(stored: Identity, current: Identity, name: object) -> None:
    """Compare a study with what is to go on with it.

    Args:
        stored: what it is.
        current: what is to go on with it.
        name: of its database, for the message.

    Raises:
        StudyMismatchError: it is another study; the message lists what differs.
    """
    faults = _differences(stored, current)
    if faults:
        way_out = (
            "restore what it was, or begin another study under a new --name. "
            "(Another cap or limit needs no new measurement: autotune best STUDY --max-latency …)"
        )
        listed = "\n  ".join(faults)
        message = f"{name}: this study cannot go on:\n  {listed}\n{way_out}"
        raise StudyMismatchError(message)


def _changed(then: Any, now: Any, where: str = "") -> list[str]:
    """What differs, by its key; of a digest that there is another content, or another code."""
    if isinstance(then, Mapping) or isinstance(now, Mapping):
        then, now = then or {}, now or {}
        keys = [key for key in dict.fromkeys([*then, *now]) if then.get(key) != now.get(key)]
        parts = [
            _changed(then.get(key), now.get(key), f"{where}.{key}" if where else str(key))
            for key in keys
        ]
        return [line for part in parts for line in part]
    if where.endswith("sha256"):
        return [f"{where.removesuffix('sha256').rstrip('_')}: another content, or another code"]
    return [f"{where}: {then} then, {now} now"]


def _differences(stored: Identity, current: Identity) -> list[str]:
    faults = []
    if stored.model_sha256 not in {current.model_sha256, *current.earlier_sha256}:
        faults.append("the model file has changed since the study began")
    if stored.inputs != current.inputs:
        changed = "; ".join(_changed(stored.inputs, current.inputs))
        faults.append(f"shape or inputs have changed: {changed}")
    if stored.items_per_request != current.items_per_request:
        faults.append(
            f"the items in a request have changed: {stored.items_per_request} then, "
            f"{current.items_per_request} now; [model] items = {stored.items_per_request} counts "
            "them as then"
        )
    if stored.goal != current.goal:
        faults.append(f"the goal has changed: {stored.goal} then, {current.goal} now")
    for dimension in dict.fromkeys([*stored.space, *current.space]):
        then, now = (_choices(identity.space, dimension) for identity in (stored, current))
        if now != then:
            faults.append(f"the space has changed: {dimension} {then} then, {now} now")
    return faults


def _choices(space: Mapping[str, Any], dimension: str) -> Any:
    """Of a stored space; its default alone where a dimension of a later version is absent."""
    one = BY_NAME.get(dimension)
    absent = None if one is None or (one.first and one.was_choice) else [one.default]
    return space.get(dimension, absent)


def _columns(rows: StudyRows) -> list[Column[Any]]:
    """Those that are there: before it is brought up to date, a study is to be compared."""
    with faults_explained(rows.name):
        known = {found["name"] for found in inspect(rows.engine).get_columns(STUDY.name)}
    return [column for column in STUDY.columns if column.name in known]


def _goal(stored: dict[str, Any]) -> Goal:
    goal = Goal(
        Objective(stored["objective"]),
        stored["percentile"],
        stored["cap_ms"],
        _share(stored.get("headroom", 0.0)),
        limits=limits_of(stored.get("limits", {})),
        resource=Resource(stored.get("resource", Resource.CPU)),
        portable=stored.get("portable", False) is True,
    )
    _ = goal.sla  # which checks its values
    return goal


def _share(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    message = f"{value!r} is no headroom"
    raise ValueError(message)
