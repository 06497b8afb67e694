"""What a reader of samples must know of a model's input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autotune.workload.words import listed, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFacts:
    """An input of the model, or the image that an input is prepared from."""

    name: str
    dtype: np.dtype[Any]
    """In which its values are written; `np.str_` for text."""
    shape: tuple[int | None, ...] | None = None
    """None for a dimension that is open; None at all for an unknown rank."""
    limits: tuple[int, int] | None = None
    """Least and largest whole number where they are not those of `dtype`, as of u4."""
    image_layout: str = ""
    """HWC or CHW where each sample is an image of three axes that is prepared later."""

    @property
    def is_text(self) -> bool:
        """Whether its values are strings."""
        return self.dtype.kind == "U"


def names_of(ports: Sequence[PortFacts]) -> str:
    """What the model takes, in words."""
    return listed([shown(port.name) for port in ports], most=12)
