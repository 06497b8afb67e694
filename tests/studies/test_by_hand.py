"""The hand-written loop beside the study of photographs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.studies.scripts import STUDIES, load

SCRIPT = STUDIES / "photos" / "by_hand.py"
pytestmark = pytest.mark.openvino


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The program, briefly."""
    command = [sys.executable, str(SCRIPT), "--seconds", "0.2", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "requests"),
    [(("--requests", 3, "--property", "NUM_STREAMS=2"), 3), (("--sync",), 1)],
)
def test_it_prints_what_it_measured(
    arguments: tuple[object, ...], requests: int, data_of: Callable[[str], Path]
) -> None:
    """One line of JSON, in which latencies hold what feeding took."""
    done = run("--photos", data_of("photos") / "photos", *arguments)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["requests"] == requests
    assert said["throughput_per_s"] > 0
    assert said["feeding_ms"] > 0
    assert 0 < said["p50_ms"] <= said["p99_ms"]


def test_without_pictures_it_says_so(tmp_path: Path) -> None:
    """And does not divide by none."""
    done = run("--photos", tmp_path)
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr


def test_it_prepares_what_the_detector_takes() -> None:
    """Resized by Pillow, blue first, from -1 to 1."""
    by_hand = load("photos/by_hand.py")
    picture = np.random.default_rng(3).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    out = np.empty((1, 3, 320, 320), np.float32)

    by_hand.prepare(picture, out)

    small = Image.fromarray(picture).resize((320, 320), Image.Resampling.BILINEAR)
    expected = (np.asarray(small, np.float64)[..., ::-1].transpose(2, 0, 1) - 127.5) / 127.5
    np.testing.assert_allclose(out[0], expected, rtol=0, atol=1e-6)
