"""A mix of shapes as a plan serves it: its models, which of them an item goes to, and its answers.

Whatever the plan, each item must be answered as it is when it is asked alone in its own shape.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import openvino as ov

from autotune.space.shape_plan import ShapePlan, Sizes
from autotune.worker import model
from autotune.worker.answers import TELLING, noise_of
from autotune.worker.asked import WorkloadData
from autotune.worker.asking import Asking, asking
from autotune.worker.batches import TOLERANCE, WrongOutputError
from autotune.worker.fitting import cropped
from autotune.worker.inputs import Sample, joined, shapes_of
from autotune.worker.judgement import unlike_any_shift
from autotune.worker.parts import Answer, finite_or_zero, is_finite, magnitude, off_by, part_of
from autotune.workload.costs import in_words
from autotune.workload.mix import Mix

_SEED = 18
_CYCLE, _MOST_BYTES = 256, 64 * 2**20
"""Items until the order begins again, and the most that the requests of a whole cycle take which
are made before a load begins."""
_FOLLOWS = 0.25
"""Where samples of one shape differ, an item may be off by this share of the difference."""


def open_to(network: ov.Model, form: dict[str, tuple[Any, ...]]) -> None:
    """Give a model the shapes of one form of a mix: sizes, -1 for open ones, or bounds."""
    network.reshape(
        {
            name: ov.PartialShape([ov.Dimension(*_bounds(size)) for size in shape])
            for name, shape in form.items()
        }
    )


def _bounds(size: Any) -> tuple[int, ...]:
    return size if isinstance(size, tuple) else (size,)


@dataclass(frozen=True, kw_only=True)
class MixedModels:
    """A mix as a plan serves it."""

    read: Callable[[], ov.Model]
    """The model as its file has it."""
    asked: WorkloadData
    plan: ShapePlan
    batch_size: int = 1

    @property
    def mix(self) -> Mix:
        """The shapes."""
        assert self.asked.mix is not None  # noqa: S101 - for the type checker
        return self.asked.mix

    def networks(self) -> list[ov.Model]:
        """One for each form of the plan, with the batch."""
        found = []
        for form in self.mix.forms(self.plan):
            network = self.read()
            open_to(network, form)
            model.set_batch(network, self.batch_size)
            found.append(network)
        return found

    @cached_property
    def asking(self) -> Asking:
        """Requests of a cycle, in their order.

        Raises:
            DataError: a sample fits no bucket.
        """
        samples = self.asked.samples
        heaviest = max(sum(array.nbytes for array in one.values()) for one in samples)
        items = _CYCLE if self.batch_size == 1 else min(_CYCLE, _MOST_BYTES // max(1, heaviest))
        return asking(
            self.mix,
            self.plan,
            samples,
            self.asked.weights,
            batch_size=self.batch_size,
            length=max(items, len(samples)),
            seed=_SEED,
        )

    @property
    def routes(self) -> Sequence[int]:
        """For each sample, the model that it goes to."""
        return self.asking.model_of

    def fitted(self, number: int) -> Sample:
        """A sample as its model takes it."""
        return self.asking.fitted(number)

    def room(self, number: int) -> Sizes | None:
        """Sizes that a sample is padded to; None where it keeps its own."""
        if not self.asking.shapes:
            return None
        return self.mix.sizes_of(self.asking.shapes[self.routes[number]])

    def request(self, numbers: Sequence[int]) -> Sample:
        """These samples, all of one model, as one request."""
        return joined([self.fitted(number) for number in numbers])


def prove_mixed(
    served: MixedModels,
    compiled: Sequence[ov.CompiledModel],
    exact: Sequence[Answer],
    arithmetic: str,
) -> float:
    """Largest deviation of any item from what it is answered alone, relative to its largest value.

    Each sample is asked, among others of its model in an order without a period.

    Args:
        served: the plan.
        compiled: its models.
        exact: for each sample, its answer in its own shape, in f32.
        arithmetic: that the models compute in.

    Raises:
        WrongOutputError: another answer, with how far it is off and for which sample.
    """
    worst = 0.0
    for place, one in enumerate(compiled):
        mine = [number for number, route in enumerate(served.routes) if route == place]
        request = one.create_infer_request()
        for numbers in _requests(mine, served.batch_size):
            outputs = model.infer_by(request, one, served.request(numbers))
            worst = max(worst, _check(served, numbers, outputs, exact, arithmetic))
    return worst


def _requests(mine: Sequence[int], batch_size: int) -> list[list[int]]:
    """So many samples at a time that each is asked at least once."""
    if not mine:
        return []
    count = -(-len(mine) // batch_size) + 1 if batch_size > 1 else len(mine)
    order = unlike_any_shift(len(mine), count * batch_size)
    found = [mine[at] for at in order]
    found = list(mine) if batch_size == 1 else [*mine, *found][: count * batch_size]
    return [found[at : at + batch_size] for at in range(0, len(found), batch_size)]


def _check(
    served: MixedModels,
    numbers: Sequence[int],
    outputs: Sequence[np.ndarray],
    exact: Sequence[Answer],
    arithmetic: str,
) -> float:
    worst, limit = 0.0, TOLERANCE.get(arithmetic, 0.15)
    for index, output in enumerate(outputs):
        for number, item in zip(numbers, _items(index, output, len(numbers)), strict=True):
            wanted = exact[number][index]
            got = part_of(cropped(item, wanted.shape, f"output {index}"), wanted.values.size)
            scale = magnitude([wanted])
            if is_finite(wanted.values) and not is_finite(got.values):
                message = f"output {index} of sample {number + 1} is not finite"
                raise WrongOutputError(message)
            off = off_by(got.values, wanted.values, scale)
            if off > limit:
                message = _apart(served, number, off, limit)
                raise WrongOutputError(message)
            worst = max(worst, off)
            _check_that_it_follows(number, index, got.values, exact, arithmetic)
    return worst


def _items(index: int, output: np.ndarray, count: int) -> list[np.ndarray]:
    """The output cut into its items."""
    if count == 1:
        return [output]
    if not output.ndim or output.shape[0] % count:
        message = f"output {index} has no batch dimension: its shape is {output.shape}"
        raise WrongOutputError(message)
    return np.split(output, count)


def _apart(served: MixedModels, number: int, off: float, limit: float) -> str:
    said = f"the answer of sample {number + 1} is off by {off:.2g} of its largest value"
    sizes = served.mix.sizes_of(shapes_of(served.asked.samples[number]))
    room = served.room(number)
    if room is not None and room != sizes:
        said += f" when it is padded from {in_words(sizes)} to {in_words(room)}"
    return f"{said}, more than {limit:g}"


def _check_that_it_follows(
    number: int, index: int, got: np.ndarray, exact: Sequence[Answer], arithmetic: str
) -> None:
    """Where another sample of this shape has another answer, this one must be its own.

    A small value among large ones may be wrong without being far off.
    """
    own = exact[number][index]
    if own.values.dtype.kind != "f":
        return
    noise = TELLING * noise_of(arithmetic)
    for other, answer in enumerate(exact):
        there = answer[index]
        if other == number or there.shape != own.shape:
            continue
        apart = np.abs(finite_or_zero(there.values) - finite_or_zero(own.values))
        telling = apart > noise * magnitude([own, there])
        off = np.abs(finite_or_zero(got) - finite_or_zero(own.values))
        if telling.any() and np.median(off[telling] / apart[telling]) > _FOLLOWS:
            message = (
                f"the answer of sample {number + 1} is not its own: output {index} is as far from "
                f"it as that of sample {other + 1}"
            )
            raise WrongOutputError(message)
