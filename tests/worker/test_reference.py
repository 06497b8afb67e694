"""What is kept of a model's answers has room in one bound, and is read as far as it is needed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotune.domain.answers import Yardstick
from autotune.worker import reference
from autotune.worker.parts import part_of
from autotune.worker.reference import (
    ReferenceAnswers,
    Run,
    errors_of,
    load_reference,
    save_reference,
)
from tests import planted
from tests.worker.sessions import FakeDevice, Studied

pytestmark = pytest.mark.openvino

SIZES = (3, 900, 5_000, 100_000)
"""Of the outputs of a model."""


def outputs(run: int, kind: int, sample: int) -> list[np.ndarray]:
    """What it gives, every time the same."""
    generator = np.random.default_rng([run, kind, sample])
    return [generator.random((1, size), dtype=np.float32) for size in SIZES]


def make_reference(runs: int = 2, kinds: int = 2, samples: int = 3) -> ReferenceAnswers:
    """Of so many runs, each as the worker keeps it."""
    return ReferenceAnswers(
        kinds=tuple(f"kind {k}" for k in range(kinds)),
        runs=tuple(
            Run(
                "CPU",
                f"f{r}",
                f"f{r}",
                [
                    [[part_of(output) for output in outputs(r, k, i)] for i in range(samples)]
                    for k in range(kinds)
                ],
            )
            for r in range(runs)
        ),
        is_deterministic=True,
        why_no_batch=None,
        unproven_batch=None,
        silent=None,
        yardsticks=(Yardstick(0.0, 1.0),) * kinds,
        untrusted={},
    )


def sizes(found: ReferenceAnswers) -> set[tuple[int, ...]]:
    """How many values of each output are there, in every run and sample."""
    return {
        tuple(part.values.size for part in answer)
        for run in found.runs
        for group in run.answers
        for answer in group
    }


@pytest.mark.parametrize(
    ("room", "kept"),
    [
        (2**30, (3, 900, 5_000, 65_536)),
        (12 * 4 * (3 + 900 + 2 * 4_000), (3, 900, 4_000, 4_000)),
        (0, (3, 512, 512, 512)),
    ],
    ids=["room for all", "room for some", "no room"],
)
def test_all_answers_share_one_bound(
    room: int, kept: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small outputs are whole, large ones give way, and a few hundred values of each are there.

    They are of the places that every process knows.
    """
    monkeypatch.setattr(reference, "MOST_BYTES", room)
    save_reference(tmp_path / "r.npz", make_reference())
    found = load_reference(tmp_path / "r.npz")
    assert sizes(found) == {kept}
    for r, run in enumerate(found.runs):
        for k, group in enumerate(run.answers):
            for i, answer in enumerate(group):
                for part, output, most in zip(answer, outputs(r, k, i), kept, strict=True):
                    assert part.shape == output.shape
                    assert part.values.tolist() == part_of(output, most).values.tolist()


@pytest.mark.parametrize(("runs", "kinds", "samples"), [(5, 2, 3), (2, 5, 3), (2, 2, 8)])
def test_more_of_anything_is_no_larger_file(
    runs: int, kinds: int, samples: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs, kinds of data, and samples; what it says beside the values is little."""
    monkeypatch.setattr(reference, "MOST_BYTES", room := 2**20)
    save_reference(tmp_path / "r.npz", make_reference(runs, kinds, samples))
    assert 0.9 * room < (tmp_path / "r.npz").stat().st_size < 1.1 * room


def test_a_worker_reads_the_answers_that_it_looks_at(tmp_path: Path) -> None:
    """Once; those of other runs stay in the file."""
    path = tmp_path / "r.npz"
    save_reference(path, make_reference())
    found = load_reference(path)
    run = found.run("CPU", "f1")
    assert run is not None
    assert len(run.answers[0]) == 3
    path.unlink()
    assert len(run.answers[1]) == 3
    assert len(found.exact.answers) == 2
    with pytest.raises(FileNotFoundError):
        found.exact.answers[0]


def test_answers_of_now_are_compared_with_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was not looked at before has more values of each output."""
    monkeypatch.setattr(reference, "MOST_BYTES", 0)
    known = make_reference()
    save_reference(tmp_path / "r.npz", known)
    exact = load_reference(tmp_path / "r.npz").exact
    assert errors_of(known.runs[0], exact) == [0.0, 0.0]
    off = [
        [[replace(part, values=2 * part.values) for part in answer] for answer in group]
        for group in known.runs[0].answers
    ]
    assert errors_of(replace(known.runs[0], answers=off), exact) == [1.0, 1.0]


@pytest.mark.parametrize("looked_at", [True, False])
@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("factor", [1.0, 1.3])
def test_a_model_is_judged_by_what_there_was_room_for(
    factor: float, batch_size: int, looked_at: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device that inspection has run, and on another."""
    monkeypatch.setattr(reference, "MOST_BYTES", 0)
    monkeypatch.setattr(reference, "LEAST_VALUES", 2)

    def change(output: Any, _: Any) -> Any:
        return output * np.float32(factor)

    devices = ("CPU", "GPU") if looked_at else ("CPU",)
    model = Studied(tmp_path, planted.linear(), devices=devices, core=FakeDevice(change))
    assert model.inspected()["why_no_batch"] is None
    assert {n for kept in sizes(load_reference(model.reference)) for n in kept} == {2}
    opened = model.opened(batch_size, "GPU")
    assert opened["say"] == "opened", opened
    assert (opened["unproven"] is None) == (factor == 1.0)
    assert model.opened(batch_size)["unproven"] is None
