"""Look at a model's answers before anything is measured: what may be trusted, and what not.

A batch is proven in f32 on several kinds of data: every item must give what its sample gives
alone, whatever its place and its neighbours. That says nothing where the outputs say nothing.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import openvino as ov

from autotune.domain.answers import Yardstick, distrust
from autotune.domain.inspection import home_of, native_of
from autotune.space.devices import members_of
from autotune.space.dimensions import ARITHMETIC_PROPERTY
from autotune.space.directed import directed
from autotune.worker import model
from autotune.worker.answers import are_finite, differing, is_repeated, silences, spread
from autotune.worker.batches import STRICT, WrongOutputError, check, check_shapes, strays
from autotune.worker.culprit import culprit, refused_by, shapes_of
from autotune.worker.gathered import unhurried
from autotune.worker.inputs import KINDS, Sample, input_name, joined
from autotune.worker.parts import Answer
from autotune.worker.reference import (
    GIVEN,
    RANDOM,
    ReferenceAnswers,
    Run,
    errors_of,
    probes,
    run_key,
)

_BATCH = 3
"""Odd, so that items that are taken for others' halves show."""
_ORDERS = ((0, 1, 2), (3, 0, 1), (2, 3, 0))
"""Samples of the batches that are looked at: every one with other neighbours, in other places."""
_FEW = 0.005
"""Share of an output's values that may be nothing but rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What inspection found out."""

    reference: ReferenceAnswers
    default_precision: str
    precision_errors: dict[str, float | None]
    untrusted: dict[str, str]
    """Precisions that are native here and not to be used unless asked for, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a model is looked at with."""

    core: ov.Core
    network: ov.Model
    """Statically shaped, at batch 1."""
    file: Path | None
    """The user's own data."""
    capabilities: dict[str, Sequence[str]]
    """Of every device."""
    keeps_given: bool = False
    """Whether the answers to the user's own data are needed, whatever they show."""
    progress: Callable[[str], None]
    """Hears what comes next: every compilation has its time."""

    def compiled(self, device: str, arithmetic: str) -> ov.CompiledModel:
        """The model as it is now."""
        self.progress(f"compiling for {device} {arithmetic}".rstrip())
        asked = {ARITHMETIC_PROPERTY: arithmetic} if arithmetic else {}
        properties = {**unhurried(device), **directed(device, asked)}
        return self.core.compile_model(self.network, device, properties)


def inspect(bench: Bench, devices: Sequence[str], *, try_batch: bool) -> Findings:
    """Run the model on its data, in every native precision of every device, and in a batch.

    Leaves the network at another batch.

    Raises:
        RuntimeError: it cannot be run at all.
        DataError: the user's data does not fit it.
    """
    home = home_of(bench.capabilities)
    native = _native(bench, home)
    first = "f32" if "f32" in native else ""
    compiled = bench.compiled(home, first)
    arithmetic = model.arithmetic(compiled) or "f32"
    relevant = model.relevant_outputs(bench.network)
    kinds, groups, answers = _told_apart(bench, compiled, arithmetic, relevant)
    is_deterministic, keeps_state = _looked_at_again(compiled, arithmetic, groups, answers)
    del compiled  # memory for one model at a time
    exact = Run(home, first, arithmetic, answers)
    runs = [exact, *_other_runs(bench, devices, exact, groups)]
    default = next(run for run in runs if run.device == home and not run.requested)
    silent = _silent(bench.network, exact, relevant)
    yardsticks = _yardsticks(default, exact)
    # Where every answer differs from every other, none can be compared.
    untrusted = _untrusted(runs, default, yardsticks, silent if is_deterministic else RANDOM)
    needed = _needed(exact, relevant)
    if bench.keeps_given and 0 not in needed:
        needed = [0, *needed]
    why_no_batch = in_doubt = None
    if try_batch:  # last, as it leaves the network at another batch
        why_no_batch, in_doubt = _look_at_batches(bench, exact, groups, compare=is_deterministic)
    return Findings(
        reference=ReferenceAnswers(
            kinds=tuple(kinds[i] for i in needed),
            runs=tuple(replace(run, answers=[run.answers[i] for i in needed]) for run in runs),
            is_deterministic=is_deterministic,
            why_no_batch=why_no_batch,
            unproven_batch=_unproven(
                silent or in_doubt, is_deterministic=is_deterministic, keeps_state=keeps_state
            ),
            silent=silent,
            yardsticks=tuple(yardsticks[i] for i in needed),
            untrusted=untrusted,
        ),
        default_precision=default.arithmetic,
        precision_errors=_precision_errors(runs, exact),
        untrusted={
            name: untrusted[key] for name in native if (key := run_key(home, name)) in untrusted
        },
    )


