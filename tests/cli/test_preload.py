"""A study under a preloaded library, from the first worker to the exported files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.export.best_file import read_best
from tests import models

pytestmark = pytest.mark.openvino
STUDY = f"""
[model]
path = "{models.TINY}"
[goal]
max_latency = "1s"
[budget]
trials = 2
[space]
batch = 1
[measure]
limit = "300ms"
warmup = "100ms"
[race]
share = 0.0
"""
LIBRARY = """
#include <stdio.h>
__attribute__((constructor)) static void greet(void) {
    FILE *file = fopen("LOADED", "a");
    if (file) { fputs("loaded\\n", file); fclose(file); }
}
"""


def run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command, with these variables."""
    return subprocess.run(
        [sys.executable, "-m", "autotune", *words],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_a_preloaded_library_is_measured_stored_and_exported(
    tmp_path: Path, model_folder: Path
) -> None:
    """And the study does not go on without it unless told so; settings kept back are said."""
    for file in model_folder.glob(f"{Path(models.TINY).stem}.*"):
        shutil.copy(file, tmp_path)
    (tmp_path / "study.toml").write_text(STUDY)
    loaded, library = tmp_path / "loaded", tmp_path / "greet.so"
    (tmp_path / "greet.c").write_text(LIBRARY.replace("LOADED", str(loaded)))
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "greet.c"], check=True)
    tuned = run(tmp_path, "tune", ".", LD_PRELOAD="./greet.so", OMP_NUM_THREADS="1")
    assert tuned.returncode == 0, tuned.stderr
    assert len(loaded.read_text().splitlines()) > 3  # the command itself and its workers
    assert "set here and not passed on to what is measured: OMP_NUM_THREADS=1" in tuned.stdout
    assert read_best(tmp_path / "best.json").environment == {"LD_PRELOAD": str(library)}
    exported = run(tmp_path, "export", "best.json", "--to", "benchmark_app", "--json")
    assert json.loads(exported.stdout)
    script = (tmp_path / "export" / "benchmark_app" / "benchmark.sh").read_text()
    assert f"exec env LD_PRELOAD={library} benchmark_app" in script
    plain = run(tmp_path, "tune", ".", "--trials", "3")
    assert plain.returncode == 1
    assert "environment: {'LD_PRELOAD'" in plain.stderr
    assert "--anyway" in plain.stderr
