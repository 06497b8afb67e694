"""What makes two machines different, and what is told of one."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.domain.hardware import Hardware
from autotune.domain.place import LAYOUT, Place
from autotune.errors import UsageError
from autotune.host.topology import LogicalCpu, Topology
from autotune.machines.fingerprint import fingerprint, layout, preloaded, versions

BIG: dict[str, Any] = {"cores": 16, "sockets": 2, "nodes": 4, "core_types": {"P": 8, "E": 8}}


def test_the_same_machine_has_no_differences() -> None:
    """A new kernel is not another machine."""
    machine = fingerprint("2026.4", {"CPU": "a CPU"})
    assert machine.differences({**machine.to_dict(), "system": "an older kernel"}) == []


def test_differences_say_then_and_now() -> None:
    """Each in a line of its own."""
    machine = fingerprint("2026.4", {"CPU": "a CPU"})
    before = {**machine.to_dict(), "openvino": "2025.1", "usable_cpus": 512}
    assert machine.differences(before) == [
        f"usable_cpus: 512 then, {machine.usable_cpus} now",
        "openvino: '2025.1' then, '2026.4' now",
    ]


@pytest.mark.parametrize(
    ("quota_cpus", "usable", "affinity", "words"),
    [
        (0.5, 1, 2, "allows 0.5 of 2 CPUs. Threads are capped at 1;"),
        (0.5, 1, 1, "allows 0.5 of 1 CPUs. Threads are capped at 1;"),
        (1.9, 1, 2, "allows 1.9 of 2 CPUs. Threads are capped at 1;"),
        (3.0, 3, 8, "allows 3 of 8 CPUs. Threads are capped at 3;"),
        (2.0, 2, 2, None),
        (6.0, 2, 2, None),
        (None, 2, 2, None),
    ],
)
def test_a_quota_is_said_as_it_is(
    quota_cpus: float | None, usable: int, affinity: int, words: str | None
) -> None:
    """Not rounded to what threads are capped at, and only where it takes something away."""
    machine = replace(
        fingerprint("2026.4", {}),
        usable_cpus=usable,
        affinity_cpus=affinity,
        quota_cpus=quota_cpus,
    )
    assert (machine.quota_note is None) if words is None else (words in str(machine.quota_note))


def test_another_quota_is_another_machine() -> None:
    """Half a CPU and one have the same number of usable CPUs, and not the same speed."""
    half = replace(fingerprint("2026.4", {}), usable_cpus=1, quota_cpus=0.5)
    assert half.differences({**half.to_dict(), "quota_cpus": 1.0}) == [
        "quota_cpus: 1.0 then, 0.5 now"
    ]


@pytest.mark.parametrize("absent", ["quota_cpus", "environment", "affinity_cpus", *LAYOUT])
def test_a_fingerprint_of_an_older_version_is_read(absent: str) -> None:
    """It did not say what was not asked for yet; that is no difference, and no other place."""
    machine = replace(fingerprint("2026.4", {}), quota_cpus=0.5, environment={}, **BIG)
    stored = machine.to_dict()
    del stored[absent]
    assert machine.differences(stored) == []
    if absent != "quota_cpus":
        assert Place.of(stored, {}).digest == Place.of(machine.to_dict(), {}).digest


@pytest.mark.parametrize(("name", "other"), [*{**BIG, "cores": 8, "core_types": {}}.items()])
def test_another_layout_is_another_machine(name: str, other: object) -> None:
    """Two threads of one core are not two cores, although as many CPUs may be used."""
    big = replace(fingerprint("2026.4", {}), **BIG)
    small = replace(big, cores=2, sockets=1, nodes=1, core_types={"P": 2})
    changed: dict[str, Any] = {name: other}
    (said,) = replace(small, **changed).differences(small.to_dict())
    assert said == f"{name}: {getattr(small, name)!r} then, {other!r} now"


def test_a_machine_is_hardware_with_what_it_says() -> None:
    """No more than a quota pays for; what nobody told is the simplest."""
    big = replace(fingerprint("2026.4", {}), usable_cpus=32, **BIG)
    types = {"P": 8, "E": 8}
    assert big.hardware({}) == Hardware(
        cpus=32, cores=16, sockets=2, nodes=4, core_types=types, devices={}
    )
    assert replace(big, usable_cpus=3).hardware({}) == Hardware(
        cpus=3, cores=3, sockets=2, nodes=3, core_types=types, devices={}
    )
    nothing: dict[str, Any] = dict.fromkeys(LAYOUT)
    assert replace(big, **nothing).hardware({}) == Hardware(cpus=32, cores=32, devices={})


def test_what_a_container_hides_is_no_difference() -> None:
    """Neither to a fingerprint that says it, nor from one."""
    told = replace(fingerprint("2026.4", {}), **BIG)
    nothing: dict[str, Any] = dict.fromkeys(LAYOUT)
    hidden = replace(told, **nothing)
    assert hidden.differences(told.to_dict()) == told.differences(hidden.to_dict()) == []


@pytest.mark.parametrize(
    ("cpus", "expected"),
    [
        ([], {}),
        ([LogicalCpu(number=0)], {}),
        ([LogicalCpu(number=0, socket=0)], {"sockets": 1}),
        (
            [LogicalCpu(number=n, core=n // 2, socket=0, node=0) for n in range(4)],
            {"cores": 2, "sockets": 1, "nodes": 1, "core_types": {}},
        ),
        (
            [LogicalCpu(number=n, core=n, kind="PE"[n]) for n in range(2)],
            {"cores": 2, "core_types": {"P": 1, "E": 1}},
        ),
    ],
)
def test_a_layout_says_what_the_machine_tells(
    cpus: list[LogicalCpu], expected: dict[str, object]
) -> None:
    """And nothing of what it does not."""
    assert layout(Topology(tuple(cpus))) == expected


def test_a_preloaded_library_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another allocator is another runtime; what it was can be told from the stored fingerprint."""
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    plain = fingerprint("2026.4", {})
    monkeypatch.setenv("LD_PRELOAD", "/usr/lib/libjemalloc.so.2")
    under = fingerprint("2026.4", {})
    assert plain.environment == {}
    assert under.differences(plain.to_dict()) == [
        "environment: {} then, {'LD_PRELOAD': '/usr/lib/libjemalloc.so.2'} now"
    ]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("", None),
        (" : ", None),
        ("libjemalloc.so.2", "libjemalloc.so.2"),
        ("/a.so /b.so", "/a.so:/b.so"),
        (":/a.so::libb.so:", "/a.so:libb.so"),
        ("lib/a.so", "{here}/lib/a.so"),
        ("./a.so", "{here}/a.so"),
    ],
)
def test_a_preloaded_library_is_stored_as_a_deployment_needs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, stored: str | None
) -> None:
    """Elsewhere a relative path leads nowhere; a bare name is looked for by the loader."""
    monkeypatch.chdir(tmp_path)
    expected = {} if stored is None else {"LD_PRELOAD": stored.format(here=tmp_path)}
    assert preloaded({"LD_PRELOAD": given, "HOME": "/root"}) == expected


