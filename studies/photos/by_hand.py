"""The loop that one would write by hand, to hold a tuned number against: nothing of autotune.

Pictures of 1280x720 wait in memory, as a camera leaves them. The thread that feeds makes of each
what the detector takes (Pillow resizes, NumPy does the rest) in the input of a request that is
idle, and starts it; others compute meanwhile. With --sync it waits for each answer instead.
A latency counts from the beginning of the preparation to the end of the inference. It prints one
line of JSON.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).resolve().parent
SIZE = (320, 320)
WARM_UP_S = 1.0


@dataclass
class Measured:
    """What a loop did."""

    duration_s: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    feeding_ms: list[float] = field(default_factory=list)
    """Of each request, what preparing it took."""

    def report(self, requests: int) -> dict[str, Any]:
        """As it is printed."""
        p50, p99 = np.percentile(self.latencies_ms, [50, 99])
        return {
            "throughput_per_s": round(len(self.latencies_ms) / self.duration_s, 2),
            "requests": requests,
            "p50_ms": round(float(p50), 3),
            "p99_ms": round(float(p99), 3),
            "feeding_ms": round(float(np.mean(self.feeding_ms)), 3),
        }


def main() -> int:
    """Measure as the command line says."""
    given = parse_arguments()
    model = ov.Core().read_model(given.model)
    model.reshape([1, 3, SIZE[1], SIZE[0]])
    compiled = ov.compile_model(model, "CPU", dict(given.property))
    pictures = [
        np.asarray(Image.open(path).convert("RGB"))
        for path in sorted(given.photos.glob("*1280x720*"))
    ]
    if not pictures:
        print(f"error: no pictures of 1280x720 in {given.photos}", file=sys.stderr)
        return 1
    if given.sync:
        request = compiled.create_infer_request()
        one_by_one(request, pictures, WARM_UP_S)
        print(json.dumps(one_by_one(request, pictures, given.seconds).report(1)))
        return 0
    queue = ov.AsyncInferQueue(compiled, given.requests)  # 0: as many as the plug-in proposes
    overlapped(queue, pictures, WARM_UP_S)
    print(json.dumps(overlapped(queue, pictures, given.seconds).report(len(queue))))
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Feed the detector by hand.")
    parser.add_argument("--model", type=Path, default=HERE.parent / "models" / "detector.onnx")
    parser.add_argument("--photos", type=Path, default=HERE / "data" / "photos")
    parser.add_argument("--requests", type=int, default=0, help="how many are kept in flight")
    parser.add_argument("--sync", action="store_true", help="one request, waited for")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument(
        "--property",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        type=lambda text: text.split("=", 1),
        help="for compile_model, such as PERFORMANCE_HINT=THROUGHPUT or NUM_STREAMS=2",
    )
    return parser.parse_args()


def prepare(picture: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
    """From u8, height x width x RGB, to f32, 1 x BGR x 320 x 320, from -1 to 1."""
    small = np.asarray(Image.fromarray(picture).resize(SIZE, Image.Resampling.BILINEAR))
    np.multiply(small[..., ::-1].transpose(2, 0, 1), np.float32(1 / 127.5), out=out[0])
    out -= 1


def overlapped(queue: Any, pictures: list[NDArray[np.uint8]], seconds: float) -> Measured:
    """Prepare for whichever request is idle while the others compute."""
    measured, started = Measured(), 0
    prepared_ms: dict[int, float] = {}
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        number = queue.get_idle_request_id()  # waits for one
        if number in prepared_ms:
            measured.latencies_ms.append(prepared_ms[number] + queue[number].latency)
        start = time.perf_counter()
        prepare(pictures[started % len(pictures)], queue[number].get_input_tensor().data)
        prepared_ms[number] = 1e3 * (time.perf_counter() - start)
        measured.feeding_ms.append(prepared_ms[number])
        queue.start_async()  # the one that was idle first, which is this
        started += 1
    queue.wait_all()
    measured.duration_s = time.perf_counter() - began
    measured.latencies_ms += [ms + queue[number].latency for number, ms in prepared_ms.items()]
    return measured


def one_by_one(request: Any, pictures: list[NDArray[np.uint8]], seconds: float) -> Measured:
    """Prepare, infer, wait, and again."""
    measured, began = Measured(), time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        picture = pictures[len(measured.feeding_ms) % len(pictures)]
        prepare(picture, request.get_input_tensor().data)
        measured.feeding_ms.append(1e3 * (time.perf_counter() - start))
        request.infer()
        measured.latencies_ms.append(1e3 * (time.perf_counter() - start))
    measured.duration_s = time.perf_counter() - began
    return measured


if __name__ == "__main__":
    sys.exit(main())
