"""What was fed, in one line, for every kind of input."""

from typing import Any

import pytest

from autotune.domain.fed import Fed
from autotune.domain.measurement import Feed
from autotune.domain.workload_facts import WorkloadFacts
from autotune.spec import StudySpec, build_spec
from autotune.spec.fed_words import fed_in_words, fed_of_file

MIX = {
    "shapes": tuple({"x": (1, 3, 48, width)} for width in (640, 80, 320)),
    "weights": (0.25, 0.5, 0.25),
}


def study(feed: str, model_inputs: str | None, **workload: Any) -> StudySpec:
    """One that says so much of its workload."""
    model = {"path": "m.onnx"} | ({} if model_inputs is None else {"inputs": model_inputs})
    values: dict[str, Any] = {"model": model, "goal": {"max_latency": "9ms"}}
    values |= {"measure": {"feed": feed}} | ({"workload": workload} if workload else {})
    return build_spec(values, "study.toml")


def fed(**facts: Any) -> Fed:
    """What a look at a workload found."""
    known = WorkloadFacts(**{"samples": 64, "is_random": False, **facts})
    return Fed(data="random" if known.is_random else "real", workload=known)


LATER = "before each request, as a part of its latency"


@pytest.mark.parametrize(
    ("said", "what", "says"),
    [
        (
            {"feed": "copy", "workload": {"inputs": ["d/a.npz", "d/b.npz"]}},
            fed(**MIX),
            "64 samples of 2 files, 3 shapes (80 to 640), copied before each request",
        ),
        (
            {"feed": "end-to-end", "workload": {"inputs": "data/photos"}},
            fed(samples=24, is_prepared=True, images_vary=True, image_sizes=4),
            f"24 pictures of data/photos, 4 sizes, prepared {LATER}",
        ),
        (
            {"feed": "end-to-end", "workload": {"inputs": "/home/me/data/photos"}},
            fed(samples=1, is_prepared=True, image_sizes=1),
            f"1 picture of data/photos, prepared {LATER}",
        ),
        (
            {"workload": {"inputs": "data/s.txt", "tokenizer": "../lib/tokens.py:encode"}},
            fed(),
            "64 lines of s.txt through tokens.py:encode, bound once",
        ),
        (
            {"feed": "copy", "workload": {"inputs": "samples.py:chunks", "states": "carried"}},
            fed(states="carried"),
            "64 samples of samples.py:chunks, copied before each request; states carried from",
        ),
        (
            {"feed": "end-to-end", "workload": {"inputs": "pkg.mod:chunks"}},
            fed(states="reset"),
            f"64 samples of pkg.mod:chunks, copied {LATER}; states reset before each item",
        ),
        ({"workload": {"random": {"x": 1}}}, fed(is_random=True), "random data in ranges"),
        (
            {"workload": {"random": {"x": 1}}},
            fed(is_random=True, stand_ins={"x": (1,), "y": (1,)}),
            "random data in ranges, some of them guessed",
        ),
        (
            {"workload": {"random": {"": 1}}},
            fed(is_random=True, stand_ins={"x": (1,)}),
            "random data in ranges",
        ),
        (
            {"workload": {"states": "reset"}},
            fed(is_random=True, **MIX),
            "random data of guessed ranges, 3 shapes (80 to 640)",
        ),
        ({}, Fed(data="random"), "random data, bound once"),
        ({}, None, "random data, bound once"),
        ({"inputs": "d/x.npz"}, Fed(data="real"), "samples of x.npz, bound once"),
        ({"inputs": "d/x.npz", "feed": "copy"}, None, "samples of x.npz, copied"),
        ({"inputs": "x.npz", "workload": {"states": "reset"}}, fed(), "64 samples of x.npz, bound"),
    ],
)
def test_what_was_fed_is_said_in_a_line(said: dict[str, Any], what: Fed | None, says: str) -> None:
    """How many of what, from where, in which shapes, and how it gets into a request."""
    workload = said.get("workload", {})
    spec = study(said.get("feed", "bind"), said.get("inputs"), **workload)
    assert fed_in_words(spec, what).startswith(says)


def test_several_sizes_that_vary_are_said_by_both_ends() -> None:
    """The smallest and the largest by what they hold."""
    shapes = ({"x": (1, 8, 9)}, {"x": (1, 4, 4)}, {"x": (1, 6, 2)})
    found = fed_in_words(
        study("bind", None, inputs=["a.npz"]), fed(shapes=shapes, weights=(1, 1, 1))
    )
    assert found == "64 samples of a.npz, 3 shapes (6x2 to 8x9), bound once"


@pytest.mark.parametrize(
    ("inputs", "feed", "says"),
    [
        (None, Feed.BIND, "random data, bound once"),
        ("d/x.npz", Feed.COPY, "samples of x.npz, copied before each request"),
    ],
)
def test_of_a_file_of_an_older_version(inputs: str | None, feed: Feed, says: str) -> None:
    """Which says the name of its data and no more."""
    assert fed_of_file(inputs, feed) == says
