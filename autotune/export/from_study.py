"""The best.json of a study, for its own goal or for another one."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autotune.domain.fed import Fed
from autotune.domain.goal import Goal
from autotune.domain.race import RaceResult
from autotune.domain.trial import Trial
from autotune.errors import StorageError
from autotune.export.best_accuracy import BestReference, best_accuracy
from autotune.export.best_file import BestFile, BestModel, relative_model_path
from autotune.export.best_workload import best_workload
from autotune.export.from_trial import best_file
from autotune.space.rows.variant import GIVEN
from autotune.spec import StudySpec, parse_shapes, parse_spec
from autotune.spec.fed_words import fed_in_words
from autotune.spec.variants import variant_file
from autotune.storage.identity import Identity
from autotune.storage.races import session_of_last_race
from autotune.storage.reader import StudyReader


def best_of_study(  # noqa: PLR0913 - the parts of the file
    store: StudyReader,
    folder: Path,
    trial: Trial,
    trials: tuple[Trial, ...],
    goal: Goal,
    *,
    target: Path | None = None,
    race: RaceResult | None = None,
) -> BestFile:
    """The file for one trial, its evidence and its baselines judged by `goal`.

    `race` is what confirmed it, if it was chosen by one. `folder` is the study's; `target` is the
    folder that the file will lie in, if another.

    Raises:
        StorageError: what is stored is none that a file can have, such as a path that is no text.
    """
    try:
        return _best_of_study(
            store, folder, trial, trials, goal, target=target or folder, race=race
        )
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        listed = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:5])
        raise StorageError(f"{store.name}: this makes no best.json: {listed}") from error


def _best_of_study(  # noqa: PLR0913 - as above
    store: StudyReader,
    folder: Path,
    trial: Trial,
    trials: tuple[Trial, ...],
    goal: Goal,
    *,
    target: Path,
    race: RaceResult | None,
) -> BestFile:
    identity = store.identity()
    session = store.session_of(trial.number) if race is None else session_of_last_race(store)
    spec = parse_spec(identity.spec, f"{store.name}: stored study")
    fed = identity.fed or Fed(data="random" if spec.model.inputs is None else "real")
    asked = best_workload(spec.workload, fed, identity.inputs.get("inputs_sha256"), folder, target)
    file, sha256, reference = _deployed(spec, identity, trial, folder, target)
    found = None if trial.measurement is None else trial.measurement.opening.accuracy
    return best_file(
        trial=trial,
        trials=trials,
        goal=goal,
        accuracy=best_accuracy(spec.accuracy, found, folder, target),
        model=BestModel(
            path=relative_model_path(file, target),
            sha256=sha256,
            reference=reference,
            shapes=_shapes(spec, fed),
            inputs=None
            if spec.model.inputs is None
            else relative_model_path(folder / spec.model.inputs, target),
            items_per_request=identity.items_per_request,
            workload=asked,
        ),
        machine=session.machine,
        versions=session.versions,
        study=identity.name,
        race=race,
        fed=fed,
        inputs=fed_in_words(spec, fed),
        environment=_environment(session.machine),
    )


def _deployed(
    spec: StudySpec, identity: Identity, trial: Trial, folder: Path, target: Path
) -> tuple[Path, str, BestReference | None]:
    """The file that is deployed, its digest, and the model as it was given where it is another."""
    given, sha256, name = (
        folder / spec.model.path,
        identity.model_sha256,
        trial.configuration.variant,
    )
    if name == GIVEN:
        return given, sha256, None
    path = folder / variant_file(name, spec.variants[name].path)
    own = identity.inputs["variants"][f"{name}_sha256"]
    return path, own, BestReference(path=relative_model_path(given, target), sha256=sha256)


def _shapes(spec: StudySpec, fed: Fed) -> dict[str, list[int]]:
    """Static shapes: those that are said, or those of the samples where these have one."""
    facts = fed.workload
    if spec.model.shape is not None or facts is None or facts.shapes:
        return parse_shapes(spec.model.shape)
    return {name: list(shape) for name, shape in facts.stand_ins.items()}


def _environment(machine: dict[str, Any]) -> dict[str, str]:
    """Variables that workers ran under; none in a fingerprint of an older version."""
    found = machine.get("environment")
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)}
