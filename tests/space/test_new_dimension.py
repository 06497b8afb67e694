"""A new dimension is a row in the table and nothing else: tried with one that is not there yet.

The package is copied, the row is written into its table, and the copy is used as a user would.
"""

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests import models
from tests.space.copies import HERE, Product, with_rows
from tests.test_artefacts import SCHEMAS, copied

NAME, PROPERTY = "tensor_parallel", "ENABLE_TENSOR_PARALLEL"
ROW = f"""\
    Dimension(
        name="{NAME}",
        label="tensor parallel",
        meaning="Whether a matrix product is split between sockets (CPU).",
        stage=Stage.COMPILE,
        kind=Kind.SWITCH,
        type=bool,
        property="{PROPERTY}",
        on=("CPU",),
        answers=True,
        expert=True,
    ),
"""
STUDY = """\
[model]
path = "{model}"

[goal]
max_latency = "1s"
percentile = 90.0

[budget]
trials = {trials}

[measure]
limit = "0.3s"
warmup = "0.1s"
reference = false

[race]
share = {share}

[space]
streams = 1
threads_per_stream = 1
requests_per_stream = 1
batch = 1
pinning = true
precision = "f32"
tensor_parallel = {chosen}
"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    """With one row more."""
    return with_rows(tmp_path_factory.mktemp("product"), ROW)


def begin(folder: Path, model: Path, chosen: str, *, trials: int, share: float = 0.0) -> Path:
    """A study that names the new dimension."""
    folder.mkdir()
    text = STUDY.format(model=model, chosen=chosen, trials=trials, share=share)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def sampled(product: Product, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was tuned over both of its choices, all configurations of its space."""
    folder = tmp_path_factory.mktemp("sampled") / "study"
    begin(folder, model_folder / models.TINY, "[true, false]", trials=5)
    product.run("tune", folder)
    return folder


def stored(folder: Path) -> list[dict[str, object]]:
    """The configurations of the measurements, and what was read back of the property."""
    with closing(sqlite3.connect(folder / "study.db")) as file:
        rows = file.execute("SELECT configuration, effective FROM autotune_measurement").fetchall()
    return [
        {**json.loads(configuration), "read back": json.loads(effective)[PROPERTY]}
        for configuration, effective in rows
    ]


@pytest.mark.openvino
def test_it_is_sampled_set_and_read_back(sampled: Path) -> None:
    """Both choices, each as the compiled model reports it; the hints leave it to the runtime."""
    found = {(one.get(NAME), one["read back"]) for one in stored(sampled)}
    assert found == {(None, "NO"), (True, "YES"), (False, "NO")}


@pytest.mark.openvino
def test_it_is_fixed(product: Product, model_folder: Path, tmp_path: Path) -> None:
    """One value is all that is tried."""
    folder = begin(tmp_path / "study", model_folder / models.TINY, "true", trials=3)
    product.run("tune", folder)
    assert {one[NAME] for one in stored(folder) if NAME in one} == {True}


@pytest.mark.openvino
def test_it_is_stored_only_where_it_is_not_at_its_default(sampled: Path) -> None:
    """A hint says nothing of it."""
    for one in stored(sampled):
        assert (NAME in one) == (one["streams"] is not None)


@pytest.mark.openvino
def test_it_is_shown(product: Product, sampled: Path) -> None:
    """In the frame, in the name of each configuration, and in the page."""
    rows = list(csv.DictReader(io.StringIO(product.run("frame", sampled, "--csv", "-"))))
    assert {row[NAME] for row in rows} == {"True", "False", ""}
    for row in rows:
        said = {"True": "tensor parallel on", "False": "tensor parallel off", "": "hint"}[row[NAME]]
        assert said in row["configuration"]
    product.run("report", sampled, "--out", sampled / "report.html")
    assert "tensor parallel on" in (sampled / "report.html").read_text(encoding="utf-8")


