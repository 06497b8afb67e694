"""Properties that no row has, named by hand: ``A=1;B=2`` as one choice of one dimension.

One dimension for all of them keeps a space flat and static, whatever a study names.
"""

import difflib
import itertools
import re
from collections.abc import Mapping, Sequence

from autotune.space.dimension import Dimension, Kind, Stage

_NAME = re.compile(r"[A-Z][A-Z0-9_]{1,79}")
_VALUE = re.compile(r"[^;=,{}\s][^;=,{}\n]{0,199}")
_ALIKE = 0.85
Value = str | int | float | bool


def properties_in(text: str) -> dict[str, str]:
    """The properties in a choice, as the runtime takes them; none in the empty one."""
    pairs = (part.partition("=") for part in text.split(";") if part)
    return {name: value for name, _, value in pairs}


def choice_of(properties: Mapping[str, str]) -> str:
    """The one text for these properties."""
    return ";".join(f"{name}={properties[name]}" for name in sorted(properties))


def choices_of(named: Mapping[str, Sequence[Value]]) -> tuple[str, ...]:
    """Every combination of the values of each, in order."""
    texts = [[(name, text_of(value)) for value in values] for name, values in named.items()]
    return tuple(choice_of(dict(pairs)) for pairs in itertools.product(*texts))


def texts_of(named: Mapping[str, Sequence[Value]] | None) -> dict[str, list[str]]:
    """Every value as the runtime takes it, by the property."""
    return {name: list(map(text_of, values)) for name, values in (named or {}).items()}


def meaning_of(value: Value) -> str:
    """What is the same for values that a switch of the runtime takes for the same."""
    text = text_of(value)
    return _SWITCHES.get(text.upper(), text)


def text_of(value: Value) -> str:
    """A value as the runtime takes it."""
    if isinstance(value, bool):
        return "YES" if value else "NO"
    return str(value)


def why_no_value(value: Value) -> str:
    """Why a value cannot be set; empty where it can."""
    if _VALUE.fullmatch(text_of(value)):
        return ""
    return f"{text_of(value)!r:.80} has a character that separates properties, or none at all"


def why_refused(name: str, rows: Mapping[str, Dimension]) -> str:
    """Why a property is not to be named by hand, and what to do instead; empty where it may be.

    Args:
        name: the runtime's.
        rows: the dimensions that set a property, by its name.
    """
    if not _NAME.fullmatch(name):
        return "is no name of a property: capital letters, digits and underscores"
    row = rows.get(name)
    if row is not None:
        return f"is a dimension of its own: say [space] {row.key}"
    return _REFUSED.get(name, "")


def is_like_a_row(name: str, rows: Mapping[str, Dimension]) -> bool:
    """Whether a dimension's property was meant, most likely."""
    return bool(difflib.get_close_matches(name, rows, n=1, cutoff=_ALIKE))


_MEMORY = "decides how a model is loaded, not how fast it runs"
_OURS = "is set by autotune"
_SWITCHES = {"TRUE": "YES", "ON": "YES", "FALSE": "NO", "OFF": "NO"}
PARTS = {
    "KEY_CACHE_PRECISION": "kv_cache",
    "VALUE_CACHE_PRECISION": "kv_cache",
    "ENABLE_TENSOR_PARALLEL": "distribution_policy",
}
"""Properties that decide some of what a dimension decides, with its key in [space]: both at once
contradict each other."""
_REFUSED = {
    "ENABLE_CPU_RESERVATION": "takes CPUs away from all that is compiled later in a process",
    "PERF_COUNT": "makes the runtime count, which slows what is measured",
    "LOG_LEVEL": "makes the runtime write, which slows what is measured",
    "DEVICE_ID": 'names a device: say [space] device = "GPU.1"',
    "PERFORMANCE_HINT_NUM_REQUESTS": "takes streams away; requests in flight are [space] "
    "requests_per_stream",
    "EXECUTION_MODE_HINT": "decides what [space] precision decides, and that one wins",
    "CACHE_DIR": _MEMORY,
    "CACHE_MODE": _MEMORY,
    "CACHE_BLOB_ID": _MEMORY,
    "CACHE_ENCRYPTION_CALLBACKS": _MEMORY,
    "ENABLE_MMAP": _MEMORY,
    "ENABLE_WEIGHTLESS": _MEMORY,
    "WEIGHTS_PATH": _MEMORY,
    "MODEL_PTR": _MEMORY,
    "DEVICE_PROPERTIES": _OURS,
    "MULTI_DEVICE_PRIORITIES": "names devices: say [space] device",
    "ENABLE_STARTUP_FALLBACK": _OURS,
    "ENABLE_RUNTIME_FALLBACK": _OURS,
    "AFFINITY": "is gone from the runtime: say [space] pinning",
    "ENFORCE_BF16": "is gone from the runtime: say [space] precision",
    "CPU_THROUGHPUT_STREAMS": "is gone from the runtime: say [space] streams",
    "CPU_THREADS_NUM": "is gone from the runtime: say [space] threads_per_stream",
}
"""Properties that are not swept, and why."""

NAMED = Dimension(
    name="named_properties",
    key="properties",
    label="properties",
    meaning="A table of any other properties of the runtime, each with a value or a list of them: "
    'all combinations are tried. "{ KEY_CACHE_GROUP_SIZE = [16, 32] }".',
    holds="properties that were named by hand",
    stage=Stage.COMPILE,
    kind=Kind.NAMED,
    type=str,
    spread=properties_in,
    default="",
    answers=True,
    expert=True,
    words=lambda text: text.replace(";", ", "),
)
"""Of their effect nothing is known, so that they are believed to change answers."""
