"""Judge a compiled configuration's answers by those of single requests, and by f32."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import openvino as ov

from autotune.domain.answers import distrust
from autotune.space.devices import Through, kind_of
from autotune.space.dimensions import ARITHMETIC_PROPERTY, COLLECTS, may_change_answers
from autotune.space.directed import flattened, kept
from autotune.worker import model
from autotune.worker.answers import silences
from autotune.worker.batches import STRICT, WrongOutputError, check, check_shapes
from autotune.worker.gathered import unhurried, why_strange
from autotune.worker.inputs import Sample, joined
from autotune.worker.reference import RANDOM, ReferenceAnswers, Run, errors_of, run_key

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compiled."""

    core: ov.Core
    read: Callable[[], ov.Model]
    """The model anew, statically shaped, at batch 1."""
    device: str
    properties: dict[str, str]
    batch_size: int
    reference: Path
    """What was seen once for all of a study is remembered beside it."""
    progress: Callable[[str], None]
    """Hears of another compilation, which has its own time."""
    plain: Callable[[], ov.Model] | None = None
    """Where that takes its inputs in another form, the model that takes them as its file does."""

    def compiled(self, network: ov.Model) -> ov.CompiledModel:
        """The configuration, of a model that was read; leaves it at the batch."""
        model.set_batch(network, self.batch_size)
        return self.core.compile_model(network, self.device, self.properties)

    @property
    def doubtful(self) -> frozenset[str]:
        """Properties that may change answers, beside the precision, which is known by its runs.

        Whoever names one that is in no table is not believed that it changes none.
        """
        told = flattened(self.properties)
        return frozenset(filter(may_change_answers, told)) - {ARITHMETIC_PROPERTY}

    @property
    def gathers(self) -> bool:
        """Whether the runtime may make one request of several, by itself."""
        by_name = kind_of(self.device).through is Through.DIRECT
        return by_name or self.properties.get(COLLECTS.property or "") == COLLECTS.text(True)

    def single(self) -> ov.CompiledModel:
        """The same device, precision and doubtful properties at batch 1."""
        self.progress(f"compiling for {self.device} at batch 1")
        chosen = kept(self.properties, {ARITHMETIC_PROPERTY, *self.doubtful})
        always = unhurried(self.device)
        read = self.plain or self.read
        return self.core.compile_model(read(), self.device, {**always, **chosen})


def prove(
    subject: Subject,
    compiled: ov.CompiledModel,
    outputs: Sequence[np.ndarray],
    groups: Sequence[Sequence[Sample]],
    known: ReferenceAnswers,
    plain_groups: Sequence[Sequence[Sample]] | None = None,
) -> tuple[float, str | None]:
    """Deviation from single requests, and why the answers are not proven; None where they are.

    A batch is compared with batch 1 of the same device and precision; another device or precision,
    and whatever else may change answers, is judged by f32, as for the space
    (docs/decisions/0001-precision.md).

    Args:
        subject: what was compiled.
        compiled: as such.
        outputs: what it gave for the first samples of the first kind, in order.
        groups: samples of each kind of the reference.
        known: the reference.
        plain_groups: the same as the plain model takes them, where it is another one.

    Raises:
        WrongOutputError: the answers are other ones.
    """
    if subject.batch_size > 1 and known.why_no_batch is not None:
        raise WrongOutputError(known.why_no_batch)
    asked = flattened(subject.properties).get(ARITHMETIC_PROPERTY, "")
    arithmetic = model.arithmetic(compiled) or asked
    run = None if subject.doubtful else known.run(subject.device, arithmetic)
    if run is None:
        run = _run(subject, compiled, plain_groups or groups, arithmetic)
        doubt = known.silent if known.is_deterministic else RANDOM
        why = distrust(known.yardsticks, errors_of(run, known.exact), doubt)
    else:
        why = known.untrusted.get(run_key(run.device, run.requested))
    if subject.batch_size > 1 or subject.gathers:
        why = known.unproven_batch or why
    if not known.is_deterministic:
        check_shapes(outputs, _chosen(known.exact.answers[0], range(subject.batch_size)))
        return 0.0, why
    worst = _deviation(compiled, outputs, groups, run, subject.batch_size)
    if subject.gathers:
        strange = why_strange(compiled, groups, run)
        if strange is not None:
            raise WrongOutputError(strange)
    if subject.batch_size > 1 and why is None and _tells_less(run, known.exact):
        why = _exactly(subject, groups, known)
    return worst, why


