"""The order of samples and their batches: exact shares, the same everywhere."""

import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.workload.order import batches, order

WEIGHTS = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=20)


@given(WEIGHTS, st.integers(1, 300), st.integers(0, 5))
def test_shares_of_a_cycle_are_exact_to_within_one(
    weights: list[float], length: int, seed: int
) -> None:
    """Of every sample, whatever the weights and their scale."""
    found = order(weights, length, seed)
    counts = Counter(found)
    assert len(found) == length
    assert set(found) <= set(range(len(weights)))
    for number, weight in enumerate(weights):
        assert abs(counts[number] - length * weight / sum(weights)) < 1 + 1e-9
    assert found == order([4 * weight for weight in weights], length, seed)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 4))
def test_shares_that_can_be_exact_are(weights: list[int], times: int) -> None:
    """A cycle of a multiple of their sum."""
    counts = Counter(order(weights, times * sum(weights), 0))
    assert [counts[n] for n in range(len(weights))] == [times * weight for weight in weights]


def test_tenths_are_tenths() -> None:
    """0.1 + 0.2 is not 0.3 in floating point, and three remainders are equal."""
    assert Counter(order([0.1, 0.2, 0.3, 0.4], 10, 0)) == {0: 1, 1: 2, 2: 3, 3: 4}
    assert Counter(order([1, 1, 1], 4, 0)) == {0: 2, 1: 1, 2: 1}


def test_it_is_shuffled_and_not_evened_out() -> None:
    """Runs are as long as chance makes them; another seed gives another order of the same."""
    found = order([1, 1], 200, 7)
    runs: list[int] = []
    length = 1
    for a, b in pairwise(found):
        runs, length = (runs, length + 1) if a == b else ([*runs, length], 1)
    assert max(runs) >= 4
    assert found != order([1, 1], 200, 8)
    assert Counter(found) == Counter(order([1, 1], 200, 8))


def test_it_is_the_same_in_every_process() -> None:
    """Contenders of a race are asked the same in the same order."""
    code = "from autotune.workload.order import order; print(order([3, 1, 2.5], 50, 11))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(order([3, 1, 2.5], 50, 11))


def test_an_order_of_nothing_is_refused() -> None:
    """With the sample, or the length."""
    with pytest.raises(ValueError, match="weight of sample 1 is 0;"):
        order([1, 0], 4, 0)
    with pytest.raises(ValueError, match="cycle of 0"):
        order([1], 0, 0)


# --- batches


@given(st.lists(st.integers(0, 7), min_size=1, max_size=40), st.integers(1, 9), st.data())
def test_batches_are_full_of_one_bucket_and_keep_every_share(
    asked: list[int], batch_size: int, data: st.DataObject
) -> None:
    """As many times each sample as the cycle was gone through."""
    bucket_of = data.draw(st.lists(st.integers(0, 3), min_size=8, max_size=8))
    found = batches(asked, bucket_of, batch_size)
    assert all(len(batch) == batch_size for batch in found)
    assert all(len({bucket_of[number] for number in batch}) == 1 for batch in found)
    counts, plain = Counter(number for batch in found for number in batch), Counter(asked)
    cycles = len(found) * batch_size // len(asked)
    assert cycles * len(asked) == len(found) * batch_size
    assert 1 <= cycles <= batch_size
    assert counts == {number: cycles * count for number, count in plain.items()}


@given(st.lists(st.integers(0, 7), min_size=1, max_size=40), st.integers(1, 9), st.data())
def test_items_keep_their_order_within_a_bucket(
    asked: list[int], batch_size: int, data: st.DataObject
) -> None:
    """Batches come as they fill: by the place of their last item."""
    bucket_of = data.draw(st.lists(st.integers(0, 3), min_size=8, max_size=8))
    found = batches(asked, bucket_of, batch_size)
    cycles = len(found) * batch_size // len(asked)
    ends = []
    for bucket in set(bucket_of):
        mine = [n for batch in found if bucket_of[batch[0]] == bucket for n in batch]
        assert mine == [n for n in asked * cycles if bucket_of[n] == bucket]
    places: dict[int, list[int]] = {}
    for place, number in enumerate(asked * cycles):
        places.setdefault(bucket_of[number], []).append(place)
    for batch in found:
        mine_at = places[bucket_of[batch[0]]]
        ends.append(mine_at[batch_size - 1])
        del mine_at[:batch_size]
    assert ends == sorted(ends)


def test_a_batch_of_one_is_the_order_itself() -> None:
    """Once through."""
    assert batches([2, 0, 1, 2], [0, 1, 0], 1) == [[2], [0], [1], [2]]
    with pytest.raises(ValueError, match="batch of 0"):
        batches([0], [0], 0)
