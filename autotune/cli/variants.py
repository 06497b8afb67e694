"""`autotune variants`: the files of a study's model, made and held to the model as it was given."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autotune.cli.begin import known_study
from autotune.cli.output import patience_of, print_json, say, show
from autotune.domain.accuracy import Accuracy
from autotune.domain.model_file import model_files
from autotune.errors import EXIT_OK, UsageError
from autotune.machines.guards import UNGUARDED
from autotune.report.format import joined, memory, percent
from autotune.report.workload import accuracy_in_words
from autotune.space.rows.variant import GIVEN
from autotune.spec import STUDY_FILE, StudySpec, build_spec
from autotune.storage.database import DATABASE
from autotune.tuning.findings import given_back_in_words
from autotune.tuning.prepare import Prepared, prepared, source
from autotune.tuning.variants import variants_of
from autotune.workload.workload import ModelSource


def show_variants(
    folder: Path,
    *,
    accuracy_aware: bool = False,
    trust: bool,
    wait: str | None,
    as_json: bool,
) -> int:
    """Make what is to be made, hold everything to the model, and list it; the exit code.

    Args:
        folder: the study's.
        accuracy_aware: whether operations of all that is quantised may be given back.
        trust: whether to run another's code.
        wait: for whoever measures.
        as_json: for programs.

    Raises:
        UsageError: the study has no variants, or has begun with others.
    """
    folder = folder.parent if folder.name == STUDY_FILE else folder
    spec = known_study(folder, {}, {})
    if not spec.variants:
        raise UsageError(
            f"{folder / STUDY_FILE}: there are no [variants]; write for instance "
            'int8 = { quantize = "int8" }'
        )
    aware: list[str] = []
    if accuracy_aware:
        spec, aware = _aware(spec, folder)
    console = Console(stderr=as_json)
    model = source(spec, folder, trust=trust)

    def tell(text: str) -> None:
        say(console, text)

    patience = patience_of(wait, tell)
    with prepared(spec, folder, model, patience=patience, tell=tell) as study:
        rows = list(_rows(spec, folder, model, study))
    if as_json:
        print_json({"variants": rows})
        return EXIT_OK
    _print(Console(), rows)
    if aware:
        say(
            Console(),
            f"made as accuracy_aware = true of {joined(aware)} says; tune makes them as "
            f"{folder / STUDY_FILE} says, so write it there to tune with these",
        )
    return EXIT_OK


def _aware(spec: StudySpec, folder: Path) -> tuple[StudySpec, list[str]]:
    """The study with operations of all that is quantised given back, and which that changes."""
    aware = [n for n, one in spec.variants.items() if one.quantize and not one.accuracy_aware]
    if aware and (folder / DATABASE).exists():
        raise UsageError(
            f"--accuracy-aware: {folder} has measured {joined(aware)} as {STUDY_FILE} says; write "
            "accuracy_aware = true into that of another study"
        )
    values = spec.model_dump(mode="json", exclude_defaults=True)
    made = {
        name: {**one, "accuracy_aware": True} if name in aware else one
        for name, one in values["variants"].items()
    }
    return build_spec({**values, "variants": made}, str(folder / STUDY_FILE)), aware


def _rows(
    spec: StudySpec, folder: Path, model: ModelSource, study: Prepared
) -> Iterator[dict[str, Any]]:
    """The model as it was given first, then each variant."""
    given_bytes = _bytes(model.path)
    yield {
        "name": GIVEN,
        "path": str(model.path),
        "made": None,
        "bytes": given_bytes,
        "size_ratio": 1.0,
        "given_back": [],
        "operations": {},
        "accuracy": {},
        "refused": None,
    }
    facts = study.variants
    for one in variants_of(spec, folder, model):
        size = _bytes(one.source.path)
        recipe, made = spec.variants[one.name].recipe, facts.made.get(one.name)
        yield {
            "name": one.name,
            "path": str(one.source.path),
            "made": None if recipe is None else str(recipe),
            "bytes": size,
            "size_ratio": None if size is None or not given_bytes else size / given_bytes,
            "given_back": [] if made is None else list(made.given_back),
            "operations": {} if made is None else {k: list(v) for k, v in made.operations.items()},
            "accuracy": {
                arithmetic: found.to_dict()
                for arithmetic, found in facts.accuracy.get(one.name, {}).items()
            },
            "refused": facts.refused.get(one.name),
        }


def _bytes(path: Path) -> int | None:
    if not path.exists():
        return None
    return sum(one.stat().st_size for one in model_files(path) if one.exists())


def _print(console: Console, rows: list[dict[str, Any]]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("variant", "size", "of it", "quantised", "made"):
        table.add_column(heading, overflow="fold", justify="right" if heading != "made" else "left")
    table.columns[0].justify = "left"
    for row in rows:
        ratio = row["size_ratio"]
        done = [sum(counts) for counts in zip(*row["operations"].values(), strict=True)]
        table.add_row(
            row["name"],
            memory(row["bytes"]),
            "-" if ratio is None else percent(ratio),
            f"{done[0]} of {done[1]}" if done else "-",
            Text(row["made"] or row["path"]),
        )
    show(console, table)
    for row in rows[1:]:
        if row["given_back"]:
            say(console, f"{row['name']} {given_back_in_words(row['given_back'])}")
        for arithmetic, found in row["accuracy"].items():
            where = f" in {arithmetic}" if arithmetic else ""
            said = accuracy_in_words(Accuracy.from_dict(found))
            say(console, f"{row['name']}{where}: {said}")
        if row["refused"] is not None:
            say(console, f"{row['name']} is not tried: {row['refused']}")
        elif not row["accuracy"]:
            say(console, f"{row['name']}: unproven: {UNGUARDED}")
