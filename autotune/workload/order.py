"""The order in which samples are asked: exact shares, shuffled, and batches of one bucket each."""

import math
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from autotune.workload.weights import check_weights


def order(weights: Sequence[float], length: int, seed: int) -> list[int]:
    """Samples by number, one cycle of so many; the same in every process.

    Each comes as often as its weight says, to within one (largest remainders, Hamilton's method;
    of equal remainders the first). They are shuffled and nothing is evened out: a real mix has
    runs of long items as well.

    Args:
        weights: one for each sample, above 0; their scale means nothing.
        length: of the cycle. In one that is shorter than there are samples, some do not come.
        seed: another one gives another order of the same shares.

    Raises:
        ValueError: a weight is none, or the length is below 1.
    """
    check_weights(weights, [f"sample {number}" for number in range(len(weights))])
    if length < 1:
        message = f"a cycle of {length} requests has no sample; give 1 or more"
        raise ValueError(message)
    cycle = np.repeat(np.arange(len(weights)), _counts(weights, length))
    return [int(number) for number in np.random.default_rng(seed).permutation(cycle)]


def _counts(weights: Sequence[float], length: int) -> list[int]:
    """How often each comes; exact, as weights of 0.1 in floating point are not."""
    exact = [Fraction(weight) for weight in weights]
    total = sum(exact)
    shares = [length * weight / total for weight in exact]
    counts = [math.floor(share) for share in shares]
    behind = sorted(range(len(shares)), key=lambda at: counts[at] - shares[at])
    for at in behind[: length - sum(counts)]:
        counts[at] += 1
    return counts


def batches(asked: Sequence[int], bucket_of: Sequence[int], batch_size: int) -> list[list[int]]:
    """Full batches of one bucket each, in the order in which they fill; a cycle again.

    An item waits for others of its bucket, as it does in a server. The cycle of samples is gone
    through as often as it takes until no item waits, `batch_size` times at most: so each sample
    keeps its share exactly.

    Args:
        asked: a cycle of samples, as `order` gives it.
        bucket_of: of each sample, by its number.
        batch_size: items in each.

    Raises:
        ValueError: the batch size is below 1.
    """
    if batch_size < 1:
        message = f"a batch of {batch_size} has no item; give 1 or more"
        raise ValueError(message)
    waiting: defaultdict[int, list[int]] = defaultdict(list)
    found: list[list[int]] = []
    while not found or any(waiting.values()):
        for number in asked:
            batch = waiting[bucket_of[number]]
            batch.append(number)
            if len(batch) == batch_size:
                found.append(batch)
                waiting[bucket_of[number]] = []
    return found
