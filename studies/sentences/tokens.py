"""Word pieces as BERT takes them, without case: the tokenizer that the encoder was trained with."""

import functools
import re
import unicodedata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VOCABULARY = Path(__file__).parent / "data" / "vocabulary.txt"
"""A word piece in each line, the first with id 0; made by studies/make_data.py."""
MOST = 256
"""Tokens, with the two that stand around a text: what all-MiniLM-L6-v2 was made for."""
LONGEST_WORD = 100
"""In characters; a longer one is unknown."""
_SYMBOLS = "$+<=>^`|~"
"""Those in ASCII that Unicode does not call punctuation."""
_SHAPELESS = {"Cc", "Cf", "Co"}
"""Controls, marks of format, what is for private use."""

_CHINESE = ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH")


def encode(line: str) -> dict[str, NDArray[np.int64]]:
    """A text as the encoder's three inputs, each 1×n.

    >>> encode("Tokens!")["input_ids"].tolist()
    [[101, 19204, 2015, 999, 102]]
    """
    ids = vocabulary()
    pieces = [piece for word in words(line) for piece in split(word, ids)]
    tokens = np.array([[ids[one] for one in ("[CLS]", *pieces[: MOST - 2], "[SEP]")]], np.int64)
    return {
        "input_ids": tokens,
        "attention_mask": np.ones_like(tokens),
        "token_type_ids": np.zeros_like(tokens),
    }


@functools.cache
def vocabulary() -> dict[str, int]:
    """Id by word piece."""
    return {piece: n for n, piece in enumerate(VOCABULARY.read_text("utf-8").split("\n")[:-1])}


def words(text: str) -> list[str]:
    """Lower-case words without accents; each sign and each Chinese character is one, too."""
    parts = unicodedata.normalize("NFD", clean(text))
    plain = "".join(one for one in parts if unicodedata.category(one) != "Mn").lower()
    return "".join(f" {one} " if stands_alone(one) else one for one in plain).split()


def clean(text: str) -> str:
    """Any white space as a space, and nothing that has no shape."""
    spaced = re.sub(r"\s", " ", text)
    return "".join(one for one in spaced if unicodedata.category(one) not in _SHAPELESS)


def stands_alone(character: str) -> bool:
    """Whether a character is a word by itself."""
    is_sign = unicodedata.category(character)[0] == "P" or character in _SYMBOLS
    return is_sign or unicodedata.name(character, "").startswith(_CHINESE)


def split(word: str, ids: dict[str, int]) -> list[str]:
    """The longest piece that a word begins with, then that of what is left, and so on.

    One unknown piece where that leads nowhere.
    """
    pieces: list[str] = []
    while word and len(word) <= LONGEST_WORD:
        start = "##" if pieces else ""
        fits = (end for end in range(len(word), 0, -1) if start + word[:end] in ids)
        if not (end := next(fits, 0)):
            break
        pieces.append(start + word[:end])
        word = word[end:]
    return ["[UNK]"] if word else pieces
