"""autotune: the OpenVINO settings with the highest throughput under a latency cap.

    from pathlib import Path
    from autotune import load_best, load_spec, tune

    folder = Path("studies/classifier")
    outcome = tune(load_spec(folder), folder)          # minutes to a night
    compiled, queue = load_best(folder / "best.json").compile(openvino.Core())

Everything is imported when it is first used, so `import autotune` costs nothing.
"""

# Nothing is imported here, not even typing: `python -m autotune` comes by before it can see to it
# that no file of the current folder takes the place of a module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from autotune.analysis.frames import frame
    from autotune.analysis.pareto import pareto_front
    from autotune.domain.goal import Goal, Objective, Sla, Verdict
    from autotune.domain.measurement import Measurement
    from autotune.domain.trial import Trial
    from autotune.errors import AutotuneError
    from autotune.export.deployment import Deployment, load_best
    from autotune.space.configuration import Configuration
    from autotune.spec import StudySpec, load_spec, parse_spec
    from autotune.storage.reader import StudyReader
    from autotune.tuning.session import Outcome
    from autotune.tuning.tune import tune

    StudyStore = StudyReader

_HOMES = {
    "AutotuneError": "errors",
    "Configuration": "space.configuration",
    "Deployment": "export.deployment",
    "Goal": "domain.goal",
    "Measurement": "domain.measurement",
    "Objective": "domain.goal",
    "Outcome": "tuning.session",
    "Sla": "domain.goal",
    "StudySpec": "spec",
    "StudyReader": "storage.reader",
    "Trial": "domain.trial",
    "Verdict": "domain.goal",
    "frame": "analysis.frames",
    "load_best": "export.deployment",
    "load_spec": "spec",
    "pareto_front": "analysis.pareto",
    "parse_spec": "spec",
    "tune": "tuning.tune",
}
_RENAMED = {"StudyStore": "StudyReader"}
"""Names of version 0.1, which still lead to what they meant."""

__all__ = [
    "AutotuneError",
    "Configuration",
    "Deployment",
    "Goal",
    "Measurement",
    "Objective",
    "Outcome",
    "Sla",
    "StudyReader",
    "StudySpec",
    "StudyStore",
    "Trial",
    "Verdict",
    "frame",
    "load_best",
    "load_spec",
    "pareto_front",
    "parse_spec",
    "tune",
]


def __getattr__(name: str) -> object:
    name = _RENAMED.get(name, name)
    if name not in _HOMES:
        raise AttributeError(f"module 'autotune' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"autotune.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
