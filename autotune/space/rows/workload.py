"""What is done with a workload: who prepares its inputs, and how its mix of shapes is served.

Both are settings of the deployment and not of the runtime, so that a hint is a baseline with any.
"""

from autotune.space.dimension import Bound, Dimension, Kind, Stage
from autotune.space.offer import Offer
from autotune.space.shape_plan import Serving, parse_plan

_HOST, _GRAPH = "host", "graph"


def _no_choice_of_host(offer: Offer) -> str:
    return "" if offer.ways.preparers else "the study has no [workload.preprocessing]"


def _no_plans(offer: Offer) -> str:
    return "" if offer.ways.plans else "the workload has one shape"


PREPROCESSING = Dimension(
    name="preprocessing",
    label="preprocessing",
    meaning='Who prepares the inputs as [workload.preprocessing] says: "host", Pillow and NumPy in '
    'the thread that feeds requests, or "graph", compiled into the model; both are tried.',
    holds="who prepares the inputs",
    stage=Stage.MODEL,
    kind=Kind.NAMED,
    type=str,
    allowed=(_HOST, _GRAPH),
    default=_HOST,
    offered=lambda offer: offer.ways.preparers,
    absent=_no_choice_of_host,
    bound=Bound.MACHINE,
    words=lambda where: "" if where == _HOST else "preprocessing in the graph",
    unset="inputs are prepared by the application",
    answers=True,
)
SHAPE_PLAN = Dimension(
    name="shape_plan",
    label="shape plan",
    meaning='How a mix of shapes is served: "dynamic", each in its own shape; "bounded", with the '
    'least and the largest size said; "padded", all as large as the largest; "buckets:3", each '
    "padded to the smallest of three static models that it fits, whose sizes follow from what they "
    "were measured to cost. What was shown to give the same answers is tried if left out.",
    holds="how a mix of shapes is served",
    stage=Stage.MODEL,
    kind=Kind.NAMED,
    type=str,
    normal=lambda text: str(parse_plan(text)),
    default=str(Serving.DYNAMIC),
    offered=lambda offer: offer.ways.plans,
    absent=_no_plans,
    bound=Bound.MACHINE,
    words=lambda text: "" if text == Serving.DYNAMIC else parse_plan(text).in_words,
    unset="the model's own shapes",
    answers=True,
)
ROWS: tuple[Dimension, ...] = (PREPROCESSING, SHAPE_PLAN)
