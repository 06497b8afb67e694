"""How a device that stands for others is told what is chosen for them."""

from autotune.space.dimension import Bound, Dimension, Kind, Stage

ON_MEMBERS = Dimension(
    name="on_members",
    label="set on members",
    meaning="Whether what is chosen is set on the devices that AUTO, MULTI, HETERO or BATCH stand "
    "for. Studies of older versions left streams, threads and pinning to the hint there.",
    stage=Stage.COMPILE,
    bound=Bound.NEITHER,
    kind=Kind.SWITCH,
    type=bool,
    default=False,
    tunable=False,
    words=lambda _: "",
)
ROWS: tuple[Dimension, ...] = (ON_MEMBERS,)
