"""A profile as its file has it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields

from autotune.domain.inspection import DeviceFacts
from autotune.host.topology import LogicalCpu, Topology, format_cpus
from autotune.spec.profile import Profile
from autotune.spec.toml import toml_value

_LONG, _WIDTH = 60, 100
"""Characters of a list that stands in one line, and of a line of a longer one."""


def profile_toml(profile: Profile) -> str:
    """A file that `load_profile` reads back as the same profile.

    But for numbers of sockets and nodes: a file has them in their order.
    """
    lines = [f"name = {toml_value(profile.name)}"]
    lines += _sourced("", "openvino", profile.openvino, profile.sources["openvino"])
    parts: dict[str, Iterator[tuple[str, object]]] = {"topology": _topology(profile.topology)}
    parts |= {f"devices.{name}": _facts(facts) for name, facts in profile.devices.items()}
    for place, told in parts.items():
        head, _, name = place.partition(".")
        section = f"{head}.{_key(name)}" if name else head
        lines += ["", f"[{section}]"]
        for key, value in told:
            lines += _sourced(section, key, value, profile.sources[f"{place}.{key}"])
    return "\n".join(lines) + "\n"


def recorded(
    name: str, openvino: str, topology: Topology, devices: Mapping[str, DeviceFacts]
) -> Profile:
    """The profile of the machine that was read just now."""
    kernel = "read from this machine: /sys/devices, of the CPUs that the process might use"
    runtime = f"read from this machine by OpenVINO {openvino}"
    return Profile(
        name=name,
        openvino=openvino,
        topology=topology,
        devices=devices,
        sources={
            "openvino": runtime,
            **{f"topology.{key}": kernel for key, _ in _topology(topology)},
            **{
                f"devices.{device}.{key}": runtime
                for device, facts in devices.items()
                for key, _ in _facts(facts)
            },
        },
    )


def _topology(found: Topology) -> Iterator[tuple[str, object]]:
    """What is told, in the order of the file."""
    yield "cpus", format_cpus(found.numbers)
    groups: dict[str, Callable[[LogicalCpu], int | None]] = {
        "cores": lambda cpu: cpu.core,
        "sockets": lambda cpu: cpu.socket,
        "nodes": lambda cpu: cpu.node,
    }
    for key, group in groups.items():
        members = defaultdict(list)
        for cpu in found.cpus:
            members[group(cpu)].append(cpu.number)
        if members and None not in members:
            yield key, [format_cpus(listed) for _, listed in sorted(members.items())]
    types = defaultdict(list)
    for cpu in found.cpus:
        types[cpu.kind].append(cpu.number)
    if types and "" not in types:
        yield "core_types", {kind: format_cpus(types[kind]) for kind in sorted(types)[::-1]}


def _facts(facts: DeviceFacts) -> Iterator[tuple[str, object]]:
    """What is told, in the order of the file: tables last."""
    told = {one.name: getattr(facts, one.name) for one in fields(DeviceFacts)}
    for key, value in told.items():
        if value or key == "capabilities":
            yield key, list(value) if isinstance(value, tuple) else value


def _sourced(place: str, key: str, value: object, source: str) -> list[str]:
    """A key with its value and source; a table in a section of its own, a long list over lines."""
    said = f"source = {toml_value(source)}"
    if isinstance(value, Mapping):
        inner = [f"{_key(str(name))} = {toml_value(one)}" for name, one in value.items()]
        return ["", f"[{place}.{key}]", said, f"[{place}.{key}.value]", *inner]
    line = f"{key} = {{ value = {toml_value(value)}, {said} }}"
    if len(toml_value(value)) <= _LONG or not isinstance(value, list):
        return [line]
    return [f"{key} = {{ value = [", *_folded([toml_value(one) for one in value]), f"], {said} }}"]


def _folded(values: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for value in values:
        if lines and len(lines[-1]) + len(value) + 2 <= _WIDTH:
            lines[-1] += f" {value},"
        else:
            lines.append(f"    {value},")
    return lines


def _key(name: str) -> str:
    """A key as TOML has it: quoted unless it is a bare one."""
    is_bare = name.isascii() and name.replace("_", "a").replace("-", "a").isalnum()
    return name if is_bare else toml_value(name)
