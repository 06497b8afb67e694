"""A study from its spec and folder: locked, inspected, opened, tuned, and let go."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from autotune.domain.events import Event, Noted, Preparing
from autotune.machines.locks import Patience
from autotune.machines.ports import Runner
from autotune.racing.calibration import load_calibration
from autotune.search.choose import search_of
from autotune.search.search import Search
from autotune.spec import StudySpec
from autotune.storage.identity import refuse_another
from autotune.storage.optuna_study import open_study
from autotune.storage.reader import StudyReader
from autotune.storage.writer import StudyWriter
from autotune.tuning.allowance import StopRequest
from autotune.tuning.begun import begun_machine, begun_space, check_machine
from autotune.tuning.findings import findings, unproven
from autotune.tuning.prepare import Prepared, counted, identity, prepared, source
from autotune.tuning.session import Outcome, Preamble, hold_session
from autotune.tuning.warm import warm_start
from autotune.workload.workload import ModelSource

_LOOKS = "reading the workload and comparing its answers first, outside the budget"


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
    on_end: Callable[[Outcome, StudyWriter], None] = lambda *_: None,
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
        recover: pauses after five machine faults in a row; returns reasons to give up, or none.
        patience: how long to wait for the study and the machine, in all; not at all without.
        on_end: reads the study's database while it is open; others may have the study by then.

    Raises:
        ModelError, DeviceError, SpecError: the input cannot be used; no database was made.
        StudyMismatchError: the study was begun with something else.
        BusyError: another process holds the study or the machine.
        StorageError: the database cannot be used.
        MachineFaultError: five machine faults in a row, and nothing that could be done about it.
    """
    model = source(spec, folder, trust=trust)
    if model.workload is not None:
        on_event(Noted(text=_LOOKS))
    with contextlib.ExitStack() as database:
        with prepared(
            spec,
            folder,
            model,
            runner=runner,
            begun=partial(begun_space, folder),
            machine_then=partial(begun_machine, folder),
            patience=patience,
            tell=lambda text: on_event(Preparing(text=text)),
        ) as study:
            store, search, preamble = database.enter_context(
                _opened(
                    study,
                    folder,
                    model,
                    anyway=anyway,
                    trust=trust,
                    tell=lambda text: on_event(Noted(text=text)),
                )
            )
            outcome = hold_session(
                study, store, search, preamble, on_event=on_event, stop=stop, recover=recover
            )
        on_end(outcome, store)
    return outcome


@contextlib.contextmanager
def _opened(
    study: Prepared,
    folder: Path,
    model: ModelSource,
    *,
    anyway: bool,
    trust: bool,
    tell: Callable[[str], None],
) -> Iterator[tuple[StudyWriter, Search, Preamble]]:
    """The study's database, made if it is not there, and what is to be said before it goes on.

    Raises:
        StudyMismatchError, StorageError: as for `tune`; the study is as it was.
    """
    spec, facts, choices = study.spec, study.facts, study.space
    known = counted(identity(spec, folder, model, choices), spec, facts)
    warm, notes = warm_start(spec, folder, choices)
    notes = [*study.notes, *notes]

    def admit(stored: StudyReader) -> None:
        nonlocal known
        begun = stored.identity()
        known = counted(known, spec, facts, begun.items_per_request)
        refuse_another(begun, known, stored.name)
        notes.extend(check_machine(stored, study.machine, anyway=anyway))

    optuna_study, engine = open_study(
        folder, known.name, known.goal, trust=trust, admit=admit, tell=tell
    )
    with contextlib.closing(StudyWriter(engine, folder / "study.db")) as store:
        store.begin(known)
        search = search_of(
            spec.search.sampler,
            optuna_study,
            choices,
            known.goal,
            seed=spec.search.seed,
            name=store.name,
        )
        items = known.items_per_request
        yield (
            store,
            search,
            Preamble(
                notes=tuple(notes),
                findings=tuple(findings(spec, facts, choices, items, study.variants)),
                doubts=unproven(facts),
                warm=warm,
                items_per_request=items,
                calibration=load_calibration(study.machine),
            ),
        )
