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
from autotune.domain.goal import Goal
from autotune.domain.race import RaceResult
from autotune.domain.trial import Trial
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
    """How a mix is served, what preparing takes and what overlap brings, each with its label.

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
    if mix is not None:
        found.append(("shape plan", plan_in_words(plan_of(leader.configuration), mix)))
    winner = None if race is None else race.winner
    each = None if winner is None else raced_preparation(winner)
    each = each or preparation(leader.measurement, items * leader.configuration.batch_size)
    if each is not None:
        found.append(("preparation", preparation_in_words(each)))
        found.append(("overlap", _overlap_in_words(trials, race, goal)))
    return found


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
