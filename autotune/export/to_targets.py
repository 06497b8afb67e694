"""From a best.json to the files of deployment targets: all made first, then written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autotune.domain.inspection import ModelPort, Overview
from autotune.domain.model_file import model_files
from autotune.domain.paths import relative
from autotune.errors import AutotuneError, UsageError
from autotune.export.best_file import BestFile, model_of, read_best
from autotune.export.configuration import configuration_of
from autotune.export.files import write_atomically
from autotune.export.served import served_of, shapes_to_look_at
from autotune.export.targets import TARGETS
from autotune.export.targets.served import ServedWorkload
from autotune.export.targets.target import Exported, Port, Tuned, UnsupportedError, render
from autotune.host.core_budget import budget_in_words
from autotune.machines.passing import look

NOTES = "README.md"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written for one target, and where."""

    target: str
    folder: Path
    exported: Exported
    model_files: tuple[str, ...]
    """Every file that the model is loaded from, as seen from the folder."""


def export(
    path: Path,
    targets: Sequence[str],
    out: Path,
    moved: Path | None = None,
    *,
    is_all: bool = False,
) -> tuple[list[Written], dict[str, str]]:
    """Write a best.json for every target that can run it, each into a folder of its name.

    Args:
        path: the best.json.
        targets: names of `TARGETS`.
        out: the folder for their folders; made where it is missing.
        moved: the model file, if it is not where best.json says.
        is_all: leave out the targets that cannot run it, instead of writing none.

    Returns:
        What was written, and by target the reason why it was not.

    Raises:
        AutotuneError: no valid best.json, no model, or a file cannot be written; those before it
            are.
        UsageError: the file was edited: its properties are none that autotune writes.
        UnsupportedError: a target cannot run it; nothing is written.
    """
    best = read_best(path)
    configuration_of(best, path)
    try:
        _ = best.budget
    except ValueError as error:
        raise UsageError(f"{path}: {error}; restore the file") from None
    model = model_of(best, path, moved)
    looked = look(model, shapes_to_look_at(best, path), best.batch_size)
    made, refused = [], {}
    for name in targets:
        folder = out / name
        tuned = _tuned(best, path, model, looked, folder)
        try:
            made.append(Written(name, folder, TARGETS[name](tuned), tuned.files))
        except UnsupportedError as error:
            if not is_all:
                raise
            refused[name] = str(error)
    for one in made:
        _write(one, best)
    return made, refused


def _tuned(best: BestFile, path: Path, model: Path, looked: Overview, folder: Path) -> Tuned:
    data = None if best.model.inputs is None else path.parent / best.model.inputs
    inputs = tuple(_port(port) for port in looked.static_inputs)
    served = served_of(best, path, inputs, folder)
    return Tuned(
        best=best,
        model=relative(model, folder),
        weights=tuple(relative(file, model.parent) for file in model_files(model)[1:]),
        inputs=inputs,
        outputs=tuple(_port(port) for port in looked.static_outputs),
        fixed=_fixed([_port(port) for port in looked.inputs], inputs, served),
        data=None if data is None else relative(data, folder),
        served=served,
    )


def _fixed(
    own: Sequence[Port], tuned: Sequence[Port], served: ServedWorkload | None
) -> tuple[Port, ...]:
    """Inputs as the file has them where it fixes another size than is needed, -1 for any."""
    wanted = {port.name: port.shape for port in tuned}
    if served is not None and not served.is_static:
        wanted |= {one.name: one.shape for one in served.inputs}
    return tuple(
        port for port in own if port.name in wanted and not _fits(port.shape, wanted[port.name])
    )


def _port(port: ModelPort) -> Port:
    """A port whose shape is a tuple; -1 for a dimension that is not one number."""
    sizes = port.shape.strip("[]{}").split(",")
    return Port(
        port.name,
        tuple(int(size) if size.strip().isdigit() else -1 for size in sizes if size.strip()),
        port.type,
    )


def _fits(fixed: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a shape of the file, with -1 for anything, allows another one."""
    if len(fixed) != len(wanted):
        return fixed == (-1,)  # a shape of any rank is written as ...
    return all(a in {-1, b} for a, b in zip(fixed, wanted, strict=True))


def _write(one: Written, best: BestFile) -> None:
    notes = render(
        "notes.md.jinja",
        target=one.target,
        best=best,
        files=one.model_files,
        run=one.exported.run,
        losses=one.exported.losses,
        budget=str(best.budget) if best.budget else budget_in_words(best.machine),
    )
    try:
        one.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AutotuneError(f"{one.folder}: cannot be made: {error.strerror}") from error
    for name, text in {**one.exported.files, NOTES: notes}.items():
        write_atomically(one.folder / name, text)
