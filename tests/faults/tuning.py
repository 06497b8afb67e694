"""`python -m tests.faults.tuning FOLDER BUDGET SHARE`: a real study, made to be killed."""

import sys
from pathlib import Path

from autotune.spec import build_spec
from autotune.tuning.tune import tune
from tests import models

SPEC = {
    "model": {"path": models.TINY},
    "goal": {"max_latency": "50ms"},
    "space": {"batch": list(range(1, 65)), "pinning": True, "precision": "f32"},
    "measure": {"limit": "500ms", "warmup": "100ms"},
}


def main(folder: Path, budget: str, share: float) -> None:
    """Tune for so many trials, or for a duration, and race; say what begins and ends."""
    limit = {"trials": int(budget)} if budget.isdigit() else {"duration": budget}
    values = {**SPEC, "budget": limit, "race": {"share": share}}
    spec = build_spec(values, "study.toml")
    outcome = tune(spec, folder, on_event=lambda event: print(type(event).__name__, flush=True))
    print(outcome.reason, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
