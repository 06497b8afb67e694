"""Make the data of an example study: real where a package has it, else rendered, always seeded.

Written into the study's folder as data/, which appears whole or not at all. What it is made of is
in studies/sources/, obtained by fetch_model.py, or in the standard library. The same versions of
Python, NumPy and Pillow make the same bytes.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import textwrap
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

STUDIES = Path(__file__).resolve().parent
SOURCES = STUDIES / "sources"
SAMPLES = 64
READ = 1200
"""Lines of the reader: half of them calibrate, half are held out."""

LINE_HEIGHT = 48
LINE_WIDTHS = range(80, 641, 80)
"""A line gets the smallest that it fits."""
COLUMNS = (14, 28, 48)
"""Characters that fit in a line of a label, a letter, a page."""

HD = (1280, 720)
VGA = (640, 480)
SIGNS = (
    *("EXIT", "Platform 9", "NO ENTRY", "Open 24 hours", "Museum of Art", "Please ring the bell"),
    *("Mind the gap", "SALE 50%", "Bakery", "One way", "Baggage claim", "Gate B 17", "CAFE 1924"),
    *("Fresh fish", "Tickets", "Staff only", "River Street", "Push", "Caution: wet floor"),
)

FACE = (224, 118)
"""Centre of the astronaut's face in her portrait: x and y, in pixels."""
FACE_SIZE = 165
"""Side of the square that just holds it."""

RATE_HZ = 16_000

Floats = NDArray[np.float32]


def main() -> int:
    """Make the data of the study named on the command line, if they need to be made."""
    parser = argparse.ArgumentParser(description="Make the data of an example study.")
    parser.add_argument("--study", type=Path, required=True, metavar="DIR")
    study = parser.parse_args().study.resolve()
    data = study / "data"
    if study.parent != STUDIES or study.name not in DATA or is_fresh(data):
        return 0
    try:
        make(study.name, data)
    except OSError as error:
        print(f"error: no data for {study.name}: {error}", file=sys.stderr)
        return 1
    print(f"{study.name}: {data.relative_to(STUDIES.parent)} made")
    return 0


def is_fresh(data: Path) -> bool:
    """Whether data are there and no older than this script."""
    return data.is_dir() and data.stat().st_mtime >= Path(__file__).stat().st_mtime


def make(name: str, data: Path) -> None:
    """Write the data of a study into this folder, in place of what was there."""
    folder = Path(tempfile.mkdtemp(prefix=f".{data.name}.", dir=data.parent))
    try:
        DATA[name](folder)
        folder.chmod(0o755)
        shutil.rmtree(data, ignore_errors=True)
        folder.replace(data)
        os.utime(data)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------------------------------- text


def paragraphs() -> Iterator[str]:
    """Paragraphs and headings of the Python language reference, in its words, each on one line."""
    from pydoc_data.topics import topics

    for name in sorted(topics):
        for block in re.split(r"\n\s*\n", topics[name]):
            lines = [line.strip() for line in block.splitlines() if not re.match(r"\W{3,}$", line)]
            text = " ".join(lines).replace("*", "")  # which is emphasis
            # Grammar and programs are no prose, and the recogniser knows few signs beyond ASCII.
            if re.match(r"[A-Z]", text) and text.isascii() and not re.search("::=|>>>|  ", text):
                yield text


