"""Capability profiles: hardware as a file, each value with where it is from (docs/profiles.md)."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from autotune.domain.hardware import Hardware
from autotune.domain.inspection import DeviceFacts
from autotune.errors import SpecError
from autotune.host.topology import (
    LogicalCpu,
    Topology,
    hardware_of,
    parse_cpus,
)
from autotune.spec.faults import faults_of
from autotune.spec.values import Name, Section

T = TypeVar("T")
_SOURCED = 'write {{ value = {}, source = "where it is from" }}'
MISSING = {
    "source": "say where the value is from: a document, a header, a file of OpenVINO's sources",
    "value": _SOURCED.format("..."),
}
"""What to do about a key that is missing."""


def _cpus(value: object) -> list[int]:
    if not isinstance(value, str):
        message = f'{value!r} is no list of CPUs; write for instance "0-3,8"'
        raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueErrors only
    found = parse_cpus(value)
    if not found:
        message = "is empty"
        raise ValueError(message)
    return found


def _rising(value: tuple[int, ...]) -> tuple[int, ...]:
    if value[0] > value[1]:
        message = f"{list(value)} is no range: its first number is above its second one"
        raise ValueError(message)
    return value


CpuList = Annotated[list[int], BeforeValidator(_cpus)]
_Whole = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
_Least = Annotated[int, Field(strict=True, ge=1, lt=2**31)]


class Sourced(Section, Generic[T]):
    """A value, and where it is from."""

    value: T
    source: Name


def _with_source(value: object) -> object:
    if not isinstance(value, dict):
        message = f"has no source; {_SOURCED.format(repr(value)[:40])}"
        raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueErrors only
    return value


Cpus = Annotated[Sourced[CpuList], BeforeValidator(_with_source)]
Groups = Annotated[
    Sourced[Annotated[tuple[CpuList, ...], Field(min_length=1)]], BeforeValidator(_with_source)
]
Types = Annotated[Sourced[dict[Literal["P", "E"], CpuList]], BeforeValidator(_with_source)]
Text = Annotated[Sourced[Name], BeforeValidator(_with_source)]
Texts = Annotated[Sourced[tuple[Name, ...]], BeforeValidator(_with_source)]
Count = Annotated[Sourced[_Least], BeforeValidator(_with_source)]
Range = Annotated[
    Sourced[Annotated[tuple[_Whole, _Whole], AfterValidator(_rising)]],
    BeforeValidator(_with_source),
]
Steps = Annotated[
    Sourced[Annotated[tuple[_Whole, _Whole, _Whole], AfterValidator(_rising)]],
    BeforeValidator(_with_source),
]
DeviceType = Annotated[Sourced[Literal["integrated", "discrete"]], BeforeValidator(_with_source)]
Properties = Annotated[
    Sourced[dict[Name, Literal["RW", "RO", "WO"]]], BeforeValidator(_with_source)
]


class TopologySection(Section):
    """CPUs, in the kernel's notation; what is left out, nobody knows."""

    cpus: Annotated[Cpus, Field(description="Logical CPUs that are online.")]
    cores: Annotated[
        Groups | None, Field(description="CPUs of each core: its hyper-threads, one list for each.")
    ] = None
    sockets: Annotated[Groups | None, Field(description="CPUs of each socket.")] = None
    nodes: Annotated[Groups | None, Field(description="CPUs of each NUMA node.")] = None
    core_types: Annotated[
        Types | None, Field(description="CPUs by the type of their core, P and E.")
    ] = None

    @field_validator("cores", "sockets", "nodes", "core_types")
    @classmethod
    def _each_once(cls, found: Sourced[object] | None, info: ValidationInfo) -> object:
        known = info.data.get("cpus")
        if found is None or known is None:
            return found
        groups = found.value
        lists = list(groups.values()) if isinstance(groups, dict) else list(groups)  # type: ignore[call-overload]
        named = [cpu for listed in lists for cpu in listed]
        twice = sorted({cpu for cpu in named if named.count(cpu) > 1})
        if twice:
            raise ValueError(f"has CPU {twice[0]} in two groups")
        for cpu in sorted(set(named) ^ set(known.value)):
            if cpu in named:
                raise ValueError(f"names CPU {cpu}, which is not among cpus")
            raise ValueError(f"has CPU {cpu} in no group; each CPU must be in one")
        return found


