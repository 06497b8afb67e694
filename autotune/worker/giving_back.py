"""Quantisation that gives operations back until answers are near enough, on calibrating samples.

NNCF ranks the quantised operations by what each costs, and gives back the worst first. The samples
that the guard holds out are not looked at: what is chosen by them could not be judged by them.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import openvino as ov

from autotune.worker import model
from autotune.worker.asked import WorkloadData
from autotune.worker.inputs import DataError, Sample
from autotune.worker.user_metric import UserMetric, labels_of
from autotune.workload.metrics import Metric, MetricError, Outputs, score, top1_of_label

AIM = 0.5
"""Share of what may be lost that is aimed at: the guard's bound is on other samples like these, and
lies above what they show."""
_OFTEN_S = 5.0
"""Between words on how far it is."""


@dataclass(frozen=True, kw_only=True)
class Nearness:
    """By what, and how near, answers are to be."""

    metric: Metric
    max_drop: float
    is_relative: bool
    labels: Sequence[dict[str, np.ndarray[Any, Any]]] | None
    """Of all samples; None without any."""

    @classmethod
    def of(cls, told: dict[str, Any], samples: int) -> Self:
        """From the fields of a message.

        Raises:
            DataError: the labels cannot be read, or are not as many as the samples.
        """
        labels = told["labels"]
        return cls(
            metric=Metric.from_dict(told["metric"]),
            max_drop=told["max_drop"],
            is_relative=told["is_relative"],
            labels=None
            if labels is None
            else labels_of(Path(labels), samples, is_part=told["is_part"]),
        )


@dataclass(frozen=True)
class Taken:
    """Samples as a model takes them."""

    data: WorkloadData
    ready: Callable[[Sample], Sample]
    """From one as it comes."""

    def of(self, number: int) -> Sample:
        """One of them."""
        return self.ready(self.data.samples[number])


class Scorer:
    """Scores of a compiled model on some samples, as NNCF asks for them."""

    def __init__(
        self,
        taken: Taken,
        nearness: Nearness,
        progress: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            taken: all samples.
            nearness: by what answers are scored.
            progress: hears how far it is, every few seconds.
        """
        self._taken = taken
        self._nearness = nearness
        self._progress = progress
        self._wanted: dict[int, Outputs] = {}
        self._function: UserMetric | None = None
        self._stack = ExitStack()
        self._models, self._told_s = 0, -math.inf

    def __enter__(self) -> Self:
        metric = self._nearness.metric
        if metric.code is not None:
            self._function = self._stack.enter_context(UserMetric(metric.code, metric.name))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def learn(self, compiled: ov.CompiledModel, numbers: Sequence[int]) -> float:
        """Note the answers of the model as it was given; its own accuracy."""
        answers = self._answers(compiled, numbers, None)
        self._wanted = dict(zip(numbers, answers, strict=True))
        return self._scored(numbers, answers)[0]

    def __call__(
        self, compiled: ov.CompiledModel, numbers: Iterable[int]
    ) -> tuple[float, list[float] | None]:
        """The accuracy of a model on these samples, and of each; None where there is one of all."""
        self._models += 1
        chosen = [int(number) for number in numbers]
        names = list(next(iter(self._wanted.values())))
        return self._scored(chosen, self._answers(compiled, chosen, names))

    def _answers(
        self, compiled: ov.CompiledModel, numbers: Sequence[int], names: Sequence[str] | None
    ) -> list[Outputs]:
        request = compiled.create_infer_request()
        found: list[Outputs] = []
        names = names or model.output_names(compiled)
        for place, number in enumerate(numbers, start=1):
            if time.monotonic() - self._told_s > _OFTEN_S:
                self._told_s = time.monotonic()
                done = f"sample {place} of {len(numbers)}"
                self._progress(f"looking at answers, model {self._models}: {done}")
            request.reset_state()
            arrays = model.infer_by(request, compiled, self._taken.of(number))
            found.append({n: np.array(array) for n, array in zip(names, arrays, strict=True)})
        return found

    def _scored(
        self, numbers: Sequence[int], answers: Sequence[Outputs]
    ) -> tuple[float, list[float] | None]:
        if self._function is not None:
            value = self._function(answers, [self._sample(number) for number in numbers])
            return (float(np.mean(value)), value) if isinstance(value, list) else (value, None)
        try:
            each = [self._score(number, one) for number, one in zip(numbers, answers, strict=True)]
        except MetricError as error:
            raise DataError(str(error)) from None
        return float(np.mean(each)), each

    def _score(self, number: int, found: Outputs) -> float:
        near, metric = self._nearness, self._nearness.metric
        if near.labels is not None:
            right = next(iter(near.labels[number].values()))
            return top1_of_label(right, found[metric.output or next(iter(found))])
        value = score(metric, self._wanted[number], found)
        return 0.0 if math.isnan(value) else value  # which is right by no measure

    def _sample(self, number: int) -> Sample:
        labels = self._nearness.labels
        return {**self._taken.data.samples[number], **({} if labels is None else labels[number])}
