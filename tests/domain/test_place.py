"""Where something was measured: equal places pool, others do not."""

import pytest

from autotune.domain.place import HARDWARE, RUNTIME, Place, differences

MACHINE = {
    "cpu_model": "x",
    "logical_cpus": 4,
    "usable_cpus": 2,
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
