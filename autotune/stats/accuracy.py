"""Bounds of what an accuracy loses, from scores of the same held-out samples with both models.

Rates of samples that are right or wrong have exact bounds. Scores between 0 and 1 have bounds that
hold for whatever distribution they come from, at any number of samples: a t interval of scores that
are nearly all 1 is too narrow just where it matters. All are for independent samples.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr, ndtri, stdtrit

from autotune.domain.accuracy import Accuracy, Drop, GuardVerdict

Scores = NDArray[np.float64]
CONFIDENCE = 0.95
MOST_SAMPLES = 10**7
"""Above which more samples are no advice."""
_MOST_BET = 0.75
"""Of what may be lost in one bet: Waudby-Smith and Ramdas take a half to three quarters."""
_LEAST_FOR_T = 3


def rate_bounds(right: int, samples: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Two-sided bounds of a rate; they cover it at least as often as they say.

    Exact, by Clopper and Pearson (1934, Biometrika 26).

    Raises:
        ValueError: there are no samples, or more right ones than samples.
    """
    if not 0 <= right <= samples or not samples:
        message = f"{right} of {samples} samples are no rate"
        raise ValueError(message)
    alpha = (1 - confidence) / 2
    low = betaincinv(right, samples - right + 1, alpha) if right else 0.0
    high = betaincinv(right + 1, samples - right, 1 - alpha) if right < samples else 1.0
    return float(low), float(high)


