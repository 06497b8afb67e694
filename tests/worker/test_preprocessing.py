"""What the graph makes of images, against what the host makes of them."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from openvino import opset13 as op

from autotune.worker import preprocessing
from autotune.worker.inputs import input_name
from autotune.worker.preprocessing import (
    MOST_WITH_RESIZE,
    MOST_WITHOUT,
    furthest,
    prepared_in_graph,
    why_no_graph,
    with_preprocessing,
)
from autotune.workload.preparing import PreparationError, prepare, source_of
from autotune.workload.preprocessing import Color, Preprocessing, Resize
from tests.pictures import page
from tests.workload.descriptions import MODEL, Described, described, picture

pytestmark = pytest.mark.openvino
DETECTOR = Path(__file__).parents[2] / "studies" / "models" / "detector.onnx"
"""x: f32 ?×3×?×?, a map of where text is."""
F32 = {"INFERENCE_PRECISION_HINT": "f32"}
IN_GRAPH = (None, Resize.BILINEAR, Resize.BICUBIC)


@pytest.fixture(scope="module")
def core() -> ov.Core:
    """The runtime."""
    return ov.Core()


def network(
    shape: tuple[int, ...], *, kind: ov.Type = ov.Type.f32, name: str | None = "pixels"
) -> ov.Model:
    """Doubles its input, which is not the only one, nor the first."""
    other = op.parameter([1, 2], ov.Type.f32, name="other")
    pixels = op.parameter(list(shape), kind, name="pixels")
    if name is not None:
        pixels.output(0).get_tensor().set_names({name, f"{name}:0"})
        other.output(0).get_tensor().set_names({"other"})
    results = [op.result(op.add(pixels, pixels)), op.result(op.relu(other))]
    return ov.Model(results, [other, pixels], "doubles")


def named(one: Described) -> Preprocessing:
    """The description with the name of its input."""
    return Preprocessing.from_dict({**one.how.to_dict(), "input": "pixels"})


@given(described(IN_GRAPH))
@tried(max_examples=60)
def test_host_and_graph_agree(one: Described) -> None:
    """Within the bars, on images of one size or several, whatever is combined."""
    core, how = ov.Core(), named(one)

    sizes = {image.shape for image in one.images}
    if how.resize is None and how.crop is not None and len(sizes) > 1:
        return
    assert why_no_graph(core, network(one.shape), how, one.images) is None


@given(
    st.tuples(st.integers(3, 200), st.integers(3, 200)),
    st.sampled_from((Resize.BILINEAR, Resize.BICUBIC)),
    st.sampled_from(("HWC", "CHW")),
    st.sampled_from(("f32", "bf16")),
    st.integers(1, 3),
)
@tried(max_examples=40)
def test_bytes_of_one_size_are_those_of_pillow(
    size: tuple[int, int], resize: Resize, layout: str, precision: str, batch: int
) -> None:
    """To the bit, in whatever precision the model computes."""
    how = Preprocessing(input="pixels", resize=resize, layout=layout)
    model = with_preprocessing(network((batch, 3, *MODEL)), how, size=size)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    images = [picture(how, *size, seed=seed) for seed in range(batch)]
    given_ = np.concatenate([source_of(one, how) for one in images])
    answer = compiled({"pixels": given_, "other": np.zeros((1, 2), np.float32)})
    wanted = np.concatenate([prepare(one, how, *MODEL) for one in images])
    # The model doubles them, which is exact in both.
    assert np.array_equal(answer[0], 2 * wanted)


@given(described((Resize.BILINEAR, Resize.BICUBIC)))
@tried(max_examples=15)
def test_bytes_of_any_size_are_at_most_one_step_apart(one: Described) -> None:
    """In f32, whichever of rows and columns Pillow resizes first."""
    plain = Preprocessing.from_dict(
        {k: v for k, v in one.how.to_dict().items() if k not in {"mean", "scale", "type"}}
    )
    sizes = [*(_size(image, one.how) for image in one.images), (70, 90), (90, 70)]
    plain = Preprocessing.from_dict({k: v for k, v in plain.to_dict().items() if k != "size"})
    images = [picture(plain, *size) for size in sizes]
    port = network(one.shape).inputs[1]

    got = prepared_in_graph(ov.Core(), port, plain, [source_of(one, plain) for one in images])

    wanted = [prepare(image, plain, *MODEL) for image in images]
    apart = np.concatenate([np.abs(a - b).ravel() for a, b in zip(got, wanted, strict=True)])
    assert apart.max() <= 1 + 1e-4
    assert (apart > 0.5).mean() < 0.02


def _size(image: np.ndarray, how: Preprocessing) -> tuple[int, int]:
    at = how.layout.index("H")
    return image.shape[at], image.shape[at + 1]


@pytest.mark.parametrize("batch", [3, -1])
@pytest.mark.parametrize("size", [(90, 130), None])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_batch_is_prepared_image_by_image(
    core: ov.Core, batch: int, size: tuple[int, int] | None, layout: str
) -> None:
    """The first dimension stays the batch, open where it was, and inputs keep names and places."""
    how = Preprocessing(
        input="pixels", resize=Resize.BILINEAR, model_layout=layout, mean=(1.0, 2.0, 3.0)
    )
    shape = (batch, 3, *MODEL) if layout == "NCHW" else (batch, *MODEL, 3)
    made = with_preprocessing(network(shape), how, size=size)

    assert [input_name(port) for port in made.inputs] == ["other", "pixels"]
    assert made.inputs[1].get_names() == {"pixels", "pixels:0"}
    assert made.inputs[1].get_element_type() == ov.Type.u8
    rows, columns = size or (-1, -1)
    assert made.inputs[1].get_partial_shape() == ov.PartialShape([batch, rows, columns, 3])
    assert made.outputs[0].get_partial_shape() == ov.PartialShape(list(shape))
    images = [page(90, 130, seed) for seed in range(3)]
    compiled = core.compile_model(made, "CPU", F32)
    answer = compiled({"pixels": np.stack(images), "other": np.zeros((1, 2), np.float32)})
    wanted = np.concatenate([prepare(image, how, *MODEL) for image in images])
    assert np.abs(answer[0] / 2 - wanted).max() <= 1 + 1e-4


def test_an_input_without_a_name_keeps_that_of_its_node() -> None:
    """As the rest of the worker calls it."""
    how = Preprocessing(input="pixels", resize=Resize.BILINEAR)
    made = with_preprocessing(network((1, 3, *MODEL), name=None), how, size=None)

    assert [input_name(port) for port in made.inputs] == ["other", "pixels"]
    assert made.inputs[1].get_element_type() == ov.Type.u8


@pytest.mark.parametrize("kind", [ov.Type.u8, ov.Type.f16, ov.Type.f64])
def test_a_model_of_another_type(core: ov.Core, kind: ov.Type) -> None:
    """It gets its own."""
    how = Preprocessing(input="pixels", resize=Resize.BICUBIC)
    model = network((1, 3, *MODEL), kind=kind)

    assert why_no_graph(core, model, how, [page(90, 130)]) is None
    made = with_preprocessing(model, how, size=(90, 130))
    assert made.outputs[0].get_element_type() == kind


def test_a_model_of_open_size_keeps_it(core: ov.Core) -> None:
    """Images of any size, without a resize."""
    how = Preprocessing(input="pixels", scale=(255.0,))
    images = [page(40, 56), page(33, 80)]

    assert why_no_graph(core, network((-1, 3, -1, -1)), how, images) is None
    made = with_preprocessing(network((-1, 3, -1, -1)), how, size=None)
    assert str(made.inputs[1].get_partial_shape()) == "[?,?,?,3]"


def test_the_nearest_pixel_is_refused(core: ov.Core) -> None:
    """By name, with what agrees."""
    how = Preprocessing(input="pixels", resize=Resize.NEAREST)

    assert "bilinear" in str(why_no_graph(core, network((1, 3, *MODEL)), how, [page(90, 130)]))
    with pytest.raises(PreparationError, match="nearest pixel"):
        with_preprocessing(network((1, 3, *MODEL)), how, size=None)


def test_the_middle_of_images_that_differ_is_refused(core: ov.Core) -> None:
    """Where it is, the graph cannot know."""
    how = Preprocessing(input="pixels", crop=MODEL)
    images = [page(60, 70), page(70, 60)]

    assert "differ in size" in str(why_no_graph(core, network((1, 3, *MODEL)), how, images))


def test_a_graph_that_differs_is_refused_with_the_figure(
    core: ov.Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Channels the wrong way round."""
    how = Preprocessing(input="pixels", model_color=Color.BGR)
    real = preprocessing.with_preprocessing

    def wrong(model: ov.Model, _: Preprocessing, **rest: Any) -> ov.Model:
        return real(model, Preprocessing(input="pixels"), **rest)

    monkeypatch.setattr(preprocessing, "with_preprocessing", wrong)

    said = why_no_graph(core, network((1, 3, *MODEL)), how, [page(*MODEL)])
    assert said == (
        "what the graph prepares is 0.41 of the largest value from what the host prepares, "
        "and 1e-05 is allowed"
    )


