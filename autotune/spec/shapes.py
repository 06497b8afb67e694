"""Shapes of a model's inputs, as a study file and the command line take them."""

import re

from autotune.errors import SpecError


def parse_shapes(text: str | None) -> dict[str, list[int]]:
    """Shapes by input name in ``name:1,3,48,192; other:1,8``; a lone input needs no name.

    A dimension may be zero, for a past of length 0; ``[]`` is a scalar.

    Raises:
        SpecError: it has another form.
    """
    shapes: dict[str, list[int]] = {}
    for part in (text or "").split(";"):
        if not part.strip():
            continue
        name, _, dimensions = part.rpartition(":")
        is_scalar = dimensions.strip() == "[]"
        listed = [] if is_scalar else dimensions.strip().strip("[]").split(",")
        sizes = [size.strip() for size in listed]
        if not all(re.fullmatch("0*[0-9]{1,9}", size) for size in sizes) or name.strip() in shapes:
            raise SpecError(
                f"[model] shape: {text!r} is no shape; "
                "write name:1,3,48,192 with ';' between inputs"
            )
        shapes[name.strip()] = [int(size) for size in sizes]
    return shapes