class DeviceSection(Section):
    """A device, as the runtime describes it; what is left out, nobody knows."""

    name: Annotated[Text, Field(description="FULL_DEVICE_NAME.")]
    capabilities: Annotated[Texts, Field(description="OPTIMIZATION_CAPABILITIES.")]
    streams: Annotated[
        Range | None, Field(description="RANGE_FOR_STREAMS: the least and the most.")
    ] = None
    requests: Annotated[
        Steps | None,
        Field(description="RANGE_FOR_ASYNC_INFER_REQUESTS: the least, the most, the step."),
    ] = None
    max_batch: Annotated[
        Count | None, Field(description="MAX_BATCH_SIZE of the model that it was asked for.")
    ] = None
    best_batch: Annotated[
        Count | None, Field(description="OPTIMAL_BATCH_SIZE of the model that it was asked for.")
    ] = None
    tiles: Annotated[Count | None, Field(description="NPU_MAX_TILES.")] = None
    kind: Annotated[DeviceType | None, Field(description="DEVICE_TYPE.")] = None
    properties: Annotated[
        Properties | None,
        Field(
            description="SUPPORTED_PROPERTIES: may each be set (RW), only read (RO), or only "
            "set (WO)."
        ),
    ] = None

    def facts(self) -> DeviceFacts:
        """As a value of the domain."""
        told = {name: getattr(self, name) for name in type(self).model_fields}
        return DeviceFacts(
            **{
                "streams": None,
                **{name: found.value for name, found in told.items() if found is not None},
            }
        )


class ProfileFile(Section):
    """A capability profile."""

    name: Annotated[Name, Field(description="What it is called.")]
    openvino: Annotated[Text, Field(description="Version of the runtime that it describes.")]
    topology: TopologySection
    devices: Annotated[
        dict[Name, DeviceSection],
        Field(min_length=1, description="By the runtime's name, such as `GPU.0`."),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Hardware that need not be here."""

    name: str
    openvino: str
    topology: Topology
    devices: Mapping[str, DeviceFacts]
    sources: Mapping[str, str]
    """Where each value is from, by its place in the file: ``devices.GPU.streams``."""

    @property
    def hardware(self) -> Hardware:
        """What a space on it follows from, with all of its CPUs."""
        return hardware_of(self.topology, len(self.topology.cpus), self.devices)


def load_profile(path: Path) -> Profile:
    """The profile in a file.

    Raises:
        SpecError: it cannot be read, is no TOML, or has faults; the message lists all of them.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, a plain ValueError for 5000 digits
        raise SpecError(f"{path}: not a TOML file: {error}") from error
    try:
        file = ProfileFile.model_validate(values)
    except ValidationError as error:
        raise SpecError(faults_of(error, str(path), ProfileFile, MISSING)) from None
    return Profile(
        name=file.name,
        openvino=file.openvino.value,
        topology=_topology(file.topology),
        devices={name: device.facts() for name, device in file.devices.items()},
        sources=dict(_sources("", file)),
    )


def _topology(section: TopologySection) -> Topology:
    cores = {cpu: min(listed) for listed in _lists(section.cores) for cpu in listed}
    sockets = {cpu: n for n, listed in enumerate(_lists(section.sockets)) for cpu in listed}
    nodes = {cpu: n for n, listed in enumerate(_lists(section.nodes)) for cpu in listed}
    kinds = {} if section.core_types is None else section.core_types.value
    types = {cpu: kind for kind, listed in kinds.items() for cpu in listed}
    return Topology(
        tuple(
            LogicalCpu(
                number=cpu,
                core=cores.get(cpu),
                socket=sockets.get(cpu),
                node=nodes.get(cpu),
                kind=types.get(cpu, ""),
            )
            for cpu in sorted(section.cpus.value)
        )
    )


def _lists(groups: Sourced[tuple[list[int], ...]] | None) -> Sequence[list[int]]:
    return () if groups is None else groups.value


def _sources(place: str, value: object) -> list[tuple[str, str]]:
    """Every source below a value, by its place."""
    if isinstance(value, Sourced):
        return [(place, value.source)]
    if isinstance(value, Section):
        inner = {name: getattr(value, name) for name in type(value).model_fields}
    else:
        inner = value if isinstance(value, dict) else {}
    return [
        found
        for name, one in inner.items()
        for found in _sources(f"{place}.{name}".lstrip("."), one)
    ]
