"""Preprocessing compiled into the model, and whether it gives what the host gives."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import openvino as ov
from openvino import opset15 as op
from openvino.preprocess import PrePostProcessor, PreProcessSteps, ResizeAlgorithm

from autotune.space.dimensions import ARITHMETIC_PROPERTY
from autotune.worker.inputs import input_name
from autotune.worker.model import last_line
from autotune.workload.preparing import (
    FRACTION,
    HALF,
    PreparationError,
    Size,
    crop_bounds,
    prepare,
    prepared_size,
    resized_size,
    rows_first,
    size_in,
    source_of,
    taps,
)
from autotune.workload.preprocessing import Preprocessing, Resize

MOST_WITH_RESIZE, MOST_WITHOUT = 1e-2, 1e-5
"""How far graph and host may be apart in f32, of the largest value."""

_ALGORITHMS = {
    Resize.BILINEAR: ResizeAlgorithm.RESIZE_BILINEAR_PILLOW,
    Resize.BICUBIC: ResizeAlgorithm.RESIZE_BICUBIC_PILLOW,
}
NO_NEAREST = (
    "the graph cannot resize to the nearest pixel as Pillow does: of two that are as near, the "
    "runtime takes the other; bilinear and bicubic agree"
)


def with_preprocessing(network: ov.Model, how: Preprocessing, *, size: Size | None) -> ov.Model:
    """The network with what `how` says before its input, which then takes images as they come.

    Its first dimension stays the batch, and its inputs keep their names. The network is used up.

    Args:
        network: at static shapes, or with what is open left open.
        how: the description, of which `described.why_not` says nothing.
        size: height and width of the images; None where they differ.

    Raises:
        PreparationError: the middle is to be kept of images that differ in size, without a resize.
        RuntimeError: the runtime does not do it; in its words.
    """
    at = _place(network, how)
    port = network.inputs[at]
    resized = resized_size(how, _size_of(port, how))
    kind = port.get_element_type()
    size = how.size or size
    processor = PrePostProcessor(network)
    info = processor.input(at)
    tensor = info.tensor()
    tensor.set_element_type(ov.Type.u8 if how.type == "u8" else ov.Type.f32)
    tensor.set_layout(ov.Layout(f"N{how.layout}"))
    if resized is not None or how.crop is not None:
        if size is None:
            tensor.set_spatial_dynamic_shape()
        else:
            tensor.set_spatial_static_shape(*size)
    info.model().set_layout(ov.Layout(how.model_layout))
    steps = info.preprocess()
    _reshape(steps, how, resized, size)
    if how.colors[0] is not how.colors[1]:
        steps.reverse_channels()
    if how.mean:
        steps.mean(how.mean[0] if len(how.mean) == 1 else list(how.mean))
    if how.scale:
        steps.scale(how.scale[0] if len(how.scale) == 1 else list(how.scale))
    steps.convert_element_type(kind)
    return processor.build()


def _reshape(
    steps: PreProcessSteps, how: Preprocessing, resized: Size | None, size: Size | None
) -> None:
    """Resize and crop images, which are f32 afterwards."""
    if how.resize is None or resized is None:
        steps.convert_element_type(ov.Type.f32)
    elif how.resize is Resize.NEAREST:
        raise PreparationError(NO_NEAREST)
    elif how.type != "u8":
        steps.convert_element_type(ov.Type.f32)
        steps.resize(_ALGORITHMS[how.resize], *resized)
    else:
        as_pillow = _resized_to_the_bit if size is not None else _resized_as_bytes
        rows = how.layout.index("H") + 1
        steps.custom(partial(as_pillow, resize=how.resize, size=resized, rows=rows))
        steps.convert_element_type(ov.Type.f32)
    if how.crop is not None:
        steps.crop(*crop_bounds(how, resized or size))


def _resized_to_the_bit(images: ov.Output, *, resize: Resize, size: Size, rows: int) -> ov.Output:
    """Images of bytes, all of one size, in another one, to the bit as Pillow does it.

    In its integers, whatever precision the model computes in: in f32 an operation of the runtime's
    rounds halves another way, and in bf16 it is several steps off.

    Args:
        images: the node's output.
        resize: bilinear or bicubic.
        size: height and width afterwards.
        rows: the axis of the height; that of the width is the next.
    """
    sizes = [one.get_length() for one in list(images.get_partial_shape())[1:]]
    before = (sizes[rows - 1], sizes[rows])
    found: ov.Node = op.convert(images, "i32")
    for axis in (0, 1) if rows_first(before, size) else (1, 0):
        if before[axis] == size[axis]:
            continue
        places, weights = taps(before[axis], size[axis], resize)
        found = _along(found, rows + axis, sizes, places, weights)
        sizes[rows + axis - 1] = size[axis]
    return found.output(0)


def _along(
    images: ov.Node, axis: int, sizes: Sequence[int], places: np.ndarray, weights: np.ndarray
) -> ov.Node:
    """Bytes in i32 resized along an axis, which lies outermost for it: then rows move whole."""
    order = [0, axis, *(other for other in range(1, len(sizes) + 1) if other != axis)]
    others = [sizes[other - 1] for other in order[2:]]
    flat = op.reshape(
        op.transpose(images, op.constant(np.array(order))),
        op.constant(np.array([0, sizes[axis - 1], int(np.prod(others))])),
        special_zero=True,
    )
    total: ov.Node = op.constant(np.int32(1 << (FRACTION - 1)))
    for place, weight in zip(places.T, weights.T, strict=True):
        part = op.gather(flat, op.constant(np.ascontiguousarray(place)), op.constant(np.int32(1)))
        total = op.add(total, op.multiply(part, op.constant(weight.reshape(1, -1, 1))))
    whole = op.bitwise_right_shift(total, op.constant(np.int32(FRACTION)))
    bytes_ = op.minimum(op.maximum(whole, op.constant(np.int32(0))), op.constant(np.int32(255)))
    shape = op.constant(np.array([0, len(places), *others]))
    return op.transpose(
        op.reshape(bytes_, shape, special_zero=True), op.constant(np.argsort(order))
    )


def _resized_as_bytes(images: ov.Output, *, resize: Resize, size: Size, rows: int) -> ov.Output:
    """Images of bytes, of any size, in another one, nearly as Pillow does it.

    In two passes, after each of which it rounds half up, and clips what bicubic weights overshoot;
    a resize in one goes up to 0.1 of the largest value astray. A single pass is a resize that keeps
    one of both sizes: with fewer axes than two, this operation gives other values (2026.4.1).

    Args:
        images: the node's output.
        resize: bilinear or bicubic.
        size: height and width afterwards.
        rows: the axis of the height; that of the width is the next.
    """
    axes = op.constant(np.array([rows, rows + 1]))
    target = op.constant(np.array(size))
    before = op.gather(op.shape_of(images), axes, op.constant(np.int64(0)))
    found: ov.Node = op.convert(images, "f32")
    # As Pillow 13 decides: columns first where more than twice as many rows as columns go.
    gone = op.subtract(before, target)
    high, wide = op.split(gone, op.constant(np.int64(0)), 2).outputs()
    columns = op.logical_and(
        op.greater(high, op.constant(np.array([0]))), op.less(op.add(wide, wide), high)
    )
    first = op.select(op.concat([columns, op.logical_not(columns)], 0), target, before)
    for sizes in (first, target):
        found = op.interpolate(
            found,
            sizes,
            mode=f"{resize}_pillow",
            shape_calculation_mode="sizes",
            axes=axes,
            cube_coeff=-0.5,
        )
        found = op.clamp(op.floor(op.add(found, op.constant(np.float32(HALF)))), 0, 255)
    return found.output(0)


def why_no_graph(
    core: ov.Core,
    network: ov.Model,
    how: Preprocessing,
    images: Sequence[np.ndarray],
    device: str = "CPU",
) -> str | None:
    """Why the graph does not prepare images as the host does; None where it does.

    Args:
        core: the runtime.
        network: the model before anything is put before it; it is left as it is.
        how: the description.
        images: those to compare on, as they come; one or more.
        device: where the model is to run.

    Raises:
        PreparationError: the host cannot prepare an image.
    """
    if how.resize is Resize.NEAREST:
        return NO_NEAREST
    port = network.inputs[_place(network, how)]
    model = _size_of(port, how)
    sources = [source_of(image, how) for image in images]
    wanted = [
        prepare(image, how, *prepared_size(how, _size_in(source, how), model))
        for image, source in zip(images, sources, strict=True)
    ]
    try:
        got = prepared_in_graph(core, port, how, sources, device)
    except (RuntimeError, PreparationError) as error:
        return f"the graph does not prepare images on {device}: {last_line(error)}"
    most = MOST_WITHOUT if how.resize is None else MOST_WITH_RESIZE
    apart = furthest(got, wanted)
    if apart <= most:
        return None
    return (
        f"what the graph prepares is {apart:.2g} of the largest value from what the host prepares, "
        f"and {most:g} is allowed"
    )


def prepared_in_graph(
    core: ov.Core,
    port: ov.Output,
    how: Preprocessing,
    sources: Sequence[np.ndarray],
    device: str = "CPU",
) -> list[np.ndarray]:
    """What stands before the model for each source: a model of nothing but its input gives it.

    Raises:
        RuntimeError: the runtime does not do it; in its words.
        PreparationError: as `with_preprocessing`.
    """
    sizes = {_size_in(source, how) for source in sources}
    size = sizes.pop() if len(sizes) == 1 else None
    network = _nothing_but(port, how)
    compiled = core.compile_model(
        with_preprocessing(network, how, size=size), device, _in_f32(core, device)
    )
    request = compiled.create_infer_request()
    found = []
    for source in sources:
        request.infer([np.ascontiguousarray(source)])
        found.append(request.get_output_tensor(0).data.copy())
    return found


def furthest(got: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """The largest deviation of all, in units of the largest of the wanted values."""
    apart = max(
        float(np.abs(one.astype(np.float64) - other).max())
        for one, other in zip(got, wanted, strict=True)
    )
    if not np.isfinite(apart):
        return float("inf")
    largest = max(float(np.abs(one).max()) for one in wanted)
    return apart / largest if largest else apart


def _place(network: ov.Model, how: Preprocessing) -> int:
    """Which input is prepared; the only one, or the first, where none is named."""
    names = [{*port.get_names(), input_name(port)} for port in network.inputs]
    return next((at for at, one in enumerate(names) if how.input in one), 0)


def _size_of(port: ov.Output, how: Preprocessing) -> Size:
    """Height and width that an input takes; -1 where one is open."""
    shape = port.get_partial_shape()
    return size_in([one.get_length() if one.is_static else -1 for one in shape], how)


def _size_in(source: np.ndarray, how: Preprocessing) -> Size:
    """Height and width of an image with a batch of one before it."""
    at = how.layout.index("H") + 1
    return source.shape[at], source.shape[at + 1]


def _nothing_but(port: ov.Output, how: Preprocessing) -> ov.Model:
    """A model that gives its one input, which is as `port` for one item, but for its batch."""
    shape = port.get_partial_shape()
    shape[how.model_layout.index("N")] = 1
    lone = op.parameter(shape, port.get_element_type())
    lone.output(0).get_tensor().set_names({how.input or "image"})
    return ov.Model([op.result(lone)], [lone])


def _in_f32(core: ov.Core, device: str) -> dict[str, str]:
    """What keeps a device from computing in less, where it can be told."""
    known = core.get_property(device, "SUPPORTED_PROPERTIES")
    return {ARITHMETIC_PROPERTY: "f32"} if ARITHMETIC_PROPERTY in known else {}
