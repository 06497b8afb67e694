"""Read the user's samples for a model, and hold them against its inputs."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from autotune.errors import InputCodeError, SourceError
from autotune.worker import model
from autotune.worker.ceiling import at_most_more
from autotune.worker.inputs import DataError, Sample, converted, input_name
from autotune.worker.tensors import dtype_of, limits
from autotune.workload.gathered import Gathered
from autotune.workload.inputs import Inputs, Range, Source
from autotune.workload.ports import PortFacts, names_of
from autotune.workload.preprocessing import Color, Preprocessing
from autotune.workload.random_data import made_samples
from autotune.workload.sources import read
from autotune.workload.words import shown

_CHANNELS = {Color.RGB: 3, Color.BGR: 3, Color.GRAY: 1}


def gather(  # noqa: PLR0913 - a message's fields
    core: ov.Core,
    path: Path,
    shapes: dict[str, list[int]],
    inputs: Inputs,
    *,
    preprocessing: Preprocessing | None = None,
    ranges: Mapping[str, Range] | None = None,
    memory_bytes: int | None = None,
) -> Gathered:
    """The samples as the model takes them.

    A function of the user's runs here: have a process of its own do this, with a deadline, and let
    it go afterwards.

    Args:
        core: the runtime.
        path: the model.
        shapes: static shapes by input; empty for the model's own, which may be open.
        inputs: what to read.
        preprocessing: of the input that is fed with images; these are kept as they come.
        ranges: of inputs that the samples do not have, such as a scale or a sample rate; they are
            made, of the model's own shape.
        memory_bytes: so much more than now may be taken while reading; None for no limit.

    Raises:
        DataError: the samples cannot be read or do not fit; one line.
        ShapeError: the shapes are none of the model's.
    """
    network = model.shaped(core, path, shapes)
    image = None if preprocessing is None else image_input(network, preprocessing)
    ports = facts_of(network, preprocessing)
    color = Color.RGB if preprocessing is None else preprocessing.color
    made, ports = _parted(ports, ranges or {})
    with _in_one_line(inputs):
        with at_most_more(memory_bytes):
            gathered = read(inputs, ports, color)
        gathered = _completed(gathered, made, ranges or {})
    try:
        samples = [
            _fitted(network, sample, f"sample {number} ({name})", image, preprocessing)
            for number, (name, sample) in enumerate(
                zip(gathered.names, gathered.samples, strict=True), 1
            )
        ]
    except DataError as error:
        if inputs.source is not Source.IMAGES or preprocessing is not None:
            raise
        message = f"{error}; say what is made of pictures: [workload.preprocessing]"
        raise DataError(message) from None
    return Gathered(samples=samples, names=gathered.names, notes=gathered.notes)


@contextlib.contextmanager
def _in_one_line(inputs: Inputs) -> Iterator[None]:
    """What samples are read under: faults of theirs are data, those of the user's code stay."""
    try:
        yield
    except InputCodeError:
        raise
    except SourceError as error:
        raise DataError(str(error)) from None
    except MemoryError:
        message = (
            f"reading the {inputs.source} takes more memory than its limit: "
            "use fewer or smaller samples, or raise it"
        )
        raise DataError(message) from None


def facts_of(network: ov.Model, preprocessing: Preprocessing | None = None) -> list[PortFacts]:
    """What a reader must know of each input.

    Raises:
        DataError: the input that images are prepared for is none of the model's.
    """
    image = None if preprocessing is None else image_input(network, preprocessing)
    return [
        _facts(port, preprocessing if input_name(port) == image else None)
        for port in network.inputs
    ]


def _parted(
    ports: Sequence[PortFacts], ranges: Mapping[str, Range]
) -> tuple[list[PortFacts], list[PortFacts]]:
    """Inputs that are made, and those that are read.

    Raises:
        DataError: a range is none of an input's.
    """
    unknown = sorted(set(ranges) - {port.name for port in ports})
    if unknown:
        message = (
            f"ranges: no input is named {shown(unknown[0])!r}; the model takes {names_of(ports)}"
        )
        raise DataError(message)
    made = [port for port in ports if port.name in ranges]
    return made, [port for port in ports if port.name not in ranges]


