"""`autotune doctor --calibrate`: the same configuration against itself, to know the noise."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Interval
from autotune.domain.race import End, RaceResult, Slice
from autotune.errors import MachineFaultError, UsageError
from autotune.host.confinement import held_budget
from autotune.host.core_budget import CpuRequest
from autotune.machines.locks import Patience
from autotune.machines.passing import write_sample_model
from autotune.machines.ports import Runner
from autotune.machines.scratch import scratch_folder
from autotune.racing.calibration import LEAST_MARGIN, Calibration, save_calibration
from autotune.racing.contest import contest
from autotune.racing.named import RacedModel, contender_of_words
from autotune.racing.race import Race

BUDGET_S = 100.0
_LAUNCHES = 6
_GOAL = Goal(Objective.THROUGHPUT, 99.0, None)


def calibrate(  # noqa: PLR0913 - one argument for each option
    model: RacedModel | None = None,
    budget_s: float = BUDGET_S,
    *,
    cpus: CpuRequest | None = None,
    on_launch: Callable[[Race], None] = lambda _: None,
    is_stopped: Callable[[], bool] = lambda: False,
    patience: Patience | None = None,
    runners: Callable[[RacedModel, Path], Runner] | None = None,
) -> tuple[Calibration, RaceResult, Path]:
    """Race the THROUGHPUT hint against itself and keep what the machine makes of it.

    Args:
        model: what to run; a small convolutional network without one.
        budget_s: longest time.
        cpus: the core budget whose noise it is; of all CPUs without.
        on_launch: hears of every finished launch.
        is_stopped: asked after every round.
        patience: how long to wait while another process measures; not at all without.
        runners: how a model is run; worker processes by default.

    Returns:
        The calibration, the race behind it, and the file in which it is kept.

    Raises:
        MachineFaultError: too little could be measured.
        BusyError, ModelError, StorageError: as for any race.
    """
    cpus = None if cpus is None else _held(cpus)
    with scratch_folder() as folder:
        name = "a small convolutional network" if model is None else model.path.name
        if model is None:
            sample = write_sample_model(folder / "sample.xml", cpus.listed if cpus else ())
            model = RacedModel(path=sample, shapes={})
        twins = [contender_of_words("THROUGHPUT", model) for _ in range(2)]
        race, machine = contest(
            twins,
            _GOAL,
            budget_s,
            launches=_LAUNCHES,
            margin=LEAST_MARGIN,
            cpus=cpus,
            on_launch=on_launch,
            is_stopped=is_stopped,
            patience=patience,
            runners=runners,
        )
    result = race.result()
    if result.end is End.STOPPED:
        raise MachineFaultError("the calibration was stopped; an older one is kept as it was")
    found = calibration_of(result, log_ratios(race.slices), name)
    return found, result, save_calibration(machine, found)


def _held(cpus: CpuRequest) -> CpuRequest:
    """The CPUs that a count comes to: everyone runs on these, whoever makes the sample as well.

    Raises:
        UsageError: it cannot be held here.
    """
    try:
        budget, _ = held_budget(cpus)
    except ValueError as error:
        raise UsageError(f"--cpus: {error}") from None
    return CpuRequest(len(budget.cpus), budget.cpus)


def calibration_of(result: RaceResult, ratios: Sequence[float], model: str) -> Calibration:
    """The calibration in a race of a configuration against itself.

    Raises:
        MachineFaultError: a twin failed, or there were too few rounds.
    """
    twin = result.standings[1]
    if twin.failure is not None:
        raise MachineFaultError(f"the calibration failed: {twin.failure.message}")
    noise = None if twin.ratio is None else largest_difference(twin.ratio)
    if twin.ratio is None or noise is None or len(ratios) < 2:
        raise MachineFaultError("the calibration saw too few rounds; nothing else must run")
    return Calibration(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        model=model,
        noise=noise,
        ratio=twin.ratio.mean,
        slice_sd=float(np.std(ratios, ddof=1)),
        launches=result.launches,
        rounds=result.rounds,
        duration_s=result.duration_s,
    )


def log_ratios(slices: Sequence[Slice]) -> list[float]:
    """Logarithm of the second contender's rate over the first's, for every round of both."""
    rates = {
        (s.launch, s.round, s.contender): s.block.completions / s.block.duration_s for s in slices
    }
    return [
        math.log(rate / rates[launch, number, 0])
        for (launch, number, contender), rate in rates.items()
        if contender == 1 and (launch, number, 0) in rates
    ]


def largest_difference(ratio: Interval) -> float | None:
    """The relative difference at the farther end of a ratio's interval; None without one."""
    if ratio.low is None or ratio.high is None or ratio.low <= 0:
        return None
    return math.exp(max(abs(math.log(ratio.low)), abs(math.log(ratio.high)))) - 1
