"""The loop: propose, open, measure, record, tell; then sweep; at the end the race."""

import contextlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from autotune.domain.budget import Budget
from autotune.domain.doubts import Doubts
from autotune.domain.events import (
    Event,
    Noted,
    StudyFinished,
    StudyOpened,
    TrialFinished,
    TrialStarted,
)
from autotune.domain.failure import TrialFault
from autotune.domain.goal import Goal, Objective
from autotune.domain.history import History, is_machine_fault, rules_out_its_model
from autotune.domain.measurement import Flag, Measurement, Opening
from autotune.domain.race import End, RaceResult
from autotune.domain.ranking import best, better_hint, chosen
from autotune.domain.trial import Origin, Trial
from autotune.errors import MachineFaultError
from autotune.machines.deadlines import deadlines_of
from autotune.machines.fingerprint import Machine, asleep_s, versions
from autotune.machines.locks import Patience, machine_lock, study_lock
from autotune.machines.ports import OpenModel, Runner
from autotune.machines.process import scrubbed_note
from autotune.machines.workers import SubprocessRunner, reference_file
from autotune.measuring.measure import PROMISING_FACTOR, Plan, measure
from autotune.racing.calibration import Calibration, load_calibration
from autotune.search.choose import search_of
from autotune.search.derive import seeds
from autotune.search.search import Search
from autotune.space.configuration import CompileKey, Configuration
from autotune.space.space import SearchSpace
from autotune.spec import StudySpec, parse_spec
from autotune.storage.optuna_study import open_study
from autotune.storage.study_store import StudyStore
from autotune.tuning import heap
from autotune.tuning import prepare as study
from autotune.tuning.agenda import Agenda, Attempt
from autotune.tuning.final import Finals
from autotune.tuning.reference import Reading, Reference

_MOST_FAULTS_IN_A_ROW = 5
_LEAST_FAULTY = 3
_LEAST_MEASURED_S = 1.0
_OPEN_S = 1.0


