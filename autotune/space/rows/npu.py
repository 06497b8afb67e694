"""What an NPU can be told beside its hint and requests.

Names, values and defaults: OpenVINO 2026.4.1, `intel_npu/properties.hpp` and the documentation of
the device. More tiles than there are end in an exception of its compiler.
"""

from autotune.space.dimension import Dimension, Kind, Stage
from autotune.space.offer import Offer

_LEVELS = tuple(f"optimization-level={level}" for level in range(3))


def _untold_tiles(offer: Offer) -> str:
    return "" if offer.tiles else "the device does not say how many tiles it has"


ROWS: tuple[Dimension, ...] = (
    Dimension(
        name="npu_turbo",
        label="turbo",
        meaning="Whether the highest frequency is asked for (NPU); both are tried.",
        stage=Stage.COMPILE,
        kind=Kind.SWITCH,
        type=bool,
        property="NPU_TURBO",
        default=False,
        on=("NPU",),
        offered=lambda _: (False, True),
    ),
    Dimension(
        name="npu_tiles",
        label="tiles",
        meaning="How many tiles the model is compiled for (NPU); all counts are tried.",
        stage=Stage.COMPILE,
        kind=Kind.ORDERED,
        type=int,
        is_fine=True,
        property="NPU_TILES",
        on=("NPU",),
        offered=lambda offer: tuple(range(1, (offer.tiles or 1) + 1)),
        absent=_untold_tiles,
        may_be_named=True,
    ),
    Dimension(
        name="compilation",
        label="compilation",
        meaning="How hard the compiler tries (NPU); levels 1 and 2 if left out.",
        stage=Stage.COMPILE,
        kind=Kind.NAMED,
        type=str,
        allowed=_LEVELS,
        is_fine=True,
        property="NPU_COMPILATION_MODE_PARAMS",
        on=("NPU",),
        offered=lambda _: _LEVELS[1:],
        words=str,
    ),
)