def _completed(
    gathered: Gathered, made: Sequence[PortFacts], ranges: Mapping[str, Range]
) -> Gathered:
    """With values for the inputs that were not read.

    Raises:
        SourceError: an input's shape is open, or its type cannot hold the range.
    """
    shapes = {}
    for port in made:
        if port.image_layout or port.shape is None or None in port.shape[1:]:
            raise SourceError(
                f"the range of {shown(port.name)!r} does not say its shape, which the model leaves "
                "open: give it with the samples"
            )
        shapes[port.name] = [1 if size is None else size for size in port.shape]
    more = made_samples(made, shapes, ranges, len(gathered.samples)).samples
    samples = [{**one, **other} for one, other in zip(gathered.samples, more, strict=True)]
    return Gathered(samples=samples, names=gathered.names, notes=gathered.notes)


def image_input(network: ov.Model | ov.CompiledModel, preprocessing: Preprocessing) -> str:
    """Name of the input that is fed with images to be prepared.

    Raises:
        DataError: the model has no such input.
    """
    names = [input_name(port) for port in network.inputs]
    if not preprocessing.input and len(names) == 1:
        return names[0]
    for port in network.inputs:
        if preprocessing.input in {input_name(port), *port.get_names()}:
            return input_name(port)
    message = (
        f"preprocessing is for the input {preprocessing.input!r}, and the model takes "
        f"{', '.join(names)}: name one of these"
    )
    raise DataError(message)


def _facts(port: Any, preprocessing: Preprocessing | None) -> PortFacts:
    name = input_name(port)
    if preprocessing is not None:
        dtype = dtype_of(getattr(ov.Type, preprocessing.type))
        return PortFacts(name=name, dtype=dtype, image_layout=preprocessing.layout)
    kind, shape = port.get_element_type(), port.get_partial_shape()
    sizes = None
    if not shape.rank.is_dynamic:
        sizes = tuple(None if size.is_dynamic else size.get_length() for size in shape)
    return PortFacts(name=name, dtype=dtype_of(kind), shape=sizes, limits=limits(kind))


def _fitted(
    network: ov.Model,
    sample: Sample,
    what: str,
    image: str | None,
    preprocessing: Preprocessing | None,
) -> Sample:
    """A sample in the model's types and shapes."""
    found = {}
    for port in network.inputs:
        name = input_name(port)
        values, said = sample[name], f"input {shown(name)!r} of {what}"
        try:
            if preprocessing is not None and name == image:
                found[name] = _as_image(values, preprocessing)
            else:
                found[name] = _as_tensor(values, port)
        except ValueError as error:
            message = f"{said} {error}"
            raise DataError(message) from None
    return found


def _as_tensor(values: np.ndarray[Any, Any], port: Any) -> np.ndarray[Any, Any]:
    """With axes of length 1 in front where the model has them and the sample has not."""
    shape: ov.PartialShape = port.get_partial_shape()
    missing = 0 if shape.rank.is_dynamic else shape.rank.get_length() - values.ndim
    if missing > 0:
        values = values.reshape((1,) * missing + values.shape)
    if not shape.compatible(ov.PartialShape(list(values.shape))):
        original = values.shape[max(0, missing) :]
        message = f"is {_words(original)}, the model takes {shape}"
        raise ValueError(message)
    return converted(values, port.get_element_type())


def _as_image(values: np.ndarray[Any, Any], preprocessing: Preprocessing) -> np.ndarray[Any, Any]:
    if values.ndim == 4 and values.shape[0] == 1:  # a batch of one, as many programs have it
        values = values[0]
    layout, channels = preprocessing.layout, _CHANNELS[preprocessing.color]
    if values.ndim != 3:
        message = f"is {_words(values.shape)}; an image that is prepared has the layout {layout}"
        raise ValueError(message)
    sizes = dict(zip(layout, values.shape, strict=True))
    if sizes["C"] != channels:
        message = (
            f"is {_words(values.shape)} ({layout}) with {sizes['C']} channels; "
            f"{preprocessing.color} has {channels}"
        )
        raise ValueError(message)
    size = (sizes["H"], sizes["W"])
    if 0 in size or (preprocessing.size is not None and size != preprocessing.size):
        wanted = "some pixels" if preprocessing.size is None else _words(preprocessing.size)
        message = f"is {_words(size)} (height × width); preprocessing expects {wanted}"
        raise ValueError(message)
    return np.ascontiguousarray(converted(values, getattr(ov.Type, preprocessing.type)))


def _words(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) if shape else "a scalar"