def _yardsticks(default: Run, exact: Run) -> list[Yardstick]:
    """For each kind of data, how far the default is off, and samples are apart."""
    errors = errors_of(default, exact)
    return [Yardstick(error, spread(g)) for error, g in zip(errors, exact.answers, strict=True)]


def _precision_errors(runs: Sequence[Run], exact: Run) -> dict[str, float | None]:
    """Of every precision that was asked for at home; None where nothing can be compared."""
    errors = {
        run.requested: errors_of(run, exact)[0]
        for run in runs
        if run.device == exact.device and run.requested
    }
    return {name: None if error == math.inf else error for name, error in errors.items()}


def _untrusted(
    runs: Sequence[Run], default: Run, yardsticks: Sequence[Yardstick], silent: str | None
) -> dict[str, str]:
    """Why the answers of a run are in doubt; never those of f32 and of the runtime's default."""
    found = {}
    for run in runs:
        is_home = run.device == default.device
        if not is_home or run.arithmetic not in {"f32", default.arithmetic}:
            why = distrust(yardsticks, errors_of(run, runs[0]), silent)
            if why is not None:
                found[run_key(run.device, run.requested)] = why
    return found


def _native(bench: Bench, device: str) -> list[str]:
    """Precisions of a device; of one that stands for others, what all of those have."""
    each = [native_of(one, bench.capabilities.get(one, ())) for one in members_of(device)]
    return [name for name in (each[0] if each else []) if all(name in one for one in each)]


def _runs(
    bench: Bench, device: str, precisions: Sequence[str], groups: Sequence[Sequence[Sample]]
) -> list[Run]:
    found = []
    for name in precisions:
        compiled = bench.compiled(device, name)
        answers = [[model.answer(compiled, sample) for sample in group] for group in groups]
        found.append(Run(device, name, name or model.arithmetic(compiled) or "f32", answers))
    return found


def _other_runs(
    bench: Bench, devices: Sequence[str], exact: Run, groups: Sequence[Sequence[Sample]]
) -> list[Run]:
    """In every other precision at home, then of the other devices that can run it."""
    home = exact.device
    precisions = ["", *_native(bench, home)]
    runs = _runs(bench, home, [p for p in precisions if p != exact.requested], groups)
    members = [member for device in devices for member in members_of(device)]
    for device in dict.fromkeys([*devices, *members]):
        if device != home:
            with contextlib.suppress(RuntimeError):  # its trials will say so
                runs += _runs(bench, device, ["", *_native(bench, device)], groups)
    return runs


def _told_apart(
    bench: Bench, compiled: ov.CompiledModel, arithmetic: str, relevant: Sequence[bool]
) -> tuple[tuple[str, ...], list[list[Sample]], list[list[Answer]]]:
    """Kinds of data, their samples and answers: the user's own alone where those say something.

    Made data is of every kind: what is right between 0 and 1 may be wrong beyond. A kind that the
    model cannot run, or answers with values that are not finite, is left out.
    """
    first = KINDS[0] if bench.file is None else GIVEN
    kinds: tuple[str, ...] = ()
    groups: list[list[Sample]] = []
    answers: list[list[Answer]] = []
    for kind in dict.fromkeys((first, *KINDS)):
        bench.progress(f"running {kind} data")
        (samples,) = probes(bench.network, bench.file, [kind])
        try:
            found = [model.answer(compiled, sample) for sample in samples]
        except RuntimeError:
            if kind == first:
                raise
            continue
        if kind == first or are_finite(found):
            kinds, groups, answers = (*kinds, kind), [*groups, samples], [*answers, found]
        if kind == GIVEN and not any(silences(found, arithmetic, relevant)) and any(relevant):
            break
    return kinds, groups, answers


