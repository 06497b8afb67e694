"""Three minutes of tuning, for real, against the optimum of the recorded surface, head to head."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from autotune.export.best_file import read_best
from autotune.racing.contest import contest
from autotune.racing.named import NamedContender, RacedModel, contender_of_file, contender_of_words
from autotune.space.configuration import Configuration
from autotune.spec import load_spec, parse_shapes
from tests.bench import surfaces
from tests.bench.figure import Figure, figure

_STUDIES = ("classifier", "recogniser", "squeezenet")
_RUNS = 3
_DURATION = "3m"
_RACE_S = 75.0
_LAUNCHES = 5
RESULTS = Path("build") / "live.json"


def run() -> list[Figure]:
    """Every study three times, in turns; each ratio is of one race."""
    done: dict[str, list[dict[str, object]]] = {name: [] for name in _STUDIES}
    RESULTS.parent.mkdir(exist_ok=True)
    for number in range(_RUNS):
        for name in _STUDIES:
            done[name].append(_once(name, number))
            print(f"  {name}, run {number + 1}: {done[name][-1]}", flush=True)
            RESULTS.write_text(json.dumps(done, indent=2) + "\n")
    return [
        figure(
            f"{name}: export after {_DURATION} / recorded optimum, raced",
            [float(str(one["ratio"])) for one in found],
            "",
            ">= 0.97 (median)",
        )
        for name, found in done.items()
    ]


def _once(name: str, seed: int) -> dict[str, object]:
    """One study of three minutes, and the race of its export against the recorded optimum."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "studies" / "surfaces" / name
        folder.mkdir(parents=True)
        text = (surfaces.FOLDER / name / "study.toml").read_text(encoding="utf-8")
        text += f'\n[budget]\nduration = "{_DURATION}"\n\n[search]\nseed = {seed}\n'
        (folder / "study.toml").write_text(text, encoding="utf-8")
        models = surfaces.FOLDER.parent / "models"
        (folder.parent.parent / "models").symlink_to(models)
        subprocess.run(
            [sys.executable, "-m", "autotune", "tune", str(folder)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        file = folder / "best.json"
        shutil.copy(file, RESULTS.parent / f"live-{name}-{seed}.json")
        spec, best = load_spec(folder), read_best(file)
        goal = spec.goal.goal
        optimum = _optimum(name)
        model = RacedModel(
            path=(folder / spec.model.path).resolve(), shapes=parse_shapes(spec.model.shape)
        )
        named = [_entrant(optimum, model), contender_of_file(file, model.path)]
        found = named[1].contender.configuration
        if found == optimum:
            return {"ratio": 1.0, "found": str(found), "status": best.status, "same": True}
        race, _ = contest(named, goal, _RACE_S, launches=_LAUNCHES, anyway=True, seed=seed)
        ours = race.result().standings[1]
        interval = ours.ratio
        return {
            "ratio": 0.0 if interval is None else interval.mean,
            "low": None if interval is None else interval.low,
            "high": None if interval is None else interval.high,
            "found": str(found),
            "optimum": str(optimum),
            "status": best.status,
            "latency_ms": [
                None if s.latency is None else s.latency.goal_ms for s in race.result().standings
            ],
        }


def _optimum(name: str) -> Configuration:
    """The recorded surface's best under the study's cap."""
    machine = surfaces.machine(name)
    goal = load_spec(surfaces.FOLDER / name).goal.goal
    cell = machine.optimum(goal.percentile, goal.cap_ms)
    if cell is None:
        raise ValueError(f"{name}: nothing on the surface meets the study's cap")
    return machine.surface.cells[cell]


def _entrant(configuration: Configuration, model: RacedModel) -> NamedContender:
    if configuration.is_hint:
        return contender_of_words(configuration.hint.value, model)
    words = {
        "streams": configuration.streams,
        "threads_per_stream": configuration.threads_per_stream,
        "requests": configuration.num_requests,
        "batch": configuration.batch_size,
        "pinning": "yes" if configuration.pinning else "no",
        "precision": configuration.precision,
        "api": configuration.api.value,
    }
    text = ",".join(f"{key}={value}" for key, value in words.items() if value is not None)
    return contender_of_words(text, model)
