"""What each dimension comes to on a device of this machine: its choices, or why there are none."""

from collections.abc import Mapping

from autotune.space.dimensions import TABLE
from autotune.space.offer import Offer, Offered


def offers_of(offer: Offer) -> Mapping[str, Offered]:
    """Of every dimension that may be tuned but the device itself, by its name, in their order."""
    return {one.name: one.on_device(offer) for one in TABLE if one.tunable and one.name != "device"}