def trust_alone(
    subject: Subject, groups: Sequence[Sequence[Sample]], known: ReferenceAnswers, arithmetic: str
) -> str | None:
    """Why single requests are in doubt with this device, precision and what else may change them.

    None where they are not.

    Raises:
        RuntimeError: they cannot be run.
    """
    run = None if subject.doubtful else known.run(subject.device, arithmetic)
    if run is not None:
        return known.untrusted.get(run_key(run.device, run.requested))
    single = subject.single()
    answers = [[model.answer(single, sample) for sample in group] for group in groups]
    run = Run(subject.device, arithmetic, model.arithmetic(single) or arithmetic, answers)
    doubt = known.silent if known.is_deterministic else RANDOM
    return distrust(known.yardsticks, errors_of(run, known.exact), doubt)


def _tells_less(run: Run, exact: Run) -> bool:
    """Whether an output that tells samples apart in f32 does so no more, on any kind of data."""

    def telling(one: Run) -> set[int]:
        every = [True] * len(one.answers[0][0])
        found = [silences(group, one.arithmetic, every) for group in one.answers]
        return {i for group in found for i, why in enumerate(group) if why is None}

    return bool(telling(exact) - telling(run))


def _exactly(
    subject: Subject, groups: Sequence[Sequence[Sample]], known: ReferenceAnswers
) -> str | None:
    """Why a batch of this size is not proven in f32; None where it is.

    Raises:
        WrongOutputError: its answers are other ones.
    """
    exact = known.exact
    if subject.device != exact.device:
        return "rounding hides what tells samples apart"
    mark = _mark(subject.reference, subject.batch_size)
    if not mark.exists():
        subject.progress("comparing the batch in f32")
        network = subject.read()
        try:
            model.set_batch(network, subject.batch_size)
            chosen = {ARITHMETIC_PROPERTY: exact.requested} if exact.requested else {}
            compiled = subject.core.compile_model(network, exact.device, chosen)
        except RuntimeError as error:
            return f"it cannot be compared in f32: {model.last_line(error)}"
        strict = STRICT if exact.arithmetic == "f32" else None
        for samples, answers in zip(groups, exact.answers, strict=True):
            order = unlike_any_shift(len(samples), subject.batch_size)
            outputs = model.infer(compiled, joined(_chosen(samples, order)))
            check(outputs, _chosen(answers, order), answers, exact.arithmetic, strict)
        mark.touch()
    return None


def _mark(reference: Path, batch_size: int | str) -> Path:
    """A file that says that a batch of this size was shown in f32."""
    return reference.with_name(f"{reference.name}.batch{batch_size}")


def forget(reference: Path) -> None:
    """What was shown by an earlier reference of this name counts no more."""
    for mark in reference.parent.glob(_mark(reference, "*").name):
        mark.unlink()


def _deviation(
    compiled: ov.CompiledModel,
    outputs: Sequence[np.ndarray],
    groups: Sequence[Sequence[Sample]],
    run: Run,
    batch_size: int,
) -> float:
    """Over samples in order, and of each kind in another order: with other neighbours."""
    first = run.answers[0]
    worst = check(outputs, _chosen(first, range(batch_size)), first, run.arithmetic)
    for samples, answers in zip(groups, run.answers, strict=True):
        order = unlike_any_shift(len(samples), batch_size)
        again = model.infer(compiled, joined(_chosen(samples, order)))
        worst = max(worst, check(again, _chosen(answers, order), answers, run.arithmetic))
    return worst


def unlike_any_shift(samples: int, length: int) -> list[int]:
    """Which sample each item of a batch is: backwards, and without a period.

    In a batch of eight that repeats four samples, items 4 to 7 may be the answers of items 0 to 3
    and nobody would see it. Here the place is the sum of the digits of the item's number, with as
    many samples as the base: the generalised Thue-Morse sequence, which repeats nothing three times
    in a row.

    >>> unlike_any_shift(3, 8)
    [2, 1, 0, 1, 0, 2, 0, 2]
    """
    base = max(samples, 2)
    sums = [0]
    while len(sums) < length:
        sums += [sums[len(sums) // base] + len(sums) % base]
    return [(-1 - found) % samples for found in sums[:length]]


def _chosen(things: Sequence[T], places: Sequence[int]) -> list[T]:
    return [things[place % len(things)] for place in places]


def _run(
    subject: Subject,
    compiled: ov.CompiledModel,
    groups: Sequence[Sequence[Sample]],
    arithmetic: str,
) -> Run:
    """Answers of single requests on a device, or in a precision, that was not looked at before."""
    is_single = subject.batch_size == 1 and subject.plain is None
    single = compiled if is_single else subject.single()
    answers = [[model.answer(single, sample) for sample in group] for group in groups]
    return Run(subject.device, arithmetic, model.arithmetic(single) or arithmetic, answers)
