"""One named choice: how it is set, read back, stored, shown and exported follows from its row."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """What a change of a dimension needs."""

    MODEL = "model"  # another model: read, reshaped or batched anew, and compiled
    COMPILE = "compile"  # another compiled model
    LOAD = "load"  # another way to load the same one


class Kind(StrEnum):
    """What a search makes of the choices."""

    ORDERED = "ordered"  # numbers above zero, compared by their ratio
    SWITCH = "switch"
    NAMED = "named"


class Bound(StrEnum):
    """What a setting that is right here is right for."""

    MODEL = "model"  # for this model, on other machines as well
    MACHINE = "machine"  # for this machine: elsewhere another value may be right
    NEITHER = "neither"  # it holds elsewhere, such as a hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What choices are derived from where a study names none."""

    cpus: int
    """min(affinity, cgroup quota)."""
    most_streams: int
    """Of any device that the study has."""
    precisions: tuple[str, ...] = ()
    """Those that may be used without being asked for."""
    may_batch: bool = False
    """Whether a batch was shown to give the answers of single requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One named choice."""

    name: str
    """Its key in study.toml, and in a stored space."""
    column: str = ""
    """Its name in a configuration, stored or in a frame; the same where it is empty."""
    label: str
    """What tables and charts call it."""
    meaning: str
    """For study.toml: what it is, and what is offered where it is left out."""
    holds: str = ""
    """For frames: what the column holds; the meaning where it is empty."""
    stage: Stage
    kind: Kind
    type: type[Any]
    """Of its values: int, bool, str, or an enumeration of texts."""
    allowed: tuple[str, ...] = ()
    """The texts that study.toml takes; any without them."""
    property: str | None = None
    """OpenVINO's, which it sets and is read back from; None for what is no property."""
    usual: str | None = None
    """What a compiled model reports of that property where nobody has set it, if that is known."""
    default: Any = None
    """What an absent value means; None leaves it to the runtime."""
    offered: Callable[[Offer], tuple[Any, ...]] | None = None
    """The choices where study.toml names none; its default alone without it."""
    fixed: tuple[Any, ...] | None = None
    """The choices where study.toml names none, if they depend on nothing."""
    on: tuple[str, ...] = ()
    """The kinds of devices that have it, by the name before the first dot or colon; all without."""
    tunable: bool = True
    """Whether study.toml takes it; else it is what baselines differ in."""
    answers: bool = False
    """Whether it may change answers; they are compared with those of single requests in f32, and
    a configuration whose answers are unproven is never certified."""
    bound: Bound = Bound.MACHINE
    """What a value that is right here is bound to; see docs/portability.md."""
    expert: bool = False
    """Whether it is offered only where study.toml names it."""
    first: bool = False
    """Whether the first version had it: it is in keys, stored spaces and best.json even at its
    default, so that those of older versions stay as they are. What came later is there only where
    it is not at its default."""
    aliases: tuple[str, ...] = ()
    """Other words for it on the command line."""
    words: Callable[[Any], str] | None = None
    """How a value reads in the name of a configuration; empty for not at all. By its label, and on
    or off, without it."""
    unset: str = "the runtime's own choice"
    """What becomes of it where a deployment target cannot set it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "column", self.column or self.name)
        object.__setattr__(self, "holds", self.holds or self.meaning)
        if self.answers and self.property is None and self.name != "batch":
            message = f"{self.name}: nothing compares what it does to answers"
            raise ValueError(message)
        if self.allowed and self.type is not str:
            message = f"{self.name}: its type says what is allowed"
            raise ValueError(message)

    def of(self, configuration: object) -> Any:
        """Its value in a configuration."""
        return getattr(configuration, self.column)

    def choices(self, offer: Offer) -> tuple[Any, ...]:
        """The choices where study.toml names none."""
        if self.expert:
            return (self.default,)
        if self.fixed is not None:
            return self.fixed
        return (self.default,) if self.offered is None else self.offered(offer)

    def is_said(self, value: Any) -> bool:
        """Whether it is stored, hashed and set with this value.

        What came after the first version is absent where it is at its default: no key, no file and
        no compiled model of before changes by a new row.
        """
        return self.first or value != self.default

    def text(self, value: Any) -> str:
        """A value as the runtime takes it."""
        if isinstance(value, bool):
            return "YES" if value else "NO"
        return str(value)

    def parse(self, text: str) -> Any:
        """The value in what the runtime reports, or takes.

        Raises:
            ValueError: it is none.
        """
        if self.type is bool:
            return text == "YES"
        return self.type(text)

    def stored(self, value: Any) -> Any:
        """The value in what was stored.

        Raises:
            ValueError: it is not of its type.
        """
        if value is None and self.default is None:
            return None
        kind = str if issubclass(self.type, StrEnum) else self.type
        if not _is(value, kind):
            message = f"{self.column} is {value!r:.80}, and no {kind.__name__}"
            raise ValueError(message)
        return self.type(value)

    def word(self, value: Any) -> str:
        """A value in the name of a configuration; empty where it has none."""
        if self.words is not None:
            return self.words(value)
        if isinstance(value, bool):
            return f"{self.label} {'on' if value else 'off'}"
        return f"{self.label} {value}"


def _is(value: object, kind: type) -> bool:
    """Whether a stored value is of its type; whole numbers are counts."""
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
    return isinstance(value, kind)
