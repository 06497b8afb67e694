"""Which precisions may be used without being asked for: those whose answers were seen to be near.

A tuner that gains speed by giving other answers has not tuned (docs/decisions/0001-precision.md).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

PRECISION_TOLERANCE = 0.05
"""How far a precision may be from f32, relative to the largest output."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """How far answers may be from those in f32, on one kind of data."""

    default_error: float | None
    """Deviation of what the runtime uses by itself, relative to the largest output; None where
    that gives values that are not finite, infinite where it gives outputs of another size."""
    spread: float
    """How far answers of different samples are apart, likewise."""

    @property
    def measures(self) -> bool:
        """Whether the runtime's own default can be compared with f32, and others with it."""
        return self.default_error is not None and math.isfinite(self.default_error)

    def distrust(self, error: float | None) -> str | None:
        """Why answers that deviate so much may not be trusted; None where they may.

        They may be as far off as the runtime's own default, or else 5 %, if that is less than what
        tells samples apart. None stands for values that are not finite, infinity for outputs of
        another size, such as a list of detections.
        """
        if self.default_error is None or (error is not None and error <= self.default_error):
            return None
        if error is None:
            return "it gives values that are not finite, where f32 gives finite ones"
        if math.isinf(error):
            return "it gives outputs of another size than f32"
        if error > PRECISION_TOLERANCE:
            limit = max(PRECISION_TOLERANCE, self.default_error)
            return f"it differs from f32 by {error:.2g} of the largest output, over {limit:.2g}"
        if error >= self.spread:
            return f"it differs from f32 by {error:.2g} of the largest output, as samples do"
        return None


def distrust(
    yardsticks: Sequence[Yardstick], errors: Sequence[float | None], silent: str | None
) -> str | None:
    """Why a precision or a device may not be trusted; None where it may.

    Args:
        yardsticks: one for each kind of data.
        errors: deviation from f32 on each.
        silent: why the outputs could not show a difference, if they could not.
    """
    if silent is not None:
        return silent
    if not any(one.measures for one in yardsticks):
        return "what the runtime uses by itself cannot be compared with f32 either"
    found = [one.distrust(error) for one, error in zip(yardsticks, errors, strict=True)]
    return next((why for why in found if why is not None), None)
