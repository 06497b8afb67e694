"""A model with a batch of its own, and a loop, from the command line and on the real runtime."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from tests import models
from tests.command import Autotune

pytestmark = pytest.mark.openvino
TERMS = "throughput in items/s, 8 items per request at batch 1; inputs: random"


def save(path: Path, outputs: list[Any], inputs: dict[str, Any]) -> Path:
    """A model whose inputs have these names."""
    for name, parameter in inputs.items():
        parameter.output(0).get_tensor().set_names({name})
    made = ov.Model([one.output(0) for one in outputs], list(inputs.values()))
    ov.save_model(made, path, compress_to_fp16=False)
    return path


def make_study(folder: Path, model: Path, **section: str) -> Path:
    """A study of two short trials without a race."""
    folder.mkdir(parents=True)
    more = "".join(f'{key} = "{value}"\n' for key, value in section.items())
    (folder / "study.toml").write_text(
        f'[model]\npath = "{os.path.relpath(model, folder)}"\n{more}'
        '[goal]\nmax_latency = "1s"\npercentile = 90.0\n[budget]\ntrials = 2\n'
        '[measure]\nlimit = "300ms"\nwarmup = "50ms"\n[race]\nshare = 0.0\n'
    )
    return folder


@pytest.fixture
def eight(tmp_path: Path, model_folder: Path) -> Path:
    """The tiny model, exported for a batch of eight."""
    network = ov.Core().read_model(model_folder / models.TINY)
    network.reshape([8, 3, 32, 32])
    path = tmp_path / "eight.xml"
    ov.save_model(network, path, compress_to_fp16=False)
    return path


def requests_per_s(folder: Path, trial: int) -> float:
    """What the loop saw of a trial."""
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        (found,) = connection.execute(
            "SELECT m.requests / SUM(b.duration_s) FROM autotune_measurement AS m "
            "JOIN autotune_block AS b ON b.measurement_id = m.id "
            "WHERE m.trial_number = ? AND b.position >= m.warmup_blocks",
            (trial,),
        ).fetchone()
    return float(found)


def test_a_static_batch_of_eight_is_eight_items(
    tmp_path: Path, eight: Path, autotune: Autotune
) -> None:
    """In every number and beside it, in best.json, and in what is exported from it."""
    folder = make_study(tmp_path / "studies" / "s", eight)
    done = autotune("tune", folder)
    assert done.code == 0
    assert done.out.count(TERMS) == 2, done.out
    assert "note: only batch 1 is tried: " in done.out
    for command in ("status", "best", "pareto", "log"):
        assert autotune(command, folder).out.count(TERMS) == 1
    assert TERMS in (folder / "report.html").read_text()
    best = json.loads((folder / "best.json").read_text())
    assert (best["model"]["items_per_request"], best["batch_size"]) == (8, 1)
    measured = best["measured"]["throughput_per_s"]
    assert measured == pytest.approx(8 * requests_per_s(folder, best["trial"]), rel=0.3)

    # What benchmark_app counts is what is counted here.
    out = tmp_path / "out"
    assert autotune("export", folder, "--to", "benchmark_app,python", "--out", out).code == 0
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    printed = subprocess.run(
        ["sh", "benchmark.sh", "-t", "1"],
        cwd=out / "benchmark_app",
        env={**os.environ, "PATH": tools},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    ).stdout
    assert "Model batch size: 8" in printed
    found = {
        name: float(re.findall(rf"{name}:\s+([\d.]+)", printed)[0])
        for name in ("Count", "Duration", "Throughput")
    }
    frames = found["Throughput"] * found["Duration"] / 1000
    assert frames == pytest.approx(8 * found["Count"], rel=0.01)
    notes = (out / "benchmark_app" / "README.md").read_text()
    assert "Measured with random inputs; throughput counts items, 8 in each request." in notes
    assert "in other units" not in notes
    assert "ITEMS = 8  # in a request" in (out / "python" / "infer.py").read_text()


def test_comparisons_count_as_each_file_does(
    tmp_path: Path, eight: Path, model_folder: Path, autotune: Autotune
) -> None:
    """Against its own hint, and against the model without a batch."""
    folder = make_study(tmp_path / "studies" / "s", eight)
    assert autotune("tune", folder).code == 0
    best = folder / "best.json"
    one = make_study(tmp_path / "studies" / "one", model_folder / models.TINY)
    assert autotune("tune", one).code == 0
    compared = autotune("compare", best, one / "best.json", "THROUGHPUT", "--budget", "1s").out
    assert f"{best}: {TERMS}" in compared
    assert f"{one / 'best.json'}: throughput in items/s; inputs: random" in compared
    assert f"CPU THROUGHPUT hint: {TERMS}" in compared


def test_a_loop_of_any_length_is_warned_of_on_random_data(
    tmp_path: Path, autotune: Autotune
) -> None:
    """And not on real data, whose name then stands beside the numbers."""
    x, count = op.parameter([1, 4], np.float32), op.parameter([], np.int64)
    within = op.parameter([1, 4], np.float32)
    out = op.relu(within)
    body = ov.Model([op.constant(True).output(0), out.output(0)], [within])
    loop = op.loop(count, op.constant(True))
    loop.set_function(body)
    loop.set_special_body_ports([-1, 0])
    loop.set_merged_input(within, x.output(0), out.output(0))
    found = op.relu(loop.get_iter_value(out.output(0), -1))
    model = save(tmp_path / "loop.xml", [found], {"x": x, "n": count})
    random = make_study(tmp_path / "studies" / "random", model)
    out_random = autotune("tune", random).out
    assert "note: random inputs may mislead: Loop: how often it runs depends on the data; " in (
        out_random
    )
    best = json.loads((random / "best.json").read_text())
    assert best["measured"]["data"] == "random"
    assert len(best["measured"]["warnings"]) == 2


def test_real_data_are_named_and_need_no_warning(
    tmp_path: Path, model_folder: Path, autotune: Autotune
) -> None:
    """Ids at random mean nothing; those of the user do."""
    np.savez(
        tmp_path / "data.npz",
        ids=np.arange(8, dtype=np.int64).reshape(2, 4),
        x=np.ones((2, 4), dtype=np.float32),
    )
    model = model_folder / models.TWO_INPUTS
    random = make_study(tmp_path / "studies" / "random", model)
    assert "random inputs may mislead: ids: whole numbers" in autotune("tune", random).out
    real = make_study(tmp_path / "studies" / "real", model, inputs="../../data.npz")
    said = autotune("tune", real).out
    assert "mislead" not in said
    assert said.count("inputs: samples of data.npz, bound once") == 2
    best = json.loads((real / "best.json").read_text())
    assert (best["measured"]["data"], best["measured"]["warnings"]) == ("real", [])
    assert autotune("export", real, "--to", "triton", "--out", tmp_path / "out").code == 0
    assert "Measured with real inputs" in (tmp_path / "out" / "triton" / "README.md").read_text()
