"""Does a best.json hold? Raced again from the file alone, in fresh processes, on this machine."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from autotune.domain.goal import Goal, Objective
from autotune.domain.race import RaceResult
from autotune.export.best_file import BestFile
from autotune.host.core_budget import CpuRequest
from autotune.machines.fingerprint import Machine
from autotune.machines.locks import Patience
from autotune.machines.ports import Runner
from autotune.racing.claims import Verification, hints_then, judge_claims
from autotune.racing.contest import contest
from autotune.racing.named import NamedContender, RacedModel, contender_of_file, contender_of_words
from autotune.racing.race import Race
from autotune.space.dimensions import PerformanceHint


def verify(  # noqa: PLR0913 - one argument for each option
    path: Path,
    budget_s: float,
    *,
    model: Path | None = None,
    limits: Callable[[Goal], Goal] = lambda goal: goal,
    anyway: bool = False,
    cpus: CpuRequest | None = None,
    on_launch: Callable[[Race], None] = lambda _: None,
    is_stopped: Callable[[], bool] = lambda: False,
    patience: Patience | None = None,
    runners: Callable[[RacedModel, Path], Runner] | None = None,
    trust: bool = False,
) -> tuple[Verification, RaceResult, Machine]:
    """Race a file's configuration against the hint beside it, and judge the file's claims.

    Its answers are looked at again, as before the study: those of a batch or a precision that were
    not proven then, by an older version, and are not now, do not hold.
    The SLA holds if it is met at 5 %; where it is not, the hint tells a machine that is slower than
    the certificate's headroom allows for from a claim that was wrong. The throughput holds if the
    interval seen now reaches 98 % of the claimed lower bound; where the machine itself has become
    slower, as the hint shows, if the ratio to the hint reaches 98 % of the ratio that is claimed.
    The percentile of a file that was made for the lowest latency holds if it is at most 2 % above
    the claimed upper bound, or likewise beside the hint.
    Each limit beside latency holds if its bound at 95 % is within it, and an efficiency as a
    throughput does, without the hint: CPU time and energy are not what a slower machine takes.

    Args:
        path: a best.json.
        budget_s: longest time.
        model: the model file, if it was moved.
        limits: puts other limits beside those of the file.
        anyway: also on another machine or runtime than the file's.
        cpus: another core budget than the file's.
        on_launch: hears of every finished launch.
        is_stopped: asked after every round.
        patience: how long to wait while another process measures; not at all without.
        runners: how a model is run; worker processes by default.
        trust: whether the code of its inputs may run, whoever wrote it.

    Raises:
        AutotuneError: no valid file; another model, machine or runtime; CPUs of the file's core
            budget that are not here.
    """
    one = contender_of_file(path, model, trust=trust)
    best = one.best
    assert best is not None  # noqa: S101 - it comes from a file
    # Whatever the model holds: the claims were counted so.
    counted = replace(one.model, items_per_request=best.model.items_per_request)
    one = replace(one, model=counted)
    hint = _hint(one, best)
    named = [one, *([] if hint is None else [hint])]
    goal = limits(one.goal or Goal(Objective.THROUGHPUT, 99.0, None))
    race, machine = contest(
        named,
        goal,
        budget_s,
        baseline=len(named) - 1,
        anyway=anyway,
        cpus=cpus,
        feed=best.measured.feed,
        on_launch=on_launch,
        is_stopped=is_stopped,
        patience=patience,
        runners=runners,
    )
    result = race.result()
    return judge_claims(path, best, result, goal), result, machine


def _hint(one: NamedContender, best: BestFile) -> NamedContender | None:
    """The hint that shows how fast the machine is.

    The better one, unless it is what was exported; then the other one. Of its own device: another
    one may have become slower by itself.
    """
    own = {f"{best.device} {hint} hint": hint for hint in PerformanceHint}
    then = [name for name in hints_then(best) if name in own]
    names = [name for name in then if name != str(one.contender.configuration)]
    better = [name for name in names if name == best.better_hint]
    name = next(iter([*better, *names]), None)
    return None if name is None else contender_of_words(own[name].value, one.model, best.device)
