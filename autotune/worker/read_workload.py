"""Read what is to be fed, once for all workers: the only place where a study's own code runs."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import openvino as ov

from autotune.errors import InputCodeError, SourceError
from autotune.worker import model
from autotune.worker.asked import WorkloadData, save_asked, save_static, static_file
from autotune.worker.gather import facts_of, gather, image_input
from autotune.worker.given_answers import forget_answers
from autotune.worker.inputs import (
    DataError,
    Sample,
    from_file,
    input_name,
    shapes_of,
)
from autotune.workload.described import why_not
from autotune.workload.gathered import Gathered
from autotune.workload.inputs import MOST_OF_ONE_SHAPE
from autotune.workload.mix import Mix, Pad, Shapes
from autotune.workload.preparing import (
    PreparationError,
    Size,
    image_size,
    prepare,
    prepared_size,
    size_in,
    source_of,
)
from autotune.workload.preprocessing import Preprocessing
from autotune.workload.random_data import made_samples
from autotune.workload.weights import shapes_in_words
from autotune.workload.workload import Workload

_NO_PADDING = "nothing is padded, whatever [workload] pad says: samples have one shape"
_Key = tuple[tuple[str, tuple[int, ...]], ...]
"""Shapes by input, as a key."""


def read_workload(
    core: ov.Core,
    path: Path,
    shapes: dict[str, list[int]],
    inputs: Path | None,
    workload: Workload,
    samples: Path,
) -> tuple[dict[str, list[int]], Path]:
    """Write what is asked of a model; returns static shapes, and a file with samples of these.

    Args:
        core: the runtime.
        path: the model file.
        shapes: static ones by input, at batch 1; empty for the file's own.
        inputs: data of one static shape, where the workload names none.
        workload: what is said of it.
        samples: the file to write.

    Raises:
        ShapeError, DataError: something does not fit; the message names it.
    """
    try:
        if workload.preprocessing is not None:
            asked, fed = _of_images(core, path, shapes, workload)
        else:
            asked, fed = _of_tensors(core, path, shapes, inputs, workload)
    except InputCodeError:
        raise
    except (SourceError, PreparationError) as error:
        raise DataError(str(error)) from None
    forget_answers(samples)
    save_asked(samples, asked)
    save_static(static_file(samples), fed[:MOST_OF_ONE_SHAPE])
    return {name: list(array.shape) for name, array in fed[0].items()}, static_file(samples)


def _of_images(
    core: ov.Core, path: Path, shapes: dict[str, list[int]], workload: Workload
) -> tuple[WorkloadData, list[Sample]]:
    """Images as they come, and as the model takes them.

    Raises:
        DataError, PreparationError: they do not fit their description, or the model.
    """
    how, network = workload.preprocessing, model.shaped(core, path, shapes)
    assert how is not None  # noqa: S101 - for the type checker
    name = image_input(network, how)
    model_size = _size_of(network, name, how)
    if workload.inputs is None:
        message = (
            "[workload] preprocessing: there are no images to prepare; name a folder of them as "
            "[workload] inputs"
        )
        raise DataError(message)
    found = gather(
        core,
        path,
        shapes,
        workload.inputs,
        preprocessing=how,
        ranges=workload.ranges,
        memory_bytes=workload.inputs.memory_bytes,
    )
    prepared = [{**one, name: _prepared(one[name], how, model_size)} for one in found.samples]
    images = [{**one, name: source_of(one[name], how)} for one in found.samples]
    if len({one[name].shape for one in prepared}) > 1:
        message = (
            "[workload] preprocessing: images come in several sizes, and are not resized to one: "
            "say resize, or a size"
        )
        raise DataError(message)
    asked = WorkloadData(
        samples=images,
        weights=[1.0] * len(images),
        preprocessing=how,
        states=workload.states,
        notes=tuple(found.notes),
        images_vary=len({one[name].shape for one in images}) > 1,
    )
    return asked, prepared


def _prepared(image: np.ndarray, how: Preprocessing, model_size: Size) -> np.ndarray:
    return prepare(image, how, *prepared_size(how, image_size(image, how), model_size))


def _size_of(network: ov.Model, name: str, how: Preprocessing) -> Size:
    """Height and width of the model's input; -1 for an open one.

    Raises:
        DataError: the description does not fit it.
    """
    port = next(one for one in network.inputs if input_name(one) == name)
    dimensions = port.get_partial_shape()
    shape = [one.get_length() if one.is_static else -1 for one in dimensions]
    fault = why_not(how, shape, port.get_element_type().get_type_name())
    if fault is not None:
        message = f"[workload] preprocessing: {fault}"
        raise DataError(message)
    return size_in(shape, how)


def _of_tensors(
    core: ov.Core,
    path: Path,
    shapes: dict[str, list[int]],
    inputs: Path | None,
    workload: Workload,
) -> tuple[WorkloadData, list[Sample]]:
    """Tensors as the model takes them, and those that stand for all where they differ in shape.

    Raises:
        ShapeError, DataError, SourceError: they do not fit.
    """
    if workload.inputs is not None:
        found = gather(
            core,
            path,
            shapes,
            workload.inputs,
            ranges=workload.ranges,
            memory_bytes=workload.inputs.memory_bytes,
        )
    elif inputs is not None:
        read = from_file(model.read(core, path, shapes), inputs)
        found = Gathered(samples=read, names=[str(n) for n in range(len(read))])
    else:
        found = _made(core, path, shapes, workload)
    network = model.shaped(core, path, shapes)
    mix = mix_of(network, found.samples, workload)
    fault = None if workload.states is None else _why_no_states(network, mix)
    if fault is not None:
        message = f"[workload] states: {fault}"
        raise DataError(message)
    idle = [_NO_PADDING] if mix is None and workload.pads else []
    asked = WorkloadData(
        samples=found.samples,
        weights=_weights(found.samples, mix),
        mix=mix,
        states=workload.states,
        is_random=workload.inputs is None and inputs is None,
        ranged=tuple(workload.ranges),
        notes=(*found.notes, *idle),
    )
    if mix is None:
        return asked, found.samples
    pairs = zip(mix.shapes, mix.weights, strict=True)
    usual, _ = max(pairs, key=lambda pair: (pair[1], sum(map(math.prod, pair[0].values()))))
    return asked, [one for one in found.samples if shapes_of(one) == usual]


def _why_no_states(network: ov.Model, mix: Mix | None) -> str | None:
    """Why nothing can be said of states; None where it can."""
    if mix is not None:
        return "items of a sequence have one shape, and these have several"
    if network.get_variables():
        return None
    return "the model keeps nothing from one request to the next: leave it out"


def _made(core: ov.Core, path: Path, shapes: dict[str, list[int]], workload: Workload) -> Gathered:
    """Random data of each shape that is said, or of the model's own."""
    several = [_named(model.load(core, path), one) for one in workload.shapes]
    found = Gathered(samples=[], names=[])
    said = [{name: list(shape) for name, shape in one.items()} for one in several]
    for one in said or [shapes]:
        network = model.read(core, path, one)
        static = {input_name(port): tuple(port.get_shape()) for port in network.inputs}
        made = made_samples(facts_of(network), static, workload.ranges)
        found.samples.extend(made.samples)
        found.names.extend(made.names)
        found.notes.extend(note for note in made.notes if note not in found.notes)
    return found


