"""The best of each device, in words."""

from rich.console import Console

from autotune.analysis.devices import by_device
from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.trial import Trial
from autotune.report.devices import device_rows, devices_json, devices_table, why_no_best
from autotune.space.configuration import Configuration
from tests.domain.builders import make_trial

CAPPED = Goal(Objective.THROUGHPUT, 99, 20)
TRIALS = [
    make_trial(0, Configuration(device="CPU"), throughput_per_s=50),
    make_trial(1, Configuration(device="AUTO:CPU", streams=2), throughput_per_s=100),
    make_trial(2, Configuration(device="GPU"), latency_ms=30, verdict=Verdict.MISSED),
    make_trial(3, Configuration(device="NPU"), failure=FailureKind.COMPILE_ERROR),
]


def shown(trials: list[Trial]) -> str | None:
    """As a terminal has it; None for nothing."""
    table = devices_table(by_device(trials, CAPPED), CAPPED, TRIALS[0])
    if table is None:
        return None
    console = Console(width=100)
    with console.capture() as text:
        console.print(table)
    return text.get()


def test_every_device_has_a_line() -> None:
    """Its best against the better hint, or why it has none."""
    text = shown(TRIALS)
    assert text is not None
    for part in ("AUTO:CPU 2 x -", "2.00x", "GPU: nothing was shown to meet the goal", "30"):
        assert part in text
    assert "NPU: nothing ran in 1 trial: compile error: " in text


def test_of_one_device_there_is_nothing_to_tell() -> None:
    """All other tables are about it; programs are told all the same."""
    assert shown(TRIALS[:1]) is None
    assert device_rows(by_device(TRIALS[:1], CAPPED), CAPPED, None) == []
    (one,) = devices_json(by_device(TRIALS[:1], CAPPED), CAPPED)
    assert (one["device"], one["best_trial"], one["why_no_best"]) == ("CPU", 0, None)


def test_nothing_feasible_anywhere_is_said_of_each() -> None:
    """Without an empty table above it."""
    text = shown(TRIALS[2:])
    assert text is not None
    assert text.startswith("GPU: ")


def test_rows_of_the_page() -> None:
    """Three cells each, the last one empty where there is nothing to compare."""
    rows = device_rows(by_device(TRIALS, CAPPED), CAPPED, TRIALS[0])
    assert [row[0] for row in rows] == ["CPU", "AUTO:CPU", "GPU", "NPU"]
    assert [row[2] for row in rows] == ["1.00x", "2.00x", "", ""]
    assert rows[3][1].startswith("nothing ran in 1 trial")
    assert all(why_no_best(one, CAPPED) is None for one in by_device(TRIALS[:2], CAPPED))