@pytest.mark.openvino
def test_it_is_exported(product: Product, sampled: Path, tmp_path: Path) -> None:
    """In best.json, whose configuration is read again, in an export, and in words."""
    program = (
        "import json, sys; from pathlib import Path;"
        "from autotune.export.best_file import read_best, write_best;"
        "from autotune.export.configuration import configuration_of;"
        "best = read_best(Path(sys.argv[1]));"
        "best = best.model_copy(update={'properties': {**best.properties, sys.argv[2]: 'YES'}});"
        "write_best(best, Path(sys.argv[3]));"
        "print(json.dumps(configuration_of(best, 'it').to_dict()));"
        "from autotune.space.settings import configuration_in;"
        "assert configuration_in('streams=2,tensor_parallel=yes').tensor_parallel is True;"
        "assert configuration_in(f'streams=2,{sys.argv[2]}=NO').tensor_parallel is False"
    )
    product.run("best", sampled, "--out", sampled / "best.json")
    file = sampled / "with.json"
    read = product.python("-c", program, sampled / "best.json", PROPERTY, file)
    assert json.loads(read)[NAME] is True
    product.run("export", file, "--to", "python", "--out", tmp_path)
    assert PROPERTY in next(tmp_path.rglob("*.py")).read_text(encoding="utf-8")


def test_it_is_documented(product: Product) -> None:
    """In the reference of study.toml and of frames, which are written by the table."""
    product.python("docs/generate.py")
    for page in ("study-toml.md", "frame.md", "dimensions.md"):
        assert f"| `{NAME}`" in (product.folder / "docs" / page).read_text(encoding="utf-8")


def test_a_wrong_value_is_refused(product: Product, model_folder: Path, tmp_path: Path) -> None:
    """As any other of [space]."""
    folder = begin(tmp_path / "study", model_folder / models.TINY, '"perhaps"', trials=5)
    assert f"[space] {NAME}" in product.error("tune", folder)


def test_older_studies_stay_readable(product: Product, tmp_path: Path) -> None:
    """Of every schema, byte for byte as they were; the column is there, and empty."""
    kept = copied(tmp_path / "kept")
    before = {name: (kept / name / "study.db").read_bytes() for name in SCHEMAS}
    program = (
        "import sys, autotune;"
        "print([list(autotune.frame(name).tensor_parallel.isna()) for name in sys.argv[1:]])"
    )
    found = product.python("-c", program, *(kept / name for name in SCHEMAS))
    assert "True" in found
    assert "False" not in found
    assert product.run("status", kept / "study")
    assert {name: (kept / name / "study.db").read_bytes() for name in SCHEMAS} == before


@pytest.mark.openvino
def test_an_older_study_goes_on_without_it_and_not_with_it(
    product: Product, tmp_path: Path
) -> None:
    """A space that names it is another one; the study is then as it was."""
    folder = copied(tmp_path / "kept") / "study"
    text = (folder / "study.toml").read_text(encoding="utf-8")
    (folder / "study.toml").write_text(f"{text}{NAME} = true\n", encoding="utf-8")
    before = (folder / "study.db").read_bytes()
    said = product.error("tune", folder, "--anyway", "--trust", "--trials", 1)
    assert f"the space has changed: {NAME} [None] then, [True] now" in said
    assert (folder / "study.db").read_bytes() == before

    (folder / "study.toml").write_text(text, encoding="utf-8")
    product.run("tune", folder, "--anyway", "--trust", "--trials", 1)
    assert (folder / "study.db").read_bytes() != before


@pytest.mark.openvino
def test_a_study_that_it_made_is_refused_without_it(sampled: Path) -> None:
    """By this version, which lacks the row: in one message that names it; nothing is changed."""
    before = (sampled / "study.db").read_bytes()
    without = Product(HERE.parent)
    for command in ("status", "pareto", "tune"):
        assert NAME in without.error(command, sampled)
    assert (sampled / "study.db").read_bytes() == before
