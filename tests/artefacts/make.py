"""Make an artefact: `python make.py KIND FOLDER`, run in a checkout of the commit that writes it.

KIND is `study`, `cut` or `surface`. The command line of the checkout is what writes them, with the
real runtime; this only kills a worker, or the tuner.
"""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil

SPEC = """\
# Question: what did an older autotune leave behind?
# Duration: one minute.
# Look at: whether this version reads it, continues it, verifies it and exports it.

[model]
path = "model.xml"

[goal]
max_latency = "200ms"
percentile = 95.0

[budget]
duration = "60s"
trials = 7

[space]
streams = [1, 2]
threads_per_stream = [1, 2]
requests_per_stream = [1, 2]
batch = [1, 2]
pinning = false
precision = ["bf16", "f32"]
"""
"""Nothing is derived from the machine, so that any machine of two CPUs can go on with it."""


def write_model(path: Path) -> None:
    """A few milliseconds of convolutions, every output of another part of the input."""
    import numpy as np
    import openvino as ov
    from openvino import opset13 as op

    generator = np.random.default_rng(7)

    def convolved(x: object, given: int, made: int, stride: int = 1) -> object:
        weights = (generator.random((made, given, 3, 3), dtype=np.float32) - 0.5) / 4
        steps = [stride, stride], [1, 1], [1, 1], [1, 1]
        return op.relu(op.convolution(x, op.constant(weights), *steps))

    x = op.parameter([1, 3, 128, 128], np.float32, name="x")
    x.output(0).get_tensor().set_names({"x"})
    y = convolved(op.subtract(x, op.constant(np.float32(0.5))), 3, 16)
    for _ in range(8):
        y = convolved(y, 16, 16)
    y = convolved(y, 16, 4, stride=16)
    ov.save_model(ov.Model([y], [x]), path, compress_to_fp16=False)


def main(kind: str, folder: Path) -> None:
    """Write one."""
    folder.mkdir(parents=True)
    write_model(folder / "model.xml")
    (folder / "study.toml").write_text(SPEC)
    options = ["--launches", "2", "--rounds", "2"]
    words = ["record", str(folder), *options] if kind == "surface" else ["tune", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "COLUMNS": "100"}
    tuner = subprocess.Popen([sys.executable, "-m", "autotune", *words], env=environment)
    if kind == "study":
        while tuner.poll() is None and count(folder, "autotune_measurement") < 4:
            time.sleep(0.1)
        while tuner.poll() is None and count(folder, "autotune_failure") < 2:
            kill_youngest(tuner)
            time.sleep(2.5)
    if kind == "cut":
        while count(folder, "autotune_slice WHERE launch > 0") < 3 or journal(folder):
            time.sleep(0.02)
        tuner.send_signal(signal.SIGKILL)
    tuner.wait()


def kill_youngest(tuner: subprocess.Popen[bytes]) -> None:
    """One worker is lost."""
    workers = psutil.Process(tuner.pid).children()
    if workers:
        max(workers, key=lambda worker: worker.create_time()).kill()


def count(folder: Path, rows: str) -> int:
    """How many rows of a table there are so far."""
    if not (folder / "study.db").exists():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{folder}/study.db?mode=ro", uri=True)) as file:
        try:
            (found,) = file.execute(f"SELECT count(*) FROM {rows}").fetchone()  # noqa: S608
        except sqlite3.Error:
            return 0
    return int(found)


def journal(folder: Path) -> bool:
    """Whether a transaction is under way."""
    return (folder / "study.db-journal").exists()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