def test_a_device_that_refuses_is_quoted(core: ov.Core) -> None:
    """In the runtime's words."""
    said = why_no_graph(
        core, network((1, 3, *MODEL)), Preprocessing(input="pixels"), [page(*MODEL)], "NONE"
    )

    assert said is not None
    assert said.startswith("the graph does not prepare images on NONE: ")


def test_the_model_that_is_asked_about_stays_as_it_is(core: ov.Core) -> None:
    """Nothing is put before it."""
    model = network((1, 3, *MODEL))
    before = [str(port) for port in model.inputs]

    why_no_graph(core, model, Preprocessing(input="pixels", resize=Resize.BILINEAR), [page(9, 9)])

    assert [str(port) for port in model.inputs] == before


def test_how_far_apart() -> None:
    """Of the largest value of all images; nothing that is not a number is near."""
    ones = [np.ones((1, 2)), np.full((1, 2), 4.0)]

    assert furthest(ones, ones) == 0
    assert furthest([np.full((1, 2), 1.5), ones[1]], ones) == 0.5 / 4
    assert furthest([np.full((1, 2), np.nan), ones[1]], ones) == float("inf")
    assert furthest([np.zeros(2)], [np.zeros(2)]) == 0


def detector(core: ov.Core) -> ov.Model:
    """For 320×320, as the detector's own study has it."""
    found = core.read_model(DETECTOR)
    found.reshape([1, 3, 320, 320])
    return found


