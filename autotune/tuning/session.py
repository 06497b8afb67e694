"""One start of the tuner: what is stored is taken up, the loop runs, and there is an outcome."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from autotune.domain.doubts import Doubts
from autotune.domain.events import Event, Noted, StudyFinished, StudyOpened
from autotune.domain.fed import Fed
from autotune.domain.goal import Goal
from autotune.domain.race import RaceResult
from autotune.domain.ranking import chosen
from autotune.domain.trial import Trial
from autotune.machines.fingerprint import Machine, versions
from autotune.machines.process import scrubbed_note
from autotune.racing.calibration import Calibration
from autotune.search.search import Search
from autotune.space.configuration import Configuration
from autotune.spec.fed_words import fed_in_words
from autotune.storage.writer import StudyWriter
from autotune.tuning.advice import Adviser
from autotune.tuning.agenda import Agenda
from autotune.tuning.allowance import Allowance, StopRequest, budget_after
from autotune.tuning.breaker import Breaker
from autotune.tuning.final import Finals
from autotune.tuning.ledger import Ledger
from autotune.tuning.loop import Tuner
from autotune.tuning.prepare import Prepared
from autotune.tuning.reference import Reading
from autotune.tuning.rig import Rig


@dataclass(frozen=True, slots=True, kw_only=True)
class Preamble:
    """What a session is told before its first trial."""

    notes: tuple[str, ...] = ()
    """Changes that the user has accepted."""
    findings: tuple[tuple[str, str], ...] = ()
    """What bears on every number: the kind of each, and a line of text."""
    doubts: Doubts = field(default_factory=Doubts)
    """What inspection could not show, of what earlier sessions measured as well."""
    warm: Sequence[Configuration] = ()
    """What to measure right after the hints."""
    items_per_request: int = 1
    """At batch 1."""
    calibration: Calibration | None = None
    """The machine's, if it was ever calibrated."""


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
    inputs: str = "random data"
    """What requests were fed with, and how, in words."""
    fed: Fed | None = None
    """The same as what a look at it found."""


def hold_session(  # noqa: PLR0913 - what a session may be told
    study: Prepared,
    store: StudyWriter,
    search: Search,
    preamble: Preamble | None = None,
    *,
    on_event: Callable[[Event], None] = lambda _: None,
    stop: StopRequest | None = None,
    recover: Callable[[], Sequence[str]] = lambda: (),
) -> Outcome:
    """Run or continue a study; locks and files are the caller's business.

    Args:
        study: what may be tried, and where.
        store: the evidence, begun.
        search: over the same space.
        preamble: what is to be said and measured first.
        on_event: hears of every step.
        stop: ask through it to end after the current trial.
        recover: called after five machine faults in a row; it may take its time, and returns
            reasons to give up.

    Raises:
        SpecError: the study that is stored cannot be read.
        StorageError: the database cannot be used.
        MachineFaultError: five machine faults in a row, and nothing that could be done about it.
    """
    preamble = preamble or Preamble()
    allowance = Allowance(study.spec, study.runner.clock, stop or StopRequest())
    tuner = _assembled(study, store, search, preamble, allowance, on_event, recover)
    on_event(_taken_up(study, store, tuner, preamble))
    for note in (study.machine.quota_note, scrubbed_note(os.environ)):
        if note is not None:
            on_event(Noted(text=note))
    reason, race = tuner.run()
    on_event(StudyFinished(reason=reason))
    trials = tuner.ledger.history.trials
    found = chosen(trials, tuner.goal, race)
    fed = store.identity().fed
    return Outcome(
        reason=reason,
        best=None if found is None else store.with_blocks(found),
        race=race,
        trials=tuple(trials),
        space_size=study.space.size,
        goal=tuner.goal,
        machine=study.machine,
        items_per_request=preamble.items_per_request,
        inputs=fed_in_words(study.spec, fed),
        fed=fed,
    )


def _assembled(  # noqa: PLR0913, PLR0917 - the collaborators of the loop
    study: Prepared,
    store: StudyWriter,
    search: Search,
    preamble: Preamble,
    allowance: Allowance,
    on_event: Callable[[Event], None],
    recover: Callable[[], Sequence[str]],
) -> Tuner:
    """The loop with all its parts; nothing is opened or written yet."""
    spec, goal, runner = study.spec, study.spec.goal.goal, study.runner
    items = preamble.items_per_request

    def say(text: str) -> None:
        on_event(Noted(text=text))

    def keep(configuration: Configuration, reading: Reading) -> None:
        at_s = allowance.since_s(reading.at_s)
        store.record_reference(configuration.key, at_s, reading.block)

    def pause(why: str) -> None:
        rig.close()
        say(f"{why}; pausing")
        store.note("paused", text=why)

    feed = spec.measure.feed if spec.measure.reference else None
    tries_cache = spec.measure.cached
    rig = Rig(runner, goal, items, feed=feed, keep=keep, tries_cache=tries_cache)
    return Tuner(
        goal=goal,
        agenda=Agenda(study.space, search, goal, may_sweep=spec.search.sampler.learns),
        rig=rig,
        ledger=Ledger(store, search, study.space),
        allowance=allowance,
        finals=Finals(
            spec,
            allowance,
            store=store,
            runner=runner,
            calibration=preamble.calibration,
            on_event=on_event,
            items_per_request=items,
        ),
        adviser=Adviser(spec, items, say),
        breaker=Breaker(recover, pause, store.name),
        on_event=on_event,
    )


def _taken_up(study: Prepared, store: StudyWriter, tuner: Tuner, preamble: Preamble) -> StudyOpened:
    """Take up what is stored; tell or queue what a crash left behind."""
    sessions, identity, ledger = store.sessions(), store.identity(), tuner.ledger
    now = datetime.now().astimezone()
    tuner.allowance.budget = budget = budget_after(study.spec, sessions, identity.spec, now)
    store.start_session(study.machine.to_dict(), versions(), study.facts.why_no_energy)
    store.doubt(preamble.doubts)  # before anything older is read
    for note in preamble.notes:
        store.note("accepted_change", text=note)
    for kind, text in preamble.findings:
        store.note(kind, text=text)
    told, lost = ledger.take_up()
    was_stable = (bool(sessions) and sessions[-1].end == "stable") or (
        tuner.finals.held(ledger.history.trials) is not None  # its race was cut off
    )
    tuner.agenda.resume(ledger.history, lost, preamble.warm, was_stable=was_stable)
    notes = preamble.notes
    if told or lost:
        store.note("repaired", told=told, lost=[str(c) for c in lost])
        notes += (f"the last session was cut off: {len(lost)} trial(s) are tried again",)
    return StudyOpened(
        name=identity.name,
        goal=tuner.goal,
        machine=str(study.machine),
        space_size=study.space.size,
        trials_before=ledger.history.finished,
        spent_s=budget.spent_before_s,
        budget_s=budget.duration_s,
        budget_trials=budget.trials,
        notes=(*notes, *(text for _, text in preamble.findings)),
        items_per_request=preamble.items_per_request,
        inputs=fed_in_words(study.spec, identity.fed),
        core_budget=study.machine.budget_words,
    )
