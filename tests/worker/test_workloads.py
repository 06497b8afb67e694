"""Workloads from end to end in one worker: read, looked at, opened in every way, put under load."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op
from openvino.op.util import Variable, VariableInfo
from PIL import Image

from autotune.domain.measurement import Feed
from autotune.space.shape_plan import parse_plan
from autotune.spec.workload import WorkloadSpec
from autotune.worker.asked import load_asked
from autotune.worker.mixed import MixedModels
from autotune.worker.session import Session
from tests.worker.test_session import Answers

pytestmark = pytest.mark.openvino


def _saved(model: ov.Model, path: Path) -> Path:
    for parameter in model.get_parameters():
        parameter.output(0).get_tensor().set_names({parameter.get_friendly_name()})
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def _weights(*shape: int) -> Any:
    return op.constant(np.random.default_rng(3).random(shape, dtype=np.float32) - 0.5)


def pointwise(folder: Path) -> Path:
    """x: f32 1x3x4x?, each column by itself: what is behind it changes nothing."""
    x = op.parameter([1, 3, 4, -1], np.float32, name="x")
    y = op.sigmoid(op.convolution(x, _weights(5, 3, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1]))
    return _saved(ov.Model([y], [x]), folder / "pointwise.xml")


def global_mean(folder: Path) -> Path:
    """The same less its mean over all columns: what is behind it changes it."""
    x = op.parameter([1, 3, 4, -1], np.float32, name="x")
    y = op.subtract(x, op.reduce_mean(x, op.constant([3]), keep_dims=True))
    return _saved(ov.Model([y], [x]), folder / "mean.xml")


def encoder(folder: Path) -> Path:
    """Ids and mask: i64 ?x?; rows of a table of 100, by the mask."""
    ids = op.parameter([-1, -1], np.int64, name="ids")
    mask = op.parameter([-1, -1], np.int64, name="mask")
    rows = op.gather(_weights(100, 8), ids, op.constant(0))
    kept = op.multiply(rows, op.unsqueeze(op.convert(mask, "f32"), op.constant(2)))
    return _saved(ov.Model([op.tanh(kept)], [ids, mask]), folder / "encoder.xml")


def pictures_model(folder: Path, *, layout: str = "NCHW", size: tuple[int, int] = (16, 20)) -> Path:
    """x: f32 of pictures; -1 is an open size."""
    shape = [1, 3, *size] if layout == "NCHW" else [1, *size, 3]
    x = op.parameter(shape, np.float32, name="x")
    planes = x if layout == "NCHW" else op.transpose(x, op.constant([0, 3, 1, 2]))
    y = op.relu(op.convolution(planes, _weights(4, 3, 3, 3), [1, 1], [0, 0], [0, 0], [1, 1]))
    return _saved(ov.Model([y], [x]), folder / f"pictures-{layout}.xml")


def counting(folder: Path) -> Path:
    """x: f32 1x4; the sum of all that one request has seen."""
    x = op.parameter([1, 4], np.float32, name="x")
    info = VariableInfo()
    info.data_shape, info.data_type = ov.PartialShape([1, 4]), ov.Type.f32
    info.variable_id = "seen"
    variable = Variable(info)
    seen = op.read_value(op.constant(np.zeros((1, 4), np.float32)), variable)
    total = op.add(seen, x)
    model = ov.Model([op.result(total)], [op.assign(total, variable)], [x], "counting")
    return _saved(model, folder / "counting.xml")


class Life:
    """One worker and its workload."""

    def __init__(self, folder: Path, model: Path, said: dict[str, Any], **more: Any) -> None:
        self.answers = Answers()
        self._session = Session(self.answers)
        self._folder = folder
        workload = WorkloadSpec.model_validate(said).within(folder)
        assert workload is not None
        samples = str(folder / "workload.npz")
        self.obey(
            do="read_workload",
            path=str(model),
            shapes={},
            inputs=None,
            workload=json.loads(json.dumps(workload.to_dict())),
            samples=samples,
        )
        read = self.answers.said[-1]
        self.files: dict[str, Any] = {
            "path": str(model),
            "shapes": read.get("shapes"),
            "inputs": read.get("inputs"),
            "reference": str(folder / "reference.npz"),
            "workload": {"samples": samples, "served": {}},
        }

    def obey(self, **command: Any) -> dict[str, Any]:
        """Its last answer."""
        self.answers.begin()
        self._session.obey(command)
        return self.answers.said[-1]

    def inspected(self) -> dict[str, Any]:
        """What is found."""
        return self.obey(do="inspect", devices=["CPU"], try_batch=True, **self.files)

    def opened(self, batch_size: int = 1, **served: str) -> dict[str, Any]:
        """One way to serve it, in f32."""
        return self.obey(
            do="open",
            device="CPU",
            properties={"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"},
            batch_size=batch_size,
            **{**self.files, "workload": {**self.files["workload"], "served": served}},
        )

    def loaded(self, feed: str, *, is_blocking: bool = False, num_requests: int = 2) -> list[Any]:
        """Blocks of load."""
        before = len(self.answers.said)
        self.obey(
            do="load",
            num_requests=1 if is_blocking else num_requests,
            is_blocking=is_blocking,
            feed=feed,
            block_s=0.02,
            block_requests=5,
            limit_s=5.0,
        )
        assert self.answers.said[-1]["say"] == "stopped", self.answers.said[-1]
        return [one for one in self.answers.said[before:] if one["say"] == "block"]

    def under_every_load(self, num_requests: int = 2) -> None:
        """However requests are fed, and whether they overlap or not."""
        for feed in Feed:
            for is_blocking in (False, True):
                blocks = self.loaded(feed, is_blocking=is_blocking, num_requests=num_requests)
                assert len(blocks) == 2
                assert all(("prepare_s" in one) == (feed is Feed.END_TO_END) for one in blocks)


def widths(folder: Path, *sizes: int) -> list[str]:
    """A file of two samples for each width; their names."""
    generator = np.random.default_rng(1)
    for size in sizes:
        np.save(folder / f"w{size}.npy", generator.random((2, 3, 4, size), dtype=np.float32))
    return [f"w{size}.npy" for size in sizes]


PLANS = ["dynamic", "bounded", "padded", "buckets:4|9", "buckets:4|6|9"]
SERVED = [(plan, size) for plan in PLANS for size in (1, 3) if parse_plan(plan).pads or size == 1]


@pytest.mark.parametrize(("plan", "batch_size"), SERVED)
def test_a_mix_is_served_in_every_way(tmp_path: Path, plan: str, batch_size: int) -> None:
    """Each item has the answer that it has alone, and every feed and API runs it."""
    inputs = widths(tmp_path, 4, 6, 9)
    life = Life(tmp_path, pointwise(tmp_path), {"inputs": inputs, "pad": {"value": 7, "axis": 3}})
    facts = life.inspected()["workload"]
    assert (facts["why_no_padding"], facts["why_no_open_shapes"]) == (None, None)
    assert [sizes for sizes, _ in facts["costs_ms"]] == [(4,), (6,), (9,)]
    assert sum(facts["weights"]) == pytest.approx(1)
    opened = life.opened(batch_size, shape_plan=plan)
    assert opened["say"] == "opened", opened
    assert opened["output_error"] < 1e-5
    life.under_every_load()


def test_padding_that_changes_answers_is_refused_with_how_much(tmp_path: Path) -> None:
    """By inspection, and by each configuration that pads all the same."""
    inputs = widths(tmp_path, 4, 6, 9)
    pad = {"value": 0, "axis": 3}
    life = Life(tmp_path, global_mean(tmp_path), {"inputs": inputs, "pad": pad})
    why = life.inspected()["workload"]["why_no_padding"]
    assert "padding changes answers" in why
    assert "padded from 4 to 9" in why
    assert life.opened(shape_plan="buckets:4|6|9")["say"] == "opened"
    refused = life.opened(shape_plan="buckets:6|9")
    assert (refused["say"], refused["kind"]) == ("failed", "wrong_output")
    assert "padded from 4 to 6" in refused["message"]


def test_padding_needs_to_be_said(tmp_path: Path) -> None:
    """Nothing is padded by itself, however harmless it is."""
    life = Life(tmp_path, pointwise(tmp_path), {"inputs": widths(tmp_path, 4, 6)})
    assert "no padding was said" in life.inspected()["workload"]["why_no_padding"]
    assert life.opened(shape_plan="padded")["kind"] == "data"


def test_inputs_that_vary_together_are_one_size(tmp_path: Path) -> None:
    """A mask is as long as its sentence; through a tokenizer, line by line."""
    (tmp_path / "lines.txt").write_text("a b\nc d e f g\nh\n\ni j k\n")
    (tmp_path / "words.py").write_text(
        "def encode(line):\n"
        "    ids = [[ord(word) % 100 for word in line.split()]]\n"
        "    return {'ids': ids, 'mask': [[1] * len(ids[0])]}\n"
    )
    said = {"inputs": "lines.txt", "tokenizer": "words.py:encode", "pad": {"value": 0, "axis": 1}}
    life = Life(tmp_path, encoder(tmp_path), said)
    found = life.inspected()
    facts = found["workload"]
    assert [sizes for sizes, _ in facts["costs_ms"]] == [(1,), (2,), (3,), (5,)]
    assert facts["why_no_padding"] is None
    assert found["unsaid_ids"] == {}
    for plan in ("dynamic", "padded", "buckets:2|5"):
        assert life.opened(shape_plan=plan)["say"] == "opened"
        life.under_every_load()
    assert life.opened(4, shape_plan="buckets:2|5")["say"] == "opened"


def blocks(number: int, size: tuple[int, int]) -> Any:
    """A picture of plain areas, which every filter makes nearly the same of."""
    few = np.random.default_rng(number).integers(0, 2, (4, 5, 3), np.uint8) * 255
    return Image.fromarray(few).resize((size[1], size[0]), Image.Resampling.NEAREST)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("sizes", [[(40, 50)] * 3, [(40, 50), (30, 20), (16, 60)]])
def test_pictures_are_prepared_on_the_host_and_in_the_graph(
    tmp_path: Path, layout: str, sizes: list[tuple[int, int]]
) -> None:
    """Of one size or of several, into a batch where that can be."""
    (tmp_path / "photos").mkdir()
    for number, size in enumerate(sizes):
        blocks(number, size).save(tmp_path / "photos" / f"{number}.png")
    how = {"model_layout": layout, "resize": "bilinear", "mean": [120, 110, 100], "scale": 60}
    said = {"inputs": "photos", "preprocessing": how}
    life = Life(tmp_path, pictures_model(tmp_path, layout=layout), said)
    facts = life.inspected()["workload"]
    assert facts["why_no_graph"] is None
    assert facts["images_vary"] == (len(set(sizes)) > 1)
    for where in ("host", "graph"):
        opened = life.opened(preprocessing=where)
        assert opened["say"] == "opened", opened
        assert opened["output_error"] < 1e-2
        life.under_every_load()
    assert life.opened(3, preprocessing="host")["say"] == "opened"
    life.under_every_load()
    if len(set(sizes)) == 1:
        assert life.opened(3, preprocessing="graph")["say"] == "opened"
        life.under_every_load()


OPEN = (-1, -1)


@pytest.mark.parametrize(
    ("how", "size", "prepared"),
    [
        ({"scale": 60}, (40, 50), (40, 50)),
        ({"crop": [30, 20]}, (40, 50), (30, 20)),
        ({"resize": "bilinear", "resize_to": [24, 32]}, (40, 50), (24, 32)),
        ({"resize": "bilinear", "resize_to": [24, 32], "crop": [20, 20]}, (40, 50), (20, 20)),
    ],
)
def test_pictures_give_an_open_model_its_size(
    tmp_path: Path, how: dict[str, Any], size: tuple[int, int], prepared: tuple[int, int]
) -> None:
    """What comes of them by their description is the shape that is deployed."""
    (tmp_path / "photos").mkdir()
    for number in range(2):
        blocks(number, size).save(tmp_path / "photos" / f"{number}.png")
    model = pictures_model(tmp_path, size=OPEN)
    life = Life(tmp_path, model, {"inputs": "photos", "preprocessing": how})
    assert life.answers.said[-1]["shapes"] == {"x": [1, 3, *prepared]}
    assert life.inspected()["workload"]["why_no_graph"] is None
    for where in ("host", "graph"):
        opened = life.opened(preprocessing=where)
        assert opened["say"] == "opened", opened
        assert opened["output_error"] < 1e-2
        life.under_every_load()


def test_an_open_model_does_not_say_what_to_resize_to(tmp_path: Path) -> None:
    """Nor do pictures of several sizes."""
    (tmp_path / "photos").mkdir()
    for number, size in enumerate(((20, 30), (30, 20))):
        Image.new("RGB", size).save(tmp_path / "photos" / f"{number}.png")
    model = pictures_model(tmp_path, size=OPEN)
    for how, words in (({"resize": "bilinear"}, "resize_to"), ({"scale": 2}, "several|sizes")):
        life = Life(tmp_path, model, {"inputs": "photos", "preprocessing": how})
        answer = life.answers.said[-1]
        assert (answer["say"], answer["kind"]) == ("failed", "data"), answer
        assert re.search(words, answer["message"]), answer["message"]


@pytest.mark.parametrize("states", ["reset", "carried"])
def test_states_are_reset_or_carried_as_it_was_said(tmp_path: Path, states: str) -> None:
    """One request at a time, and the answers of a sequential run."""
    np.save(tmp_path / "x.npy", np.arange(1, 13, dtype=np.float32).reshape(3, 4))
    life = Life(tmp_path, counting(tmp_path), {"inputs": "x.npy", "states": states})
    found = life.inspected()
    assert "seen" in found["why_one_request"]
    assert found["workload"]["states"] == states
    opened = life.opened()
    assert (opened["say"], opened["optimal_requests"]) == ("opened", 1)
    assert opened["output_error"] == 0
    life.under_every_load(num_requests=1)


def test_random_ids_are_refused_without_a_range(tmp_path: Path) -> None:
    """Where the model itself says how many there are; with one they are made in it."""
    model = encoder(tmp_path)
    shapes = [{"shape": "ids:1,3;mask:1,3"}, {"shape": "ids:1,5;mask:1,5", "weight": 3}]
    life = Life(tmp_path, model, {"shapes": shapes})
    assert life.inspected()["unsaid_ids"] == {"ids": 100}
    ranges = {"ids": {"low": 5, "high": 99}, "mask": 1}
    life = Life(tmp_path, model, {"shapes": shapes, "random": ranges})
    assert life.inspected()["unsaid_ids"] == {}
    asked = load_asked(tmp_path / "workload.npz")
    assert asked.is_random
    assert min(int(one["ids"].min()) for one in asked.samples) >= 5
    assert all((one["mask"] == 1).all() for one in asked.samples)
    assert asked.mix is not None
    assert dict(zip([s["ids"][1] for s in asked.mix.shapes], asked.mix.weights, strict=True)) == {
        3: 0.25,
        5: 0.75,
    }


@pytest.mark.parametrize("weights", [(1.7e308, 1.7e308, 8e307), (5e-324, 5e-324, 5e-324)])
def test_weights_of_any_size_have_the_sum_1(
    tmp_path: Path, weights: tuple[float, float, float]
) -> None:
    """The sum of the largest floats is none."""
    shapes = [
        {"shape": f"1,3,4,{width}", "weight": weight}
        for width, weight in zip((4, 5, 6), weights, strict=True)
    ]
    Life(tmp_path, pointwise(tmp_path), {"inputs": widths(tmp_path, 4, 5, 6), "shapes": shapes})
    asked = load_asked(tmp_path / "workload.npz")
    assert asked.mix is not None
    assert math.fsum(asked.mix.weights) == pytest.approx(1)
    of_largest = [weight / max(weights) for weight in weights]
    assert [one / max(asked.mix.weights) for one in asked.mix.weights] == pytest.approx(of_largest)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a name": ({"inputs": "other.npz"}, "'x'"),
    "a rank": ({"inputs": "flat.npy"}, "shape"),
    "another type": ({"inputs": "text.npy"}, "strings|values"),
    "pickled": ({"inputs": "objects.npy"}, "pickle|object"),
    "corrupt": ({"inputs": "corrupt.npz"}, "corrupt.npz"),
    "bounds": ({"inputs": "rows.npy"}, r"1, 3, 7, 4"),
    "raises": ({"inputs": "bad.py:raises"}, "ValueError: no such thing"),
    "nothing": ({"inputs": "bad.py:nothing"}, "no sample"),
    "pad axis": ({"inputs": ["w4.npy", "w6.npy"], "pad": {"value": 0, "axis": 9}}, "axis 9"),
    "pad name": (
        {"inputs": ["w4.npy", "w6.npy"], "pad": {"y": {"value": 0, "axis": 3}}},
        "no input is named 'y'",
    ),
    "no sample of a shape": (
        {"inputs": ["w4.npy", "w6.npy"], "shapes": [{"shape": "1,3,4,4"}, {"shape": "1,3,4,5"}]},
        "no sample has the shape 1x3x4x5",
    ),
    "a shape that is not in the mix": (
        {"inputs": ["w4.npy", "w6.npy"], "shapes": [{"shape": "1,3,4,4"}]},
        "1x3x4x6",
    ),
    "range": ({"shapes": [{"shape": "1,3,4,4"}], "random": {"z": 1}}, "'z'"),
    "states of several shapes": (
        {"inputs": ["w4.npy", "w6.npy"], "states": "carried"},
        "have one shape",
    ),
    "states of a model without any": (
        {"inputs": "w4.npy", "states": "reset"},
        "states: the model keeps nothing",
    ),
    "not of images": (
        {"inputs": "w4.npy", "preprocessing": {"resize": "bilinear"}},
        "shape|image|u8",
    ),
    "no images": ({"preprocessing": {"resize": "bilinear"}}, "no images|resize_to"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(tmp_path: Path, name: str) -> None:
    """In one line, before anything is measured."""
    widths(tmp_path, 4, 6)
    np.savez(tmp_path / "other.npz", other=np.zeros((1, 3, 4, 4), np.float32))
    np.save(tmp_path / "flat.npy", np.zeros((2, 5), np.float32))
    np.save(tmp_path / "text.npy", np.full((1, 3, 4, 4), "a"))
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "rows.npy", np.zeros((1, 3, 7, 4), np.float32))
    (tmp_path / "corrupt.npz").write_bytes(b"PK\x03\x04" + bytes(40))
    (tmp_path / "bad.py").write_text(
        "def raises():\n    raise ValueError('no such thing')\n\ndef nothing():\n    return []\n"
    )
    said, words = BAD[name]
    life = Life(tmp_path, pointwise(tmp_path), said)
    answer = life.answers.said[-1]
    kind = "code" if name == "raises" else "data"
    assert (answer["say"], answer["kind"]) == ("failed", kind), answer
    assert "\n" not in answer["message"]
    assert re.search(words, answer["message"]), answer["message"]


@pytest.mark.parametrize(("widths_", "is_idle"), [((4,), True), ((4, 6), False)])
def test_padding_that_pads_nothing_is_said(
    tmp_path: Path, widths_: tuple[int, ...], is_idle: bool
) -> None:
    """Of one shape nothing is padded: whoever says how has expected several."""
    said = {"inputs": widths(tmp_path, *widths_), "pad": {"value": 0, "axis": 3}}
    Life(tmp_path, pointwise(tmp_path), said)
    asked = load_asked(tmp_path / "workload.npz")
    assert ["nothing is padded" in note for note in asked.notes] == [True] * is_idle


def test_the_asked_order_is_the_mix(tmp_path: Path) -> None:
    """Weights that are said go before those of the samples."""
    shapes = [{"shape": "1,3,4,4", "weight": 9}, {"shape": "1,3,4,6"}]
    said = {"inputs": widths(tmp_path, 4, 6), "shapes": shapes}
    model = pointwise(tmp_path)
    Life(tmp_path, model, said)
    asked = load_asked(tmp_path / "workload.npz")
    served = MixedModels(
        read=lambda: ov.Core().read_model(model), asked=asked, plan=parse_plan("dynamic")
    )
    turns = [turn[0] for turn in served.asking.turns]
    narrow = [asked.samples[number]["x"].shape[-1] == 4 for number in turns]
    assert sum(narrow) / len(narrow) == pytest.approx(0.9, abs=0.01)
