"""What a deployment target is given, and what it gives back."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from autotune.domain.measurement import Feed
from autotune.errors import AutotuneError
from autotune.export.best_file import BestFile
from autotune.export.core_budget import properties_of
from autotune.export.targets.served import ServedWorkload
from autotune.space.devices import Through, kind_of
from autotune.space.dimensions import (
    ARITHMETIC_PROPERTY,
    CORE_BINDING,
    PROPERTIES,
    is_blocking,
    read_back,
)
from autotune.workload.workload import States

_PACKAGE = "autotune.export.targets"
_LONGEST_NAME = 63
DECIDES_SPEED = read_back()
"""Properties that a program reads back from its compiled model, as far as they were measured."""


class UnsupportedError(AutotuneError):
    """A target cannot run what was tuned; the message says why."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the model as it is deployed."""

    name: str
    shape: tuple[int, ...]
    """With the tuned batch in the first dimension; -1 for what depends on the data."""
    type: str
    """OpenVINO's element type: f32, i64 and so on."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A percentile by nearest rank in whole numbers: of n values that at ``ceil(n · of / all)``."""

    name: str
    """Such as ``p99_ms``."""
    of: int
    all: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What is to be deployed."""

    best: BestFile
    model: str
    """The model file as seen from the folder that is written, with forward slashes."""
    weights: tuple[str, ...] = ()
    """The files that belong to it, as seen from the folder of the model file."""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    fixed: tuple[Port, ...] = ()
    """Inputs as the model file has them where it fixes another size than what was tuned."""
    data: str | None = None
    """The file of the input data that it was measured with, likewise; None for random data."""
    served: ServedWorkload | None = None
    """What else was asked of it; None where requests of one shape are all there is to it."""

    @property
    def name(self) -> str:
        """A name that every target takes: letters, digits and hyphens, after the model file."""
        stem = Path(self.model).stem.lower()
        plain = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")
        named = plain if plain and plain[0].isalpha() else f"model-{plain}"
        return named[:_LONGEST_NAME].strip("-")

    @property
    def format(self) -> str:
        """The model file's extension: ``onnx``, ``xml`` and so on."""
        return Path(self.model).suffix.lstrip(".").lower()

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the model is loaded from, as seen from the folder that is written."""
        folder = PurePosixPath(self.model).parent
        return (self.model, *(str(folder / name) for name in self.weights))

    @property
    def is_sync(self) -> bool:
        """One blocking request instead of several in flight."""
        return is_blocking(self.best.beside)

    @property
    def device_type(self) -> str:
        """``AUTO`` of ``AUTO:GPU,CPU``: the name under which properties are given."""
        return self.best.device.split(":", maxsplit=1)[0]

    @property
    def expected(self) -> dict[str, str]:
        """What the compiled model must report to be the one that was measured.

        Nothing of a device that stands for others: it reports theirs under their names only.
        """
        if kind_of(self.best.device).through is Through.NESTED:
            return {}
        decisive = {*DECIDES_SPEED, *self.best.properties} - {"PERFORMANCE_HINT"}
        return {k: v for k, v in self.best.effective.items() if k in decisive}

    @property
    def explicit(self) -> dict[str, str]:
        """The properties, and what the hint decided besides: for targets with other defaults."""
        settled = {k: v for k, v in self.expected.items() if _can_be_set(k, v)}
        return {**settled, **properties_of(self.best)}

    @property
    def environment(self) -> dict[str, str]:
        """Variables that it was measured under: a preloaded allocator for instance."""
        return self.best.environment

    @property
    def assigned(self) -> tuple[str, ...]:
        """The same as words of a shell, to stand before a command."""
        return tuple(f"{name}={shlex.quote(text)}" for name, text in self.environment.items())

    @property
    def copies(self) -> bool:
        """Whether inputs were copied before every request when it was measured."""
        return self.best.measured.feed is not Feed.BIND

    @property
    def arithmetic(self) -> str:
        """What it computes in; empty where the runtime does not say."""
        return self.explicit.get(ARITHMETIC_PROPERTY, "")

    @property
    def binds_cores(self) -> bool:
        """Whether each thread keeps to a core."""
        return self.explicit.get(CORE_BINDING.property or "") == CORE_BINDING.text(True)

    @property
    def release(self) -> str:
        """The OpenVINO release that was measured, such as ``2026.4.1``; empty if not known."""
        found = self.best.versions.get("openvino", "").split("-")[0]
        return found if re.fullmatch(r"\d+(\.\d+)*", found) else ""

    @property
    def threads(self) -> int | None:
        """Threads that infer; None where the runtime does not say."""
        said = self.best.effective.get("INFERENCE_NUM_THREADS", "")
        return int(said) if said.isascii() and said.isdigit() and int(said) else None


def taken(tuned: Tuned) -> dict[str, tuple[Any, ...]]:
    """Shapes of the inputs by name, with the batch: -1 for what is open, a pair for bounds."""
    served = tuned.served
    if served is None or served.is_static:
        return {port.name: port.shape for port in tuned.inputs}
    return dict(zip([one.name for one in served.inputs], served.forms[0], strict=True))


def times_feeding(tuned: Tuned) -> bool:
    """Whether what precedes a request is a part of its latency."""
    return tuned.best.measured.feed is Feed.END_TO_END


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that a target cannot represent, or does in its own way."""

    what: str
    effect: str
    """What that may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Files for one target."""

    files: Mapping[str, str]
    """Text by name."""
    run: tuple[str, ...]
    """How to use them: commands, in that folder."""
    losses: tuple[Loss, ...] = field(default=())


