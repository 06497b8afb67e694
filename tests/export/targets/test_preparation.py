"""Preprocessing as code: the exported functions do what the tuned workload did."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import openvino as ov
import pytest
from hypothesis import given
from hypothesis import settings as tried
from openvino import opset13 as op

from autotune.export.targets.preparation import Preparation
from autotune.export.targets.target import _environment, render
from autotune.worker.preprocessing import prepared_in_graph
from autotune.workload.preparing import prepare, source_of
from autotune.workload.preprocessing import Color, Preprocessing, Resize
from tests.export.targets.test_programs import build, run
from tests.workload.descriptions import MODEL, Described, described, picture

pytestmark = pytest.mark.openvino
F32 = {"INFERENCE_PRECISION_HINT": "f32"}
IMAGENET = {"mean": (123.675, 116.28, 103.53), "scale": (58.395, 57.12, 57.375)}
KINDS: tuple[dict[str, Any], ...] = (
    {"resize": Resize.BILINEAR, "model_color": Color.BGR, **IMAGENET},
    {"resize": Resize.BICUBIC, "resize_to": (51, 71), "crop": MODEL, "layout": "CHW"},
    {"resize": Resize.BILINEAR, "type": "f32", "model_layout": "NHWC", "scale": (255.0,)},
    {"resize": Resize.BICUBIC, "color": Color.GRAY, "mean": (127.5,), "scale": (127.5,)},
    {"resize": Resize.BICUBIC, "type": "f32", "layout": "CHW", "color": Color.GRAY},
    {"crop": MODEL, "model_color": Color.BGR, "layout": "CHW", **IMAGENET},
    {"crop": MODEL, "model_layout": "NHWC", "mean": (1.0,)},
)
SIZES = ((90, 130), (130, 60), (61, 67))
"""The second is so tall that Pillow begins with its columns."""


def preparation(how: Preprocessing, shape: tuple[int, ...], size: Any = None) -> Preparation:
    """For the only input of a model."""
    return Preparation(how=how, at=0, shape=shape, size=size)


def partial_of(template: str, one: Preparation) -> SimpleNamespace:
    """The macros of a template, applied: their text."""
    made: Any = _environment().get_template(template).module
    return SimpleNamespace(imports=made.imports(one), functions=made.functions(one))


def in_python(one: Preparation, name: str) -> dict[str, Any]:
    """What a program has that is made of a partial template."""
    made = partial_of(name, one)
    text = f"import numpy as np\nimport openvino as ov\n{made.imports}\n\n{made.functions}"
    found: dict[str, Any] = {}
    exec(compile(text, name, "exec"), found)  # noqa: S102 - an exported program is code
    return found


def identity(shape: tuple[int, ...]) -> ov.Model:
    """Gives its input."""
    lone = op.parameter(list(shape), ov.Type.f32)
    lone.output(0).get_tensor().set_names({"image"})
    return ov.Model([op.result(lone)], [lone])


@given(described())
@tried(max_examples=80)
def test_a_python_program_prepares_the_same(one: Described) -> None:
    """To the bit."""
    made = in_python(preparation(one.how, one.shape), "prepare.py.jinja")
    out = np.zeros(one.shape, np.float32)
    for image in one.images:
        made["prepare"](image, out[0])

        assert np.array_equal(out, prepare(image, one.how, *MODEL))


@given(described((None, Resize.BILINEAR, Resize.BICUBIC)))
@tried(max_examples=25)
def test_a_python_program_puts_the_same_before_the_model(one: Described) -> None:
    """To the bit."""
    core, images = ov.Core(), [source_of(image, one.how) for image in one.images]
    shared = {_size(image, one.how) for image in one.images}
    size = shared.pop() if len(shared) == 1 else None
    made = in_python(preparation(one.how, one.shape, size), "graph.py.jinja")
    network = made["with_preprocessing"](identity(one.shape))
    compiled = core.compile_model(network, "CPU", F32)

    wanted = prepared_in_graph(core, identity(one.shape).inputs[0], one.how, images)
    for image, expected in zip(images, wanted, strict=True):
        assert np.array_equal(compiled([np.ascontiguousarray(image)])[0], expected)


def _size(image: np.ndarray, how: Preprocessing) -> tuple[int, int]:
    at = how.layout.index("H")
    return image.shape[at], image.shape[at + 1]


def cases(kinds: tuple[dict[str, Any], ...]) -> list[tuple[Preparation, np.ndarray]]:
    """Each kind with an image of each size."""
    found = []
    for at, fields in enumerate(kinds):
        how = Preprocessing(**fields)
        channels = 1 if how.color is Color.GRAY else 3
        shape = (1, channels, *MODEL) if how.model_layout == "NCHW" else (1, *MODEL, channels)
        for height, width in SIZES:
            size = (height, width) if at % 2 or how.resize is None else None
            found.append((preparation(how, shape, size), picture(how, height, width)))
    return found


MAIN = """
template <typename T>
std::vector<T> read(const std::string& path, std::size_t count) {
    std::vector<T> found(count);
    std::ifstream file(path, std::ios::binary);
    file.read(reinterpret_cast<char*>(found.data()), count * sizeof(T));
    return found;
}