def mix_of(network: ov.Model, samples: Sequence[Sample], workload: Workload) -> Mix | None:
    """The mix of shapes of these samples; None where all have one.

    Raises:
        DataError: what is said of shapes or padding is none of the model's or of the samples'.
    """
    counts = Counter(tuple(sorted(shapes_of(one).items())) for one in samples)
    said = [_named(network, one) for one in workload.shapes]
    if said:
        weights = _said_weights(said, counts, workload.weights)
    else:
        weights = {key: float(count) for key, count in counts.items()}
    if len(weights) == 1:
        return None
    ranks = {
        name: {len(shape) for shape in (dict(key)[name] for key in counts)} for name in samples[0]
    }
    odd = next((name for name, found in ranks.items() if len(found) > 1), None)
    if odd is not None:
        message = (
            f"input {odd!r} comes with {sorted(ranks[odd])} axes; a mix has one number of them"
        )
        raise DataError(message)
    largest = max(weights.values())  # the sum of the largest floats is none
    total = math.fsum(weight / largest for weight in weights.values())
    return Mix(
        shapes=tuple(dict(key) for key in weights),
        weights=tuple(weight / largest / total for weight in weights.values()),
        pads=_pads(samples[0], workload.pads),
    )


def _said_weights(
    said: Sequence[Shapes], counts: Mapping[_Key, int], weights: Sequence[float]
) -> dict[_Key, float]:
    found: dict[_Key, float] = {}
    for one, weight in zip(said, weights, strict=True):
        key = tuple(sorted(one.items()))
        if key not in counts:
            message = f"[workload] shapes: no sample has the {shapes_in_words(one)}; leave it out"
            raise DataError(message)
        found[key] = found.get(key, 0.0) + weight
    left = next((dict(key) for key in counts if key not in found), None)
    if left is not None:
        message = (
            f"[workload] shapes: samples have the {shapes_in_words(left)}, which is none of the "
            "mix; give it a weight, or leave shapes out for those of the inputs"
        )
        raise DataError(message)
    return found


