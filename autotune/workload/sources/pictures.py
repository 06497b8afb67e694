"""Samples of a folder of pictures, decoded by Pillow as an application would."""

import contextlib
import warnings
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autotune.errors import SourceError
from autotune.workload.inputs import Inputs
from autotune.workload.listing import looked_at
from autotune.workload.ports import PortFacts
from autotune.workload.preprocessing import Color
from autotune.workload.sources.found import Found, decoded, only_input
from autotune.workload.words import one_line, shown

_Array = np.ndarray[Any, Any]


def samples(
    inputs: Inputs, ports: Sequence[PortFacts], notes: list[str], color: Color
) -> Generator[Found]:
    """Each picture as u8, height × width × 3 (1 for gray), or CHW where the input says so.

    Raises:
        SourceError: there are no pictures, or none decodes; Pillow is not there; the model has
            several inputs.
    """
    port = only_input(ports, "pictures")
    files = looked_at(inputs)
    if not files:
        where = ", ".join(shown(path) for path in inputs.files)
        raise SourceError(f"{where}: has no pictures; folders in it are not looked into")
    moving: list[str] = []

    def decode(file: Path) -> _Array:
        values, frames = decode_picture(file, color)
        if frames > 1:
            moving.append(file.name)
        return values.transpose(2, 0, 1).copy() if port.image_layout == "CHW" else values

    try:
        for name, values in decoded(inputs, decode, "pictures", notes):
            yield name, {port.name: values}
    finally:
        if moving:
            have = "have" if len(moving) > 1 else "has"
            notes.append(
                f"{len(moving):,} of the pictures {have} several frames: the first is used"
            )


def decode_picture(file: Path, color: Color) -> tuple[_Array, int]:
    """A picture as it is looked at, u8 HWC, and how many frames it has.

    As EXIF says it is turned; transparency is dropped, as ``convert("RGB")`` does; of 16 bits the
    upper ones are kept.

    Raises:
        ValueError: with the reason why it does not decode.
        SourceError: Pillow is not there.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise SourceError(
            'pictures are decoded by Pillow: pip install "openvino-autotune[images]"'
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(file) as opened:
                opened.load()
                return _pixels(_upright(opened), opened.format, color), _frames(opened)
        except UnidentifiedImageError:
            raise ValueError("no picture that Pillow knows") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            most = f"more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels"
            raise ValueError(f"{most}, which may be a decompression bomb") from None
        except MemoryError:
            raise ValueError("larger than memory") from None
        except Exception as error:  # noqa: BLE001 - decoders raise whatever broken bytes lead to
            said = one_line(str(error)).replace(str(file), "it")
            raise ValueError(said or type(error).__name__) from None


def _upright(image: Any) -> Any:
    from PIL import ImageOps

    with contextlib.suppress(Exception):  # what says how it is turned is broken, not the picture
        return ImageOps.exif_transpose(image)
    return image


def _frames(image: Any) -> int:
    if image.format == "MPO":  # a camera's second picture is a preview
        return 1
    with contextlib.suppress(Exception):  # a later frame is broken
        return int(getattr(image, "n_frames", 1))
    return 2


def _pixels(image: Any, kind: str | None, color: Color) -> _Array:
    """Values of an upright image, which does not say any more what kind of file it was."""
    if image.mode.startswith("I;16") or (image.mode == "I" and kind in {"PNG", "PPM"}):
        image = _of_16_bits(np.asarray(image))
    elif image.mode in {"I", "F"}:
        raise ValueError(
            f"pixels of 32 bits (mode {image.mode}) have no known white: save it with 8 bits, or "
            "give arrays"
        )
    step = {"P": "RGBA", "PA": "RGBA", "LAB": "RGB"}.get(image.mode)
    if step is not None:  # Pillow warns of one, and turns the other into no gray
        image = image.convert(step)
    values = np.array(image.convert("L" if color is Color.GRAY else "RGB"), np.uint8)
    if not values.size:
        raise ValueError("it has no pixels")
    if color is Color.GRAY:
        return values[:, :, None]
    return np.ascontiguousarray(values[:, :, ::-1]) if color is Color.BGR else values


def _of_16_bits(values: _Array) -> Any:
    from PIL import Image

    return Image.fromarray((np.clip(values, 0, 65535).astype(np.uint16) >> 8).astype(np.uint8))