def test_settings_of_a_preloaded_allocator_go_with_it() -> None:
    """Those of the usual one were never asked for: without a library nothing is stored."""
    settings = {"MALLOC_CONF": "narenas:1", "TCMALLOC_RELEASE_RATE": "1"}
    assert preloaded({"LD_PRELOAD": "/a.so", "HOME": "/root", **settings}) == {
        "LD_PRELOAD": "/a.so",
        **settings,
    }
    assert preloaded(settings) == {}


@pytest.mark.parametrize(
    "variables",
    [
        {"LD_PRELOAD": os.fsdecode(b"/\xff.so")},
        {"LD_PRELOAD": "/a.so", "MALLOC_CONF": os.fsdecode(b"\xff")},
        {"LD_PRELOAD": "/a.so", os.fsdecode(b"MALLOC_\xff"): "1"},
    ],
)
def test_a_variable_that_is_no_text_is_refused_by_name(variables: dict[str, str]) -> None:
    """No file could say under what was measured; in one line, before anything is looked at."""
    name = list(variables)[-1].encode(errors="surrogateescape").decode(errors="backslashreplace")
    with pytest.raises(UsageError, match="is no UTF-8") as refused:
        preloaded(variables)
    said = str(refused.value)
    assert said.startswith(f"{name}: ")
    assert said.isprintable()


def test_a_variable_that_nobody_stores_may_be_anything() -> None:
    """Without a preloaded library, and where no allocator reads it."""
    odd = os.fsdecode(b"\xff")
    assert preloaded({"MALLOC_CONF": odd}) == {}
    assert preloaded({"LD_PRELOAD": "/a.so", "HOME": odd}) == {"LD_PRELOAD": "/a.so"}


def test_versions_name_what_numbers_depend_on() -> None:
    """From package metadata, without importing anything."""
    assert {"python", "openvino", "optuna", "numpy"} <= set(versions())
