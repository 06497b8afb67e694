"""The workload of a best.json as deployment targets need it; nothing is read but names of files."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autotune.domain.measurement import Feed
from autotune.domain.paths import relative
from autotune.errors import SourceError, UsageError
from autotune.export.best_file import BestFile
from autotune.export.best_workload import BestWorkload
from autotune.export.targets.preparation import Preparation
from autotune.export.targets.served import (
    NUMPY_TYPES,
    Form,
    SampleSource,
    ServedInput,
    ServedWorkload,
)
from autotune.export.targets.target import Port
from autotune.space.rows.workload import PREPROCESSING, SHAPE_PLAN
from autotune.space.shape_plan import Serving, ShapePlan, parse_plan
from autotune.workload.digest import digest
from autotune.workload.guesses import InputKind, guessed
from autotune.workload.inputs import MOST_OF_ONE_SHAPE, Inputs, Range, Source
from autotune.workload.mix import Mix
from autotune.workload.preprocessing import Preprocessing, Where
from autotune.workload.workload import States


def _mix(asked: BestWorkload | None) -> Mix | None:
    """The mix of shapes that was measured; None for one shape."""
    if asked is None or not asked.shapes:
        return None
    return Mix.from_dict({"shapes": asked.shapes, "weights": asked.weights, "pads": asked.pads})


def mix_and_plan(best: BestFile, path: Path) -> tuple[Mix, ShapePlan] | None:
    """The mix of shapes, and how it is served; None for one shape.

    Raises:
        UsageError: the file, which was read from this path, was edited.
    """
    mix = _mix(best.model.workload)
    if mix is None:
        return None
    try:
        return mix, _plan(best, mix)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None


def in_graph(best: BestFile) -> Preprocessing | None:
    """Preprocessing that is compiled into the model; None for none.

    Raises:
        ValueError: the file was edited: nothing is said of any.
    """
    if best.beside[PREPROCESSING.column] != Where.GRAPH:
        return None
    asked = best.model.workload
    said = None if asked is None else asked.spec.preprocessing
    if said is None:
        message = "preprocessing: graph, and workload.said has none; restore the file"
        raise ValueError(message)
    return said.value


def _plan(best: BestFile, mix: Mix) -> ShapePlan:
    plan = parse_plan(best.beside[SHAPE_PLAN.column])
    if plan.serving is Serving.BUCKETS:
        wanted = len(mix.varying)
        if not plan.buckets or any(len(sizes) != wanted for sizes in plan.buckets):
            message = (
                f"shape_plan: {plan} does not say the sizes of its buckets along the {wanted} "
                "dimensions that vary; restore the file"
            )
            raise ValueError(message)
    if plan.serving is Serving.PADDED and not mix.may_pad:
        message = f"shape_plan: {plan} pads, and workload.pads does not say how; restore the file"
        raise ValueError(message)
    return plan


def shapes_to_look_at(best: BestFile, path: Path) -> dict[str, list[int]]:
    """Static shapes that the model is asked with: of a mix, those of its largest item.

    Raises:
        UsageError: the file was edited.
    """
    found = mix_and_plan(best, path)
    if found is None:
        return best.model.shapes
    mix, plan = found
    items = mix.forms(plan) if plan.is_static else mix.shapes
    largest = max(items, key=lambda one: sum(map(math.prod, one.values())))
    return {name: list(shape) for name, shape in largest.items()}


def served_of(
    best: BestFile, path: Path, ports: Sequence[Port], folder: Path
) -> ServedWorkload | None:
    """What a program must do beside keeping requests of one shape in flight; None for that.

    Args:
        best: the file.
        path: where it was read from: paths in it are relative to its folder.
        ports: the model's inputs with the shapes of `shapes_to_look_at`, and the batch.
        folder: the one that is written.

    Raises:
        UsageError: the file was edited.
    """
    asked = best.model.workload
    if asked is None and best.measured.feed is not Feed.END_TO_END:
        return None
    mixed = mix_and_plan(best, path)
    try:
        return _served(best, path.parent, ports, folder, mixed)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None


def _served(
    best: BestFile,
    home: Path,
    ports: Sequence[Port],
    folder: Path,
    mixed: tuple[Mix, ShapePlan] | None,
) -> ServedWorkload:
    asked = best.model.workload
    mix, plan = mixed or (None, None)
    states = None if asked is None or asked.states is None else States(asked.states)
    inputs = _inputs(ports, best.batch_size, mix)
    said = None if asked is None else asked.spec.preprocessing
    preparation = None
    if said is not None and asked is not None:
        preparation = _preparation(said.value, inputs, asked.image_size)
        at = preparation.at
        inputs = (*inputs[:at], replace(inputs[at], is_image=True), *inputs[at + 1 :])
    where = Where.HOST if in_graph(best) is None else Where.GRAPH
    found = ServedWorkload(
        inputs=inputs,
        source=SampleSource(),
        forms=_forms(inputs, mix, plan),
        mix=mix,
        plan=plan,
        preparation=preparation,
        where=where,
        states=states,
    )
    return replace(found, source=_source(best, home, folder, found))


def _inputs(ports: Sequence[Port], batch_size: int, mix: Mix | None) -> tuple[ServedInput, ...]:
    found = []
    for port in ports:
        shape = port.shape
        if shape and batch_size > 1:
            shape = (shape[0] // batch_size, *shape[1:])
        pads: tuple[tuple[int, float], ...] = ()
        if mix is not None:
            if port.name not in mix.shapes[0]:
                message = f"workload.shapes: has none of input {port.name!r}; restore the file"
                raise ValueError(message)
            columns = zip(*(one[port.name] for one in mix.shapes), strict=True)
            shape = tuple(sizes[0] if len(set(sizes)) == 1 else -1 for sizes in columns)
            pads = tuple((pad.axis, pad.value) for pad in mix.pads.get(port.name, ()))
        found.append(ServedInput(name=port.name, type=port.type, shape=shape, pads=pads))
    return tuple(found)


def _forms(
    inputs: Sequence[ServedInput], mix: Mix | None, plan: ShapePlan | None
) -> tuple[Form, ...]:
    if mix is None or plan is None:
        return (tuple(one.shape for one in inputs),)
    return tuple(tuple(form[one.name] for one in inputs) for form in mix.forms(plan))


def _preparation(
    how: Preprocessing, inputs: Sequence[ServedInput], size: tuple[int, int] | None
) -> Preparation:
    """For the input that it names; the only one that takes images, where that has other names."""
    names = [one.name for one in inputs]
    images = [at for at, one in enumerate(inputs) if len(one.shape) == 4]
    if how.input in names:
        at = names.index(how.input)
    elif len(names) == 1 or len(images) == 1:
        at = 0 if len(names) == 1 else images[0]
    else:
        message = (
            f"workload.said.preprocessing.input: {how.input!r} is none of the model's "
            f"{', '.join(names)}; restore the file"
        )
        raise ValueError(message)
    one = inputs[at]
    return Preparation(how=how, at=at, shape=one.shape, type=one.type, size=size)


def _source(best: BestFile, home: Path, folder: Path, served: ServedWorkload) -> SampleSource:
    """Where samples are; why they cannot be read, where something of it is gone."""
    asked = best.model.workload
    ranges: dict[str, Range | None] = {}
    inputs: Inputs | None = None
    if asked is not None:
        try:
            workload = asked.within(home)
        except SourceError as error:
            return SampleSource(fault=str(error))
        ranges = {} if workload is None else dict(workload.ranges)
        inputs = None if workload is None else workload.inputs
    if asked is not None and inputs is not None:
        has_changed = asked.inputs_sha256 not in {None, digest(inputs)}
        return replace(_read(inputs, folder, served, ranges), has_changed=has_changed)
    if best.model.inputs is not None:
        file = relative(home / best.model.inputs, folder)
        return SampleSource(kind=Source.ARRAYS, files=(file,), most=MOST_OF_ONE_SHAPE)
    return SampleSource(ranges=_guessed(ranges, served))


def _read(
    inputs: Inputs, folder: Path, served: ServedWorkload, ranges: dict[str, Range | None]
) -> SampleSource:
    is_plain = served.preparation is None and served.mix is None and served.states is None
    most = min(inputs.most, MOST_OF_ONE_SHAPE) if is_plain else inputs.most
    file, home = inputs.function_file, inputs.folder
    return SampleSource(
        kind=inputs.source,
        files=tuple(relative(one, folder) for one in inputs.files),
        function=inputs.function,
        function_file="" if file is None else relative(file, folder),
        folder="" if home is None else relative(home, folder),
        most=most,
        ranges=ranges,
    )


def _guessed(ranges: dict[str, Range | None], served: ServedWorkload) -> dict[str, Range | None]:
    """With a range for each input, as it was guessed when it was measured."""
    import numpy as np

    if set(ranges) == {""} and len(served.inputs) == 1:
        ranges = {served.inputs[0].name: ranges[""]}
    found: dict[str, Range | None] = dict(ranges)
    for one in served.inputs:
        dtype = NUMPY_TYPES.get(one.type)
        if one.name not in found and dtype is not None:
            guess, kind, _ = guessed(one.name, np.dtype(dtype), one.shape)
            found[one.name] = None if kind is InputKind.POSITIONS else guess
    return found
