"""What the guard found in a study: each way to answer, how far it is off, and how fast it gets."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autotune.domain.accuracy import Accuracy
from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal
from autotune.domain.ranking import best
from autotune.domain.trial import Trial
from autotune.space.configuration import Configuration
from autotune.space.dimensions import ARITHMETIC, BATCH, TABLE
from autotune.space.rows.variant import GIVEN, VARIANT

_SHOWN_BESIDE = {VARIANT, ARITHMETIC, BATCH}
"""Those with words of their own; that batches give the answers of single requests is proven."""
_AS_GIVEN = "the model as it was given"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedRow:
    """One way to answer, and what the search saw of it."""

    answers: str
    """The variant, the precision, and whatever else decides answers, in words."""
    accuracy: Accuracy | None
    """None where it was refused, or nobody looked."""
    refused: str
    """Why it was never measured; empty where it was."""
    trials: int
    best: Trial | None
    """The best trial that meets the goal; None where none does."""


def guarded_rows(trials: Iterable[Trial], goal: Goal) -> list[GuardedRow]:
    """Each way to answer that was tried, in the order in which it was first.

    Precisions that were asked for and those that the runtime chose by itself are the same where
    both compute in the same.
    """
    groups: dict[tuple[str, Accuracy | None, str], list[Trial]] = {}
    for trial in trials:
        measured, failure = trial.measurement, trial.failure
        if measured is not None:
            opening = measured.opening
            key = (answers_in_words(trial.configuration, opening.effective.arithmetic),)
            groups.setdefault((*key, opening.accuracy, ""), []).append(trial)
        elif failure is not None and failure.kind is FailureKind.INACCURATE:
            said = answers_in_words(trial.configuration)
            groups.setdefault((said, None, failure.message), []).append(trial)
    return [
        GuardedRow(
            answers=answers,
            accuracy=accuracy,
            refused=refused,
            trials=len(mine),
            best=best(mine, goal),
        )
        for (answers, accuracy, refused), mine in groups.items()
    ]


def answers_in_words(configuration: Configuration, arithmetic: str = "") -> str:
    """``int8, bf16, shape plan padded``: what decides the answers of a configuration.

    Args:
        configuration: whose.
        arithmetic: what it computes in, where it does not say so itself.
    """
    variant = str(VARIANT.of(configuration))
    said = [_AS_GIVEN if variant == GIVEN else variant]
    said += [found] if (found := ARITHMETIC.of(configuration) or arithmetic) else []
    said += [
        one.word(one.of(configuration))
        for one in TABLE
        if one.answers and one not in _SHOWN_BESIDE and one.of(configuration) != one.default
    ]
    return ", ".join(text for text in said if text)


def losses_of(trials: Sequence[Trial]) -> list[float] | None:
    """That of each trial, the worst where it is not known; None unless there are several."""
    losses = [loss_of(trial) for trial in trials]
    if len({loss for loss in losses if loss is not None}) < 2:
        return None
    return [math.inf if loss is None else loss for loss in losses]


def loss_of(trial: Trial) -> float | None:
    """What the accuracy of a trial loses, as seen; None where it is not known."""
    accuracy = None if trial.measurement is None else trial.measurement.opening.accuracy
    return None if accuracy is None or accuracy.drop is None else accuracy.drop.seen
