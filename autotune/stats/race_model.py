"""One model for all slices of a race: who is faster, by how much, and how sure that is.

The logarithm of a slice's speed is what its configuration is, plus what this launch of it is, plus
what the machine did in that round, plus the rest::

    y = m[contender] + h[contender, host] + a[contender, launch] + t[round] + e
    h ~ N(0, host²)    a ~ N(0, r v)    e ~ N(0, v)    t flat

All contenders share one machine, so the variance v of the rest and the ratio r are learnt from all
of them together, and drawn to what is known of such machines (moderated variances: Smyth 2004,
Statistical Applications in Genetics and Molecular Biology 3; mixed models: Henderson 1975,
Biometrics 31). The effects of rounds and launches are integrated out exactly, v and r over a grid,
so that the posterior of m is a mixture of normal distributions: no degrees of freedom need to be
chosen, and two launches give an interval as well as twelve do.

Bursts that halve a slice's speed are part of the rest: to cut residuals at one to six robust
deviations (Huber 1964) changed nothing in replays (docs/decisions/0008).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from autotune.stats.posterior import Posterior, Prior, Reals

Indices = NDArray[np.int64]

_COARSE, _FINE = 13, 9
_SPAN = 3.0
"""How far a grid goes from its centre, in standard deviations."""
_TRUSTS = ((1.0, 0.5), (2.0, 0.3), (4.0, 0.15), (8.0, 0.05))
"""How many times as wide as it says the prior of the contenders may be, and how likely: a search on
a machine that was noisier than usual says less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """What is known beforehand of a machine's noise; log-normal priors of standard deviations."""

    rest: float = 0.02
    """Of a slice, beside what its round has in common."""
    rest_sd: float = 0.7
    """Of the logarithm of `rest`."""
    launch: float = 0.012
    """Of a launch of one configuration."""
    launch_sd: float = 0.8
    host: float = 0.02
    """Of what a host of the same class makes of one configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """All counted slices; every array has shape (slices,)."""

    contender: Indices
    launch: Indices
    """Numbered over all hosts."""
    round: Indices
    """Numbered within its launch."""
    log_speed: Reals
    host: Indices


def fit(turns: Turns, prior: Prior, scales: Scales | None = None) -> Posterior:
    """The posterior of all contenders.

    Args:
        turns: what was seen; may be empty.
        prior: of the contenders.
        scales: of the noise.
    """
    scales = scales or Scales()
    if not turns.log_speed.size:
        return Posterior(
            np.array([chance for _, chance in _TRUSTS]),
            np.repeat(prior.mean[None], len(_TRUSTS), axis=0),
            np.array([factor**2 * prior.covariance for factor, _ in _TRUSTS]),
            scales.rest,
            scales.launch,
        )
    centre = float(np.median(turns.log_speed))
    return _posterior(turns.log_speed - centre, turns, prior, scales)


def _numbers(*keys: Indices) -> Indices:
    """Every combination that occurs gets a number, from 0."""
    _, numbers = np.unique(np.stack(keys), axis=1, return_inverse=True)
    return numbers.ravel().astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Sums of one launch, over its processes and its rounds: all that the model needs of it."""

    design: Reals
    """Which unknowns a process takes part in; shape (processes, unknowns)."""
    counts: Reals
    """Slices of a process in a round; shape (processes, rounds)."""
    by_process: Reals
    """Sum of the values; shape (processes,)."""
    by_round: Reals
    """Likewise; shape (rounds,)."""
    square: float
    """Sum of squares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Information:
    """What all launches say of the unknowns, for each ratio of the variances.

    With effects of launches integrated out, the covariance of a launch's values is v V, and with
    the flat ones of its rounds taken out, its information is M / v for
    M = V^-1 - V^-1 T (T' V^-1 T)^-1 T' V^-1.
    """

    information: Reals
    """X' M X; shape (ratios, unknowns, unknowns)."""
    towards: Reals
    """X' M y; shape (ratios, unknowns)."""
    square: Reals
    """y' M y; shape (ratios,)."""
    log_det: Reals
    """log |V| + log |T' V^-1 T|; shape (ratios,)."""
    freedom: int
    """Slices less rounds."""


def _tables(y: Reals, turns: Turns, design: Reals) -> list[_Table]:
    found = []
    for launch in np.unique(turns.launch):
        rows = np.flatnonzero(turns.launch == launch)
        process, round_ = _numbers(turns.contender[rows]), _numbers(turns.round[rows])
        counts = np.zeros((process.max() + 1, round_.max() + 1))
        np.add.at(counts, (process, round_), 1.0)
        first = np.unique(process, return_index=True)[1]
        found.append(
            _Table(
                design=design[rows[first]],
                counts=counts,
                by_process=np.bincount(process, weights=y[rows]).astype(np.float64),
                by_round=np.bincount(round_, weights=y[rows]).astype(np.float64),
                square=float(y[rows] @ y[rows]),
            )
        )
    return found


def _evidence(tables: Sequence[_Table], ratios: Reals) -> _Information:
    unknowns = tables[0].design.shape[1]
    information = np.zeros((ratios.size, unknowns, unknowns))
    towards = np.zeros((ratios.size, unknowns))
    square, log_det, freedom = np.zeros(ratios.size), np.zeros(ratios.size), 0
    for table in tables:
        n = table.counts.sum(axis=1)
        shrunk = 1 / (1 + ratios[:, None] * n)  # (ratios, processes)
        taken = ratios[:, None] * shrunk
        across = np.einsum("kp,pt->kpt", shrunk, table.counts)
        among = -np.einsum("pt,kp,pu->ktu", table.counts, taken, table.counts)
        diagonal = np.arange(table.by_round.size)
        among[:, diagonal, diagonal] += table.counts.sum(axis=0)
        over_rounds = table.by_round - np.einsum(
            "kp,pt->kt", taken * table.by_process, table.counts
        )
        x_across = np.einsum("pi,kpt->kit", table.design, across)
        solved = np.linalg.solve(
            among, np.concatenate([x_across.transpose(0, 2, 1), over_rounds[:, :, None]], axis=2)
        )
        by_x, by_y = solved[:, :, :-1], solved[:, :, -1]
        information += np.einsum("pi,kp,pj->kij", table.design, n * shrunk, table.design)
        information -= np.einsum("kit,ktj->kij", x_across, by_x)
        towards += np.einsum("pi,kp->ki", table.design, shrunk * table.by_process)
        towards -= np.einsum("kit,kt->ki", x_across, by_y)
        square += table.square - (taken * table.by_process**2).sum(axis=1)
        square -= (over_rounds * by_y).sum(axis=1)
        log_det += np.log1p(ratios[:, None] * n).sum(axis=1) + np.linalg.slogdet(among)[1]
        freedom += int(n.sum()) - table.by_round.size
    return _Information(
        information=information, towards=towards, square=square, log_det=log_det, freedom=freedom
    )


def _posterior(y: Reals, turns: Turns, prior: Prior, scales: Scales) -> Posterior:
    """Over a coarse grid of the two scales, then over a fine one where the posterior lies."""
    design, mean, covariances = _unknowns(turns, prior, scales)
    tables = _tables(y, turns, design)
    wide = _SPAN * np.array([scales.rest_sd, math.hypot(scales.rest_sd, scales.launch_sd)])
    centre = np.array([math.log(scales.rest), math.log(scales.launch / scales.rest)])
    for nodes, trusts in ((_COARSE, 1), (_FINE, len(_TRUSTS))):
        steps = np.linspace(-1.0, 1.0, nodes)
        log_rest, log_ratio = centre[0] + wide[0] * steps, centre[1] + wide[1] * steps
        evidence = _evidence(tables, np.exp(2 * log_ratio))
        parts = [_conditional(evidence, mean, c, log_rest) for c in covariances[:trusts]]
        off = (log_rest - math.log(scales.rest)) / scales.rest_sd
        launch_off = (log_ratio[:, None] + log_rest - math.log(scales.launch)) / scales.launch_sd
        logs = np.array([part.log_likelihood for part in parts]) - 0.5 * (off**2 + launch_off**2)
        logs += np.log([chance for _, chance in _TRUSTS[:trusts]])[:, None, None]
        share = np.exp(logs - logs.max())
        share /= share.sum()
        by_rest, by_ratio = share.sum(axis=(0, 1)), share.sum(axis=(0, 2))
        centre = np.array([by_rest @ log_rest, by_ratio @ log_ratio])
        spread = np.array(
            [by_rest @ (log_rest - centre[0]) ** 2, by_ratio @ (log_ratio - centre[1]) ** 2]
        )
        # Not less than a step, which is what the coarse grid can see.
        wide = np.maximum(_SPAN * np.sqrt(spread), wide / nodes)
    kept, size = slice(0, prior.mean.size), mean.size
    launch = np.exp(log_ratio[:, None] + log_rest)
    return Posterior(
        weights=share.ravel(),
        means=np.stack([p.means for p in parts]).reshape(-1, size)[:, kept],
        covariances=np.stack([p.covariances for p in parts]).reshape(-1, size, size)[:, kept, kept],
        rest=float(by_rest @ np.exp(log_rest)),
        launch=float((share * launch).sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conditional:
    """The unknowns where both scales are given; every shape begins with (ratios, rests)."""

    log_likelihood: Reals
    means: Reals
    covariances: Reals


def _conditional(
    evidence: _Information, mean: Reals, covariance: Reals, log_rest: Reals
) -> _Conditional:
    certainty = np.linalg.inv(covariance)
    scale: Reals = np.exp(-2 * log_rest)[None, :]
    information = certainty + scale[:, :, None, None] * evidence.information[:, None]
    inverse = np.linalg.inv(information).astype(np.float64)
    pull = certainty @ mean + scale[:, :, None] * evidence.towards[:, None]
    means = np.einsum("krij,krj->kri", inverse, pull)
    log_likelihood = (
        -evidence.freedom * log_rest[None, :]
        - 0.5 * np.linalg.slogdet(covariance)[1]
        - 0.5 * mean @ certainty @ mean
        - 0.5 * evidence.log_det[:, None]
        - 0.5 * scale * evidence.square[:, None]
        + 0.5 * (pull * means).sum(axis=2)
        + 0.5 * np.linalg.slogdet(inverse)[1]
    )
    return _Conditional(log_likelihood=log_likelihood, means=means, covariances=inverse)


def _unknowns(turns: Turns, prior: Prior, scales: Scales) -> tuple[Reals, Reals, list[Reals]]:
    """Which unknowns each slice has, shape (slices, unknowns), and their prior for each trust.

    The contenders; and where there are several hosts, what each of them makes of each contender.
    """
    contenders, hosts = prior.mean.size, np.unique(turns.host)
    design = np.zeros((turns.log_speed.size, contenders))
    design[np.arange(len(design)), turns.contender] = 1.0
    # Only differences mean anything, and small numbers lose nothing.
    mean = prior.mean - prior.mean.mean()
    covariances = [factor**2 * prior.covariance for factor, _ in _TRUSTS]
    if hosts.size < 2:
        return design, mean, covariances
    pair = _numbers(turns.contender, turns.host)
    own = np.zeros((len(design), pair.max() + 1))
    own[np.arange(len(design)), pair] = 1.0
    extra = own.shape[1]
    of_hosts = scales.host**2 * np.eye(extra)
    return (
        np.concatenate([design, own], axis=1),
        np.concatenate([mean, np.zeros(extra)]),
        [block_diag(covariance, of_hosts) for covariance in covariances],
    )
