"""`devices`: what each device here can do, and what is tuned of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autotune.cli.output import must_end_with, print_json, say
from autotune.domain.hardware import Hardware
from autotune.domain.inspection import DeviceFacts
from autotune.errors import DeviceError, UsageError
from autotune.export.files import write_atomically
from autotune.host.cpus import Cpus, cpus
from autotune.host.topology import hardware_of, usable_topology
from autotune.machines.passing import look
from autotune.search.offering import facts_of, offer_of
from autotune.space.devices import is_meta, members_of, spelt, why_no_name
from autotune.space.dimension import Dimension
from autotune.space.dimensions import BY_NAME
from autotune.space.offer import Offered
from autotune.space.offers import offers_of
from autotune.spec.profile import load_profile
from autotune.spec.profile_file import profile_toml, recorded

_INDENT = 5
_STANDING_FOR_OTHERS = {
    "AUTO": ("AUTO:{all}", "the runtime takes the first that can run the model"),
    "MULTI": ("MULTI:{all}", "all of them at once, each with requests of its own"),
    "HETERO": ("HETERO:{all}", "the model is split between them"),
    "BATCH": ("BATCH:{first}(4)", "single requests are collected into batches of 4"),
}
"""Devices that stand for others: how each is asked for, and what it makes of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What there is to show."""

    title: str
    """Of which hardware."""
    hardware: Hardware
    absent: Mapping[str, str]
    """Why a device is not here."""


def show_devices(
    names: Sequence[str] = (),
    *,
    as_json: bool,
    profile: Path | None = None,
    record: Path | None = None,
) -> None:
    """Devices of this machine or of a profile; of those that are named only, if any are.

    Raises:
        DeviceError: one that is named is not there.
        SpecError: the profile cannot be used.
        UsageError: both a profile to show and one to record; or one that is no .toml file.
    """
    if profile is not None and record is not None:
        raise UsageError("--profile shows a file and --record writes one: give one of them")
    if record is not None:
        must_end_with("--record", record, ".toml")
    shown = _of_this_machine(record) if profile is None else _of_profile(profile)
    chosen = names or tuple(shown.hardware.devices)
    for name in chosen:
        _check_device(name, shown)
    if as_json:
        print_json({name: _as_json(name, shown.hardware) for name in chosen})
        return
    console = Console()
    say(console, shown.title)
    for name in chosen:
        facts = facts_of(name, shown.hardware.devices)
        _head(console, name, _stands_for(name) if facts is None else facts.name)
        console.print(Padding(_table(name, shown.hardware), (0, 0, 0, _INDENT)))
    for name, why in {} if names else shown.absent.items():
        _head(console, name, f"not here: {why}")
    if not names:
        console.print()
        console.print(_standing_for(shown.hardware.devices))
    if record is not None:
        say(console, f"\nwrote {record}")


def _of_this_machine(record: Path | None) -> Shown:
    """What the runtime finds here, written down if that is wanted."""
    looked, found, here = look(None), usable_topology(), cpus()
    hardware = hardware_of(found, here.usable, looked.devices)
    if record is not None:
        profile = recorded(record.stem, looked.openvino, found, looked.devices)
        write_atomically(record, profile_toml(profile))
    title = f"{_machine(hardware)} may be used{_quota(here)}; OpenVINO {_short(looked.openvino)}"
    return Shown(title=title, hardware=hardware, absent=looked.absent)


def _of_profile(file: Path) -> Shown:
    profile = load_profile(file)
    title = (
        f"{file}: {profile.name}; {_machine(profile.hardware)}; OpenVINO {_short(profile.openvino)}"
    )
    return Shown(title=title, hardware=profile.hardware, absent={})


def _short(openvino: str) -> str:
    return "-".join(openvino.split("-")[:2])


def _machine(hardware: Hardware) -> str:
    types = ", ".join(f"{count} {kind}" for kind, count in hardware.core_types.items())
    parts = [_count(hardware.cpus, "CPU"), "of", _count(hardware.cores, "core")]
    parts += [f"({types})"] if types else []
    parts += ["on", _count(hardware.sockets, "socket")]
    parts += ["and", _count(hardware.nodes, "memory node")] if hardware.nodes > 1 else []
    return " ".join(parts)


def _quota(here: Cpus) -> str:
    limited = here.quota_cpus is not None and here.quota_cpus < here.affinity
    return f" (a quota of {here.quota_cpus:g})" if limited else ""


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"


def _check_device(name: str, shown: Shown) -> None:
    """Refuse what is not there; a device that stands for others by those that it names."""
    fault = why_no_name(name)
    if fault:
        raise DeviceError(f"{name!r}: {fault}")
    for member in members_of(name):
        if facts_of(member, shown.hardware.devices) is None:
            listed = ", ".join(shown.hardware.devices) or "none"
            why = spelt(member, shown.hardware.devices) or shown.absent.get(member)
            raise DeviceError(f"{name!r} is not here: {why or f'the devices here are {listed}'}")


def _offers(name: str, hardware: Hardware) -> Mapping[str, Offered]:
    return offers_of(offer_of(name, hardware))


def _as_json(name: str, hardware: Hardware) -> dict[str, Any]:
    facts = facts_of(name, hardware.devices)
    dimensions = {
        key: {
            "choices": list(offered.choices),
            "why_not": offered.why_not or None,
            "expert": offered.is_expert,
        }
        for key, offered in _offers(name, hardware).items()
    }
    return {**({} if facts is None else asdict(facts)), "dimensions": dimensions}


def _stands_for(name: str) -> str:
    members = ", ".join(members_of(name))
    return f" stands for {members or 'whatever the runtime chooses'}"


def _head(console: Console, name: str, text: str) -> None:
    console.print()
    console.print(Text.assemble((name.ljust(_INDENT), "bold"), text))


def _table(name: str, hardware: Hardware) -> Table:
    facts = facts_of(name, hardware.devices)
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in () if facts is None else _described(facts):
        table.add_row(Text(label, style="dim"), Text(text))
    offers = _offers(name, hardware)
    shared = _shared_reasons(offers)
    for key, offered in offers.items():
        if offered.why_not not in shared:
            table.add_row(key, Text(_outcome(BY_NAME[key], offered)))
    for why, keys in shared.items():
        table.add_row("not here", Text(f"{why}: {', '.join(keys)}"))
    return table


def _shared_reasons(offers: Mapping[str, Offered]) -> dict[str, list[str]]:
    """Why several dimensions are not there, and which: a line for each is one too many."""
    found: dict[str, list[str]] = {}
    for key, offered in offers.items():
        if offered.why_not:
            found.setdefault(offered.why_not, []).append(key)
    return {why: keys for why, keys in found.items() if len(keys) > 1}


def _described(facts: DeviceFacts) -> Iterator[tuple[str, str]]:
    """What a device says of itself, as far as it does."""
    if facts.kind:
        yield "type", facts.kind
    yield "computes natively", ", ".join(facts.capabilities) or "it does not say"
    if facts.streams is not None:
        yield "range of streams", _range(facts.streams)
    if facts.requests is not None:
        yield "range of requests", _range(facts.requests)
    numbers = {"largest batch": facts.max_batch, "best batch": facts.best_batch}
    for label, number in {**numbers, "tiles": facts.tiles}.items():
        if number is not None:
            yield label, str(number)


def _range(found: Sequence[int]) -> str:
    low, high, *step = found
    stepped = f" in steps of {step[0]}" if step and step[0] > 1 else ""
    return f"{low} to {high}{stepped}" if low != high else str(low)


def _outcome(one: Dimension, offered: Offered) -> str:
    """What becomes of a dimension on a device, in words."""
    if offered.why_not:
        return f"not here: {offered.why_not}"
    listed = ", ".join(map(_value, offered.choices))
    compared = "; answers compared" if one.answers else ""
    if offered.is_expert:
        return f"tuned where named (expert): {listed or 'any value'}{compared}"
    if len(offered.choices) == 1:
        return f"always {listed}"
    return f"tuned: {listed}{compared}"


def _value(value: object) -> str:
    if value is None:
        return "the runtime's own choice"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _standing_for(devices: Mapping[str, DeviceFacts]) -> Table:
    """Devices that stand for others, and how each is asked for with those that are here."""
    plain = [name for name in devices if not is_meta(name)]
    order = sorted(plain, key=lambda name: name == "CPU")  # accelerators first
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text("devices that stand for others", style="bold"), "")
    for example, words in _STANDING_FOR_OTHERS.values():
        asked = example.format(all=",".join(order), first=order[0]) if order else example
        table.add_row(f"--device '{asked}'", words)
    return table
