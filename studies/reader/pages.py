"""Lines of text as an application cuts them out of pages: each of data/lines.txt, rendered."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

HEIGHT, WIDTH = 48, 320


def lines() -> Iterator[dict[str, NDArray[np.float32]]]:
    """x: f32 1x3x48x320, blue first, from -1 to 1, as PaddleOCR feeds its models."""
    generator = np.random.default_rng(19)
    for text in Path("data/lines.txt").read_text(encoding="utf-8").splitlines():
        image = np.asarray(rendered(text, generator), dtype=np.float32)
        yield {"x": image[None, ..., ::-1].transpose(0, 3, 1, 2) / np.float32(127.5) - 1}


def rendered(text: str, generator: np.random.Generator) -> Image.Image:
    """Dark ink on light paper with some noise."""
    size, room = int(generator.integers(25, 31)), WIDTH + 1
    while room > WIDTH:
        font = ImageFont.load_default(size=size)
        left, top, right, bottom = map(int, font.getbbox(text))
        size, room = size - 1, right - left + 12
    paper, ink = generator.integers(200, 256, 3), generator.integers(0, 90, 3)
    image = Image.new("RGB", (WIDTH, HEIGHT), tuple(map(int, paper)))
    at = (6 - left, (HEIGHT - (bottom - top)) // 2 - top)
    ImageDraw.Draw(image).text(at, text, font=font, fill=tuple(map(int, ink)))
    noise = generator.normal(0, 4, (HEIGHT, WIDTH, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
