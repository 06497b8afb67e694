"""What a workload asks beside inference, in sentences: padding, preparation, overlap."""

from collections.abc import Sequence

from autotune.analysis.mixture import plan_of
from autotune.analysis.preparation import (
    PreparationTime,
    overlap,
    preparation,
    raced_overlap,
    raced_preparation,
)
from autotune.domain.accuracy import Accuracy, GuardVerdict
from autotune.domain.goal import Goal
from autotune.domain.race import RaceResult
from autotune.domain.trial import Trial
from autotune.domain.units import number
from autotune.report.format import milliseconds, percent
from autotune.report.race import ratio_text
from autotune.space.shape_plan import ShapePlan
from autotune.workload.costs import in_words
from autotune.workload.mix import Mix
from autotune.workload.padding import padding_share


def workload_lines(
    leader: Trial | None,
    trials: Sequence[Trial],
    race: RaceResult | None,
    goal: Goal,
    *,
    items: int,
    mix: Mix | None,
) -> list[str]:
    """What was chosen does with the workload, a line each; see `labelled_workload`."""
    found = labelled_workload(leader, trials, race, goal, items=items, mix=mix)
    return [f"{label}: {text}" for label, text in found]


def labelled_workload(
    leader: Trial | None,
    trials: Sequence[Trial],
    race: RaceResult | None,
    goal: Goal,
    *,
    items: int,
    mix: Mix | None,
) -> list[tuple[str, str]]:
    """What the guard found, how a mix is served, what preparing takes and what overlap brings.

    Each with its label.

    Args:
        leader: what was chosen.
        trials: of the study.
        race: where it has a say.
        goal: of both.
        items: in a request at batch 1.
        mix: None where there is one shape.
    """
    if leader is None or leader.measurement is None:
        return []
    found = []
    accuracy = leader.measurement.opening.accuracy
    if accuracy is not None:
        found.append(("accuracy", accuracy_in_words(accuracy)))
    if mix is not None:
        found.append(("shape plan", plan_in_words(plan_of(leader.configuration), mix)))
    winner = None if race is None else race.winner
    each = None if winner is None else raced_preparation(winner)
    each = each or preparation(leader.measurement, items * leader.configuration.batch_size)
    if each is not None:
        found.append(("preparation", preparation_in_words(each)))
        found.append(("overlap", _overlap_in_words(trials, race, goal)))
    return found


def accuracy_in_words(found: Accuracy) -> str:
    """``top1 0.991, loses 0.002 (0 to 0.008) of at most 0.01 on 500 held-out samples: met``."""
    if found.verdict is GuardVerdict.IDENTICAL:
        return f"identical answers on {found.samples} held-out samples"
    if found.drop is None or found.value is None:
        return f"{found.metric}: {found.why}"
    said = (
        f"{found.metric} {number(found.value)}, loses {loss_in_words(found)} of at most "
        f"{number(found.max_drop, 3)} on {found.samples} held-out samples: {found.verdict}"
    )
    return said if found.needed is None else f"{said}, about {found.needed} would decide"


def loss_in_words(found: Accuracy) -> str:
    """``0.0021 (0 to 0.0083)``; why there is no number where there is none."""
    if found.verdict is GuardVerdict.IDENTICAL:
        return "nothing"
    if found.drop is None:
        return found.why or "-"
    ends = " to ".join(number(value, 3) for value in (found.drop.low, found.drop.high))
    return f"{number(found.drop.seen, 3)} ({ends})"


def plan_in_words(plan: ShapePlan, mix: Mix) -> str:
    """``3 buckets (80, 160, 320), padding 12 %``."""
    if not plan.pads:
        return f"{plan.in_words}, nothing is padded"
    listed = ", ".join(map(in_words, mix.buckets_of(plan)))
    return f"{plan.in_words} ({listed}), {padding_in_words(padding_share(mix, plan))}"


def padding_in_words(share: float | None) -> str:
    """What is computed for nobody, beside what is asked for; throughput never counts it."""
    if share is None:
        return "padding not known"
    return f"padding {percent(share)}" if share > 0 else "nothing is padded"


def preparation_in_words(one: PreparationTime) -> str:
    """``4.67 ms for each request, 29 % of its mean latency; …``."""
    share = "" if one.share is None else f", {percent(one.share)} of its mean latency"
    said = f"{milliseconds(one.prepare_ms)} for each request{share}"
    if one.busy is None:
        return said
    return f"{said}; the feeding thread prepares {percent(one.busy)} of the time"


def _overlap_in_words(trials: Sequence[Trial], race: RaceResult | None, goal: Goal) -> str:
    """In the race, where both raced, and in the search; why it is not known where it is not."""
    searched = overlap(trials, goal)
    raced = None if race is None else raced_overlap(race, goal)
    each = [(raced, "in the race"), (searched, "by the search")]
    found = [
        (ratio_text(one.ratio), f"{where} ({one.asynchronous} against {one.synchronous})")
        for one, where in each
        if one is not None
    ]
    if not found:
        return (
            "not known: one that waits for each request and one that does not must be shown to "
            "meet the goal"
        )
    (ratio, where), *others = found
    first = f"{ratio} the rate of waiting for each request, {where}"
    return "; ".join([first, *(f"{ratio} {where}" for ratio, where in others)])
