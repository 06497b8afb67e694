"""The loop: propose, open, measure, record, tell; then sweep. No SQL, no openvino, no printing."""

import contextlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import cached_property
from pathlib import Path

from autotune.domain.configuration import CompileKey, Configuration
from autotune.domain.events import Event, StudyFinished, StudyOpened, TrialFinished, TrialStarted
from autotune.domain.failure import TrialFault
from autotune.domain.goal import Goal, Objective
from autotune.domain.model_file import model_sha256
from autotune.domain.ranking import best, better_hint
from autotune.domain.space import Point, SearchSpace
from autotune.domain.trial import Origin, Trial
from autotune.errors import MachineFaultError, ModelError, StudyMismatchError
from autotune.execution.locks import machine_lock, study_lock
from autotune.execution.machine import Machine, versions
from autotune.execution.measuring import CONTENDER_FACTOR, Plan, measure
from autotune.execution.protocol import Inspected
from autotune.execution.runner import ModelSource, OpenModel, Runner, SubprocessRunner
from autotune.search import sweep
from autotune.search.derive import derive_space, seeds
from autotune.search.search import Proposal, Search
from autotune.spec import StudySpec, parse_shapes, to_toml
from autotune.storage.optuna_study import open_study
from autotune.storage.study_store import Identity, StudyStore

_MOST_SWEPT = 2
_MOST_TRIES = 3
_MOST_FAULTS_IN_A_ROW = 5