void write(const std::string& path, const float* values, std::size_t count) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(values), count * sizeof(float));
}
"""


def test_a_cpp_program_prepares_the_same(tmp_path: Path) -> None:
    """As Pillow does, which it does not have: bytes to the bit, f32 to what f32 holds."""
    chosen = cases(
        (*KINDS, {"resize": Resize.NEAREST}, {"resize": Resize.NEAREST, "layout": "CHW"})
    )
    parts, calls = [], []
    for at, (one, image) in enumerate(chosen):
        image.tofile(tmp_path / f"{at}.in")
        made = partial_of("prepare.cpp.jinja", one)
        parts.append(f"namespace n{at} {{\n{made.functions}}}\n")
        height, width = _size(image, one.how)
        calls.append(
            f'{{ const auto image = read<n{at}::Pixel>("{at}.in", {image.size}); '
            f"std::vector<float> out({np.prod(one.shape)}); "
            f"n{at}::prepare(image.data(), {height}, {width}, out.data()); "
            f'write("{at}.out", out.data(), out.size()); }}'
        )
    includes = f"{partial_of('prepare.cpp.jinja', chosen[0][0]).imports}#include <fstream>\n"
    text = [includes, "#include <string>\n", *parts, MAIN, "int main() {", *calls, "}"]
    (tmp_path / "program.cpp").write_text("\n".join(text))
    run(["g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-o", "program", "program.cpp"], tmp_path)
    run(["./program"], tmp_path)

    for at, (one, image) in enumerate(chosen):
        found = np.fromfile(tmp_path / f"{at}.out", np.float32).reshape(one.shape)
        wanted = prepare(image, one.how, *MODEL)
        most = 0 if one.how.type == "u8" else 1e-6 * np.abs(wanted).max()
        assert np.abs(found - wanted).max() <= most, one.how


def test_a_cpp_program_refuses_an_image_of_another_size(tmp_path: Path) -> None:
    """Before anything is read that is not there."""
    (one, _), *_ = cases(({"crop": MODEL},))
    made = partial_of("prepare.cpp.jinja", one)
    main = (
        "int main() { try { prepare(nullptr, 9, 99, nullptr); } "
        "catch (const std::exception& fault) { std::cout << fault.what(); } }"
    )
    includes = f"{made.imports}#include <iostream>\n"
    (tmp_path / "program.cpp").write_text(f"{includes}{made.functions}{main}")

    run(["g++", "-std=c++17", "-o", "program", "program.cpp"], tmp_path)
    assert "another size" in run(["./program"], tmp_path)


def test_a_cpp_program_puts_the_same_before_the_model(tmp_path: Path) -> None:
    """Compiled as an export is."""
    chosen = cases(KINDS)
    parts, calls = [], []
    core = ov.Core()
    for at, (one, image) in enumerate(chosen):
        image.tofile(tmp_path / f"{at}.in")
        ov.save_model(identity(one.shape), tmp_path / f"{at}.xml", compress_to_fp16=False)
        made = partial_of("graph.cpp.jinja", one)
        parts.append(f"namespace n{at} {{\n{made.functions}}}\n")
        shape = ", ".join(map(str, source_of(image, one.how).shape))
        calls.append(
            f'{{ auto image = read<char>("{at}.in", {image.nbytes}); '
            f'auto network = n{at}::with_preprocessing(core.read_model("{at}.xml")); '
            'auto compiled = core.compile_model(network, "CPU", f32); '
            "auto request = compiled.create_infer_request(); "
            f"request.set_input_tensor(ov::Tensor(ov::element::{one.how.type}, {{ {shape} }}, "
            "image.data())); request.infer(); const auto out = request.get_output_tensor(); "
            f'write("{at}.out", out.data<float>(), out.get_size()); }}'
        )
    made = partial_of("graph.cpp.jinja", chosen[0][0])
    head = f"#include <fstream>\n#include <string>\n#include <vector>\n{made.imports}"
    main = (
        'int main() { ov::Core core; const ov::AnyMap f32 = { { "INFERENCE_PRECISION_HINT", '
        '"f32" } };'
    )
    text = [head, "#include <openvino/openvino.hpp>\n", *parts, MAIN, main, *calls, "}"]
    (tmp_path / "infer.cpp").write_text("\n".join(text))
    (tmp_path / "CMakeLists.txt").write_text(render("CMakeLists.txt.jinja"))
    build(tmp_path)
    run(["build/infer"], tmp_path)

    for at, (one, image) in enumerate(chosen):
        found = np.fromfile(tmp_path / f"{at}.out", np.float32).reshape(one.shape)
        height, width = _size(image, one.how)
        another = [] if one.source else [picture(one.how, height + 7, width)]
        sources = [source_of(each, one.how) for each in [image, *another]]
        wanted, *_ = prepared_in_graph(core, identity(one.shape).inputs[0], one.how, sources)
        assert np.abs(found - wanted).max() <= 1e-6 * np.abs(wanted).max(), one.how


def test_what_cannot_be_written_is_not_asked_of_the_templates() -> None:
    """A place that only Pillow and the user know: the middle of images that differ."""
    one = preparation(Preprocessing(crop=MODEL), (1, 3, *MODEL))

    with pytest.raises(ValueError, match="differ in size"):
        partial_of("graph.py.jinja", one)


@pytest.mark.parametrize("kind", ["u8", "f16", "f64"])
def test_a_model_of_another_type(kind: str) -> None:
    """Its program converts at the end."""
    how = Preprocessing(resize=Resize.BILINEAR, scale=() if kind == "u8" else (255.0,))
    one = Preparation(how=how, at=0, shape=(1, 3, *MODEL), type=kind)
    image = picture(how, 90, 130)
    dtype = {"u8": np.uint8, "f16": np.float16, "f64": np.float64}[kind]
    out = np.zeros((3, *MODEL), dtype)

    in_python(one, "prepare.py.jinja")["prepare"](image, out)

    assert np.array_equal(out, prepare(image, how, *MODEL)[0].astype(dtype))
    assert f"ov.Type.{kind}" in partial_of("graph.py.jinja", one).functions