@pytest.fixture(scope="module")
def plain(core: ov.Core) -> ov.CompiledModel:
    """The detector with nothing before it."""
    return core.compile_model(detector(core), "CPU", F32)


FOLDED = 5e-5
"""How far answers are apart where the runtime folds scale and colours into the first convolution,
whose sums are then others: seen up to 2e-5, with tensors before it that are the same to 1e-7."""
IMAGENET = {"mean": (123.675, 116.28, 103.53), "scale": (58.395, 57.12, 57.375)}


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({"resize": Resize.BILINEAR, "model_color": Color.BGR, **IMAGENET}, MOST_WITH_RESIZE),
        ({"resize": Resize.BICUBIC, "scale": (255.0,)}, MOST_WITH_RESIZE),
        ({"model_color": Color.BGR, **IMAGENET}, FOLDED),
        ({}, MOST_WITHOUT),
    ],
)
def test_the_detector_finds_the_same_text(
    core: ov.Core, plain: ov.CompiledModel, fields: dict[str, Any], most: float
) -> None:
    """A page, of 720p where it is resized: tensors and, in f32, answers."""
    how = Preprocessing(**fields)
    image = page(720, 1280) if how.resize else page(320, 320)
    assert why_no_graph(core, detector(core), how, [image]) is None
    made = with_preprocessing(detector(core), how, size=(image.shape[0], image.shape[1]))

    by_graph = core.compile_model(made, "CPU", F32)([source_of(image, how)])[0]

    by_host = plain([prepare(image, how, 320, 320)])[0]
    assert by_host.max() > 0.9  # there is text
    assert np.abs(by_host - by_graph).max() <= most * by_host.max()
