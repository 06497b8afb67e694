"""What a goal asks for and a machine cannot tell: said before anything is spent on it."""

from autotune.domain.goal import Goal, Objective, Resource
from autotune.domain.inspection import Inspection


def why_unmeasurable(goal: Goal, facts: Inspection) -> str:
    """Which limit or objective cannot be measured here, why, and what to do; empty where all can.

    What nobody can read is met by nothing.
    """
    if facts.why_no_memory is not None and goal.limit("max_memory") is not None:
        return (
            f"max_memory: memory cannot be measured here: {facts.why_no_memory}; leave it "
            "out, or tune where it can"
        )
    why = facts.why_no_energy
    if why is None:
        return ""
    if goal.limit("max_energy_per_item") is not None:
        return (
            f"max_energy_per_item: energy cannot be measured here: {why}; or leave it out: "
            "max_cpu_per_item limits CPU time, which is measured everywhere"
        )
    if goal.objective is Objective.EFFICIENCY and goal.resource is Resource.ENERGY:
        return (
            f"efficiency: energy cannot be measured here: {why}; or take efficiency = "
            '"cpu", which is measured everywhere'
        )
    return ""
