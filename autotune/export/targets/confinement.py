"""The core budget in a deployment target: how it is said and set, and what is left to others."""

import shlex
from collections.abc import Sequence

from autotune.export.core_budget import quota_of
from autotune.export.targets.target import Loss, Tuned
from autotune.host.core_budget import cpus_in_words
from autotune.space.dimensions import CORE_BINDING

_ELSEWHERE = (
    "elsewhere it runs beside other neighbours and at another speed than was measured, and takes "
    "from the application what was left to it"
)


def command(tuned: Tuned, words: Sequence[str]) -> str:
    """A line of a shell that runs a program under the variables and on the CPUs of the budget."""
    return " ".join([*tuned.assigned, *on_its_cpus(tuned), *words])


def on_its_cpus(tuned: Tuned) -> tuple[str, ...]:
    """Words of a shell that confine the command after them; none without a core budget."""
    budget = tuned.best.budget
    return () if budget is None else ("taskset", "-c", shlex.quote(budget.listed))


def of_container(tuned: Tuned) -> tuple[str, ...]:
    """Options of `docker run` for the same CPUs, or for the same quota."""
    budget, quota = tuned.best.budget, quota_of(tuned.best)
    if budget is not None:
        return ("--cpuset-cpus", budget.listed)
    return () if quota is None else ("--cpus", f"{quota:g}")


BY_THIS_COMMAND = "the command above holds it, and what is started otherwise does not"


def under_budget(tuned: Tuned, where: str | None, quota: str) -> list[Loss]:
    """Of a target that does not hold the CPUs of the measurement for sure, if these were not all.

    Args:
        tuned: what is deployed.
        where: what is left to whoever deploys it, where CPUs were named; None for nothing.
        quota: the same, where it was measured under a quota.
    """
    budget, limit = tuned.best.budget, quota_of(tuned.best)
    if budget is not None and where is None:
        return []
    if budget is not None:
        return [Loss(f"the core budget, {cpus_in_words(budget.cpus)}: {where}", _ELSEWHERE)]
    if limit is None:
        return []
    found = [
        Loss(
            f"the quota of {limit:g} CPUs that it was measured under: {quota}",
            "with less it is throttled, with more it may use CPUs that are others'",
        )
    ]
    if tuned.binds_cores:
        found.append(
            Loss(
                f"{CORE_BINDING.property} under a quota: threads are bound to CPUs that others "
                "under the same machine use as well",
                "requests wait for a CPU while another one is idle; measured so, and better off "
                "where neighbours are busy",
            )
        )
    return found


NO_QUOTA = "nothing here sets one; run it in a container that has it"
