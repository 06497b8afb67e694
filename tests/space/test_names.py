"""Names of dimensions outside of `space/`: where each stands, and why it must."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

import autotune
from autotune.space.dimension import Dimension
from autotune.space.dimensions import TABLE

HOUSE = Path(autotune.__file__).parent
SHARED = {
    "device",
    "hint",
    "streams",
    "threads_per_stream",
    "requests_per_stream",
    "batch",
    "preprocessing",
    "variant",
}
"""Their names may stand in the modules of `REASONS`; those of all others nowhere."""
DEVICE, HINT, STREAMS, THREADS, REQUESTS, BATCH, PREPROCESSING, VARIANT = (
    "device",
    "hint",
    "streams",
    "threads_per_stream",
    "requests_per_stream",
    "batch",
    "preprocessing",
    "variant",
)
REASONS: list[tuple[str, set[str], str]] = [
    ("analysis/caps.py", {REQUESTS}, "Little's law: what a cap lets through"),
    ("analysis/comparison.py", {HINT}, "the better hint is what studies are compared by"),
    ("analysis/evidence.py", {HINT}, "the better hint is part of the evidence"),
    ("analysis/frames.py", {REQUESTS, BATCH}, "requests in flight, and how many in a second"),
    ("analysis/devices.py", {DEVICE, HINT}, "the best of each device, and its better hint"),
    ("analysis/importance.py", {REQUESTS}, "as they were kept in flight"),
    ("analysis/among.py", {DEVICE}, "questions about one device"),
    ("analysis/guarded.py", {VARIANT}, "each way to answer, by its name"),
    ("analysis/what_if.py", {REQUESTS}, "verdicts are on requests"),
    (
        "cli/*.py",
        {DEVICE, HINT, STREAMS, BATCH, VARIANT},
        "options, and what devices, hints and variants are shown",
    ),
    ("cli/commands/*.py", {DEVICE}, "an option of its own, older than [space]"),
    ("doctor/probes.py", {DEVICE}, "looks at each device"),
    ("domain/arrival.py", {REQUESTS}, "Little's law"),
    ("domain/doubts.py", {DEVICE, BATCH}, "answers are in doubt by device, precision and batch"),
    ("domain/history.py", {DEVICE}, "a device that has run nothing is ruled out"),
    ("domain/inspection.py", {STREAMS}, "a fact of a device: how many it can have"),
    ("domain/measurement.py", {REQUESTS}, "what was kept in flight"),
    ("domain/race.py", {BATCH}, "items of a request"),
    ("domain/ranking.py", {DEVICE, HINT}, "hints are the baselines of each device"),
    ("export/core_budget.py", {THREADS}, "a hint's threads are said where it had some CPUs only"),
    (
        "export/*.py",
        {DEVICE, HINT, REQUESTS, BATCH, PREPROCESSING, VARIANT},
        "best.json names them beside its properties",
    ),
    (
        "export/targets/*.py",
        {DEVICE, HINT, STREAMS, THREADS, REQUESTS, BATCH},
        "each target has its own words for devices, streams, threads and requests",
    ),
    (
        "machines/*.py",
        {DEVICE, STREAMS, REQUESTS, BATCH, VARIANT},
        "what a worker is told, and says",
    ),
    ("measuring/measure.py", {REQUESTS, BATCH}, "rounds of requests, and items"),
    ("racing/choice.py", {HINT}, "equality and doubt are for the hint"),
    ("racing/claims.py", {HINT}, "the hint then and now says how fast the machine is"),
    ("racing/contest.py", {DEVICE, BATCH, VARIANT}, "what to inspect, batches to prove"),
    ("racing/counted.py", {REQUESTS}, "what was kept in flight"),
    ("racing/judge.py", {THREADS, REQUESTS}, "ties: fewer threads"),
    ("racing/named.py", {DEVICE, HINT}, "a hint is named by its word"),
    ("racing/nomination.py", {DEVICE}, "of several devices, whose hints race"),
    ("racing/standings.py", {REQUESTS}, "verdicts count requests"),
    ("racing/verify.py", {DEVICE, HINT}, "the hint beside the file says how fast the machine is"),
    ("report/*.py", {DEVICE, HINT, STREAMS, THREADS, REQUESTS, BATCH}, "a layout reads as a whole"),
    ("report/page/*.py", {HINT, STREAMS, THREADS, REQUESTS, BATCH}, "the map has fixed axes"),
    ("search/derive.py", {DEVICE, HINT, BATCH}, "seeds, and what contradicts the model"),
    ("search/gp.py", {STREAMS, THREADS, REQUESTS, BATCH}, "Little's law: items in flight"),
    ("search/offering.py", {DEVICE, STREAMS}, "what each device offers"),
    ("search/sampler.py", {REQUESTS}, "one compiled model after the other"),
    ("search/sweep.py", {REQUESTS}, "the dimension that is swept"),
    ("spec/profile*.py", {DEVICE, STREAMS}, "facts of devices that are not here"),
    ("stats/tail_test.py", {REQUESTS}, "requests of one round are not independent"),
    ("storage/*.py", {REQUESTS}, "a column of a measurement"),
    (
        "surfaces/*.py",
        {DEVICE, STREAMS, THREADS, REQUESTS, BATCH, VARIANT},
        "noise is that of a layout",
    ),
    (
        "testing/*.py",
        {DEVICE, HINT, STREAMS, THREADS, REQUESTS, BATCH, VARIANT},
        "a simulated CPU is made of streams, threads, requests and items",
    ),
    ("tuning/advice.py", {DEVICE}, "what a device does not let be read back"),
    (
        "tuning/findings.py",
        {DEVICE, BATCH, STREAMS, REQUESTS},
        "what could not be shown of batches and devices; more requests than samples",
    ),
    ("tuning/ledger.py", {DEVICE}, "a device that is hopeless is taken out"),
    ("tuning/loop.py", {DEVICE}, "says so"),
    ("tuning/prepare.py", {DEVICE, BATCH}, "devices to inspect, whether to try a batch"),
    ("tuning/variants.py", {DEVICE, STREAMS, THREADS, VARIANT}, "variants, on the home device"),
    ("tuning/rig.py", {HINT}, "the reference is the better hint"),
    ("spec/workload.py", {PREPROCESSING}, "a workload says what is to be prepared"),
    ("tuning/choices.py", {STREAMS, REQUESTS, BATCH, DEVICE}, "one request of one item, of states"),
    ("workload/*.py", {PREPROCESSING, BATCH}, "what is prepared, and batches of one bucket"),
    (
        "worker/*.py",
        {DEVICE, STREAMS, REQUESTS, BATCH, PREPROCESSING},
        "compiles for a device, at a batch, prepares, loads",
    ),
]
"""Modules that name some of these, which ones, and what for."""


@cache
def words_of(path: Path) -> list[tuple[int, str]]:
    """Every name and every text in a module that is no docstring, with its line."""
    return list(_words(path))


def _words(path: Path) -> Iterator[tuple[int, str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Name):
            yield line, node.id
        elif isinstance(node, ast.Attribute):
            yield line, node.attr
        elif isinstance(node, ast.arg | ast.keyword) and node.arg:
            yield line, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield line, node.name
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
        ):
            yield line, node.value


def names_of(one: Dimension) -> set[str]:
    """A dimension's key, its column, and its property."""
    return {one.name, one.column, *([one.property] if one.property else [])}


