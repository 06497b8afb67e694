"""300 random configurations of all rows, on every device here: what is known, and paid twice.

Alone by name, as it opens 300 models. No time is compared, so that others may be at work: what they
disturb is measured again, a tenth of the trials at most.
"""

import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path

import openvino as ov

from autotune.domain.trial import Trial
from autotune.storage.reader import StudyReader
from tests import planted
from tests.bench.figure import Figure, figure

_TRIALS = 300
_STUDY = f"""
[model]
path = "model.xml"
[goal]
objective = "throughput"
[budget]
trials = {_TRIALS}
duration = "1h"
[search]
sampler = "random"
[measure]
warmup = "50ms"
limit = "100ms"
reference = false
[race]
share = 0.0
[space]
device = ["CPU", "AUTO:CPU", "MULTI:CPU", "HETERO:CPU", "BATCH:CPU(4)"]
partitioner = ["STATIC", "AUTO"]
denormals = [true, false]
sparse_rate = [0.5, 1.0]
quantization_group = [0, 32]
kv_cache = ["u8", "f32"]
properties = {{ KEY_CACHE_GROUP_SIZE = [16, 32] }}
"""


def run() -> list[Figure]:
    """A random study over five devices and all expert rows."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        ov.save_model(planted.convolutional(), folder / "model.xml")
        (folder / "study.toml").write_text(_STUDY)
        tune = [sys.executable, "-m", "autotune", "tune", str(folder)]
        subprocess.run(tune, check=True, stdout=subprocess.DEVNULL)
        with closing(StudyReader.read_only(folder)) as store:
            trials = tuple(store.trials())
    kinds = Counter("failed" if t.measurement is None else "measured" for t in trials)
    print(f"  {dict(kinds)}, {sum(t.reused_from is not None for t in trials)} of them reused")
    answered = [trial for trial in trials if trial.measurement is not None]
    paid = defaultdict(set)
    for trial in answered:
        if trial.reused_from is None:
            paid[_key(trial)].add(trial.configuration)
    tried = {trial.configuration for trial in trials}
    return [
        figure("configurations", [len(tried)], "", f">= {_TRIALS}"),
        figure("devices", [len({one.device for one in tried})], "", "5"),
        figure(
            "trials with what was asked and what it came to / trials",
            [sum(_is_known(trial) for trial in answered) / len(trials)],
            "",
            "1",
        ),
        figure(
            "effective keys that two configurations paid for",
            [sum(len(payers) > 1 for payers in paid.values())],
            "",
            "0",
        ),
    ]


def _key(trial: Trial) -> str:
    assert trial.measurement is not None
    return trial.measurement.opening.effective.key(trial.configuration)


def _is_known(trial: Trial) -> bool:
    assert trial.measurement is not None
    return bool(trial.configuration.properties and trial.measurement.opening.effective.properties)
