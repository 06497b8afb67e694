"""One named choice: how it is set, read back, stored, shown and exported follows from its row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from autotune.space.devices import Through, kind_of
from autotune.space.offer import Offer, Offered


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
class Dimension:
    """One named choice."""

    name: str
    """In a stored space."""
    key: str = ""
    """Its key in study.toml; its name where it is empty."""
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
    """Of its values: int, float, bool, str, or an enumeration of texts."""
    allowed: tuple[str, ...] = ()
    """The texts that study.toml takes; any without them."""
    normal: Callable[[str], str] | None = None
    """The one text for all that mean the same, of one that takes texts of a form; it raises a
    ValueError, with what there is, for another one."""
    least: int = 1
    most: int | None = None
    """Of a number: the least and the most that study.toml takes; None for any."""
    property: str | None = None
    """OpenVINO's, which it sets and is read back from; None for what is no property."""
    spread: Callable[[Any], Mapping[str, str]] | None = None
    """The properties that a value sets, of one that is no property itself and sets several."""
    usual: str | None = None
    """What a compiled model reports of that property where nobody has set it, if that is known."""
    default: Any = None
    """What an absent value means; None leaves it to the runtime."""
    offered: Callable[[Offer], tuple[Any, ...]] | None = None
    """The choices where study.toml names none; its default alone without it."""
    fixed: tuple[Any, ...] | None = None
    """The choices where study.toml names none, if they depend on nothing."""
    absent: Callable[[Offer], str] | None = None
    """Why a device that may have it has no choice of it here, in words; empty where it has."""
    may_be_named: bool = False
    """Whether study.toml may name it for a device that has no choice of it otherwise."""
    is_listed: bool = True
    """Whether a device that has its property says so; else only trying it can tell."""
    on: tuple[str, ...] = ()
    """The kinds of devices that have it, by the name before the first dot or colon; all without."""
    goes_on: bool = True
    """Whether a device that stands for others hands its property on to them."""
    tunable: bool = True
    """Whether study.toml takes it; else it is what baselines differ in."""
    answers: bool = False
    """Whether it may change answers; they are compared with those of single requests in f32, and
    a configuration whose answers are unproven is never certified."""
    is_fine: bool = False
    """Whether it is left alone where a device stands for several, unless study.toml names it: of
    all devices together there would be too many combinations to look at."""
    bound: Bound = Bound.MACHINE
    """What a value that is right here is bound to; see docs/portability.md."""
    expert: bool = False
    """Whether it is offered only where study.toml names it."""
    first: bool = False
    """Whether the first version had it: it is in keys, stored spaces and best.json even at its
    default, so that those of older versions stay as they are. What came later is there only where
    it is not at its default."""
    was_choice: bool = True
    """Of a row of the first version, whether spaces had it then; of what became a choice later,
    they say nothing where it stands at its default."""
    aliases: tuple[str, ...] = ()
    """Other words for it on the command line."""
    words: Callable[[Any], str] | None = None
    """How a value reads in the name of a configuration; empty for not at all. By its label, and on
    or off, without it."""
    unset: str = "the runtime's own choice"
    """What becomes of it where a deployment target cannot set it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.key or self.name)
        object.__setattr__(self, "column", self.column or self.name)
        object.__setattr__(self, "holds", self.holds or self.meaning)
        is_known = self.property or self.spread or self.stage is Stage.MODEL
        if self.answers and not is_known:
            message = f"{self.name}: nothing compares what it does to answers"
            raise ValueError(message)
        if self.allowed and self.type is not str:
            message = f"{self.name}: its type says what is allowed"
            raise ValueError(message)

    def of(self, configuration: object) -> Any:
        """Its value in a configuration."""
        return getattr(configuration, self.column)

    def of_properties(self, configuration: object) -> Mapping[str, str]:
        """The properties that its value sets in a configuration, where it sets several."""
        return {} if self.spread is None else self.spread(self.of(configuration))

    def is_of(self, device: str) -> bool:
        """Whether devices of this kind may have it, by what they are called."""
        return not self.on or bool(set(self.on) & set(kind_of(device).names))

    def is_through(self, device: str) -> bool:
        """Whether a device hands it on to those that it stands for."""
        kind = kind_of(device)
        if kind.through is Through.ITSELF or self.property is None or not self.goes_on:
            return False
        return not set(self.on) & set(kind.names)

    def on_device(self, offer: Offer) -> Offered:
        """What becomes of it on a device, or why there is no choice."""
        if self.is_through(offer.device):
            return self._through(offer)
        why = self._why_not(offer)
        if why:
            return Offered(why_not=why, is_expert=self.expert, may_be_named=self.may_be_named)
        if self.expert:
            return Offered(choices=self._may_be_named(offer), is_expert=True)
        if self.fixed is not None:
            return Offered(choices=self.fixed)
        found = (self.default,) if self.offered is None else self.offered(offer)
        return Offered(choices=found)

    def _through(self, offer: Offer) -> Offered:
        """What all those have in common that have it, of the devices that one stands for."""
        if not offer.members:
            return Offered(
                why_not=f"{offer.device} does not say which devices it stands for; name them, as "
                "in AUTO:GPU,CPU",
                is_expert=self.expert,
            )
        each = [self.on_device(member) for member in offer.members]
        having = [one for one in each if not one.why_not]
        if not having:
            return each[0]
        if self.is_fine and len(offer.members) > 1:
            return Offered(
                why_not=f"left alone where there are several devices; [space] {self.name} sets it",
                may_be_named=True,
            )
        common = tuple(
            value for value in having[0].choices if all(value in one.choices for one in having)
        )
        is_open = self.expert and not all(one.choices for one in having)  # what cannot be listed
        why = "" if common or is_open else f"no choice is one of all devices of {offer.device}"
        return Offered(choices=common, why_not=why, is_expert=self.expert)

    def _why_not(self, offer: Offer) -> str:
        if not self.is_of(offer.device):
            return f"a setting of {' and '.join(self.on)}"
        if self.property is not None and self.is_listed and not self.first and offer.properties:
            said = offer.properties.get(self.property)
            if said is None:
                return f"{offer.device} has no property {self.property}"
            if said == "RO":
                return f"{offer.device} only reports {self.property}"
        return "" if self.absent is None else self.absent(offer)

    def _may_be_named(self, offer: Offer) -> tuple[Any, ...]:
        """What an expert may choose from, as far as that can be listed."""
        if self.offered is not None:
            return self.offered(offer)
        if self.type is bool:
            return (False, True)
        return self.allowed

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
        if not _is(value, kind, self.least):
            message = f"{self.column} is {value!r:.80}, and no {kind.__name__}"
            raise ValueError(message)
        return self.type(value if self.normal is None else self.normal(value))

    def word(self, value: Any) -> str:
        """A value in the name of a configuration; empty where it has none."""
        if self.words is not None:
            return self.words(value)
        if isinstance(value, bool):
            return f"{self.label} {'on' if value else 'off'}"
        return f"{self.label} {value}"


def _is(value: object, kind: type, least: int) -> bool:
    """Whether a stored value is of its type; whole numbers are counts."""
    if kind in {int, float}:
        types = int if kind is int else int | float
        return isinstance(value, types) and not isinstance(value, bool) and least <= value < 2**31
    return isinstance(value, kind)
