"""What a CPU can be told beside streams, threads, pinning and precision.

Names, values and defaults: OpenVINO 2026.4.1, `intel_cpu/properties.hpp` and what compiled models
report. What a model has where nobody sets it depends on the hint for hyper-threading (off with
LATENCY), so both are offered and set.
"""

from autotune.space.dimension import Bound, Dimension, Kind, Stage
from autotune.space.offer import Offer


def _no_smt(offer: Offer) -> str:
    return "" if offer.has_smt else "no more logical CPUs may be used than there are cores"


def _not_hybrid(offer: Offer) -> str:
    kinds = [name for name, cores in offer.core_types.items() if cores]
    return "" if len(kinds) > 1 else "the cores that may be used are all of one kind"


def _one_socket(offer: Offer) -> str:
    return "" if offer.sockets > 1 else "the CPUs that may be used are of one socket"


HYPER_THREADING = Dimension(
    name="hyper_threading",
    label="hyper-threading",
    meaning="Whether both logical CPUs of a core are used (CPU); both are tried where cores have "
    "two.",
    stage=Stage.COMPILE,
    kind=Kind.SWITCH,
    type=bool,
    is_fine=True,
    property="ENABLE_HYPER_THREADING",
    on=("CPU",),
    offered=lambda _: (True, False),
    absent=_no_smt,
    words=lambda both: "" if both is None else f"hyper-threading {'on' if both else 'off'}",
)
CORE_TYPE = Dimension(
    name="core_type",
    label="cores",
    meaning="Which cores of a hybrid CPU are used: any of them, or performance cores only if left "
    "out.",
    stage=Stage.COMPILE,
    kind=Kind.NAMED,
    type=str,
    allowed=("ANY_CORE", "PCORE_ONLY", "ECORE_ONLY"),
    is_fine=True,
    property="SCHEDULING_CORE_TYPE",
    on=("CPU",),
    offered=lambda _: ("ANY_CORE", "PCORE_ONLY"),
    absent=_not_hybrid,
    words=lambda which: f"{which}".lower().replace("_", " "),
)
DISTRIBUTION = Dimension(
    name="distribution_policy",
    label="distribution",
    meaning="How one stream is spread over two sockets (CPU); with and without TENSOR_PARALLEL "
    "where there are two.",
    stage=Stage.COMPILE,
    kind=Kind.NAMED,
    type=str,
    allowed=("TENSOR_PARALLEL",),
    is_fine=True,
    property="MODEL_DISTRIBUTION_POLICY",
    usual="",
    on=("CPU",),
    offered=lambda _: (None, "TENSOR_PARALLEL"),
    absent=_one_socket,
    words=lambda how: f"{how}".lower().replace("_", " "),
)

ROWS: tuple[Dimension, ...] = (
    HYPER_THREADING,
    CORE_TYPE,
    DISTRIBUTION,
    Dimension(
        name="partitioner",
        label="partitioner",
        meaning="How work is divided among the threads of a stream (CPU).",
        stage=Stage.COMPILE,
        kind=Kind.NAMED,
        type=str,
        allowed=("STATIC", "AUTO", "NONE"),
        property="TBB_PARTITIONER",
        usual="STATIC",
        on=("CPU",),
        expert=True,
    ),
    Dimension(
        name="denormals",
        label="denormals",
        meaning="Whether numbers next to zero are taken for zero (CPU).",
        stage=Stage.COMPILE,
        bound=Bound.MODEL,
        kind=Kind.SWITCH,
        type=bool,
        property="CPU_DENORMALS_OPTIMIZATION",
        usual="NO",
        on=("CPU",),
        answers=True,
        expert=True,
    ),
    Dimension(
        name="sparse_rate",
        label="sparse rate",
        meaning="From which share of zeros on weights are kept compressed, from 0 to 1 (CPU, "
        "8-bit transformers).",
        stage=Stage.COMPILE,
        bound=Bound.MODEL,
        kind=Kind.NAMED,
        type=float,
        least=0,
        most=1,
        property="CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE",
        usual="1.0",
        on=("CPU",),
        answers=True,
        expert=True,
    ),
    Dimension(
        name="quantization_group",
        label="quantization group",
        meaning="How many values share a scale where activations are quantized on the way, 0 for "
        "none (models with compressed weights).",
        stage=Stage.COMPILE,
        bound=Bound.MODEL,
        kind=Kind.NAMED,
        type=int,
        least=0,
        property="DYNAMIC_QUANTIZATION_GROUP_SIZE",
        on=("CPU", "GPU"),
        answers=True,
        expert=True,
    ),
    Dimension(
        name="kv_cache",
        label="KV cache",
        meaning="Precision of the keys and values that attention remembers (language models).",
        stage=Stage.COMPILE,
        bound=Bound.MODEL,
        kind=Kind.NAMED,
        type=str,
        allowed=("u8", "u4", "bf16", "f16", "f32"),
        property="KV_CACHE_PRECISION",
        on=("CPU", "GPU"),
        answers=True,
        expert=True,
    ),
)
