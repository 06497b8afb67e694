'''A simulated machine, for people who test their own code against autotune.

`SimulatedRunner` takes the place of the machine in `autotune.tune`: no process is started, openvino
is not imported, and seconds are counted, not spent. The same seed gives the same numbers.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> from autotune import parse_spec, tune
>>> from autotune.testing import SimulatedCpu, SimulatedRunner
>>> study = """
... [model]
... path = "model.onnx"
... [goal]
... max_latency = "20ms"
... [budget]
... trials = 12
... """
>>> runner = SimulatedRunner(cpu=SimulatedCpu(cpus=8))
>>> with TemporaryDirectory() as folder:
...     model = Path(folder) / "model.onnx"
...     _ = model.write_bytes(b"never opened")
...     outcome = tune(parse_spec(study), model.parent, runner=runner)
>>> outcome.best.configuration.streams
8

docs/testing.md says what else can be planted: noise, differences, failures.
'''

from autotune.domain.failure import Failure, FailureKind
from autotune.testing.cpu import Flow, SimulatedCpu
from autotune.testing.simulated import SimulatedModel, SimulatedRunner
from autotune.testing.weather import Weather

__all__ = [
    "Failure",
    "FailureKind",
    "Flow",
    "SimulatedCpu",
    "SimulatedModel",
    "SimulatedRunner",
    "Weather",
]