Target = Callable[[Tuned], Exported]
"""Pure: the same files for the same input.

Raises:
    UnsupportedError: the target cannot run it.
"""


def render(template: str, **values: Any) -> str:
    """A file from its template; every value is quoted there for the language of the file."""
    return _environment().get_template(template).render(**values)


def c_string(text: str) -> str:
    """A literal of C, C++ and protobuf's text format; all but plain ASCII in octal."""
    plain = {ord('"'): '\\"', ord("\\"): "\\\\"}
    return (
        '"'
        + "".join(
            plain.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}")
            for byte in text.encode("utf-8", "surrogateescape")
        )
        + '"'
    )


def yaml_string(text: str) -> str:
    """A double-quoted scalar of YAML; whatever cannot be printed is escaped."""
    plain = {'"': '\\"', "\\": "\\\\"}
    return (
        '"'
        + "".join(plain.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
        + '"'
    )


def one_line(text: str) -> str:
    """Text for a comment: it ends no line, and no comment."""
    shown = "".join(char if char.isprintable() else " " for char in text[:200])
    return shown.replace("*/", "* /").replace('"""', "'''").replace("\\", "/")


def check_readable(target: str, served: ServedWorkload) -> None:
    """Refuse what a program that reads the samples cannot read or feed.

    Raises:
        UnsupportedError: with the reason.
    """
    odd = next((one for one in served.inputs if not one.dtype), None)
    if served.source.fault:
        raise UnsupportedError(f"{target}: what it was measured with: {served.source.fault}")
    if odd is not None:
        raise UnsupportedError(
            f"{target}: input {odd.name!r} is {odd.type}, which NumPy does not have, and the "
            "program feeds NumPy's arrays"
        )
    if served.states is States.CARRIED and served.is_routed:
        raise UnsupportedError(
            f"{target}: a sequence cannot go on in another model, and there is one for each bucket"
        )


def another_runtime(tuned: Tuned, whose: str) -> Loss:
    """Of a target that does not come with the runtime that was measured."""
    return Loss(
        f"the runtime: {whose}, not {tuned.release or 'the one that was measured'}",
        "kernels and defaults differ between releases, and so does the speed",
    )


def other_data(tuned: Tuned, instead: str = "random numbers") -> list[Loss]:
    """Of a target that is not fed with the data of the measurement, if there was any."""
    served = tuned.served
    if tuned.data is None and (served is None or served.source.is_random):
        return []
    return [
        Loss(
            f"the input data of the measurement: {instead} instead",
            "the speed of models whose work depends on their data",
        )
    ]


def tail_of(tuned: Tuned) -> Tail:
    """The percentile that it was tuned for: what a program prints beside the median."""
    percentile = tuned.best.goal.percentile
    share = Fraction(repr(percentile)) / 100
    return Tail(f"p{percentile:g}_ms", share.numerator, share.denominator)


def changed_data(tuned: Tuned) -> list[Loss]:
    """Of a target that is fed with the samples of the measurement, if these are others by now."""
    if tuned.served is None or not tuned.served.source.has_changed:
        return []
    return [
        Loss(
            "the input data of the measurement: what lies there now is not what was measured",
            "neither speed nor shapes need be those of best.json; put them back, or tune anew",
        )
    ]


def under_environment(tuned: Tuned, where: str) -> list[Loss]:
    """Of a target that sets the variables of the measurement, if there were any, but not for sure.

    `where` says what is left to whoever deploys it.
    """
    if not tuned.environment:
        return []
    listed = ", ".join(f"{name}={text}" for name, text in tuned.environment.items())
    return [
        Loss(
            f"{listed}: {where}",
            "without it memory is allocated in another way, and neither speed nor memory are "
            "those that were measured",
        )
    ]


BY_THE_COMMAND = "the command above sets it, and a program that is started otherwise lacks it"


def not_blocking(tuned: Tuned, instead: str) -> list[Loss]:
    """Of a target that has no blocking request, if one was tuned."""
    if not tuned.is_sync:
        return []
    return [
        Loss(
            f"one blocking request: {instead}",
            "a few microseconds for each request, for the change of threads",
        )
    ]


def markdown(text: str) -> str:
    """Text as text: on one line, and nothing in it is markup."""
    return re.sub(r"([\\`*_\[\]<>#|!&])", r"\\\1", one_line(text))


def fence(text: str) -> str:
    """What encloses a block of code that holds `text`."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return "`" * max(3, longest + 1)


def _can_be_set(name: str, value: str) -> bool:
    """What the runtime reports of cores and hyper-threads depends on the machine: left to it."""
    one = PROPERTIES.get(name)
    return one is not None and one.first and value not in {"", "0", "-1"}


@cache
def _environment() -> Environment:
    environment = Environment(  # noqa: S701 - no HTML: each template quotes for its language
        loader=PackageLoader(_PACKAGE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["py"] = ascii
    environment.filters["c"] = c_string
    environment.filters["yaml"] = yaml_string
    environment.filters["markdown"] = markdown
    environment.filters["fence"] = fence
    environment.filters["one_line"] = one_line
    return environment
