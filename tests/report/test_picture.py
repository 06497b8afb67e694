import sys
from pathlib import Path

import pytest

from autotune.errors import UsageError
from autotune.report.picture import picture
from tests.report.studies import BrokenRunner, evidence, make_study


def test_a_study_has_a_picture(study: Path) -> None:
    """A PNG of the size that is documented, the same for the same study."""
    drawn = picture(evidence(study))

    assert drawn.startswith(b"\x89PNG")
    assert int.from_bytes(drawn[16:20]) == 1600
    assert int.from_bytes(drawn[20:24]) == 1000
    assert picture(evidence(study)) == drawn


def test_what_has_nothing_to_draw_is_no_fault(tmp_path: Path) -> None:
    """Only failures; one trial; a name that is mathematics to matplotlib."""
    broken = make_study(tmp_path / "broken", trials=2, runner=BrokenRunner)
    single = make_study(tmp_path / "$\\frac{1}{$ <b>\n", trials=1)

    assert picture(evidence(broken)).startswith(b"\x89PNG")
    assert picture(evidence(single)).startswith(b"\x89PNG")


def test_where_nothing_keeps_the_limits_there_is_no_front(tmp_path: Path) -> None:
    """Every trial is there, by its verdict."""
    goal = {"max_latency": "20ms", "max_memory": "1MiB"}
    folder = make_study(tmp_path / "small", trials=4, goal=goal)

    assert picture(evidence(folder)).startswith(b"\x89PNG")


def test_without_matplotlib_it_says_what_to_install(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"autotune\[png\]"):
        picture(evidence(study))