class Stop:
    """A request to stop after the current trial; set from a signal handler."""

    def __init__(self) -> None:
        self.requested = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a tuning session ended."""

    reason: str
    """budget, trials, exhausted, stopped, or interrupted."""
    best: Trial | None
    """Complete with blocks; None when no configuration was shown to meet the cap."""
    trials: tuple[Trial, ...]
    """All trials of the study, without blocks."""
    goal: Goal
    machine: Machine


def tune(
    spec: StudySpec,
    folder: Path,
    *,
    runner: Runner | None = None,
    on_event: Callable[[Event], None] = lambda _: None,
    stop: Stop | None = None,
    anyway: bool = False,
) -> Outcome:
    """Run a study, or continue it, until its budget is spent.

    Args:
        spec: the study.
        folder: where its database and logs lie; paths in the spec are relative to it.
        runner: how configurations are measured; worker processes by default.
        on_event: hears of every step.
        stop: ask through it to end after the current trial.
        anyway: go on although machine or runtime are not those of the earlier sessions.

    Raises:
        ModelError, DeviceError, SpecError: the input cannot be used; nothing was written.
        StudyMismatchError: the study was begun with something else.
        BusyError: another process holds the study or the machine.
        StorageError: the database cannot be used.
        MachineFaultError: five machine faults in a row.
    """
    source = _source(spec, folder)
    runner = runner or SubprocessRunner(source, folder / "logs")
    with machine_lock(), study_lock(folder):
        # Everything that can be wrong with the input shows here, before a database exists.
        facts = runner.inspect(spec.space.device, try_batch=spec.space.batch != (1,))
        machine = runner.machine(facts)
        space = _space(spec, facts, machine.usable_cpus)
        goal = spec.goal.goal
        identity = _identity(spec, folder, goal, space)
        study, engine = open_study(folder, folder.resolve().name, goal)
        store = StudyStore(engine, folder / "study.db")
        with contextlib.closing(store):
            store.begin(identity)
            notes = _check_machine(store, machine, anyway=anyway)
            search = Search(study, space, goal, spec.search.seed, folder / "study.db")
            tuner = _Tuner(
                spec,
                space,
                store=store,
                search=search,
                runner=runner,
                on_event=on_event,
                stop=stop or Stop(),
            )
            return tuner.run(machine, notes)


class _Tuner:
    """One session of a study."""

    def __init__(  # noqa: PLR0913 - the collaborators of the loop
        self,
        spec: StudySpec,
        space: SearchSpace,
        *,
        store: StudyStore,
        search: Search,
        runner: Runner,
        on_event: Callable[[Event], None],
        stop: Stop,
    ) -> None:
        self._spec = spec
        self._goal = spec.goal.goal
        self._space = space
        self._store = store
        self._search = search
        self._runner = runner
        self._on_event = on_event
        self._stop = stop
        self._trials: list[Trial] = []
        self._model: tuple[CompileKey, OpenModel] | None = None
        self._queue: deque[tuple[Configuration, Origin]] = deque()
        self._swept = 0
        self._begun_s = runner.clock()
        self._spent_before_s = 0.0

    def run(self, machine: Machine, notes: list[str]) -> Outcome:
        """Trials, until there is a reason to end."""
        self._resume(machine, notes)
        reason = "failed"
        try:
            while (ended := self._why_end()) is None:
                step = self._next()
                if step is None:
                    ended = "exhausted"
                    break
                self._try(*step)
            reason = ended
        except KeyboardInterrupt:
            reason = "interrupted"
        finally:
            self._close()
            self._store.end_session(self._elapsed_s(), reason)
        self._on_event(StudyFinished(reason=reason))
        found = best(self._trials, self._goal)
        return Outcome(
            reason=reason,
            best=None if found is None else self._store.with_blocks(found),
            trials=tuple(self._trials),
            goal=self._goal,
            machine=machine,
        )

    # --- what to try

    def _next(self) -> tuple[Configuration, Origin, Proposal | None] | None:
        """Seeds and what was lost first, then a sweep of the open model, then the sampler."""
        if self._queue:
            return (*self._queue.popleft(), None)
        point = self._sweep_point()
        if point is not None:
            self._swept += 1
            return self._space.configuration(point), Origin.SWEEP, None
        self._swept = 0
        proposal = self._search.ask()
        return None if proposal is None else (proposal.configuration, Origin.SAMPLED, proposal)

    def _sweep_point(self) -> Point | None:
        """Another request count for the model that is open, if that is worth it."""
        last = self._trials[-1] if self._trials else None
        if (
            last is None
            or last.measurement is None
            or self._model is None
            or self._swept >= _MOST_SWEPT
        ):
            return None
        point = self._space.locate(last.configuration)
        if (
            last.reused_from is not None
            or point is None
            or not sweep.is_worthwhile(last.measurement)
        ):
            return None
        leader = best(self._trials, self._goal)
        to_beat = leader.measurement.throughput_per_s if leader and leader.measurement else 0.0
        found = sweep.next_point(self._space, point, last.measurement, self._goal, to_beat)
        return None if found in self._search.taken else found

    # --- one trial

    def _try(self, configuration: Configuration, origin: Origin, proposal: Proposal | None) -> None:
        """Open, measure, record, tell. A seed's trial begins once it is known where it lies."""
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
        key = model.opening.effective.key(configuration)
        for known in self._trials:
            same = known.measurement
            if same is not None and same.opening.effective.key(known.configuration) == key:
                return Trial(
                    number=number,
                    configuration=configuration,
                    origin=origin,
                    measurement=same,
                    reused_from=known.number if known.reused_from is None else known.reused_from,
                )
        leader = None if configuration.is_hint else best(self._trials, self._goal)
        to_beat = leader.measurement.claim_per_s if leader and leader.measurement else 0.0
        measurement = measure(
            model,
            configuration,
            self._goal,
            self._plan(),
            to_beat if self._goal.objective is Objective.THROUGHPUT else 0.0,
        )
        return Trial(
            number=number, configuration=configuration, origin=origin, measurement=measurement
        )

    def _keep(self, trial: Trial) -> None:
        """Evidence first, then tell: a crash in between is mended at the next start."""
        self._store.record(trial, self._elapsed_s())
        self._search.tell(trial)
        self._trials.append(_without_blocks(trial))
        if _rules_out_its_model(trial):
            self._search.take(_same_compile_key(self._space, trial.configuration))
        elif _is_machine_fault(trial) and trial.configuration in _unlucky(self._trials):
            self._queue.append((trial.configuration, trial.origin))
        self._on_event(
            TrialFinished(
                trial=trial,
                best=best(self._trials, self._goal),
                better_hint=better_hint(self._trials, self._goal),
                trials=self._finished(),
                left_s=self._left_s(),
            )
        )
        last = self._trials[-_MOST_FAULTS_IN_A_ROW:]
        if len(last) == _MOST_FAULTS_IN_A_ROW and all(_is_machine_fault(t) for t in last):
            reason = last[-1].failure.message if last[-1].failure else ""
            raise MachineFaultError(
                f"{_MOST_FAULTS_IN_A_ROW} trials in a row failed for no fault of their own: "
                f"{reason}; see {self._store.name}, and the workers' output in logs beside it"
            )

    def _opened(self, key: CompileKey) -> OpenModel:
        """The model of this compile key: the one that is open, or a new one in its place."""
        if self._model is None or self._model[0] != key:
            self._close()
            self._model = (key, self._runner.open(key))
        return self._model[1]

    def _close(self) -> None:
        if self._model is not None:
            self._model[1].close()
            self._model = None

    # --- beginning and end

    def _resume(self, machine: Machine, notes: list[str]) -> None:
        """Take up what is stored; tell or queue what a crash left behind."""
        self._spent_before_s = sum(session.elapsed_s for session in self._store.sessions())
        self._store.start_session(machine.to_dict(), versions())
        self._trials = self._store.trials()
        for trial in self._trials:
            effective = trial.measurement.opening.effective if trial.measurement else None
            point = self._space.locate(trial.configuration, effective)
            if point is not None:
                self._search.take([point])
            if _rules_out_its_model(trial):
                self._search.take(_same_compile_key(self._space, trial.configuration))
        told, lost = self._search.reconcile({trial.number: trial for trial in self._trials})
        tried = {trial.configuration for trial in self._trials}
        self._queue.extend((seed, Origin.SEED) for seed in seeds(self._space) if seed not in tried)
        self._queue.extend((c, Origin.SAMPLED) for c in lost if c not in tried)
        self._queue.extend(_unlucky(self._trials).items())
        if told or lost:
            self._store.note("repaired", told=told, lost=[str(c) for c in lost])
            notes = [*notes, f"the last session was cut off: {len(lost)} trial(s) are tried again"]
        self._on_event(
            StudyOpened(
                name=self._store.identity().name,
                goal=self._goal,
                machine=(
                    f"{machine.cpu_model}, {machine.usable_cpus} CPUs, OpenVINO {machine.openvino}"
                ),
                space_size=self._space.size,
                trials_before=self._finished(),
                spent_s=self._spent_before_s,
                budget_s=self._spec.budget.duration_s,
                budget_trials=self._spec.budget.trials,
                notes=tuple(notes),
            )
        )

    def _why_end(self) -> str | None:
        """Why no other trial may begin, or None."""
        trials, left = self._spec.budget.trials, self._left_s()
        if self._stop.requested:
            return "stopped"
        if trials is not None and self._finished() >= trials:
            return "trials"
        if left is not None and left < self._least_trial_s():
            return "budget"
        return None

    def _plan(self) -> Plan:
        """The study's plan, shortened to the time that is left."""
        limit, left = self._spec.limit_s, self._left_s()
        longest = CONTENDER_FACTOR * limit
        if left is not None:
            limit, longest = min(limit, max(1.0, left)), min(longest, max(1.0, left))
        return Plan(limit_s=limit, longest_s=longest, warmup_s=self._spec.measure.warmup)

    def _least_trial_s(self) -> float:
        """Less than this is no use: a start, a warm-up, and a little measuring."""
        return self._spec.measure.warmup + 1.0

    def _left_s(self) -> float | None:
        """Seconds of budget left; None when only trials are counted."""
        budget = self._spec.budget.duration_s
        left = [] if budget is None else [budget - self._spent_before_s - self._elapsed_s()]
        if self._spec.budget.until is not None:
            left.append(self._until_s - self._elapsed_s())
        return min(left, default=None)

    @cached_property
    def _until_s(self) -> float:
        """Seconds from the start of this session to the budget's time of day."""
        return seconds_until(self._spec.budget.until or "00:00", datetime.now().astimezone())

    def _elapsed_s(self) -> float:
        return self._runner.clock() - self._begun_s

    def _finished(self) -> int:
        """Trials with a result: machine faults do not count against the budget."""
        return sum(not _is_machine_fault(trial) for trial in self._trials)


