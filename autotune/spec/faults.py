"""Faults of a file that people write: where, what, and the way out, a line for each."""

import difflib
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


def faults_of(
    error: ValidationError, name: str, model: type[BaseModel], missing: Mapping[str, str]
) -> str:
    """All of them, a line for each.

    Args:
        error: what is wrong with the values.
        name: what messages call the file.
        model: of the whole file.
        missing: what to do about a key that is missing, by the key.
    """
    return "\n".join(f"{name}: {_fault(fault, model, missing)}" for fault in error.errors())


def _fault(fault: Any, model: type[BaseModel], missing: Mapping[str, str]) -> str:
    parts = [str(part) for part in fault["loc"] if not str(part).startswith("function-")]
    # What is said of all inputs is said of the one without a name.
    parts = [*parts[:1], *(part for part in parts[1:-1] if part), *parts[1:][-1:]]
    location = [part if part.isprintable() else repr(part) for part in parts]  # in one line
    where = f"[{location[0]}] " + ".".join(location[1:]) if location else ""
    if fault["type"] == "extra_forbidden":
        return f"{where.strip()}: unknown key{_suggestion(location, model)}"
    if fault["type"] == "missing":
        way_out = missing.get(location[-1], "")
        return f"{where.strip()}: is missing{way_out and f'; {way_out}'}"
    message = fault["msg"].removeprefix("Value error, ")
    shown = _shown(fault["input"])
    got = f", got {shown:.80}" if shown and shown not in message else ""
    return f"{where.strip()}: {_begun_small(message)}{got}"


def _begun_small(message: str) -> str:
    """Without a capital at its beginning, unless that is of a name such as NUM_STREAMS."""
    first = message.split(maxsplit=1)[0] if message.strip() else ""
    is_name = len(first) > 1 and first[1:] != first[1:].lower()
    return message if is_name else message[:1].lower() + message[1:]


def _shown(value: object) -> str:
    """The value as the message shows it; nothing for a section or a key that is not there."""
    if value is None or isinstance(value, dict | BaseModel):
        return ""
    try:
        return repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a number far too long"


def _suggestion(location: list[str], model: type[BaseModel]) -> str:
    for part in location[:-1]:
        field = model.model_fields.get(part)
        model = (_model_in(field.annotation) if field else None) or model
    fields = model.model_fields
    close = difflib.get_close_matches(location[-1], fields, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known here: {', '.join(fields)}"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The section that an annotation holds, itself or as the values of a table."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(one) for one in get_args(annotation))
    return next((one for one in found if one is not None), None)
