"""The data of the example studies, without any model."""

import re
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.studies.scripts import STUDIES, load

script = load("make_data.py")
Data = Callable[[str], Path]


def contents(folder: Path) -> dict[str, bytes]:
    """Of every file below a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_studies_that_need_data_have_them_made() -> None:
    """Every file that a study.toml names in data/ is the work of the script."""
    named = {
        path.parent.name
        for path in STUDIES.glob("*/study.toml")
        if re.search(r"^\[workload\]", path.read_text(), re.MULTILINE)
    }
    assert named == set(script.DATA)


@pytest.mark.parametrize("name", sorted(script.DATA))
def test_the_same_data_come_out_each_time(name: str, data_of: Data, tmp_path: Path) -> None:
    """Byte for byte, in the place of what was there, and nothing else is left behind."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "old").touch()

    script.make(name, tmp_path / "data")

    assert contents(tmp_path / "data") == contents(data_of(name))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data are whole or as they were."""
    monkeypatch.setattr(script, "SOURCES", tmp_path / "nothing")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "old").touch()

    with pytest.raises(OSError, match="speech"):
        script.make("vad", tmp_path / "data")

    assert [path.name for path in tmp_path.rglob("*")] == ["data", "old"]


def test_lines_have_the_widths_that_their_study_names(data_of: Data) -> None:
    """Normalised f32, blue first, as wide as the name says; each with its text."""
    folder = data_of("lines")
    named = re.findall(r'"data/(lines-\d+)\.npz"', (STUDIES / "lines" / "study.toml").read_text())
    assert [f"lines-{width:03}" for width in script.LINE_WIDTHS] == named

    total = 0
    for name in named:
        with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
            x = arrays["x"]
        texts = (folder / f"{name}.txt").read_text().splitlines()
        assert x.shape == (len(texts), 3, 48, int(name[-3:]))
        assert x.dtype == np.float32
        assert x.min() >= -1
        assert x.max() <= 1
        total += len(texts)
    assert total >= script.SAMPLES


def test_photographs_are_of_several_sizes(data_of: Data) -> None:
    """Their names say which; the size of a camera's picture is the most frequent."""
    sizes = []
    for path in sorted((data_of("photos") / "photos").iterdir()):
        with Image.open(path) as image:
            assert path.stem.endswith(f"-{image.width}x{image.height}")
            assert image.mode == "RGB"
            sizes.append(image.size)
    assert len(sizes) == 24
    assert sizes.count((1280, 720)) == 12
    assert {(640, 480), (600, 400)} <= set(sizes)


def test_frames_have_the_size_that_their_study_says(data_of: Data) -> None:
    """All the same, and each another picture."""
    paths = sorted((data_of("frames") / "frames").iterdir())
    for path in paths:
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("RGB", (1280, 720))
    assert len({path.read_bytes() for path in paths}) == len(paths) == 16


def test_sentences_are_whole_and_distinct(data_of: Data) -> None:
    """One in a line, each from a capital to its full stop."""
    lines = (data_of("sentences") / "sentences.txt").read_text().splitlines()
    assert len(set(lines)) == len(lines) == script.SAMPLES
    assert all(re.fullmatch(r"[A-Z].*[.?!]", line) for line in lines)


def test_sounds_are_what_the_detector_hears(data_of: Data) -> None:
    """16 kHz, mono, 16 bits."""
    for path in data_of("vad").iterdir():
        with wave.open(str(path)) as file:
            said = file.getframerate(), file.getnchannels(), file.getsampwidth()
            assert said == (16_000, 1, 2)
            assert file.getnframes() > 9 * 16_000