class StopRequest:
    """A request to stop after the current trial; set from a signal handler."""

    def __init__(self) -> None:
        self.requested = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a tuning session ended."""

    reason: str
    """budget, trials, stable, exhausted, stopped, or interrupted."""
    best: Trial | None
    """What to deploy, complete with blocks: chosen by the race, or where there was none, by the
    search; None when no configuration was shown to meet the cap."""
    race: RaceResult | None
    """What the race proved; None where none was held, for lack of time or of contenders."""
    trials: tuple[Trial, ...]
    """All trials of the study, without blocks."""
    space_size: int
    """Distinct configurations of the space."""
    goal: Goal
    machine: Machine
    items_per_request: int = 1
    """At batch 1; throughput counts items."""
    inputs: str | None = None
    """File of the input data; None for random data."""


def tune(  # noqa: PLR0913 - what a session may be told
    spec: StudySpec,
    folder: Path,
    *,
    runner: Runner | None = None,
    on_event: Callable[[Event], None] = lambda _: None,
    stop: StopRequest | None = None,
    anyway: bool = False,
    trust: bool = False,
    recover: Callable[[], Sequence[str]] = lambda: (),
    patience: Patience | None = None,
) -> Outcome:
    """Run a study, or continue it, until its budget is spent.

    Args:
        spec: the study.
        folder: where its database and logs lie; paths in the spec are relative to it.
        runner: how configurations are measured; worker processes by default.
        on_event: hears of every step.
        stop: ask through it to end after the current trial.
        anyway: go on although machine or runtime are not those of the earlier sessions.
        trust: go on although another user or machine began the study.
        recover: called after five machine faults in a row: pause, look at the machine, and return
            reasons to give up; none to go on.
        patience: how long to wait for the study and the machine, in all; not at all without.

    Raises:
        ModelError, DeviceError, SpecError: the input cannot be used; no database was made.
        StudyMismatchError: the study was begun with something else.
        BusyError: another process holds the study or the machine.
        StorageError: the database cannot be used.
        MachineFaultError: five machine faults in a row, and nothing that could be done about it.
    """
    source = study.source(spec, folder)
    runner = runner or SubprocessRunner(
        source, folder / "logs", deadlines_of(spec.deadline, source.path)
    )
    with (
        study_lock(folder, patience),
        machine_lock(patience),
        study.no_longer_than_this(reference_file(folder / "logs")),
    ):
        # Everything that can be wrong with the input shows here, before a database exists.
        facts = runner.inspect(spec.space.device, try_batch=spec.space.batch != (1,))
        machine = runner.machine(facts)
        space = study.space(spec, facts, machine.usable_cpus, study.begun_space(folder))
        identity = study.counted(study.identity(spec, folder, space), spec, facts)
        warm, missing = study.warm_start(spec, folder, space)
        notes = missing

        def admit(stored: StudyStore) -> None:
            nonlocal identity
            identity = study.counted(identity, spec, facts, stored.items_per_request())
            stored.refuse_another(identity)
            notes.extend(study.check_machine(stored, machine, anyway=anyway))

        optuna_study, engine = open_study(
            folder, identity.name, identity.goal, trust=trust, admit=admit
        )
        store = StudyStore(engine, folder / "study.db")
        with contextlib.closing(store):
            store.begin(identity)
            tuner = Tuner(
                spec,
                space,
                items_per_request=identity.items_per_request,
                store=store,
                search=search_of(
                    spec.search.sampler,
                    optuna_study,
                    space,
                    identity.goal,
                    seed=spec.search.seed,
                    name=store.name,
                ),
                runner=runner,
                warm=warm,
                on_event=on_event,
                stop=stop,
                calibration=load_calibration(machine),
                recover=recover,
            )
            found = study.findings(spec, facts, space, identity.items_per_request)
            return tuner.run(machine, notes, found, study.unproven(facts))


class Tuner:
    """One session of a study; locks, files and machine are its caller's business."""

    def __init__(  # noqa: PLR0913 - the collaborators of the loop
        self,
        spec: StudySpec,
        space: SearchSpace,
        *,
        store: StudyStore,
        search: Search,
        runner: Runner,
        warm: Sequence[Configuration] = (),
        on_event: Callable[[Event], None] = lambda _: None,
        stop: StopRequest | None = None,
        calibration: Calibration | None = None,
        recover: Callable[[], Sequence[str]] = lambda: (),
        items_per_request: int = 1,
    ) -> None:
        """Prepare a session.

        Args:
            spec: the study.
            space: what may be tried.
            store: the evidence, begun.
            search: over the same space.
            runner: how configurations are measured.
            warm: what to measure right after the hints.
            on_event: hears of every step.
            stop: ask through it to end after the current trial.
            calibration: the machine's, if it was ever calibrated.
            recover: called after five machine faults in a row; it may take its time, and returns
                reasons to give up.
            items_per_request: at batch 1.
        """
        self._spec = spec
        self._items_per_request = items_per_request
        self._goal = spec.goal.goal
        self._space = space
        self._store = store
        self._search = search
        self._agenda = Agenda(space, search, self._goal, may_sweep=spec.search.sampler.learns)
        self._runner = runner
        self._warm = warm
        self._on_event = on_event
        self._stop = stop = stop or StopRequest()
        self._finals = Finals(
            spec,
            store=store,
            runner=runner,
            calibration=calibration,
            on_event=on_event,
            elapsed_s=self._elapsed_s,
            is_stopped=lambda: stop.requested,
            items_per_request=items_per_request,
        )
        self._reference: Reference | None = None
        self._history = History()
        self._elsewhere: frozenset[int] = frozenset()
        self._trials_before = 0
        self._recover = recover
        self._faults_in_a_row: list[Configuration] = []
        self._has_recovered = False
        self._model: tuple[CompileKey, OpenModel] | None = None
        self._begun_s = runner.clock()
        self._asleep_s = asleep_s()
        self._budget = Budget()

    def run(
        self,
        machine: Machine,
        notes: list[str],
        findings: Sequence[tuple[str, str]] = (),
        doubts: Doubts | None = None,
    ) -> Outcome:
        """Trials until there is a reason to end, then the race.

        Args:
            machine: where.
            notes: changes that the user has accepted.
            findings: what bears on every number: the kind of each, and a line of text.
            doubts: what inspection could not show, of what earlier sessions measured as well.
        """
        self._resume(machine, notes, findings, doubts or Doubts())
        for note in (machine.quota_note, scrubbed_note(os.environ)):
            if note is not None:
                self._on_event(Noted(text=note))
        reason, race = "failed", None
        try:
            reason = self._search_on()
            self._leave()
            if reason == "stopped":
                race = self._finals.held(self._history.trials)
            else:
                race = self._finals.race(self._history.trials, self._budget)
            if self._stop.requested or (race is not None and race.end is End.STOPPED):
                reason = "stopped"
        except KeyboardInterrupt:
            reason = "interrupted"
        finally:
            self._leave()
            self._store.end_session(self._elapsed_s(), reason)
        self._on_event(StudyFinished(reason=reason))
        found = chosen(self._history.trials, self._goal, race)
        return Outcome(
            reason=reason,
            best=None if found is None else self._store.with_blocks(found),
            race=race,
            trials=tuple(self._history.trials),
            space_size=self._space.size,
            goal=self._goal,
            machine=machine,
            items_per_request=self._items_per_request,
            inputs=self._spec.model.inputs,
        )

    def _search_on(self) -> str:
        """Trials, and between them a slice of the reference now and then; why it ended."""
        while (ended := self._why_end()) is None:
            step = self._agenda.next(self._history.trials, is_open=self._model is not None)
            if step is None:
                return "exhausted"
            self._visit_reference()
            self._try(step)
        if self._agenda.missing_seeds and ended in {"budget", "trials"}:
            self._on_event(Noted(text=self._too_short(self._agenda.missing_seeds, ended)))
        return ended

    def _too_short(self, missing: int, ended: str) -> str:
        """What to say of a budget that ended before the seeds were measured."""
        of = len(seeds(self._space))
        least = f"{of} trials"
        if ended == "budget":
            done = len(self._history.trials) - self._trials_before
            each_s = self._spec.measure.warmup + _LEAST_MEASURED_S + _OPEN_S
            if done:
                each_s = max(each_s, self._elapsed_s() / done)
            share = 1 - self._spec.race.most_share
            least = f"about {math.ceil((of + 1) * each_s / share)} s"
        return (
            f"the budget ended before {missing} of the {of} configurations were measured that "
            f"every study begins with; the least that works is {least}"
        )

    # --- the reference

    def _visit_reference(self) -> None:
        """How fast is the machine now? A slice of the better hint, once both are known."""
        if self._agenda.is_waiting or not self._spec.measure.reference:
            return
        if self._reference is None:
            hint = better_hint(self._history.trials, self._goal)
            if hint is None or hint.measurement is None:
                return
            self._reference = Reference(
                self._runner,
                hint.configuration,
                self._spec.measure.feed,
                need_bytes=hint.measurement.peak_rss_bytes,
                keep=self._keep_reading,
            )
        self._reference.visit()

    def _keep_reading(self, reading: Reading) -> None:
        assert self._reference is not None  # noqa: S101 - it is the one who calls
        key = self._reference.configuration.key
        self._store.record_reference(key, reading.at_s - self._begun_s, reading.block)

    # --- one trial

    def _try(self, step: Attempt) -> None:
        """Open, measure, record, tell. A seed's trial begins once it is known where it lies."""
        configuration, origin, proposal = step.configuration, step.origin, step.proposal
        self._on_event(
            TrialStarted(configuration=configuration, origin=origin, left_s=self._left_s())
        )
        try:
            try:
                model = self._opened(configuration.compile_key)
                effective = model.opening.effective
                if proposal is None:
                    point = self._space.locate(configuration, effective)
                    proposal = self._search.begin(configuration, point)
                trial = self._measured(proposal.number, configuration, origin, model)
            except TrialFault as fault:
                self._close()
                if proposal is None:
                    proposal = self._search.begin(configuration, self._space.locate(configuration))
                trial = Trial(
                    number=proposal.number,
                    configuration=configuration,
                    origin=origin,
                    failure=fault.failure,
                )
        except KeyboardInterrupt:
            if proposal is not None:
                self._search.forget(proposal.number)
            raise
        self._keep(trial)

    def _measured(
        self, number: int, configuration: Configuration, origin: Origin, model: OpenModel
    ) -> Trial:
        """A measurement, or the one of an effectively equal configuration."""
        known = self._history.known(model.opening.effective, configuration)
        if (
            known is not None
            and known.measurement is not None
            and known.number not in self._elsewhere
        ):
            return Trial(
                number=number,
                configuration=configuration,
                origin=origin,
                measurement=_with_doubt_of(known.measurement, model.opening),
                reused_from=known.number,
            )
        leader = None if configuration.is_hint else best(self._history.trials, self._goal)
        to_beat = leader.measurement.claim_per_s if leader and leader.measurement else 0.0
        measurement = measure(
            model,
            configuration,
            self._goal,
            self._plan(),
            to_beat if self._goal.objective is Objective.THROUGHPUT else 0.0,
            self._items_per_request,
        )
        if not model.is_open:  # it would not stop
            self._close()
        if self._reference is not None and self._reference.is_off:
            measurement = replace(measurement, flags=measurement.flags | {Flag.DRIFT})
        return Trial(
            number=number, configuration=configuration, origin=origin, measurement=measurement
        )

    def _keep(self, trial: Trial) -> None:
        """Evidence first, then tell: a crash in between is mended at the next start."""
        self._store.record(trial, self._elapsed_s())
        self._search.tell(trial, is_final=self._history.is_final(trial))
        self._remember(trial)
        heap.give_back()  # what the sampler took for its proposal
        is_open = self._history.is_open(trial)
        if is_open:
            self._agenda.again(trial)
        self._on_event(
            TrialFinished(
                goal=self._goal,
                trial=trial,
                best=best(self._history.trials, self._goal),
                better_hint=better_hint(self._history.trials, self._goal),
                trials=self._history.finished,
                left_s=self._left_s(),
            )
        )
        device = trial.configuration.device
        if rules_out_its_model(trial) and self._history.is_hopeless(device):
            self._on_event(
                Noted(text=f"{device}: ruled out: it has run nothing that was asked of it")
            )
        self._finals.advise(trial, self._budget)
        if not is_machine_fault(trial):
            self._faults_in_a_row, self._has_recovered = [], False
            return
        faults = self._faults_in_a_row
        faults.append(trial.configuration)
        # Of several configurations: one or two may have a way of their own to lose a worker.
        if len(faults) >= _MOST_FAULTS_IN_A_ROW and len(set(faults)) >= _LEAST_FAULTY:
            self._recover_from(trial)

    def _recover_from(self, trial: Trial) -> None:
        """Too many machine faults in a row: pause once, then go on; the next time it is over."""
        reason = trial.failure.message if trial.failure else ""
        count = len(self._faults_in_a_row)
        said = f"{count} trials in a row failed for no fault of their own: {reason}"
        troubles: Sequence[str] = ("so did as many before a pause",)
        if not self._has_recovered:
            self._close()
            self._on_event(Noted(text=f"{said}; pausing"))
            self._store.note("paused", text=said)
            troubles = self._recover()
        if troubles:
            raise MachineFaultError(
                f"{said}; {'; '.join(troubles)}; see autotune log, and the workers' output in logs "
                f"beside {self._store.name}"
            )
        self._faults_in_a_row, self._has_recovered = [], True

    def _remember(self, trial: Trial) -> None:
        """Keep what later trials need to know; a night's blocks stay in the database only."""
        if trial.measurement is not None:
            trial = replace(trial, measurement=replace(trial.measurement, blocks=()))
        self._history.add(trial)
        effective = trial.measurement.opening.effective if trial.measurement else None
        if rules_out_its_model(trial) and not self._history.is_open(trial):
            self._search.take(self._space.same_model(trial.configuration))
            if self._history.is_hopeless(trial.configuration.device):
                self._search.take(self._space.on_device(trial.configuration.device))
        point = self._space.locate(trial.configuration, effective)
        if point is not None:
            self._search.take([point])

    def _opened(self, key: CompileKey) -> OpenModel:
        """The model of this compile key: the one that is open, or a new one in its place."""
        if self._model is None or self._model[0] != key:
            self._close()
            self._model = (key, self._runner.open(key))
        return self._model[1]

    def _leave(self) -> None:
        """No model stays open."""
        self._close()
        if self._reference is not None:
            self._reference.close()

    def _close(self) -> None:
        if self._model is not None:
            self._model[1].close()
            self._model = None

    # --- beginning and end

    def _resume(
        self,
        machine: Machine,
        notes: list[str],
        findings: Sequence[tuple[str, str]],
        doubts: Doubts,
    ) -> None:
        """Take up what is stored; tell or queue what a crash left behind."""
        sessions, stored = self._store.sessions(), parse_spec(self._store.identity().spec)
        spent_s = sum(session.elapsed_s for session in sessions)
        begun = datetime.now().astimezone()
        if sessions and stored.budget.until == self._spec.budget.until:
            # A time of day is that of the first night, however often the study is continued.
            begun = datetime.fromisoformat(sessions[0].started_at).astimezone()
        self._budget = self._spec.budget.after(spent_s, begun)
        self._store.start_session(machine.to_dict(), versions())
        self._store.doubt(doubts)  # before anything older is read
        for note in notes:
            self._store.note("accepted_change", text=note)
        for kind, text in findings:
            self._store.note(kind, text=text)
        for trial in self._store.trials():
            self._remember(trial)
        self._trials_before = len(self._history.trials)
        self._elsewhere = self._store.measured_elsewhere()
        told, lost = self._search.reconcile(self._history)
        was_stable = (bool(sessions) and sessions[-1].end == "stable") or (
            self._finals.held(self._history.trials) is not None  # its race was cut off
        )
        self._agenda.resume(self._history, lost, self._warm, was_stable=was_stable)
        if told or lost:
            self._store.note("repaired", told=told, lost=[str(c) for c in lost])
            notes = [*notes, f"the last session was cut off: {len(lost)} trial(s) are tried again"]
        self._on_event(
            StudyOpened(
                name=self._store.identity().name,
                goal=self._goal,
                machine=str(machine),
                space_size=self._space.size,
                trials_before=self._history.finished,
                spent_s=spent_s,
                budget_s=self._budget.duration_s,
                budget_trials=self._budget.trials,
                notes=(*notes, *(text for _, text in findings)),
                items_per_request=self._items_per_request,
                inputs=self._spec.model.inputs,
            )
        )

    def _why_end(self) -> str | None:
        """Why no other trial may begin, or None."""
        now = asleep_s()
        self._budget = self._budget.after_sleep(now - self._asleep_s)
        self._asleep_s = now
        trials, left = self._budget.trials, self._left_s()
        if self._stop.requested:
            return "stopped"
        if trials is not None and self._history.finished >= trials:
            return "trials"
        reserve_s = self._finals.reserve_s(self._budget, self._history.trials)
        least = self._spec.measure.warmup + _LEAST_MEASURED_S + reserve_s
        if left is not None and left < least:
            return "budget"
        if self._budget.stable and not self._agenda.is_waiting and self._agenda.is_stable():
            return "stable"
        return None

    def _plan(self) -> Plan:
        """The study's plan, shortened to the time that is left."""
        limit, left = self._spec.limit_s, self._left_s()
        longest = PROMISING_FACTOR * limit
        if left is not None:
            left = max(1.0, left - self._finals.reserve_s(self._budget, self._history.trials))
            limit, longest = min(limit, left), min(longest, left)
        measuring = self._spec.measure
        return Plan(
            limit_s=limit, longest_s=longest, warmup_s=measuring.warmup, feed=measuring.feed
        )

    def _left_s(self) -> float | None:
        return self._budget.left_s(self._elapsed_s())

    def _elapsed_s(self) -> float:
        return self._runner.clock() - self._begun_s


def _with_doubt_of(known: Measurement, opening: Opening) -> Measurement:
    """An earlier measurement, unproven if it was, or if what was opened now could not be proven."""
    unproven = known.opening.unproven or opening.unproven
    return replace(known, opening=replace(known.opening, unproven=unproven))
