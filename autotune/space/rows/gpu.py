"""What a GPU can be told beside streams, batch and precision; and how BATCH: collects requests.

Names, values and defaults: OpenVINO 2026.4.1, `intel_gpu/properties.hpp`. Automatic batching is
done by the runtime itself, so that no device lists its two properties.
"""

from autotune.space.dimension import Bound, Dimension, Kind, Stage
from autotune.space.offer import Offer

_LEAST_GATHERED = 2
_TIMEOUTS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_LEVELS = ("LOW", "MEDIUM", "HIGH")


def _no_auto_batching(offer: Offer) -> str:
    if not offer.may_batch:
        return (
            offer.why_no_batch or "that a batch gives the answers of single requests is not shown"
        )
    if offer.best_batch is None:
        return "the device does not say how many requests it would collect"
    if offer.best_batch < _LEAST_GATHERED:
        return "the device would collect one request, and no more"
    return ""


def _timeouts(offer: Offer) -> tuple[int, ...]:
    """From 1 ms up to half the cap, as a request may wait for so long before it is begun."""
    most = _TIMEOUTS_MS[-1] if offer.cap_ms is None else offer.cap_ms / 2
    return tuple(ms for ms in _TIMEOUTS_MS if ms <= most) or _TIMEOUTS_MS[:1]


def _no_timeout(offer: Offer) -> str:
    return _no_auto_batching(offer) if offer.device.startswith("GPU") else ""


AUTO_BATCHING = Dimension(
    name="auto_batching",
    label="automatic batching",
    meaning="Whether single requests are collected into batches (GPU); both are tried where the "
    "model can be batched correctly.",
    stage=Stage.COMPILE,
    kind=Kind.SWITCH,
    type=bool,
    property="ALLOW_AUTO_BATCHING",
    default=False,
    goes_on=False,
    on=("GPU",),
    offered=lambda _: (False, True),
    absent=_no_auto_batching,
    is_listed=False,
)
BATCH_TIMEOUT = Dimension(
    name="batch_timeout",
    label="batch time-out, ms",
    meaning="How many milliseconds a batch waits for the requests that it lacks (automatic "
    "batching, BATCH:); up to half the cap if left out.",
    stage=Stage.COMPILE,
    kind=Kind.ORDERED,
    type=int,
    property="AUTO_BATCH_TIMEOUT",
    usual="1000",
    goes_on=False,
    on=("GPU", "BATCH"),
    offered=_timeouts,
    absent=_no_timeout,
    is_listed=False,
    words=lambda ms: f"waits {ms} ms for a batch",
)

ROWS: tuple[Dimension, ...] = (
    Dimension(
        name="throttle",
        label="throttle",
        meaning="How hard the host waits for the GPU; LOW spares the CPU. LOW and MEDIUM if left "
        "out.",
        stage=Stage.COMPILE,
        kind=Kind.NAMED,
        type=str,
        allowed=_LEVELS,
        is_fine=True,
        property="GPU_QUEUE_THROTTLE",
        usual="MEDIUM",
        on=("GPU",),
        offered=lambda _: ("MEDIUM", "LOW"),
    ),
    AUTO_BATCHING,
    BATCH_TIMEOUT,
    Dimension(
        name="queue_priority",
        label="queue priority",
        meaning="Before or after whose work the GPU does this one.",
        stage=Stage.COMPILE,
        kind=Kind.NAMED,
        type=str,
        allowed=_LEVELS,
        property="GPU_QUEUE_PRIORITY",
        usual="MEDIUM",
        on=("GPU",),
        expert=True,
    ),
    Dimension(
        name="no_winograd",
        label="no Winograd",
        meaning="Whether convolutions do without Winograd's algorithm (GPU).",
        stage=Stage.COMPILE,
        kind=Kind.SWITCH,
        type=bool,
        property="GPU_DISABLE_WINOGRAD_CONVOLUTION",
        usual="NO",
        on=("GPU",),
        answers=True,
        expert=True,
    ),
    Dimension(
        name="loop_unrolling",
        label="loop unrolling",
        meaning="Whether the loops of a model are unrolled (GPU); good for fewer than 16 rounds.",
        stage=Stage.COMPILE,
        bound=Bound.MODEL,
        kind=Kind.SWITCH,
        type=bool,
        property="GPU_ENABLE_LOOP_UNROLLING",
        usual="YES",
        on=("GPU",),
        expert=True,
    ),
)
