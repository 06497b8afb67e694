"""Whether a description of images agrees with itself and with the model that they are for."""

from collections.abc import Sequence

import numpy as np

from autotune.workload.preparing import channels_of
from autotune.workload.preprocessing import Color, Preprocessing

IMAGE_TYPES = ("u8", "f32")
IMAGE_LAYOUTS = ("HWC", "CHW")
MODEL_LAYOUTS = ("NCHW", "NHWC")
MODEL_TYPES = ("f32", "f16", "f64", "u8")


def why_not(how: Preprocessing, shape: Sequence[int], kind: str = "f32") -> str | None:
    """Why images cannot be prepared as they are described; None where they can.

    Args:
        how: the description.
        shape: of the model's input, -1 for what is open.
        kind: OpenVINO's element type of the model's input.
    """
    return (
        _unknown(how)
        or _of_colors(how)
        or _of_numbers(how)
        or _of_sizes(how)
        or _of_type(how, kind)
        or _of_shape(how, tuple(shape))
    )


def _unknown(how: Preprocessing) -> str | None:
    """A word that means nothing."""
    for key, said, known in (
        ("type", how.type, IMAGE_TYPES),
        ("layout", how.layout, IMAGE_LAYOUTS),
        ("model_layout", how.model_layout, MODEL_LAYOUTS),
    ):
        if said not in known:
            return f"{key} = {said!r} is not known: say one of {', '.join(known)}"
    return None


def _of_colors(how: Preprocessing) -> str | None:
    before, after = how.colors
    if (before is Color.GRAY) == (after is Color.GRAY):
        return None
    return (
        f"color = {str(before)!r} does not become model_color = {str(after)!r}: say color = "
        f"{str(after)!r}, so that images come in it"
    )


def _of_numbers(how: Preprocessing) -> str | None:
    """Mean and scale, in f32 as they are used."""
    channels = channels_of(how.colors[1])
    for key, said in (("mean", how.mean), ("scale", how.scale)):
        if len(said) not in {0, 1, channels}:
            fits = "one" if channels == 1 else f"one, or {channels}"
            return (
                f"{key} has {len(said)} values, and the model takes {channels} "
                f"channel{'s'[: channels - 1]} ({how.colors[1]}): give {fits}"
            )
        if not all(np.isfinite(_f32(value)) for value in said):
            return f"{key} = {_listed(said)}: each must be a finite number"
    if any(_f32(value) == 0 for value in how.scale):
        return f"scale = {_listed(how.scale)}: nothing can be divided by zero"
    smallest = min((abs(value) for value in how.scale), default=1.0)
    if not np.isfinite(_f32((255 + max(map(abs, how.mean), default=0)) / smallest)):
        return f"scale = {_listed(how.scale)}: what is divided by it is too large for f32"
    return None


def _of_sizes(how: Preprocessing) -> str | None:
    for key, said in (("size", how.size), ("resize_to", how.resize_to), ("crop", how.crop)):
        if said is not None and (len(said) != 2 or min(said) < 1):
            return f"{key} = {_listed(said)}: give height and width, each 1 or more"
    if how.resize_to is not None and how.resize is None:
        return "resize_to says a size, and no resize is said: say resize, or leave resize_to out"
    before = how.size if how.resize is None else how.resize_to
    if how.crop is not None and before is not None and _is_larger(how.crop, before):
        what = "size" if how.resize is None else "resize_to"
        return f"crop = {_listed(how.crop)} is larger than {what} = {_listed(before)}"
    return None


def _of_type(how: Preprocessing, kind: str) -> str | None:
    if kind not in MODEL_TYPES:
        return f"the model takes {kind}, and images become one of {', '.join(MODEL_TYPES)}"
    if kind != "u8":
        return None
    if how.type != "u8":
        return f"the model takes u8, and images come in {how.type}: say type = 'u8'"
    return "the model takes u8: leave mean and scale out" if how.mean or how.scale else None


def _of_shape(how: Preprocessing, shape: tuple[int, ...]) -> str | None:
    """The model's input against layout, channels, and what images become."""
    taken = f"the model takes {'×'.join('?' if one < 0 else str(one) for one in shape)}"
    if len(shape) != 4:
        return f"{taken}, and images are prepared for inputs of four dimensions"
    channels, at = channels_of(how.colors[1]), how.model_layout.index("C")
    if shape[at] not in {-1, channels}:
        (other,) = (one for one in MODEL_LAYOUTS if one != how.model_layout)
        fits = shape[other.index("C")] == channels
        way_out = f"model_layout = {other!r}" if fits else "another color, or another model_layout"
        return (
            f"{taken}: {shape[at]} channels by model_layout = {how.model_layout!r}, and "
            f"{how.colors[1]} has {channels}: say {way_out}"
        )
    if 0 in shape:
        return f"{taken}: there is no value in it"
    return _of_size(
        how, (shape[how.model_layout.index("H")], shape[how.model_layout.index("W")]), taken
    )


def _of_size(how: Preprocessing, model: tuple[int, int], taken: str) -> str | None:
    """Height and width of the model's input against those that images get."""
    if how.resize is not None and how.resize_to is None:
        if -1 in model:
            return f"{taken}: its size is open, so say what images are resized to: resize_to"
        if how.crop is not None and _is_larger(how.crop, model):
            return f"{taken}, and crop = {_listed(how.crop)} is larger: say resize_to"
    last = how.crop or (how.resize_to if how.resize is not None else how.size)
    if last is not None and any(
        room not in {-1, own} for own, room in zip(last, model, strict=True)
    ):
        key = "crop" if how.crop else "resize_to" if how.resize is not None else "size"
        way_out = "say a resize" if key == "size" else f"say {key} = {_listed(model)}"
        return f"{taken}, and images become {_listed(last)} by {key}: {way_out}"
    return None


def _is_larger(crop: tuple[int, int], size: tuple[int, int]) -> bool:
    return any(kept > own for kept, own in zip(crop, size, strict=True))


def _f32(value: float) -> np.float32:
    with np.errstate(over="ignore", under="ignore"):
        return np.float32(value)


def _listed(values: Sequence[float]) -> str:
    return f"[{', '.join(map(str, values))}]"