def mean_bounds(values: Scores, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Two-sided bounds of the mean of values between 0 and 1, whatever their distribution.

    By betting (Waudby-Smith and Ramdas 2024, Journal of the Royal Statistical Society B 86,
    theorem 3): whoever bets that values are above a mean m, and m is the true one, hardly ever
    multiplies what he has by 1/alpha. The bounds are the means at which such bets are not won.

    Args:
        values: in the order in which they were drawn; shape (samples,).
        confidence: of both sides together.

    Raises:
        ValueError: a value lies outside.
    """
    if not values.size or not ((values >= 0) & (values <= 1)).all():
        message = "scores must lie between 0 and 1"
        raise ValueError(message)
    alpha = (1 - confidence) / 2
    return _lower(values, alpha), 1 - _lower(1 - values, alpha)


def _lower(values: Scores, alpha: float) -> float:
    """The least mean at which the bet that values are above it is not won."""
    n, count = values.size, np.arange(1, values.size + 1)
    mean = (0.5 + np.cumsum(values)) / (count + 1)
    variance = (0.25 + np.cumsum((values - mean) ** 2)) / (count + 1)
    known = np.concatenate([[0.25], variance[:-1]])  # a bet knows what came before it
    stake = np.sqrt(2 * math.log(1 / alpha) / (n * known))

    def is_won(against: float) -> bool:
        gains = np.log1p(np.minimum(stake, _MOST_BET / against) * (values - against))
        return float(np.cumsum(gains).max()) >= math.log(1 / alpha)

    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if is_won(middle) else (low, middle)
    return low


def drop_of(
    reference: Scores, found: Scores, confidence: float = CONFIDENCE, *, is_compared: bool = False
) -> Drop:
    """What the mean score loses, by the scores of the same samples.

    Of right and wrong answers the samples decide on which the two differ, as in McNemar's test
    (1947, Psychometrika 12): the rates of those that became wrong, and of those that became right,
    each have exact bounds at half the error. Other scores between 0 and 1 are compared sample by
    sample, by `mean_bounds`; those of any other size by a t interval.

    Args:
        reference: of the reference; shape (samples,).
        found: of what is looked at, likewise.
        confidence: two-sided.
        is_compared: whether a score says how near an answer is to the reference's own, which so
            has 1 everywhere, and can only be lost.

    Raises:
        ValueError: there are no samples, or not as many of both.
    """
    if reference.shape != found.shape or not found.size:
        message = f"{reference.size} and {found.size} scores are not of the same samples"
        raise ValueError(message)
    lost = reference - found
    seen = float(lost.mean())
    every = np.concatenate([reference, found])
    if np.isin(every, (0.0, 1.0)).all():
        low, high = _of_rates(lost, confidence, is_compared=is_compared)
    elif ((every >= 0) & (every <= 1)).all():
        low, high = mean_bounds(lost if is_compared else (lost + 1) / 2, confidence)
        low, high = (low, high) if is_compared else (2 * low - 1, 2 * high - 1)
    else:
        low, high = _of_any(lost, confidence)
    return Drop(seen=seen, low=min(low, seen), high=max(high, seen))


def _of_rates(lost: Scores, confidence: float, *, is_compared: bool) -> tuple[float, float]:
    worse, better, n = int((lost > 0).sum()), int((lost < 0).sum()), lost.size
    if is_compared:
        return rate_bounds(worse, n, confidence)
    each = 1 - (1 - confidence) / 2  # both intervals hold at once (Bonferroni)
    (worse_low, worse_high), (better_low, better_high) = (
        rate_bounds(count, n, each) for count in (worse, better)
    )
    return worse_low - better_high, worse_high - better_low


def _of_any(lost: Scores, confidence: float) -> tuple[float, float]:
    if lost.size < _LEAST_FOR_T:
        return -math.inf, math.inf
    half = float(stdtrit(lost.size - 1, 0.5 + confidence / 2))
    half *= float(lost.std(ddof=1)) / math.sqrt(lost.size)
    return float(lost.mean()) - half, float(lost.mean()) + half


def drop_by_resampling(
    seen: float, resampled: Scores, samples: int, confidence: float = CONFIDENCE
) -> Drop:
    """What a metric of all samples together loses, from its losses on resampled ones.

    The bias-corrected percentiles of Efron (1981, Canadian Journal of Statistics 9), as far apart
    as a sample's own spread lets them be. What no sample has shown may be there all the same: both
    ends are at least as far away as one of `rate_bounds` for nothing in so many samples.

    Args:
        seen: the loss on all samples.
        resampled: losses on samples that were drawn from them with repetition, the same for both
            models; shape (repetitions,).
        samples: how many there are.
        confidence: two-sided.
    """
    alpha = (1 - confidence) / 2
    below = (float((resampled < seen).sum()) + float((resampled == seen).sum()) / 2) / max(
        1, resampled.size
    )
    shift = 2 * float(ndtri(min(max(below, 1e-3), 1 - 1e-3)))
    ends = [float(ndtr(shift + ndtri(level))) for level in (alpha, 1 - alpha)]
    low, high = np.quantile(resampled, ends) if resampled.size else (-math.inf, math.inf)
    unseen = rate_bounds(0, samples, confidence)[1]
    return Drop(seen=seen, low=min(float(low), seen - unseen), high=max(float(high), seen + unseen))


def judged_drop(drop: Drop, max_drop: float) -> GuardVerdict:
    """Within the limit, over it, or not shown to be within it."""
    if drop.seen > max_drop or not math.isfinite(drop.seen):
        return GuardVerdict.MISSED
    return GuardVerdict.MET if drop.high <= max_drop else GuardVerdict.UNCLEAR


def needed_samples(
    drop: Drop, samples: int, max_drop: float, *, is_compared: bool = False
) -> int | None:
    """About how many samples show the loss that was seen to be within the limit.

    Of answers that are compared with the reference's own, as many as would show the rate of so many
    wrong ones: of all scores between 0 and 1 with this mean, those vary most. Else what samples
    gain and lose is averaged, and the interval is as wide as one over the square root of their
    number. None where no number does.
    """
    seen, room = max(0.0, drop.seen), max_drop - drop.seen
    if room <= 0 or not math.isfinite(drop.high):
        return None
    if not is_compared:
        found = samples * ((drop.high - drop.seen) / room) ** 2
        return None if found > MOST_SAMPLES else math.ceil(found)
    alpha = (1 - CONFIDENCE) / 2

    def shows(samples: int) -> bool:
        wrong = seen * samples
        return float(betaincinv(wrong + 1, samples - wrong, 1 - alpha)) <= max_drop

    low, high = 0, 1
    while not shows(high):
        low, high = high, 2 * high
        if high > MOST_SAMPLES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high


def accuracy(
    metric: str,
    reference: Sequence[float],
    found: Sequence[float],
    max_drop: float,
    *,
    is_relative: bool = False,
    is_compared: bool = False,
) -> Accuracy:
    """What scores of the same samples say, by a limit on what may be lost.

    Args:
        metric: its name.
        reference: one score for each sample, of the reference.
        found: likewise, of what is looked at.
        max_drop: what may be lost.
        is_relative: whether that is a share of the reference's mean score.
        is_compared: as for `drop_of`.
    """
    base, own = np.asarray(reference, float), np.asarray(found, float)
    if not (np.isfinite(base).all() and np.isfinite(own).all()) or not own.size:
        return no_number(metric, max_drop, own.size, "a score is no number")
    limit = max_drop * abs(float(base.mean())) if is_relative else max_drop
    drop = drop_of(base, own, is_compared=is_compared)
    means = float(own.mean()), float(base.mean())
    return _with_verdict(metric, *means, drop, limit, own.size, is_compared=is_compared)


def of_all(
    metric: str,
    totals: tuple[float, float],
    resampled: Sequence[float],
    samples: int,
    max_drop: float,
    *,
    is_relative: bool = False,
) -> Accuracy:
    """What a metric of all samples together says.

    Args:
        metric: its name.
        totals: of the reference, and of what is looked at.
        resampled: what is lost on samples that were drawn anew; see `drop_by_resampling`.
        samples: how many there are.
        max_drop: what may be lost.
        is_relative: whether that is a share of the reference's.
    """
    base, own = totals
    if not all(map(math.isfinite, (base, own, *resampled))):
        return no_number(metric, max_drop, samples, "the metric is no number")
    limit = max_drop * abs(base) if is_relative else max_drop
    drop = drop_by_resampling(base - own, np.asarray(resampled, float), samples)
    return _with_verdict(metric, own, base, drop, limit, samples)


def judged(found: Accuracy, verdict: GuardVerdict) -> Accuracy:
    """The same with another verdict: of what is known beyond its scores."""
    return replace(found, verdict=verdict, needed=None)


def _with_verdict(  # noqa: PLR0913 - as above
    metric: str,
    own: float,
    base: float,
    drop: Drop,
    limit: float,
    samples: int,
    *,
    is_compared: bool = False,
) -> Accuracy:
    verdict = judged_drop(drop, limit)
    return Accuracy(
        metric=metric,
        value=own,
        reference=base,
        drop=drop,
        max_drop=limit,
        samples=samples,
        verdict=verdict,
        needed=needed_samples(drop, samples, limit, is_compared=is_compared)
        if verdict is GuardVerdict.UNCLEAR
        else None,
    )


def no_number(metric: str, max_drop: float, samples: int, why: str) -> Accuracy:
    """Of answers that cannot be compared: they fail."""
    return Accuracy(
        metric=metric,
        value=None,
        reference=None,
        drop=None,
        max_drop=max_drop,
        samples=samples,
        verdict=GuardVerdict.MISSED,
        why=why,
    )