def lines(folder: Path) -> None:
    """Text lines as they are cut out of documents: by width, x: f32 n×3×48×width, and the text.

    Titles and last lines of paragraphs are short, all others as long as their column is wide.
    """
    generator = np.random.default_rng(18)
    found: list[tuple[str, Image.Image]] = []
    for text in paragraphs():
        if generator.random() < 0.1:  # a few from everywhere
            wrapped = textwrap.wrap(text, int(generator.choice(COLUMNS)))[:4]
            found += [(line, render_line(line, generator)) for line in wrapped]
    kept = found[:SAMPLES]
    for width in LINE_WIDTHS:
        # Each width comes, however rare it is.
        one = next(line for line in found if line[1].width == width)
        chosen = [line for line in kept if line[1].width == width] or [one]
        images = np.stack([np.asarray(image) for _, image in chosen])
        # As PaddleOCR feeds its models: blue first, from -1 to 1.
        x = images[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(127.5) - 1
        np.savez(folder / f"lines-{width:03}.npz", x=x)
        texts = "".join(f"{text}\n" for text, _ in chosen)
        (folder / f"lines-{width:03}.txt").write_text(texts, encoding="utf-8")


def reader(folder: Path) -> None:
    """Short lines of prose, one each, for a reader whose answers are held to them."""
    generator = np.random.default_rng(19)
    found: list[str] = []
    for text in paragraphs():
        if generator.random() < 0.4:
            found += textwrap.wrap(text, int(generator.integers(10, 27)))[:4]
    chosen = [line for line in dict.fromkeys(found) if 4 <= len(line) <= 26][:READ]
    (folder / "lines.txt").write_text("".join(f"{line}\n" for line in chosen), encoding="utf-8")


def render_line(text: str, generator: np.random.Generator) -> Image.Image:
    """A line of dark ink on light paper with some noise; the paper goes on to the next width."""
    size, room = int(generator.integers(25, 31)), LINE_WIDTHS[-1] + 1
    while room > LINE_WIDTHS[-1]:
        font = ImageFont.load_default(size=size)
        left, top, right, bottom = map(int, font.getbbox(text))
        size, room = size - 1, right - left + 12
    width = next(width for width in LINE_WIDTHS if room <= width)
    paper, ink = generator.integers(200, 256, 3), generator.integers(0, 90, 3)
    image = Image.new("RGB", (width, LINE_HEIGHT), tuple(map(int, paper)))
    at = (6 - left, (LINE_HEIGHT - (bottom - top)) // 2 - top)
    ImageDraw.Draw(image).text(at, text, font=font, fill=tuple(map(int, ink)))
    noise = generator.normal(0, 4, (LINE_HEIGHT, width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def sentences(folder: Path) -> None:
    """Sentences, one in a line, and the encoder's vocabulary, one word piece in a line."""
    generator = np.random.default_rng(18)
    found = [one for text in paragraphs() for one in re.split(r"(?<=[.?!])\s+(?=[A-Z])", text)]
    whole = list(dict.fromkeys(one for one in found if one.endswith((".", "?", "!"))))
    chosen = generator.choice(len(whole), SAMPLES, replace=False)
    text = "".join(f"{whole[number]}\n" for number in chosen)
    (folder / "sentences.txt").write_text(text, encoding="utf-8")
    vocabulary = json.loads((SOURCES / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    pieces = "".join(f"{piece}\n" for piece in sorted(vocabulary, key=vocabulary.__getitem__))
    (folder / "vocabulary.txt").write_text(pieces, encoding="utf-8")


# --------------------------------------------------------------------------------------- pictures


def frames(folder: Path) -> None:
    """JPEG pictures of a camera before which signs and pages are held."""
    generator = np.random.default_rng(720)
    taken = photographs()
    pictures = [with_signs(filling(taken[n % 4], HD), generator) for n in range(10)]
    pictures += [page(HD, generator) for _ in range(6)]
    keep(pictures, folder / "frames")


def photos(folder: Path) -> None:
    """JPEG pictures as people send them to a text detector: of several sizes, most with text."""
    generator = np.random.default_rng(18)
    taken = photographs()
    pictures = [with_signs(filling(taken[n % 4], HD), generator) for n in range(12)]
    pictures += [with_signs(filling(taken[n % 4], (600, 400)), generator) for n in range(4)]
    pictures += [page(VGA, generator) for _ in range(4)]
    keep([*pictures, *taken], folder / "photos")


def photographs() -> list[Image.Image]:
    """As they were taken."""
    names = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")
    return [Image.open(SOURCES / name).convert("RGB") for name in names]


def keep(pictures: list[Image.Image], folder: Path) -> None:
    """Write them into a new folder, each with its number and size as its name."""
    folder.mkdir()
    for number, picture in enumerate(pictures):
        name = f"{number:02}-{picture.width}x{picture.height}.jpg"
        picture.save(folder / name, quality=92)


def filling(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The middle of an image, made as large as this."""
    scale = max(size[0] / image.width, size[1] / image.height)
    large = image.resize(
        (max(size[0], round(image.width * scale)), max(size[1], round(image.height * scale)))
    )
    left, top = (large.width - size[0]) // 2, (large.height - size[1]) // 2
    return large.crop((left, top, left + size[0], top + size[1]))


def with_signs(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    """A photograph in some light, in which two to four signs hang, each a little askew."""
    image = ImageEnhance.Brightness(image).enhance(float(generator.uniform(0.7, 1.1)))
    for row in range(count := int(generator.integers(2, 5))):
        font = ImageFont.load_default(size=image.height * float(generator.uniform(0.07, 0.11)))
        text = str(generator.choice(SIGNS))
        left, top, right, bottom = map(int, font.getbbox(text))
        edge = (bottom - top) // 2
        paint = tuple(map(int, generator.integers(0, 110, 3)))
        colors = (paint, "white") if generator.random() < 0.5 else ("white", paint)
        sign = Image.new("RGB", (right - left + 2 * edge, bottom - top + 2 * edge), colors[0])
        ImageDraw.Draw(sign).text((edge - left, edge - top), text, font=font, fill=colors[1])
        turned = sign.convert("RGBA").rotate(
            float(generator.uniform(-6, 6)), Image.Resampling.BICUBIC, expand=True
        )
        across = int(generator.integers(0, max(1, image.width - turned.width)))
        image.paste(turned, (across, row * image.height // count), turned)
    return image


def page(size: tuple[int, int], generator: np.random.Generator) -> Image.Image:
    """A printed page, photographed with more light on one side."""
    font = ImageFont.load_default(size=24)
    texts = [text for text in paragraphs() if len(text) > 200]
    image = Image.new("RGB", size, "white")
    text = "\n".join(textwrap.wrap(" ".join(generator.choice(texts, 6)), 46)[:14])
    ImageDraw.Draw(image).multiline_text((30, 20), text, font=font, fill=(20, 20, 30), spacing=9)
    left, right = map(float, generator.uniform(0.6, 1.0, 2))
    light = np.linspace(left, right, size[0])[None, :, None]
    return Image.fromarray((np.asarray(image) * light).astype(np.uint8))


def landmarks(folder: Path) -> None:
    """PNG cuts around a face: nearer and farther, beside the middle, mirrored, darker, turned."""
    generator = np.random.default_rng(18)
    portrait = Image.open(SOURCES / "astronaut.png").convert("RGB")
    (folder / "faces").mkdir()
    for number in range(SAMPLES // 2):
        side = round(FACE_SIZE * generator.uniform(1.15, 1.7))
        x, y = (round(at + FACE_SIZE * generator.uniform(-0.12, 0.12)) for at in FACE)
        turned = portrait.rotate(
            float(generator.uniform(-15, 15)), Image.Resampling.BICUBIC, center=(x, y)
        )
        left, top = x - side // 2, y - side // 2
        face = turned.crop((left, top, left + side, top + side))
        if generator.random() < 0.5:
            face = face.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        face = ImageEnhance.Brightness(face).enhance(float(generator.uniform(0.5, 1.3)))
        face.save(folder / "faces" / f"{number:02}.png")


# ------------------------------------------------------------------------------------------ sound


def vad(folder: Path) -> None:
    """Mono sounds of 16 bits at 16 kHz: someone speaks, speaks beside a machine, does not speak."""
    generator = np.random.default_rng(18)
    with wave.open(str(SOURCES / "speech.wav")) as file:
        spoken = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32)
    spoken = np.concatenate([np.zeros(RATE_HZ // 4, np.float32), spoken / np.float32(2**15)])
    write_sound(folder / "1-speech.wav", spoken + hiss(len(spoken), 0.0005, generator))
    write_sound(folder / "2-machine.wav", spoken / np.float32(2) + machine(len(spoken), generator))
    still = 5 * RATE_HZ
    quiet = np.concatenate([hiss(still, 0.0005, generator), machine(still, generator)])
    write_sound(folder / "3-nobody.wav", quiet)


def hiss(count: int, level: float, generator: np.random.Generator) -> Floats:
    """White noise."""
    return generator.normal(0, level, count).astype(np.float32)


def machine(count: int, generator: np.random.Generator) -> Floats:
    """A fan: a hum of 50 Hz with its overtones, and wind, which is noise made smooth."""
    time_s = np.arange(count) / RATE_HZ
    hum = sum(np.sin(2 * np.pi * 50 * times * time_s) / times for times in range(1, 6))
    wind = np.convolve(generator.normal(0, 1, count), np.ones(16) / 16, "same")
    return (0.01 * hum + 0.02 * wind).astype(np.float32)


def write_sound(path: Path, sound: Floats) -> None:
    """Write values from -1 to 1."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((np.clip(sound, -1, 1) * (2**15 - 1)).astype("<i2").tobytes())


DATA: dict[str, Callable[[Path], None]] = {
    "frames": frames,
    "landmarks": landmarks,
    "lines": lines,
    "photos": photos,
    "reader": reader,
    "sentences": sentences,
    "vad": vad,
}
"""By study."""


if __name__ == "__main__":
    sys.exit(main())
