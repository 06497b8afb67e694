"""Small models, what they are asked, and what each item is answered by itself."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as op
from PIL import Image

from autotune.worker.asked import WorkloadData
from autotune.worker.inputs import Sample, input_name
from autotune.workload.preparing import prepare

WIDTHS = (3, 4, 7, 8, 11, 16)
PAD = {"value": 0, "axis": 3}


def write_models(folder: Path) -> Path:
    """One of each kind."""
    for name, model in {
        "line": line(),
        "text": text(),
        "sequence": sequence(),
        "picture": picture(),
    }.items():
        for port in model.inputs:
            port.get_tensor().set_names({port.get_node().get_friendly_name()})
        ov.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)
    return folder


def line() -> ov.Model:
    """x: f32 1x2x4xW to 1x3x4xW; zeros behind an item do not change its answer."""
    x = op.parameter([1, 2, 4, -1], np.float32, name="x")
    weights = np.random.default_rng(5).standard_normal((3, 2, 3, 3), dtype=np.float32)
    same = ([1, 1], [1, 1], [1, 1], [1, 1])
    return ov.Model([op.convolution(op.relu(x), op.constant(weights), *same)], [x])


def text() -> ov.Model:
    """Of ids and mask, i64 1xL, to 1xL and one number."""
    ids = op.parameter([-1, -1], np.int64, name="ids")
    mask = op.parameter([-1, -1], np.int64, name="mask")
    each = op.multiply(op.convert(ids, "f32"), op.convert(mask, "f32"))
    total = op.reduce_sum(each, op.constant([1]), keep_dims=True)
    return ov.Model([op.multiply(each, op.constant(np.float32(0.5))), total], [ids, mask])


def sequence() -> ov.Model:
    """x: f32 1x4, added to what the requests before it left."""
    x = op.parameter([1, 4], np.float32, name="x")
    start = op.constant(np.zeros((1, 4), np.float32))
    before = op.read_value(start, "sum", np.float32, ov.PartialShape([1, 4]))
    added = op.add(before, x)
    return ov.Model([op.result(op.relu(added))], [op.assign(added, "sum")], [x])


def picture() -> ov.Model:
    """image: f32 1x3x8x12 to 1x5."""
    x = op.parameter([1, 3, 8, 12], np.float32, name="image")
    weights = np.random.default_rng(6).standard_normal((5, 3, 3, 3), dtype=np.float32)
    found = op.convolution(x, op.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
    return ov.Model([op.reduce_mean(found, op.constant([2, 3]), keep_dims=False)], [x])


def alone(core: ov.Core, model: Path, samples: Sequence[Sample]) -> list[list[np.ndarray]]:
    """What each sample is answered by itself, in its own shape."""
    found = []
    for sample in samples:
        network = core.read_model(model)
        network.reshape({name: list(values.shape) for name, values in sample.items()})
        one = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        outputs = one([sample[input_name(port)] for port in network.inputs])
        found.append([outputs[at].copy() for at in range(len(outputs))])
    return found


def lines_of(folder: Path) -> list[str]:
    """Files of samples of each width, with others in each."""
    random = np.random.default_rng(1)
    for width in WIDTHS:
        count = 1 + width % 3
        array = random.standard_normal((count, 2, 4, width), dtype=np.float32)
        np.savez(folder / f"{width}.npz", x=array)
    return [f"{width}.npz" for width in WIDTHS]


HOW = {
    "type": "u8",
    "layout": "HWC",
    "color": "RGB",
    "model_color": "BGR",
    "model_layout": "NCHW",
    "resize": "bilinear",
    "mean": [127.5],
    "scale": [127.5, 60, 50],
}


def photographs(folder: Path, sizes: Sequence[tuple[int, int]]) -> str:
    """A folder of pictures, one of which does not decode."""
    random, home = np.random.default_rng(8), folder / "photos"
    home.mkdir()
    for at, (height, width) in enumerate(sizes):
        coarse = random.integers(0, 256, (5, 7, 3), np.uint8)
        picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        picture.save(home / f"{at}.png")
    (home / "0-broken.jpg").write_bytes(b"none")
    return "photos"


def prepared_alone(
    core: ov.Core, model: Path, asked: WorkloadData, size: tuple[int, int]
) -> list[list[np.ndarray]]:
    """What the plain model answers for each image that the host prepared."""
    assert asked.preprocessing is not None
    (name,) = asked.samples[0]
    ready = [{name: prepare(one[name][0], asked.preprocessing, *size)} for one in asked.samples]
    return alone(core, model, ready)
