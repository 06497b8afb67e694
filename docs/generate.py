"""Write the parts of the documentation that follow from the code; --check only compares."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sqlalchemy import MetaData, Table

from autotune.analysis.frames import COLUMNS, TYPES
from autotune.domain.measurement import FLAGS, Flag
from autotune.domain.units import format_bytes, format_duration
from autotune.export.best_file import BestFile, json_schema
from autotune.report.columns import ALL, LATENCY, TERMINAL, Column
from autotune.space.devices import KINDS, OTHER
from autotune.space.dimensions import TABLE, lacking
from autotune.spec import StudySpec
from autotune.spec.profile import DeviceSection, ProfileFile, TopologySection
from autotune.storage.schema import METADATA, SCHEMA_VERSION
from autotune.surfaces.schema import METADATA as SURFACE_METADATA
from autotune.surfaces.schema import SURFACE_SCHEMA_VERSION

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


def main() -> int:
    """Bring every generated part up to date, or say which is not."""
    check = "--check" in sys.argv[1:]
    stale = [path for path, text in generated() if not _is_current(path, text, write=not check)]
    if check and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        print(f"out of date: {names}; run make docs", file=sys.stderr)
        return 1
    return 0


def generated() -> Iterator[tuple[Path, str]]:
    """Every generated file, whole."""
    docs = ROOT / "docs"
    yield docs / "study-toml.md", _between(docs / "study-toml.md", study_toml())
    yield docs / "dimensions.md", _between(docs / "dimensions.md", dimensions())
    yield docs / "profiles.md", _between(docs / "profiles.md", profiles())
    yield docs / "database.md", _between(docs / "database.md", database())
    yield docs / "surface.md", _between(docs / "surface.md", surface())
    yield docs / "frame.md", _between(docs / "frame.md", frame_columns())
    yield docs / "best-json.md", _between(docs / "best-json.md", best_json())
    yield docs / "how-it-works.md", _between(docs / "how-it-works.md", flags())
    yield docs / "glossary.md", _between(docs / "glossary.md", columns_of_tables())
    schema = json.dumps(json_schema(), indent=2) + "\n"
    yield ROOT / "autotune" / "export" / "best.schema.json", schema


def study_toml() -> str:
    """One table for each section of study.toml."""
    parts = []
    for name, model in _sections():
        parts.append(f"## [{name}]\n\n{model.__doc__}\n\n| key | value | default | meaning |")
        parts.append("| --- | --- | --- | --- |")
        parts += [_spec_row(model, key, field) for key, field in model.model_fields.items()]
        parts.append("")
    return "\n".join(parts)


def _sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section of study.toml by its name, each followed by the tables in it."""
    for name, section in StudySpec.model_fields.items():
        model = _inner_model(section.annotation)
        if model is None:
            yield f"{name}.NAME", _of_each(name, section)
            continue
        yield name, model
        for key, field in model.model_fields.items():
            inner = _inner_model(field.annotation)
            if inner is not None and type(None) in get_args(field.annotation):  # one, not a list
                yield f"{name}.{key}", inner


def _of_each(name: str, section: FieldInfo) -> type[BaseModel]:
    """The model of every value of a table whose keys are names."""
    each = next(iter(get_args(section.annotation)[1:]), None)
    model = _inner_model(each)
    if model is None:
        raise TypeError(f"{name} is no section")
    return model


def dimensions() -> str:
    """The table of dimensions, and that of devices."""
    heading = "| key | column | devices | stage | kind | property | default | answers | bound to |"
    rule = "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    parts = ["## Dimensions", "", heading, rule]
    for one in TABLE:
        key = f"`{one.key}`" if one.tunable else "in no study.toml"
        default = "" if one.default is None else f"`{one.text(one.default)}`"
        answers = "may change" if one.answers else ""
        cells = (
            f"{key}{', expert' if one.expert else ''}",
            f"`{one.column}`",
            ", ".join(one.on) or "all",
            one.stage.value,
            one.kind.value,
            f"`{one.property}`" if one.property else "",
            default,
            answers,
            one.bound.value,
        )
        parts.append(f"| {' | '.join(cells)} |")
    parts += ["", "## Devices", "", "| device | lacks | sets always | what is known |"]
    parts.append("| --- | --- | --- | --- |")
    for kind in (*KINDS, OTHER):
        names = ", ".join(f"`{name}`" for name in kind.names) or "any other"
        device = next(iter(kind.names), "any other")
        lacks = ", ".join(f"`{name}`" for name in sorted(lacking(device)))
        told = [f"`{name}={text}`" for name, text in kind.always.items()]
        told += [f"`{name}={text}` if of several" for name, text in kind.of_several.items()]
        always = ", ".join(told)
        parts.append(f"| {names} | {lacks} | {always} | {kind.why} |")
    return "\n".join([*parts, ""])


def profiles() -> str:
    """Keys of a capability profile."""
    parts = []
    for section, model in _PROFILE.items():
        parts += [section, "", "| key | property or meaning |", "| --- | --- |"]
        for key, field in model.model_fields.items():
            needed = ", required" if field.is_required() else ""
            parts.append(f"| `{key}`{needed} | {field.description or _said(field)} |")
        parts.append("")
    return "\n".join(parts)


