"""The CPUs that a best.json needs: those that it was confined to, or what a quota allowed."""

from autotune.export.best_file import BestFile
from autotune.space.dimensions import is_cpu

_THREADS = "INFERENCE_NUM_THREADS"


def quota_of(best: BestFile) -> float | None:
    """CPUs that a cgroup's quota allowed when it was measured; None where it took nothing away."""
    quota, affinity = best.machine.get("quota_cpus"), best.machine.get("affinity_cpus")
    if not isinstance(quota, int | float) or not isinstance(affinity, int):
        return None
    return quota if 0 < quota < affinity else None


def limit_of(best: BestFile) -> float | None:
    """CPUs that it had, where these were not all of its machine."""
    return float(len(best.core_budget.cpus)) if best.core_budget else quota_of(best)


def properties_of(best: BestFile) -> dict[str, str]:
    """Properties for `compile_model`, with the threads said where only some CPUs were used.

    A hint chooses as many as it sees CPUs: on a machine that is not confined in the same way that
    would be all of them. Said, they are those that were measured.
    """
    threads = best.effective.get(_THREADS, "")
    is_said = _THREADS in best.properties or not is_cpu(best.device)
    if limit_of(best) is None or is_said or not threads.isdecimal() or int(threads) < 1:
        return best.properties
    return {**best.properties, _THREADS: threads}
