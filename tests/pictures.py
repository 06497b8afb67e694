"""Pictures that mean something: a page of text over a gradient, with edges."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_WORDS = ("The quick brown fox", "jumps over", "the lazy dog", "0123456789", "Grüße, 42 €")


def page(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A u8 picture of height×width×3: black text on white, and a gradient with hard edges."""
    generator = np.random.default_rng(seed)
    down, right = np.mgrid[0:height, 0:width]
    colors = [right * 255 // width, down * 255 // height, (down + right) * 255 // (height + width)]
    picture = Image.fromarray(np.stack(colors, axis=-1).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, width * 2 // 3, height * 3 // 4), fill="white")
    draw.rectangle((width * 2 // 3, 0, width * 5 // 6, height // 4), fill="black")
    size = max(8, height // 16)
    font = ImageFont.load_default(size=size)
    for line in range(max(1, height // (2 * size))):
        left = int(generator.integers(0, max(1, width // 4)))
        word = _WORDS[int(generator.integers(len(_WORDS)))]
        draw.text((left, 2 * line * size), word, fill="black", font=font)
    return np.asarray(picture)
