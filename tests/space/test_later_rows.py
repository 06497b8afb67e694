"""Rows of every kind that a later version may add: nothing of before changes, and each works."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.space.copies import HERE, Product, with_rows
from tests.test_artefacts import SCHEMAS, copied

EVERY_KIND = {
    "a switch of the CPU": "kind=Kind.SWITCH, stage=Stage.COMPILE, type=bool, on=('CPU',), "
    "answers=True, property='ENABLE_TENSOR_PARALLEL'",
    "a switch": 'kind=Kind.SWITCH, stage=Stage.COMPILE, type=bool, property="A_SWITCH"',
    "a switch that is off": "kind=Kind.SWITCH, stage=Stage.COMPILE, type=bool, default=False, "
    'property="A_SWITCH_THAT_IS_OFF", offered=lambda _: (False, True)',
    "a name": "kind=Kind.NAMED, stage=Stage.COMPILE, type=str, allowed=('slow', 'fast'), "
    "property=\"A_NAME\", offered=lambda _: ('slow', 'fast')",
    "a count": "kind=Kind.ORDERED, stage=Stage.COMPILE, type=int, property='A_COUNT', "
    "offered=lambda offer: (1, offer.cpus)",
    "a fixed count of loads": "kind=Kind.ORDERED, stage=Stage.LOAD, type=int, default=1, "
    "fixed=(1, 3)",
    "a way to load": "kind=Kind.NAMED, stage=Stage.LOAD, type=str, default='calm'",
    "another model": "kind=Kind.NAMED, stage=Stage.MODEL, type=str, offered=lambda _: (None, 'b')",
    "what only a GPU has": "kind=Kind.SWITCH, stage=Stage.COMPILE, type=bool, on=('GPU',), "
    "property='GPU_ONLY', offered=lambda _: (True, False)",
}
"""Rows as later versions may have them, each offered without being named where it says so."""


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Product:
    """With a row of every kind."""
    rows = [
        f'    Dimension(name="{name.replace(" ", "_")}", label="{name}", meaning=".", {fields}),\n'
        for name, fields in EVERY_KIND.items()
    ]
    return with_rows(tmp_path_factory.mktemp("later"), "".join(rows))


OLDER = """
import sys
from contextlib import closing
from pathlib import Path
from autotune.export.best_file import read_best, write_best
from autotune.export.configuration import configuration_of
from autotune.space.space import SearchSpace
from autotune.storage.reader import StudyReader
for name in sys.argv[1:]:
    with closing(StudyReader.read_only(Path(name))) as store:
        space = SearchSpace.from_dict(store.identity().space)
        for trial in store.trials():
            effective = trial.measurement.opening.effective if trial.measurement else None
            point = space.locate(trial.configuration, effective)
            near = space.nearest(trial.configuration)
            print(trial.configuration.key, trial.configuration.compile_key.key, near and near[:8])
            print(trial.configuration, trial.configuration.properties, point and point[:8])
    best = Path(name) / "best.json"
    if best.exists():
        file = read_best(best)
        print(configuration_of(file, best).key)
        write_best(file, best)
        print(best.read_text())
"""


def test_older_studies_are_what_they_were(later: Product, tmp_path: Path) -> None:
    """Each trial has its keys and lies where it lay, whatever a new property is reported to be."""
    found: list[str] = []
    for one in (later, Product(HERE.parent)):
        kept = copied(tmp_path / f"kept{len(found)}")
        found.append(one.python("-c", OLDER, *(kept / name for name in SCHEMAS)))
    assert found[0] == found[1]
    assert "(0, " in found[0]


GOES_ON = """
import sys
from pathlib import Path
from autotune.spec import load_spec
from autotune.testing import SimulatedCpu, SimulatedRunner
from autotune.tuning.tune import tune
for name in sys.argv[1:]:
    spec = load_spec(Path(name))
    budget = spec.budget.model_copy(update={"duration": None, "trials": 10})
    runner = SimulatedRunner(cpu=SimulatedCpu(cpus=2, speed={"bf16": 1.5, "f32": 1.0}))
    spec = spec.model_copy(update={"budget": budget})
    tune(spec, Path(name), runner=runner, anyway=True, trust=True)
"""


def test_older_studies_go_on_without_what_came_later(later: Product, tmp_path: Path) -> None:
    """Although a study that begins now is offered it."""
    kept = copied(tmp_path / "kept")
    before = {name: space_of(kept / name) for name in SCHEMAS}
    later.python("-c", GOES_ON, *(kept / name for name in SCHEMAS))
    assert {name: space_of(kept / name) for name in SCHEMAS} == before


def space_of(folder: Path) -> str:
    """As it is stored."""
    with closing(sqlite3.connect(folder / "study.db")) as file:
        (found,) = file.execute("SELECT space FROM autotune_study").fetchone()
    return str(found)


BEGINS = """
import json, sys
from contextlib import closing
from pathlib import Path
import autotune
from autotune import StudyReader, parse_spec, tune
from autotune.export.best_file import read_best, write_best
from autotune.export.configuration import configuration_of
from autotune.export.from_study import best_of_study
from autotune.space.configuration import Configuration
from autotune.space.space import SearchSpace
from autotune.testing import SimulatedCpu, SimulatedRunner
folder = Path(sys.argv[1])
(folder / "model.onnx").write_bytes(b"never opened")
spec = parse_spec('model.path = "model.onnx"\\ngoal.max_latency = "20ms"\\nbudget.trials = 30\\n')
outcome = tune(spec, folder, runner=SimulatedRunner(cpu=SimulatedCpu(cpus=2)))
with closing(StudyReader.read_only(folder)) as store:
    space = SearchSpace.from_dict(store.identity().space)
    trials = store.trials()
    for trial in trials:
        configuration = trial.configuration
        stored = json.loads(json.dumps(configuration.to_dict()))
        assert Configuration.from_dict(stored) == configuration
        if not configuration.is_hint:
            assert space.configuration(space.locate(configuration)) == configuration
        if trial.measurement is not None:
            file = folder / "one.json"
            write_best(best_of_study(store, folder, trial, outcome.trials, outcome.goal), file)
            read = configuration_of(read_best(file), file)
            assert read.key == configuration.key, (read, configuration)
found = autotune.frame(folder)
tried = {name: sorted(map(str, set(found[name].dropna()))) for name in sys.argv[2:]}
print(json.dumps(tried))
"""


def test_every_kind_of_row_is_tried_stored_and_exported(later: Product, tmp_path: Path) -> None:
    """Where it is offered; what a configuration was is what is read again, of best.json as well."""
    columns = [name.replace(" ", "_") for name in EVERY_KIND]
    tried = json.loads(later.python("-c", BEGINS, tmp_path, *columns))
    assert tried == {
        "a_switch_of_the_CPU": [],
        "a_switch": [],
        "a_switch_that_is_off": ["False", "True"],
        "a_name": ["fast", "slow"],
        "a_count": ["1", "2"],
        "a_fixed_count_of_loads": ["1", "3"],
        "a_way_to_load": ["calm"],
        "another_model": ["b"],
        "what_only_a_GPU_has": [],
    }
