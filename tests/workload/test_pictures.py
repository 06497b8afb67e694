"""Samples from folders of pictures."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from autotune.errors import SourceError
from autotune.workload.digest import digest
from autotune.workload.gathered import Gathered
from autotune.workload.inputs import Source
from autotune.workload.preprocessing import Color
from autotune.workload.sources import read
from tests.workload.builders import IMAGE, of_files, port

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
FORMATS = ("png", "jpg", "bmp", "gif", "tiff", "webp", "pgm", "ppm")
WRITER = {"jpg": "jpeg", "pgm": "ppm"}
"""Of a format, where its name is not what files end with."""
LOSSLESS = {"png", "bmp", "gif", "tiff", "pgm", "ppm"}


def gradient() -> Any:
    """RGB, 12 high and 16 wide; every corner is another colour."""
    values = np.zeros((12, 16, 3), np.uint8)
    values[..., 0] = np.arange(16)[None] * 16
    values[..., 1] = np.arange(12)[:, None] * 20
    values[..., 2] = 77
    return Image.fromarray(values)


def in_mode(mode: str) -> Any:
    """The same picture as Pillow has it in that mode."""
    image = gradient()
    if mode == "LAB":
        return Image.frombytes("LAB", image.size, image.tobytes())
    if mode in {"I", "I;16", "F"}:
        gray = np.asarray(image.convert("L"))
        kinds: dict[str, Any] = {"I": np.int32, "I;16": np.uint16, "F": np.float32}
        return Image.fromarray(gray.astype(kinds[mode]) * (1 if mode == "F" else 257))
    if mode in {"LA", "PA"}:
        return image.convert("RGBA").convert(mode)
    return image.convert(mode)


def savable() -> list[tuple[str, str]]:
    """Every mode with every format that Pillow can write it in."""
    found = []
    for mode in MODES:
        for form in FORMATS:
            try:
                in_mode(mode).save(io.BytesIO(), WRITER.get(form, form))
            except (OSError, ValueError, KeyError):
                continue
            found.append((mode, form))
    return found


def pictures(folder: Path, color: Color = Color.RGB, ports: Any = (), most: int = 64) -> Gathered:
    """What is read."""
    return read(of_files(Source.IMAGES, folder, most=most), ports or [IMAGE], color)


@pytest.mark.parametrize("color", list(Color))
@pytest.mark.parametrize(("mode", "form"), savable())
def test_every_mode_in_every_format(mode: str, form: str, color: Color, tmp_path: Path) -> None:
    """u8 with the channels that were asked for; what has no known white is refused by name."""
    in_mode(mode).save(tmp_path / f"a.{form}")
    with Image.open(tmp_path / f"a.{form}") as opened:
        kept, name = opened.mode, opened.format
    if kept == "F" or (kept == "I" and name == "TIFF"):
        with pytest.raises(SourceError, match="none of 1 pictures decodes"):
            pictures(tmp_path, color)
        return
    (sample,) = pictures(tmp_path, color).samples
    values = sample["image"]
    assert values.dtype == np.uint8
    assert values.shape == (12, 16, 1 if color is Color.GRAY else 3)
    if form not in LOSSLESS:
        return
    with Image.open(tmp_path / f"a.{form}") as opened:
        if kept.startswith("I"):
            known = np.asarray(gradient().convert("L"))
            known = known if color is Color.GRAY else np.dstack([known] * 3)
        else:
            steps = {"P": "RGBA", "PA": "RGBA", "LAB": "RGB"}
            whole = opened.convert(steps[kept]) if kept in steps else opened
            known = np.asarray(whole.convert("L" if color is Color.GRAY else "RGB"))
    if color is Color.BGR:
        known = known[:, :, ::-1]
    assert np.array_equal(values, known.reshape(values.shape))


@pytest.mark.parametrize("form", ["png", "pgm", "tiff"])
def test_sixteen_bits_keep_their_upper_ones(form: str, tmp_path: Path) -> None:
    """Not clipped at 255, as a conversion by Pillow's would."""
    values = (np.arange(12 * 16).reshape(12, 16) * 341).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{form}")
    (sample,) = pictures(tmp_path, Color.GRAY).samples
    assert np.array_equal(sample["image"][:, :, 0], values >> 8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_says(orientation: int, tmp_path: Path) -> None:
    """All eight ways; what the camera stored is undone here the other way round."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's Transpose that it was stored with
    stored = gradient() if orientation == 1 else gradient().transpose(back[orientation])
    stored.save(tmp_path / "a.png", exif=exif)
    (sample,) = pictures(tmp_path).samples
    assert np.array_equal(sample["image"], np.asarray(gradient()))


def test_broken_exif_leaves_the_picture(tmp_path: Path) -> None:
    """It is the note beside it that is broken."""
    stream = io.BytesIO()
    gradient().save(stream, "jpeg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12" * 9)
    (tmp_path / "a.jpg").write_bytes(stream.getvalue())
    (sample,) = pictures(tmp_path).samples
    assert sample["image"].shape == (12, 16, 3)


@pytest.mark.parametrize("form", ["gif", "webp", "png", "tiff"])
def test_of_what_moves_the_first_frame_is_used(form: str, tmp_path: Path) -> None:
    """And that is said."""
    frames = [Image.new("RGB", (8, 6), color) for color in ("white", "black", "red")]
    frames[0].save(tmp_path / f"a.{form}", save_all=True, append_images=frames[1:])
    found = pictures(tmp_path)
    assert found.samples[0]["image"].mean() > 250
    assert found.notes == ["1 of the pictures has several frames: the first is used"]


def test_only_pictures_are_looked_at_by_name(tmp_path: Path) -> None:
    """In the order of their names; a folder holds other things as well, which are said."""
    for name in ("b.PNG", "a.png", "c10.png", "c9.png"):
        gradient().save(tmp_path / name, "png")
    for name in ("README", ".DS_Store", "study.toml", ".hidden.png", "a.png.txt"):
        (tmp_path / name).write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    found = pictures(tmp_path)
    assert found.names == ["a.png", "b.PNG", "c10.png", "c9.png"]
    assert found.notes == ["3 other files are no pictures: README, a.png.txt, study.toml"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="has no pictures; folders in it are not looked into"):
        pictures(tmp_path / "empty")


def bomb() -> bytes:
    """A few bytes that say they are a picture of 20,000 by 20,000."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))  # it is refused before it is decoded
    begin = b"\x89PNG\r\n\x1a\n"
    return begin + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def broken_pictures() -> dict[str, bytes]:
    """Bytes that are no picture, by name of a file."""
    found = {"empty.png": b"", "text.jpg": b"hello", "bomb.png": bomb()}
    for form in FORMATS:
        stream = io.BytesIO()
        noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(stream, WRITER.get(form, form))
        found[f"cut.{form}"] = stream.getvalue()[: len(stream.getvalue()) // 2]
    return found


def test_what_does_not_decode_is_named_and_skipped(tmp_path: Path) -> None:
    """With a count and each reason; nothing but the file's own name."""
    gradient().save(tmp_path / "m.png")
    broken = broken_pictures()
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link.png").symlink_to("nowhere")
    found = pictures(tmp_path)
    assert found.names == ["m.png"]
    (note,) = found.notes
    count = len(broken) + 1
    assert note.startswith(f"{count} of {count + 1} pictures do not decode and were skipped: ")
    assert "bomb.png (more than 89,478,485 pixels, which may be a decompression bomb)" in note
    assert str(tmp_path) not in note
    (tmp_path / "m.png").unlink()
    with pytest.raises(SourceError, match=f"none of {count} pictures decodes: ") as caught:
        pictures(tmp_path)
    assert "\n" not in str(caught.value)


def test_any_change_of_bytes_is_a_picture_or_a_reason(tmp_path: Path) -> None:
    """Nothing that a decoder raises comes through."""
    generator = np.random.default_rng(11)
    for form in FORMATS:
        stream = io.BytesIO()
        gradient().save(stream, WRITER.get(form, form))
        for number in range(20):
            content = bytearray(stream.getvalue())
            for place in generator.integers(0, len(content), 4):
                content[place] = int(generator.integers(0, 256))
            (tmp_path / f"{number:02d}.{form}").write_bytes(content)
    gradient().save(tmp_path / "whole.png")
    found = pictures(tmp_path, most=1000)
    assert all(one["image"].dtype == np.uint8 for one in found.samples)


def test_as_many_as_are_asked_for(tmp_path: Path) -> None:
    """The broken ones among them are made up for."""
    for i in range(5):
        gradient().save(tmp_path / f"{i}.png")
    (tmp_path / "0.png").write_bytes(b"")
    found = pictures(tmp_path, most=3)
    assert found.names == ["1.png", "2.png", "3.png"]
    assert found.notes == [
        "1 of 4 pictures does not decode and was skipped: 0.png (no picture that Pillow knows)",
        "3 of 5 pictures are used",
    ]


def test_layout_and_number_of_inputs(tmp_path: Path) -> None:
    """CHW where the application has it so; one input only, as a picture says nothing of others."""
    gradient().save(tmp_path / "a.png")
    chw = port("image", None, np.uint8, image_layout="CHW")
    (sample,) = pictures(tmp_path, ports=[chw]).samples
    assert np.array_equal(sample["image"], np.asarray(gradient()).transpose(2, 0, 1))
    with pytest.raises(SourceError, match="pictures feed one input, and the model has 2: image, x"):
        pictures(tmp_path, ports=[IMAGE, port()])


def test_a_name_that_is_no_text_can_be_said(tmp_path: Path) -> None:
    """Names go into messages that are printed and sent."""
    file = tmp_path / "caf\udce9\n.png"
    file.write_bytes(b"")
    gradient().save(tmp_path / "m.png")
    (note,) = pictures(tmp_path).notes
    assert r"caf\xe9\n.png" in note or r"caf\udce9\n.png" in note
    note.encode()


def test_of_a_large_folder_only_the_first_ones_are_looked_at(tmp_path: Path) -> None:
    """Four for each sample; the rest is neither decoded nor part of the digest."""
    for i in range(9):
        (tmp_path / f"{i}.png").write_bytes(b"")
    gradient().save(tmp_path / "8.png")
    inputs = of_files(Source.IMAGES, tmp_path, most=2)
    with pytest.raises(SourceError, match="none of the first 8 of 9 pictures decodes: "):
        read(inputs, [IMAGE])
    before = digest(inputs)
    (tmp_path / "8.png").write_bytes(b"")
    assert digest(inputs) == before
    gradient().save(tmp_path / "3.png")
    assert digest(inputs) != before
    assert read(inputs, [IMAGE]).notes[-1] == "1 of 9 pictures is used"
