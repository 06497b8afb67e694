"""A metric of the study's own: a function that is called with all outputs and samples."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from autotune.errors import SourceError
from autotune.worker.inputs import DataError, Sample
from autotune.workload.inputs import Inputs
from autotune.workload.metrics import Outputs
from autotune.workload.sources.code import (
    check_call,
    function_of,
    guarded,
    home_of,
    surroundings,
)
from autotune.workload.words import shown


class UserMetric:
    """The function, within what it finds around it."""

    def __init__(self, code: Inputs, name: str) -> None:
        self._code = code
        self._stack = contextlib.ExitStack()
        self.label = shown(name)

    def __enter__(self) -> Self:
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(surroundings(home_of(self._code)))
                self._function = function_of(self._code)
                check_call(self._function, self.label, [], [])
                self._stack = stack.pop_all()
        except SourceError as error:
            raise _as_data(error) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def __call__(
        self, outputs: Sequence[Outputs], samples: Sequence[Sample]
    ) -> float | list[float]:
        """An accuracy, or one number for each sample.

        Raises:
            InputCodeError: it raised.
            DataError: it returned something else.
        """
        given = [dict(one) for one in outputs], [dict(one) for one in samples]
        value = guarded(lambda: self._function(*given), self.label, self._code)
        return self._number(value, len(samples))

    def _number(self, value: Any, samples: int) -> float | list[float]:
        try:
            found = None if value is None else np.asarray(value, dtype=np.float64)
        except (ValueError, TypeError):
            found = None
        if found is None or found.shape not in {(), (samples,)}:
            what = type(value).__name__ if found is None else f"an array of {list(found.shape)}"
            message = (
                f"{self.label} returned {what}; an accuracy is a number, or one number for each of "
                f"{samples} samples"
            )
            raise DataError(message)
        if not np.isfinite(found).all():
            message = f"{self.label} returned {'nan' if np.isnan(found).any() else 'infinity'}"
            raise DataError(f"{message}, which is no accuracy")
        return float(found) if found.shape == () else [float(one) for one in found]


def _as_data(error: SourceError) -> SourceError | DataError:
    """What is wrong with the words is data; what the code raised stays what it is."""
    return DataError(str(error)) if type(error) is SourceError else error


def labels_of(
    file: Path, samples: int, *, is_part: bool = False
) -> list[dict[str, np.ndarray[Any, Any]]]:
    """The right answers, one dictionary for each sample: under `label`, or by an array's name.

    Args:
        file: .npy, .npz, or lines of text.
        samples: how many were read.
        is_part: whether there may be more of them, so that there may be more labels, too.

    Raises:
        DataError: they cannot be read, or are not as many as the samples.
    """
    columns = _columns(file)
    for name, column in columns.items():
        if len(column) < samples or (len(column) > samples and not is_part):
            message = (
                f"{shown(file)}: {name!r} has {len(column)} labels, and there are {samples} samples"
            )
            raise DataError(message)
    return [
        {name: np.asarray(column[n]) for name, column in columns.items()} for n in range(samples)
    ]


def _columns(file: Path) -> dict[str, Sequence[Any]]:
    try:
        if file.suffix.lower() not in {".npy", ".npz"}:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
            return {"label": lines}
        with file.open("rb") as stream:
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"label": list(loaded)}
            return {name: list(loaded[name]) for name in loaded.files}
    except (OSError, ValueError, EOFError, TypeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"{shown(file)}: labels cannot be read: {reason}"
        raise DataError(message) from None