def _looked_at_again(
    compiled: ov.CompiledModel,
    arithmetic: str,
    groups: Sequence[Sequence[Sample]],
    answers: Sequence[Sequence[Answer]],
) -> tuple[bool, bool]:
    """Whether a sample gives the same answer again, and whether a request remembers the last one.

    The second look is by a new request, then by one that has answered another sample before.
    """
    for group, known in zip(groups, answers, strict=True):
        if not is_repeated(known[0], model.answer(compiled, group[0]), arithmetic):
            return False, False
    request = compiled.create_infer_request()
    last = len(groups[0]) - 1
    for sample in (groups[0][last], groups[0][0]):
        again = model.answer_of(request, compiled, sample)
    keeps_state = not is_repeated(answers[0][0], again, arithmetic)
    return True, keeps_state or bool(model.variables(compiled))


def _silent(network: ov.Model, run: Run, relevant: Sequence[bool]) -> str | None:
    """Why the answers could not show a mistake; None where each output says something."""
    if not any(relevant):
        return "no output depends on the inputs"
    found = [silences(group, run.arithmetic, relevant) for group in run.answers]
    for index, whys in enumerate(zip(*found, strict=True)):
        if all(why is not None for why in whys):
            return f"{_output(network, index)} is {whys[0]}"
    return None


def _needed(run: Run, relevant: Sequence[bool]) -> list[int]:
    """Positions of the fewest kinds of data that show what all of them show; at least one."""
    telling = [
        {i for i, why in enumerate(silences(group, run.arithmetic, relevant)) if why is None}
        for group in run.answers
    ]
    order = sorted(range(len(telling)), key=lambda kind: -len(telling[kind]))
    needed, shown = order[:1], telling[order[0]]
    for kind in order[1:]:
        if telling[kind] - shown:
            needed, shown = [*needed, kind], shown | telling[kind]
    return needed


def _unproven(silent: str | None, *, is_deterministic: bool, keeps_state: bool) -> str | None:
    if not is_deterministic:
        return RANDOM
    return "it keeps state from one request to the next" if keeps_state else silent


def _look_at_batches(
    bench: Bench, exact: Run, groups: Sequence[Sequence[Sample]], *, compare: bool
) -> tuple[str | None, str | None]:
    """Why a batch gives other answers than single requests, and why it may; None where neither."""
    for port in bench.network.inputs:
        if not len(port.get_shape()) or port.get_shape()[0] != 1:
            shape = f"input {input_name(port)!r} is {port.get_partial_shape()}"
            return f"the first dimension of every input must be 1: {shape}", None
    strayed, told = [], []
    single = shapes_of(bench.network)
    try:
        model.set_batch(bench.network, _BATCH)
        compiled = bench.compiled(exact.device, exact.requested)
        strict = STRICT if exact.arithmetic == "f32" else None
        for samples, known in zip(groups, exact.answers, strict=True):
            bench.progress("comparing batches")
            told.append(differing(known, exact.arithmetic))
            for order in _ORDERS:
                places = [place % len(samples) for place in order]
                outputs = model.infer(compiled, joined([samples[i] for i in places]))
                expected = [known[i] for i in places]
                if compare:
                    check(outputs, expected, known, exact.arithmetic, strict)
                    found = strays(outputs, expected, known, exact.arithmetic)
                    strayed.append(found)
                    told[-1] = [a & ~b for a, b in zip(told[-1], found, strict=True)]
                else:
                    check_shapes(outputs, expected)
    except (RuntimeError, WrongOutputError) as error:
        said = model.last_line(error)
        by = refused_by(error) or culprit(bench.network, single, _BATCH)
        return said if by is None else f"{said.rstrip('.')}: {by}", None
    return None, _in_doubt(bench.network, strayed, told)


def _in_doubt(
    network: ov.Model,
    strayed: Sequence[Sequence[np.ndarray]],
    told: Sequence[Sequence[np.ndarray]],
) -> str | None:
    """Why a batch may be wrong all the same: elements that are shown on no kind of data."""
    for index, wrong in enumerate(zip(*strayed, strict=True)):
        right = [outputs[index] for outputs in told]
        if len({elements.size for elements in (*wrong, *right)}) > 1:
            continue  # as many as there are detections
        doubtful = np.any(wrong, axis=0) & ~np.any(right, axis=0)
        differ = np.any([*wrong, *right], axis=0)
        if doubtful.sum() > _FEW * differ.sum():
            return (
                f"{doubtful.sum()} of {differ.sum()} values of {_output(network, index)} are too "
                "small beside its largest to be told from rounding"
            )
    return None


def _output(network: ov.Model, index: int) -> str:
    """What to call an output."""
    several = len(network.outputs) > 1
    return f"its output {model.output_name(network, index)}" if several else "its output"