def _named(network: ov.Model, shapes: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    """By the names of all inputs; the empty one stands for the only input.

    Raises:
        DataError: an input is missing, or there is none of a name.
    """
    names = [input_name(port) for port in network.inputs]
    found = {name: tuple(shape) for name, shape in shapes.items()}
    if set(found) == {""} and len(names) == 1:
        found = {names[0]: found[""]}
    if set(found) != set(names):
        message = f"[workload] shapes: name a shape for each input: {', '.join(names)}"
        raise DataError(message)
    return found


def _pads(sample: Sample, said: Mapping[str, tuple[Pad, ...]]) -> dict[str, tuple[Pad, ...]]:
    """By input; what is said of no input is said of all that have the axis.

    Raises:
        DataError: there is no such input, or axis.
    """
    unknown = set(said) - set(sample) - {""}
    if unknown:
        message = (
            f"[workload] pad: no input is named {min(unknown)!r}; there are {', '.join(sample)}"
        )
        raise DataError(message)
    nowhere = next(
        (pad.axis for pad in said.get("", ()) if all(pad.axis >= a.ndim for a in sample.values())),
        None,
    )
    if nowhere is not None:
        message = f"[workload] pad: no input has an axis {nowhere}"
        raise DataError(message)
    found = {}
    for name, array in sample.items():
        own = said.get(name, ())
        beyond = next((pad.axis for pad in own if pad.axis >= array.ndim), None)
        if beyond is not None:
            message = f"[workload] pad: input {name!r} has {array.ndim} axes, and no axis {beyond}"
            raise DataError(message)
        common = (pad for pad in said.get("", ()) if pad.axis < array.ndim)
        found[name] = own or tuple(common)
    return {name: pads for name, pads in found.items() if pads}


def _weights(samples: Sequence[Sample], mix: Mix | None) -> list[float]:
    """Of each sample: its share of the weight of its shape."""
    if mix is None:
        return [1.0] * len(samples)
    keys = [tuple(sorted(shapes_of(one).items())) for one in samples]
    counts = Counter(keys)
    shares = {
        tuple(sorted(shape.items())): weight
        for shape, weight in zip(mix.shapes, mix.weights, strict=True)
    }
    return [shares[key] / counts[key] for key in keys]