_PROFILE: dict[str, type[BaseModel]] = {
    "## The file": ProfileFile,
    "## [topology]": TopologySection,
    "## [devices.NAME]": DeviceSection,
}


def _said(field: FieldInfo) -> str:
    inner = _inner_model(field.annotation)
    return "" if inner is None else (inner.__doc__ or "")


def database() -> str:
    """One table for each of ours."""
    return _tables(METADATA, SCHEMA_VERSION)


def surface() -> str:
    """The tables of a surface file."""
    return _tables(SURFACE_METADATA, SURFACE_SCHEMA_VERSION)


def _tables(metadata: MetaData, version: int) -> str:
    parts = [f"Schema version {version}.", ""]
    for table in metadata.sorted_tables:
        parts += [f"## {table.name}", "", table.comment or "", "", *_columns(table), ""]
    return "\n".join(parts)


def best_json() -> str:
    """Fields of best.json, and of the frame that `pareto --csv` writes."""
    parts = ["## Fields", "", "| field | meaning |", "| --- | --- |"]
    parts += [f"| `{name}` | {text} |" for name, text in _fields(BestFile)]
    return "\n".join([*parts, ""])


def frame_columns() -> str:
    """One line for each column of a frame, with its type."""
    parts = ["| column | type | meaning |", "| --- | --- | --- |"]
    parts += [f"| `{name}` | {TYPES[name]} | {text} |" for name, text in COLUMNS.items()]
    return "\n".join([*parts, ""])


def flags() -> str:
    """One line for each reason to doubt a block."""
    parts = ["| flag | sign | what it means |", "| --- | --- | --- |"]
    parts += [f"| `{flag}` | {FLAGS[flag].sign} | {FLAGS[flag].meaning} |" for flag in Flag]
    return "\n".join([*parts, ""])


def columns_of_tables() -> str:
    """One line for each column of the tables that people read."""
    parts = ["| column | in a terminal | what it holds |", "| --- | --- | --- |"]
    parts += [f"| {one.name} | {_in_a_terminal(one)} | {one.holds} |" for one in ALL]
    return "\n".join([*parts, ""])


def _in_a_terminal(column: Column) -> str:
    """Its heading there, in one line; nothing where no terminal shows it."""
    if column not in TERMINAL:
        return ""
    return "p99" if column is LATENCY else " ".join(column.heading.split()).replace("- ", "")


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        inner = _inner_model(field.annotation)
        text = field.description or (inner.__doc__ if inner else "") or ""
        yield prefix + name, text.splitlines()[0] if text else ""
        if inner is not None:
            yield from _fields(inner, f"{prefix}{name}.")


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _spec_row(section: type[BaseModel], key: str, field: FieldInfo) -> str:
    definitions = StudySpec.model_json_schema()["$defs"]
    kind = _kind(definitions[section.__name__]["properties"][key], definitions)
    default = "" if isinstance(field.default, BaseModel) else _default(field, kind)
    if isinstance(field.default, BaseModel):
        default = f"`{json.dumps(section().model_dump(mode='json')[key])}`"
    return f"| `{key}` | {kind} | {default} | {field.description} |"


def _kind(values: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "anyOf" in values:
        kinds = [
            _kind(value, definitions) for value in values["anyOf"] if value.get("type") != "null"
        ]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in values:
        return _kind(definitions[values["$ref"].rsplit("/", 1)[-1]], definitions)
    words = values.get("enum") or [values[key] for key in ("const",) if key in values]
    if words:
        return ", ".join(f'"{word}"' for word in words)
    if values.get("type") == "array":
        kind = _kind(values["items"], definitions)
        return "list of tables" if kind == "table" else f"one or a list of: {kind}"
    if values.get("format") in {"duration", "bytes"}:
        return str(values["format"])
    kind = str(values.get("type", ""))
    return _KINDS.get(kind, kind)


_KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "object": "table",
}
_WRITTEN: dict[str, Callable[[Any], object]] = {"duration": format_duration, "bytes": format_bytes}


def _default(field: FieldInfo, kind: str) -> str:
    default = field.default
    if default is PydanticUndefined:
        return "required"
    if default in (None, (), {}):
        return ""
    written = _WRITTEN.get(kind)
    return f"`{json.dumps(default if written is None else written(default))}`"


def _columns(table: Table) -> list[str]:
    rows = ["| column | type | meaning |", "| --- | --- | --- |"]
    for column in table.columns:
        null = ", may be null" if column.nullable else ""
        keys = "".join(f" Refers to `{key.target_fullname}`." for key in column.foreign_keys)
        meaning = (column.comment or ("Row number." if column.primary_key else "")) + keys
        rows.append(f"| `{column.name}` | {str(column.type).lower()}{null} | {meaning.strip()} |")
    return rows


def _between(path: Path, text: str) -> str:
    old = path.read_text(encoding="utf-8")
    head, rest = old.split(BEGIN)
    return f"{head}{BEGIN}\n\n{text}\n{END}{rest.split(END)[1]}"


def _is_current(path: Path, text: str, *, write: bool) -> bool:
    current = path.exists() and path.read_text(encoding="utf-8") == text
    if write and not current:
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return current


if __name__ == "__main__":
    sys.exit(main())
