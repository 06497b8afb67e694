"""A core budget as it is written, and as a fingerprint keeps it."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.host.core_budget import (
    CoreBudget,
    CpuRequest,
    budget_in_words,
    budget_of,
    cpus_in_words,
    parse_request,
)

NUMBERS = st.sets(st.integers(0, 300), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        (6, CpuRequest(6)),
        ("6", CpuRequest(6)),
        (" 06 ", CpuRequest(6)),
        ("0-5", CpuRequest(6, (0, 1, 2, 3, 4, 5))),
        ("1-1", CpuRequest(1, (1,))),
        ("2,0", CpuRequest(2, (0, 2))),
        ("0-3, 8", CpuRequest(5, (0, 1, 2, 3, 8))),
        ([2, 0], CpuRequest(2, (0, 2))),
        ([1], CpuRequest(1, (1,))),
    ],
)
def test_a_bare_number_is_a_count_and_all_else_a_list(value: object, asked: CpuRequest) -> None:
    """As a text or as TOML has it; one CPU by its number is written 1-1."""
    assert parse_request(value) == asked


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "'' is empty; write a count such as 6, or a list"),
        ("  ", "is empty"),
        ([], "[] is empty"),
        (0, "'0' is no count of CPUs: at least 1"),
        ("-2", "'-2' is no count of CPUs: at least 1"),
        ("9" * 30, "is no count of CPUs"),
        (True, "True is neither a count nor a list of CPUs"),
        (1.5, "1.5 is neither a count nor a list"),
        ("1.5", "'1.5' is no number, and no range"),
        ("many", "'many' is no number, and no range; write"),
        ("0-", "'0-' is no number, and no range"),
        ("-1,2", "'-1' is no number"),
        ("٣-٤", "is no number, and no range"),
        ("5-0", "5-0 runs backwards; write 0-5"),
        ("0,0", "'0,0' names CPU 0 twice"),
        ("0-3,2-4", "'0-3,2-4' names CPUs 2-3 twice"),
        ("0,,2", "has nothing between two commas"),
        ("0,", "has nothing between two commas, or at an end"),
        ("0-99999999", "no machine has a CPU 99999999"),
        (",".join(["0-65535"] * 3), "names more CPUs than any machine has"),
        ([True], "[True] is no list of the numbers of CPUs"),
        (["0-1"], "is no list of the numbers"),
        ([-1], "is no list of the numbers"),
    ],
)
def test_what_is_no_budget_is_refused_with_what_to_write(value: object, says: str) -> None:
    """The value, what is wrong with it, and never a long text."""
    with pytest.raises(ValueError, match=re.escape(says)) as refused:
        parse_request(value)
    assert len(str(refused.value)) < 300


@given(NUMBERS)
def test_what_was_asked_for_is_read_back(numbers: set[int]) -> None:
    """Lists as lists, also of one CPU; counts as counts."""
    listed = CpuRequest(len(numbers), tuple(sorted(numbers)))
    assert parse_request(str(listed)) == listed
    count = CpuRequest(len(numbers))
    assert parse_request(str(count)) == count


@given(st.text(alphabet="0123456789-, ", max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    """And nothing else: what is read is as many CPUs as it says."""
    try:
        asked = parse_request(text)
    except ValueError:
        return
    assert asked.count >= 1
    assert asked.listed == () or len(set(asked.listed)) == asked.count


def machine(**fields: Any) -> dict[str, Any]:
    """A stored fingerprint of 16 CPUs."""
    return {"logical_cpus": 16, "affinity_cpus": 16, "quota_cpus": None, **fields}


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (machine(core_budget="2", core_budget_cpus="0-1"), "2 of 16 CPUs: 0-1"),
        (machine(core_budget="0,9", core_budget_cpus="0,9"), "2 of 16 CPUs: 0,9"),
        (machine(), None),
        ({}, None),
        ({"logical_cpus": 16, "usable_cpus": 16}, None),
        (machine(quota_cpus=1.5), "1.5 of 16 CPUs, by quota"),
        (machine(quota_cpus=99.0), None),
        (machine(affinity_cpus=4), "4 of 16 CPUs, by affinity"),
        (machine(affinity_cpus=4, quota_cpus=2.0), "2 of 16 CPUs, by quota"),
    ],
)
def test_a_number_says_its_cpus_where_these_were_not_all(
    stored: dict[str, Any], said: str | None
) -> None:
    """Those that were asked for, or that a container or an affinity left."""
    assert budget_in_words(stored) == said


@pytest.mark.parametrize(
    "stored",
    [
        {},
        machine(core_budget="2"),
        machine(core_budget=2, core_budget_cpus="0-1"),
        machine(core_budget="2", core_budget_cpus="some"),
        machine(core_budget="none", core_budget_cpus="0-1"),
    ],
)
def test_a_fingerprint_that_says_no_budget_has_none(stored: dict[str, Any]) -> None:
    """Of an older version, or of somebody's hands."""
    assert budget_of(stored) is None


def test_cpus_read_as_one_or_as_several() -> None:
    """In messages and exports."""
    assert (cpus_in_words([3]), cpus_in_words([0, 1, 8])) == ("CPU 3", "CPUs 0-1,8")
    assert str(CoreBudget(CpuRequest(1), (3,), 4)) == "1 of 4 CPUs: 3"
