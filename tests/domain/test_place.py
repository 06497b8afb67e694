"""Where something was measured: equal places pool, others do not."""

import pytest

from autotune.domain.place import HARDWARE, LAYOUT, RUNTIME, Place, differences

MACHINE = {
    "cpu_model": "x",
    "logical_cpus": 4,
    "usable_cpus": 2,
    "quota_cpus": 2.5,
    "memory_bytes": 1,
    "system": "Linux 1",
    "openvino": "2026.4",
    "devices": {"CPU": "x"},
    "environment": {"LD_PRELOAD": "m.so"},
}
VERSIONS = {"openvino": "2026.4.1", "numpy": "2"}


@pytest.mark.parametrize("name", [*HARDWARE, *RUNTIME])
def test_each_field_makes_another_place(name: str) -> None:
    """And is named as a difference."""
    other = {**MACHINE, name: "another"}
    assert Place.of(MACHINE, VERSIONS).digest != Place.of(other, VERSIONS).digest
    (said,) = differences(MACHINE, other)
    assert said.startswith(f"{name}: ")


def test_the_version_of_the_package_makes_another_place() -> None:
    """That of other packages does not."""
    here = Place.of(MACHINE, VERSIONS).digest
    assert Place.of(MACHINE, {**VERSIONS, "openvino": "2026.5"}).digest != here
    assert Place.of(MACHINE, {**VERSIONS, "numpy": "3"}).digest == here


def test_memory_and_kernel_do_not_matter() -> None:
    """Nor does the order of the fields."""
    other = dict(reversed({**MACHINE, "memory_bytes": 2, "system": "Linux 2"}.items()))
    assert Place.of(MACHINE, VERSIONS).digest == Place.of(other, VERSIONS).digest
    assert differences(MACHINE, other) == []


@pytest.mark.parametrize("empty", [{}, None])
def test_what_an_older_version_did_not_know_is_what_is_empty_now(empty: object) -> None:
    """A fingerprint of then, and one of now without such variables, are of one place."""
    older = {name: value for name, value in MACHINE.items() if name != "environment"}
    now = {**MACHINE, "environment": empty}
    assert Place.of(older, VERSIONS).digest == Place.of(now, VERSIONS).digest
    assert differences(older, now) == []


def test_a_quota_that_nobody_asked_for_is_no_difference() -> None:
    """It was there then, too, as far as anybody knows; between two that are known it is one."""
    older = {name: value for name, value in MACHINE.items() if name != "quota_cpus"}
    assert differences(older, MACHINE) == []
    assert differences({**MACHINE, "quota_cpus": None}, MACHINE) == [
        "quota_cpus: None then, 2.5 now"
    ]


LAID_OUT = {"cores": 2, "sockets": 1, "nodes": 1, "core_types": {}}


@pytest.mark.parametrize("name", LAYOUT)
def test_a_layout_is_a_difference_where_both_say_it(name: str) -> None:
    """It is in no digest: those of older fingerprints stay, and nothing is unpooled by an upgrade.

    An empty table of types says that all cores are alike, and so says something.
    """
    here, other = {**MACHINE, **LAID_OUT}, {**MACHINE, **LAID_OUT, name: {"P": 1, "E": 1}}
    (said,) = differences(here, other)
    assert said.startswith(f"{name}: ")
    assert differences(here, MACHINE) == differences(MACHINE, other) == []
    assert differences(here, {**other, name: None}) == []
    assert Place.of(MACHINE, VERSIONS) == Place.of(other, VERSIONS)
