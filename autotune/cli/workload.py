"""A workload in options: the short forms of [workload] and of [measure] feed."""

import re
from pathlib import Path
from typing import Any

from autotune.errors import SourceError, UsageError
from autotune.workload.locate import seen_from
from autotune.workload.random_data import parse_ranges

OPTIONS = ("inputs", "tokenizer", "random", "states", "pad", "mix", "feed")
"""Keys of what was given, which are the options' names."""
NAMED = {
    **{f"[workload] {key}": f"--{key}" for key in OPTIONS[:5]},
    "[workload] shapes": "--mix",
    "[measure] feed": "--feed",
}
"""Options by the keys of study.toml, for messages."""


def workload_of(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """[workload] of a new study; empty where nothing is given.

    Args:
        given: values of the options, None where one was left out.
        folder: the study's; files are given from the current one.

    Raises:
        UsageError: a value has another form.
    """
    inputs = [seen_from(word, Path.cwd(), folder) for word in given["inputs"] or ()]
    tokenizer = given["tokenizer"]
    found = {
        "inputs": inputs[0] if len(inputs) == 1 else inputs or None,
        "tokenizer": None if tokenizer is None else seen_from(tokenizer, Path.cwd(), folder),
        "random": _ranges(given["random"]),
        "states": given["states"],
        "pad": None if given["pad"] is None else _pads(given["pad"]),
        "shapes": [_shape(text) for text in given["mix"] or ()] or None,
    }
    return {key: value for key, value in found.items() if value is not None}


def _ranges(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        found = parse_ranges(text)
    except SourceError as error:
        raise UsageError(f"--random: {str(error).removeprefix('ranges: ')}") from None
    return {name: {"low": one.low, "high": one.high} for name, one in found.items()}


def _pads(text: str) -> Any:
    """``0@3``, or ``ids:0@1;mask:0@1`` by input.

    Raises:
        UsageError: it has another form.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for part in text.split(";"):
        said = re.fullmatch(r"\s*(?:(.*):)?\s*([-+.\d]+(?:e[-+]?\d+)?)\s*@\s*(\d{1,2})\s*", part)
        value = None if said is None else _number(said[2])
        if said is None or value is None:
            raise UsageError(
                f"--pad {text!r}: write VALUE@AXIS, such as 0@3; or by input, ids:0@1;mask:0@1"
            )
        pad = {"value": value, "axis": int(said[3])}
        found.setdefault((said[1] or "").strip(), []).append(pad)
    return found[""] if set(found) == {""} else found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _shape(text: str) -> dict[str, Any]:
    """``1,3,48,80=3``: a shape, and its weight.

    Raises:
        UsageError: the weight is no number.
    """
    shape, equals, weight = text.rpartition("=")
    if not equals:
        return {"shape": text}
    found = _number(weight)
    if found is None:
        raise UsageError(f"--mix {text!r}: write SHAPE=WEIGHT, such as 1,3,48,80=3")
    return {"shape": shape, "weight": found}
