"""Which of several files of the model is deployed."""

from autotune.space.dimension import Bound, Dimension, Kind, Stage
from autotune.space.offer import Offer

GIVEN = "model"
"""The file that [model] path names: what all others are held to."""


def _no_variants(offer: Offer) -> str:
    return "" if offer.ways.variants else "the study has no [variants]"


VARIANT = Dimension(
    name="variant",
    label="variant",
    meaning=f'Files of the model to choose from: "{GIVEN}", the one of [model] path, and names of '
    "[variants]; all of them if left out.",
    holds="which file of the model",
    stage=Stage.MODEL,
    kind=Kind.NAMED,
    type=str,
    default=GIVEN,
    offered=lambda offer: offer.ways.variants,
    absent=_no_variants,
    bound=Bound.MACHINE,
    words=lambda name: "" if name == GIVEN else name,
    unset="the model as it was given",
    answers=True,
)
ROWS: tuple[Dimension, ...] = (VARIANT,)