def seconds_until(local_time: str, now: datetime) -> float:
    """Seconds from `now` (with its zone) to the next time the local clock shows `local_time`."""
    target = time.fromisoformat(local_time)
    then = datetime.combine(now.date(), target).astimezone()
    if then <= now:
        then = datetime.combine(now.date() + timedelta(days=1), target).astimezone()
    return (then - now).total_seconds()


def _source(spec: StudySpec, folder: Path) -> ModelSource:
    path = (folder / spec.model.path).resolve()
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file")
    inputs = None if spec.model.inputs is None else (folder / spec.model.inputs).resolve()
    if inputs is not None and not inputs.is_file():
        raise ModelError(f"{inputs}: there is no such input file")
    return ModelSource(
        path=path,
        shapes=parse_shapes(spec.model.shape),
        inputs=inputs,
        reference=(folder / "logs" / "reference.npz").resolve(),
    )


def _space(spec: StudySpec, facts: Inspected, cpus: int) -> SearchSpace:
    return derive_space(
        spec.space,
        cpus,
        device_streams={name: d.streams[-1] for name, d in facts.devices.items() if d.streams},
        precision_errors=facts.precision_errors,
        default_precision=facts.default_precision,
        why_no_batch=facts.why_no_batch,
    )


def _identity(spec: StudySpec, folder: Path, goal: Goal, space: SearchSpace) -> Identity:
    path = (folder / spec.model.path).resolve()
    try:
        digest = model_sha256(path)
    except OSError as error:
        raise ModelError(f"{path}: the model cannot be read: {error.strerror}") from error
    return Identity(
        name=folder.resolve().name,
        spec=to_toml(spec),
        model_sha256=digest,
        goal=goal,
        space=space.to_dict(),
    )