def found(names: set[str]) -> dict[str, list[tuple[int, str]]]:
    """Where these stand outside of `space/`, by module."""
    places = {
        str(path.relative_to(HOUSE)): [at for at in words_of(path) if at[1] in names]
        for path in sorted(HOUSE.rglob("*.py"))
        if "space" not in path.relative_to(HOUSE).parts[:1]
    }
    return {module: lines for module, lines in places.items() if lines}


@pytest.mark.parametrize("one", [d for d in TABLE if d.name not in SHARED], ids=lambda d: d.name)
def test_most_dimensions_are_named_by_the_table_alone(one: Dimension) -> None:
    """A new one is a row and nothing else."""
    assert found(names_of(one)) == {}


@pytest.mark.parametrize("one", [d for d in TABLE if d.name in SHARED], ids=lambda d: d.name)
def test_who_names_another_has_a_reason(one: Dimension) -> None:
    """And no reason is left that is not needed any more."""
    named = found(names_of(one))
    patterns = [pattern for pattern, names, _ in REASONS if one.name in names]
    unexplained = [m for m in named if not any(matches(m, pattern) for pattern in patterns)]
    idle = [p for p in patterns if not any(matches(module, p) for module in named)]
    assert (unexplained, idle) == ([], [])


def matches(module: str, pattern: str) -> bool:
    """Of this very folder, not of one within it."""
    return PurePosixPath(module).parent == PurePosixPath(pattern).parent and fnmatch(
        module, pattern
    )
