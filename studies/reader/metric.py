"""Which lines are read right: every letter, blanks left out, which the model sees behind a line."""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import openvino as ov

MODEL = Path("../models/recogniser.onnx")
"""Has the characters that its classes stand for."""


def right(outputs: Sequence[Mapping[str, Any]], samples: Sequence[Mapping[str, Any]]) -> list[bool]:
    """For each line, whether it was read as it was written."""
    read = (text_of(next(iter(one.values()))) for one in outputs)
    written = (str(one["label"]).replace(" ", "") for one in samples)
    return [mine == wanted for mine, wanted in zip(read, written, strict=True)]


def text_of(output: Any) -> str:
    """The text that has the likeliest class at each step; repeated ones count once."""
    classes = output[0].argmax(-1)
    return "".join(characters()[one] for one, _ in groupby(classes)).replace(" ", "")


@cache
def characters() -> list[str]:
    """By class; the first one stands between two letters that are the same."""
    model = ov.Core().read_model(MODEL)
    listed = str(model.get_rt_info(["framework", "character"]).astype(str)).split("\n")
    return ["", *listed, " "]
