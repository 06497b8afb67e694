"""What all sources share: a sample and its name, values of the user's, files that are broken."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autotune.errors import SourceError
from autotune.space.words import several
from autotune.workload.inputs import Inputs
from autotune.workload.listing import SUFFIXES, files_of, looked_at, passed_over, why_unreadable
from autotune.workload.ports import PortFacts, names_of
from autotune.workload.words import listed, one_line, shown

Sample = dict[str, np.ndarray[Any, Any]]
"""One item by input name."""
Found = tuple[str, Sample]
"""A sample, and where it came from."""


def only_input(ports: Sequence[PortFacts], what: str) -> PortFacts:
    """The input that is fed from what gives one array for each sample.

    Raises:
        SourceError: the model has several.
    """
    if len(ports) == 1:
        return ports[0]
    raise SourceError(
        f"{what} feed one input, and the model has {len(ports)}: {names_of(ports)}; "
        "write a function that yields dictionaries with an array for each"
    )


def as_array(value: Any) -> np.ndarray[Any, Any]:
    """A copy of what can be an array: whoever yields it may write into it again.

    Raises:
        ValueError: it is none; the message goes on after the value's name.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an old `__array__`, which does as well
            found = np.array(value, copy=True, order="C")
    except MemoryError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {one_line(str(error))}"
        raise ValueError(f"is a {type(value).__name__} that makes no array: {said}") from error
    if found.dtype.kind == "O" and found.size and all(isinstance(v, str) for v in found.flat):
        return found.astype(np.str_)
    if found.dtype.kind not in "biufUS":
        is_object = found.dtype.kind == "O"
        kind = _kind_of(value) if is_object else f"an array of {found.dtype}"
        raise ValueError(f"is {kind}; numbers, booleans or strings are taken")
    return found


def _kind_of(value: Any) -> str:
    if isinstance(value, np.ndarray | list | tuple):
        kinds = sorted({type(one).__name__ for one in np.array(value, dtype=object).flat})
        return f"an array of Python objects ({listed(kinds)})"
    return "None" if value is None else f"a {type(value).__name__}"


def sample_of(value: Any, ports: Sequence[PortFacts], what: str, unknown: set[str]) -> Sample:
    """A sample from a dictionary of what can be arrays, or from the value of the only input.

    Args:
        value: the user's.
        ports: the model's inputs.
        what: its name in messages.
        unknown: gets the names that are no inputs.

    Raises:
        SourceError: an input is missing, or is no array.
    """
    if not isinstance(value, Mapping):
        if value is None or len(ports) > 1 or isinstance(value, set | frozenset):
            kind = "None" if value is None else f"a {type(value).__name__}"
            wanted = f"give a dictionary with an array for each input: {names_of(ports)}"
            raise SourceError(f"{what} is {kind}; {wanted}")
        value = {ports[0].name: value}
    given = {str(name): one for name, one in value.items()}
    found = {}
    for port in ports:
        if port.name not in given:
            has = listed([repr(shown(name)) for name in given], most=12) or "nothing"
            raise SourceError(
                f"{what} has no {shown(port.name)!r}; it has {has}; "
                f"the model takes {names_of(ports)}"
            )
        try:
            found[port.name] = as_array(given[port.name])
        except ValueError as error:
            raise SourceError(f"{what}: {shown(port.name)!r} {error}") from None
    unknown |= set(given) - set(found)
    return found


def note_unknown(unknown: set[str], ports: Sequence[PortFacts], notes: list[str]) -> None:
    """Say what was there that the model does not take."""
    if unknown:
        names = listed([repr(shown(name)) for name in sorted(unknown)])
        notes.append(f"not used: {names}; the model takes {names_of(ports)}")


def decoded(
    inputs: Inputs,
    decode: Callable[[Path], np.ndarray[Any, Any]],
    noun: str,
    notes: list[str],
) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """What files hold, one after the other; those that are broken are named and left out.

    Args:
        inputs: with at least one file to look at.
        decode: raises ValueError with the reason where a file is broken.
        noun: what they are, in the plural.
        notes: gets what was left out, and how many were not needed.

    Raises:
        SourceError: every file is broken.
    """
    files, suffixes = looked_at(inputs), SUFFIXES[inputs.source]
    count = len(files_of(inputs.files, suffixes))
    others = [shown(file.name) for file in passed_over(inputs.files, suffixes)]
    broken: list[str] = []
    tried = 0
    try:
        for file in files:
            tried += 1
            try:
                values = _decoded(file, decode)
            except (ValueError, OSError) as error:
                reason = getattr(error, "strerror", None) or error
                broken.append(f"{shown(file.name)} ({one_line(str(reason))})")
                continue
            yield shown(file.name), values
    finally:
        if broken:
            verb, were = ("do", "were") if len(broken) > 1 else ("does", "was")
            notes.append(
                f"{len(broken):,} of {tried:,} {noun} {verb} not decode and {were} skipped: "
                f"{listed(broken)}"
            )
        if tried < count:
            used = tried - len(broken)
            notes.append(f"{used:,} of {count:,} {noun} {'is' if used == 1 else 'are'} used")
        if others:
            are = "are no" if len(others) > 1 else "is not among the"
            notes.append(f"{several(len(others), 'other file')} {are} {noun}: {listed(others)}")
    if len(broken) == len(files):
        which = (
            f"none of {len(files):,} {noun}"
            if len(files) == count
            else (f"none of the first {len(files):,} of {count:,} {noun}")
        )
        raise SourceError(f"{which} decodes: {listed(broken)}")


def _decoded(file: Path, decode: Callable[[Path], np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    why = why_unreadable(file)
    if why is not None:
        raise ValueError(why)
    return decode(file)
