"""How often each shape or sample comes, beside the others."""

import math
from collections.abc import Sequence

from autotune.workload.mix import Shapes


def check_weights(weights: Sequence[float], names: Sequence[str]) -> None:
    """Refuse weights that are none.

    Args:
        weights: one for each name; their scale means nothing.
        names: of what is weighted, as a message says it: ``shape 1x3x48x80``.

    Raises:
        ValueError: there are none, or not one for each name, or one is not a number above 0.
    """
    if not names:
        raise ValueError("there is no shape to weigh; give one at least")
    if len(weights) != len(names):
        message = f"{len(weights)} weights for {len(names)} shapes; give one for each shape"
        raise ValueError(message)
    for weight, name in zip(weights, names, strict=True):
        if not (weight > 0 and math.isfinite(weight)):
            message = (
                f"weight of {name} is {weight:g}; a weight says how often it comes beside the "
                "others: give a number above 0, or leave it out"
            )
            raise ValueError(message)


def shapes_in_words(shapes: Shapes) -> str:
    """Such as ``shape 1x3x48x80``, or ``shape ids 1x7, mask 1x7`` with several inputs."""
    written = {name: "x".join(map(str, shape)) for name, shape in shapes.items()}
    if len(written) == 1:
        return f"shape {next(iter(written.values()))}"
    return "shape " + ", ".join(f"{name} {text}" for name, text in written.items())
