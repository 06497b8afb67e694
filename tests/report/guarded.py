"""Studies in which a guard looks at answers."""

from pathlib import Path
from typing import Any

from autotune.domain.accuracy import GuardVerdict
from autotune.space.configuration import CompileKey
from autotune.space.rows.variant import GIVEN
from autotune.stats.accuracy import accuracy, judged
from autotune.testing import SimulatedRunner
from tests.report.studies import make_study

SAME = judged(
    accuracy("top1", [1.0] * 4000, [1.0] * 4000, 0.02, is_compared=True), GuardVerdict.IDENTICAL
)
NEAR = accuracy("top1", [1.0] * 4000, [1.0] * 3990 + [0.0] * 10, 0.02, is_compared=True)
FAR = accuracy("top1", [1.0] * 4000, [1.0] * 3960 + [0.0] * 40, 0.02, is_compared=True)
OFF = accuracy("top1", [1.0] * 4000, [1.0] * 3000 + [0.0] * 1000, 0.02, is_compared=True)


class Faster(dict[CompileKey, float]):
    """Each variant is faster than the model as it was given, the one that is far off most."""

    def get(self, key: CompileKey, default: Any = None) -> Any:
        """How many times longer its requests take."""
        return {"near": 0.7, "far": 0.4}.get(dict(key.model).get("variant", GIVEN), default)


def make_guarded(folder: Path, *, trials: int = 40) -> Path:
    """A study of a model with three variants, one of which is refused; returns the folder."""
    folder.mkdir(parents=True)
    for name in ("near", "far", "off"):
        (folder / f"{name}.onnx").write_bytes(name.encode())
    return make_study(
        folder,
        runner=lambda: SimulatedRunner(
            variants={GIVEN: SAME, "near": NEAR, "far": FAR, "off": OFF}, slower=Faster()
        ),
        variants={name: f"{name}.onnx" for name in ("near", "far", "off")},
        accuracy={"metric": "top1", "max_drop": 0.02},
        trials=trials,
    )
