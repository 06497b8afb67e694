"""Answers of small outputs."""

from typing import Any

import numpy as np

from autotune.worker.parts import Answer, part_of

ROWS = np.array([[0.0, 10.0], [4.0, 10.0], [8.0, 10.0]], np.float32)


def answers(*outputs: Any) -> list[Answer]:
    """One answer for each row of each output."""
    return [[part_of(np.array([row])) for row in rows] for rows in zip(*outputs, strict=True)]


KNOWN = answers(ROWS)
