"""Samples of lines of text, through the study's tokenizer."""

from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

from autotune.errors import SourceError
from autotune.workload.inputs import Inputs
from autotune.workload.listing import why_unreadable
from autotune.workload.ports import PortFacts
from autotune.workload.sources.code import (
    check_call,
    function_of,
    guarded,
    home_of,
    made_sample,
    surroundings,
)
from autotune.workload.sources.found import Found, note_unknown
from autotune.workload.words import shown


def samples(inputs: Inputs, ports: Sequence[PortFacts], notes: list[str]) -> Generator[Found]:
    """What the tokenizer makes of each line; empty lines are none.

    Raises:
        SourceError: a file is no UTF-8 text, or the tokenizer is missing, raises, or gives
            something else than a dictionary of arrays.
    """
    unknown: set[str] = set()
    given = 0
    with surroundings(home_of(inputs)):
        function = function_of(inputs)
        assert inputs.function_file is not None  # noqa: S101 - for the type checker
        label = f"{shown(inputs.function_file.name)}:{inputs.function}"
        check_call(function, label, "")
        lines = lines_of(inputs.files)
        try:
            for name, line in lines:
                given += 1
                value = guarded(partial(function, line), f"{label} for {name}", inputs)
                what = f"what {label} gives for {name}"
                yield name, made_sample(value, ports, what, inputs, unknown)
        finally:
            note_unknown(unknown, ports, notes)
            if given == inputs.most and _has_more(lines):
                notes.append(f"the first {given:,} lines are used")
    if not given:
        raise SourceError(
            f"{', '.join(shown(file) for file in inputs.files)}: has no lines of text"
        )


def _has_more(lines: Iterator[tuple[str, str]]) -> bool:
    """Also where the next one is broken: it is not used."""
    try:
        return next(lines, None) is not None
    except SourceError:
        return True


def lines_of(files: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Lines that are not empty, without what ends them, and where each is.

    Raises:
        SourceError: a file cannot be read, or a line is no UTF-8.
    """
    for file in files:
        why = why_unreadable(file)
        if why is not None:
            raise SourceError(f"{shown(file)}: cannot be read: {why}")
        try:
            with file.open("rb") as stream:
                for number, line in enumerate(stream, 1):
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
                    if text.strip():
                        yield f"{shown(file.name)}, line {number}", text
        except OSError as error:
            raise SourceError(f"{shown(file)}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{shown(file)}: line {number} is no UTF-8 text: {error.reason}; "
                "convert it: iconv -t utf-8"
            ) from None
