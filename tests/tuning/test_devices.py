"""A study over every kind of device that stands for the CPU, on the real runtime."""

from contextlib import closing
from pathlib import Path

import psutil
import pytest

from autotune import StudyReader, parse_spec, tune
from tests import models

DEVICES = ["CPU", "AUTO:CPU", "HETERO:CPU", "MULTI:CPU", "BATCH:CPU(4)"]
STUDY = """
[model]
path = "{model}"
[goal]
max_latency = "2s"
percentile = 90.0
[budget]
trials = {trials}
[measure]
limit = "0.2s"
warmup = "0.05s"
reference = false
[race]
share = 0
[space]
device = {devices}
batch = 1
precision = "f32"
"""


@pytest.mark.openvino
def test_all_of_them_are_measured_in_one_study(model_folder: Path, tmp_path: Path) -> None:
    """Hints and a lone request of each, then more; every trial ends, and no process is left."""
    text = STUDY.format(model=model_folder / models.TINY, trials=17, devices=DEVICES)
    tune(parse_spec(text), tmp_path)
    with closing(StudyReader.read_only(tmp_path)) as store:
        trials = store.trials()
    assert all(trial.measurement is not None for trial in trials), [t.failure for t in trials]
    seeds = [trial.configuration for trial in trials[:15]]
    assert [one.device for one in seeds] == [*(d for d in DEVICES for _ in range(2)), *DEVICES]
    for trial in trials:
        configuration, measured = trial.configuration, trial.measurement
        assert measured is not None
        read = measured.opening.effective.properties
        if configuration.streams is not None:
            assert read["NUM_STREAMS"] == str(configuration.streams)
            assert read["INFERENCE_PRECISION_HINT"] == "f32"
        if configuration.device.startswith("BATCH"):
            assert measured.num_requests % 4 == 0
    assert not [one for one in psutil.Process().children() if "autotune.worker" in one.cmdline()]
