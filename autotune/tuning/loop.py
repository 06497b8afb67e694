"""The loop: propose, open, measure, record, tell; then sweep; at the end the race."""

from collections.abc import Callable
from dataclasses import dataclass

from autotune.domain.events import Event, Noted, TrialFinished, TrialStarted
from autotune.domain.failure import TrialFault
from autotune.domain.goal import Goal, Objective
from autotune.domain.race import End, RaceResult
from autotune.domain.ranking import best, better_hint
from autotune.domain.trial import Trial
from autotune.machines.ports import OpenModel
from autotune.tuning.advice import Adviser
from autotune.tuning.agenda import Agenda, Attempt
from autotune.tuning.allowance import Allowance
from autotune.tuning.breaker import Breaker
from autotune.tuning.final import Finals
from autotune.tuning.ledger import Ledger
from autotune.tuning.rig import Rig


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuner:
    """The search and the race of one session; whatever it remembers, its parts do."""

    goal: Goal
    agenda: Agenda
    rig: Rig
    ledger: Ledger
    allowance: Allowance
    finals: Finals
    adviser: Adviser
    breaker: Breaker
    on_event: Callable[[Event], None]

    def run(self) -> tuple[str, RaceResult | None]:
        """Trials until there is a reason to end, then the race: why it ended, and what it proves.

        Raises:
            MachineFaultError: too many machine faults in a row, and nothing could be done about it.
        """
        reason, race, trials = "failed", None, self.ledger.history.trials
        try:
            reason = self._search()
            self.rig.leave()
            race = self.finals.held(trials) if reason == "stopped" else self.finals.race(trials)
            if self.allowance.is_stopped or (race is not None and race.end is End.STOPPED):
                reason = "stopped"
        except KeyboardInterrupt:
            reason = "interrupted"
        finally:
            self.rig.leave()
            self.ledger.end(self.allowance.elapsed_s(), reason)
        return reason, race

    def _search(self) -> str:
        """Trials, and between them a slice of the reference now and then; why it ended."""
        trials = self.ledger.history.trials
        self._look_up()
        while (ended := self._why_end()) is None:
            step = self.agenda.next(trials, is_open=self.rig.is_open)
            if step is None:
                return "exhausted"
            if not self.agenda.is_waiting:
                self.rig.visit_reference(trials)
            self._keep(self._tried(step))
            self._look_up()
        missing, done = self.agenda.missing_seeds, len(trials) - self.ledger.before
        if missing and ended in {"budget", "trials"}:
            self._say(self.allowance.too_short(ended, missing, self.agenda.seeds, done))
        return ended

    def _look_up(self) -> None:
        """Between trials: notice how late it is, and count whether anything better is in sight."""
        self.allowance.notice_sleep()
        if self._may_be_stable and self._spent() is None:
            self.agenda.look_ahead()

    def _why_end(self) -> str | None:
        """Why no other trial may begin, or None."""
        is_stable = self._may_be_stable and self.agenda.is_stable
        return self._spent() or ("stable" if is_stable else None)

    @property
    def _may_be_stable(self) -> bool:
        return self.allowance.budget.stable and not self.agenda.is_waiting

    def _spent(self) -> str | None:
        return self.allowance.why_end(self.ledger.history.finished, self._reserve_s())

    def _reserve_s(self) -> float:
        return self.finals.reserve_s(self.ledger.history.trials)

    def _tried(self, step: Attempt) -> Trial:
        """Open and measure. A seed's trial begins once it is known where it lies."""
        configuration, origin, proposal = step.configuration, step.origin, step.proposal
        left_s = self.allowance.left_s()
        self.on_event(TrialStarted(configuration=configuration, origin=origin, left_s=left_s))
        try:
            try:
                model = self.rig.opened(configuration.compile_key)
                proposal = proposal or self.ledger.begin(configuration, model.opening.effective)
                return self._measured(proposal.number, step, model)
            except TrialFault as fault:
                self.rig.close()
                proposal = proposal or self.ledger.begin(configuration)
                return Trial(
                    number=proposal.number,
                    configuration=configuration,
                    origin=origin,
                    failure=fault.failure,
                )
        except KeyboardInterrupt:
            if proposal is not None:
                self.ledger.forget(proposal)
            raise

    def _measured(self, number: int, step: Attempt, model: OpenModel) -> Trial:
        """A measurement, or the one of an effectively equal configuration."""
        configuration, origin = step.configuration, step.origin
        known = self.ledger.reused(number, configuration, origin, model.opening)
        if known is not None:
            return known
        trials, to_beat = self.ledger.history.trials, 0.0
        leader = None if configuration.is_hint else best(trials, self.goal)
        if leader and leader.measurement and self.goal.objective is Objective.THROUGHPUT:
            to_beat = leader.measurement.claim_per_s
        plan = self.allowance.plan(self._reserve_s())
        measurement = self.rig.measured(configuration, model, plan, to_beat)
        return Trial(
            number=number, configuration=configuration, origin=origin, measurement=measurement
        )

    def _keep(self, trial: Trial) -> None:
        """Record, tell, and all who draw a conclusion from it."""
        history = self.ledger.history
        self.ledger.keep(trial, self.allowance.elapsed_s())
        if history.is_open(trial):
            self.agenda.again(trial)
        self.on_event(
            TrialFinished(
                goal=self.goal,
                trial=trial,
                best=best(history.trials, self.goal),
                better_hint=better_hint(history.trials, self.goal),
                trials=history.finished,
                left_s=self.allowance.left_s(),
            )
        )
        device = self.ledger.ruled_out(trial)
        if device is not None:
            why = "" if trial.failure is None else f"; the last time: {trial.failure.message}"
            self._say(f"{device}: ruled out: it has run nothing that was asked of it{why}")
        self.adviser.hear(trial, self.allowance.budget)
        self.breaker.hear(trial)

    def _say(self, text: str) -> None:
        self.on_event(Noted(text=text))