def _check_machine(store: StudyStore, machine: Machine, *, anyway: bool) -> list[str]:
    """Refuse another machine or runtime, unless told to go on; returns what to tell the user."""
    sessions = store.sessions()
    differences = machine.differences(sessions[-1].machine) if sessions else []
    if not differences:
        return []
    listed = "\n  ".join(differences)
    if anyway:
        return [f"continued on another machine or runtime: {'; '.join(differences)}"]
    raise StudyMismatchError(
        f"{store.name}: this is not where the study was begun:\n  {listed}\n"
        "numbers of two machines must not be mixed: begin another study under a new --name, "
        "or go on with --anyway"
    )


def _same_compile_key(space: SearchSpace, configuration: Configuration) -> list[Point]:
    key = configuration.compile_key
    return [point for point in space.points() if space.configuration(point).compile_key == key]


def _rules_out_its_model(trial: Trial) -> bool:
    """Whether no request count can help: the model could not even be opened."""
    failure = trial.failure
    return failure is not None and failure.phase != "load" and not failure.kind.is_machine_fault


def _unlucky(trials: list[Trial]) -> dict[Configuration, Origin]:
    """What has met nothing but machine faults, and fewer than the most tries: to be tried again."""
    settled = {trial.configuration for trial in trials if not _is_machine_fault(trial)}
    faults = Counter(trial.configuration for trial in trials if _is_machine_fault(trial))
    origins = {trial.configuration: trial.origin for trial in trials}
    return {
        configuration: origins[configuration]
        for configuration, count in faults.items()
        if configuration not in settled and count < _MOST_TRIES
    }


def _is_machine_fault(trial: Trial) -> bool:
    return trial.failure is not None and trial.failure.kind.is_machine_fault


def _without_blocks(trial: Trial) -> Trial:
    """A night's blocks need not stay in memory."""
    if trial.measurement is None:
        return trial
    return replace(trial, measurement=replace(trial.measurement, blocks=()))
