"""A workload in every target: complete, or its losses are named, or it is refused with a reason."""

import ast
import itertools
import json
import shlex
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

from autotune.domain.measurement import Feed
from autotune.export.targets import TARGETS
from autotune.export.targets.preparation import Preparation
from autotune.export.targets.served import Form, SampleSource, ServedInput, ServedWorkload
from autotune.export.targets.target import Exported, Port, Tuned, UnsupportedError, times_feeding
from autotune.space.dimensions import Api
from autotune.space.shape_plan import ShapePlan, parse_plan
from autotune.workload.inputs import Range, Source
from autotune.workload.mix import Mix, Pad
from autotune.workload.preprocessing import Preprocessing, Resize, Where
from autotune.workload.workload import States
from tests.export.targets.builders import make_file, make_tuned
from tests.export.targets.test_targets import NASTY, SCHEMA, manifests, triton_config

MIX = Mix(
    shapes=tuple({"x": (1, 3, 8, width)} for width in (8, 16, 40)),
    weights=(0.5, 0.375, 0.125),
    pads={"x": (Pad(0.0, 3),)},
)
PLANS = (None, "dynamic", "bounded", "padded", "buckets:16|40")
PREPARED = (None, "host", "graph", "graph, several sizes")
SOURCES: dict[str, SampleSource] = {
    "random": SampleSource(ranges={"x": Range(0, 1)}),
    "arrays": SampleSource(kind=Source.ARRAYS, files=("../a.npz", "../b.npz")),
    "images": SampleSource(kind=Source.IMAGES, files=("../photos",)),
    "sounds": SampleSource(kind=Source.SOUNDS, files=("../sounds",)),
    "text": SampleSource(
        kind=Source.TEXT, files=("../t.txt",), function="f", function_file="../t.py", folder=".."
    ),
    "function": SampleSource(
        kind=Source.FUNCTION, function="f", function_file="../t.py", folder=".."
    ),
    "gone": SampleSource(fault="../photos: no such file or folder"),
}


def served(
    *,
    plan: str | None = None,
    prepared: str | None = None,
    states: States | None = None,
    source: str = "arrays",
    name: str = "x",
    batch_size: int = 1,
) -> ServedWorkload:
    """One input, of images, of several shapes or of one."""
    how = Preprocessing(resize=Resize.BILINEAR, mean=(1.0,))
    shape = (1, 3, 8, 8) if plan is None else (1, 3, 8, -1)
    preparation = None
    if prepared is not None:
        size = (720, 1280) if prepared == "graph" else None
        preparation = Preparation(how=how, at=0, shape=shape, size=size)
    mix = None if plan is None else MIX
    if mix is not None and name != "x":
        mix = Mix(
            shapes=tuple({name: one["x"]} for one in mix.shapes),
            weights=mix.weights,
            pads={name: mix.pads["x"]},
        )
    parsed: ShapePlan | None = None if plan is None else parse_plan(plan)
    forms: tuple[Form, ...] = ((shape,),)
    if mix is not None and parsed is not None:
        forms = tuple((one[name],) for one in mix.forms(parsed))
    pads = () if plan is None else ((3, 0.0),)
    one = ServedInput(
        name=name, type="f32", shape=shape, pads=pads, is_image=preparation is not None
    )
    return ServedWorkload(
        inputs=(one,),
        source=SOURCES[source],
        forms=forms,
        mix=mix,
        plan=parsed,
        preparation=preparation,
        where=Where.GRAPH if prepared and prepared.startswith("graph") else Where.HOST,
        states=states,
    )


def tuned_of(workload: ServedWorkload, batch_size: int = 1, **fields: Any) -> Tuned:
    """The same as it is deployed: of a mix, with the shape of its largest."""
    one = workload.inputs[0]
    shape = tuple(40 if size < 0 else size for size in one.shape)
    port = Port(one.name, (shape[0] * batch_size, *shape[1:]), one.type)
    best = make_file(batch_size=batch_size, **fields)
    return make_tuned(best, inputs=(port,), served=workload)


def written(made: Exported) -> str:
    """All of it."""
    return "\n".join([*made.files.values(), *made.run, *map(str, made.losses)])


PRODUCT = [
    {"plan": plan, "prepared": prepared, "states": states, "source": source}
    for plan, prepared, states, source in itertools.product(
        PLANS, PREPARED, (None, *States), SOURCES
    )
    if plan is None or prepared is None  # what prepares images makes one shape of all
]
"""Every combination that the worker knows."""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("feed", Feed)
@pytest.mark.parametrize(("batch_size", "api"), [(1, Api.ASYNC), (1, Api.SYNC), (3, Api.ASYNC)])
def test_every_combination_is_complete_or_says_what_it_lacks(
    target: str, feed: Feed, batch_size: int, api: Api
) -> None:
    """Nothing is silently another load: what a target leaves out is a loss, or it refuses."""
    for case in PRODUCT:
        if batch_size > 1 and (case["plan"] in {"dynamic", "bounded"} or case["states"]):
            continue  # no such configuration is opened
        workload = served(**case)
        tuned = tuned_of(workload, batch_size, feed=feed, api=api)
        if is_refused(target, workload):
            with pytest.raises(UnsupportedError, match=f"^{target}: "):
                TARGETS[target](tuned)
            continue
        made = TARGETS[target](tuned)
        assert made.run, case
        assert all(made.files.values()), case
        assert all(loss.what and loss.effect for loss in made.losses), case
        check_what_is_said(target, tuned, workload, made)


def is_refused(target: str, workload: ServedWorkload) -> bool:
    """What cannot be done, by target."""
    reads = target in {"python", "cpp"}
    if reads:
        sequence = workload.states is States.CARRIED and workload.is_routed
        return bool(workload.source.fault) or sequence
    if workload.states is not None and target != "benchmark_app":
        return True
    if workload.is_routed and target != "model-server":
        return True
    return target == "benchmark_app" and workload.images_vary


def check_what_is_said(target: str, tuned: Tuned, workload: ServedWorkload, made: Exported) -> None:
    """Every part of a workload is in what was written, or among what is lost."""
    lost = "; ".join(f"{loss.what}: {loss.effect}" for loss in made.losses)
    text = "\n".join(made.files.values())
    reads = target in {"python", "cpp"}
    serves = target in {"model-server", "triton", "kubernetes"}
    if workload.on_host is not None:
        assert ("def prepare(" in text or "void prepare(" in text) is reads
        assert ("the preparation of images" in lost) is not reads
    if workload.in_graph is not None:
        in_file = "with_preprocessing" in text
        assert in_file is not ("the preprocessing in the graph" in lost)
        assert in_file is (target != "onnxruntime")
    if workload.plan is not None and workload.plan.pads:
        assert ("fill(" in text) is reads
        assert ("padding" in lost or "padded" in lost) is not reads
    if workload.is_routed:
        assert ("route(" in text) is reads
        assert ("routing" in lost) is not reads
    if workload.states is not None:
        assert ("reset_state" in text) is reads
        assert ("is never reset" in lost) is not reads
    if not workload.source.is_random and not serves:
        assert ("the input data" in lost) is not reads
    if times_feeding(tuned):
        assert ("latency from the begin of feeding" in lost) is not reads
    for name, file in made.files.items():
        if name.endswith(".py"):
            ast.parse(file)


@pytest.mark.parametrize("plan", PLANS[1:])
def test_model_server_gets_open_shapes_or_a_model_for_each_bucket(plan: str) -> None:
    """As its schema has it."""
    made = TARGETS["model-server"](tuned_of(served(plan=plan)))
    config = json.loads(made.files["config.json"])
    jsonschema.validate(config, SCHEMA)
    shapes = [one["config"]["shape"]["x"] for one in config["model_config_list"]]
    names = {one["config"]["name"] for one in config["model_config_list"]}

    assert (
        shapes
        == {
            "dynamic": ["(1,3,8,-1)"],
            "bounded": ["(1,3,8,8:40)"],
            "padded": ["(1,3,8,40)"],
            "buckets:16|40": ["(1,3,8,16)", "(1,3,8,40)"],
        }[plan]
    )
    assert names == ({"m-16", "m-40"} if "|" in plan else {"m"})


def test_a_batch_is_in_each_bucket() -> None:
    """As many items as a request has."""
    made = TARGETS["model-server"](tuned_of(served(plan="buckets:16|40"), 3))
    config = json.loads(made.files["config.json"])

    assert [one["config"]["shape"]["x"] for one in config["model_config_list"]] == [
        "(3,3,8,16)",
        "(3,3,8,40)",
    ]


@pytest.mark.parametrize(("plan", "dims"), [("dynamic", -1), ("bounded", -1), ("padded", 40)])
def test_triton_gets_open_dimensions(plan: str, dims: int) -> None:
    """And is not told to reshape where there is no whole size."""
    config = triton_config(TARGETS["triton"](tuned_of(served(plan=plan))).files["config.pbtxt"])

    assert list(config.input[0].dims) == [1, 3, 8, dims]
    assert ("RESHAPE_IO_LAYERS" in config.parameters) is (dims > 0)
    assert list(config.output[0].dims) == ([1, 10] if dims > 0 else [-1, -1])


def test_triton_opens_no_dimension_that_the_file_fixes() -> None:
    """Its backend cannot."""
    tuned = replace(tuned_of(served(plan="dynamic")), fixed=(Port("x", (1, 3, 8, 8), "f32"),))
    with pytest.raises(UnsupportedError, match="fixes input 'x'"):
        TARGETS["triton"](tuned)


def test_kubernetes_gets_the_shapes_of_a_mix() -> None:
    """With the name of the model in the place of the file that is written."""
    (container,) = manifests(tuned_of(served(plan="bounded")))[0]["spec"]["template"]["spec"][
        "containers"
    ]
    arguments = dict(zip(container["args"][::2], container["args"][1::2], strict=True))
    assert json.loads(arguments["--shape"]) == {"x": "(1,3,8,8:40)"}
    made = TARGETS["kubernetes"](tuned_of(served(prepared="graph")))
    assert "put prepared.xml and prepared.bin into a volume claimed as m, " in made.run[1]


@pytest.mark.parametrize("target", ["model-server", "triton", "benchmark_app", "kubernetes"])
def test_what_was_in_the_graph_takes_images(target: str) -> None:
    """In its own type and size, from a file that a script writes."""
    made = TARGETS[target](tuned_of(served(prepared="graph"), 2))
    text = "\n".join(file for name, file in made.files.items() if not name.endswith(".py"))

    assert made.run[0] == "python with_preprocessing.py"
    assert "2,720,1280,3" in text.replace(" ", "")
    assert "prepared.xml" in "\n".join([text, *made.run])
    ast.parse(made.files["with_preprocessing.py"])


@pytest.mark.parametrize(
    ("plan", "shape"),
    [("dynamic", "[1,3,8,?]"), ("bounded", "[1,3,8,8..40]"), ("padded", "[1,3,8,40]")],
)
def test_benchmark_app_is_told_the_mix(plan: str, shape: str) -> None:
    """In the shares of its weights."""
    made = TARGETS["benchmark_app"](tuned_of(served(plan=plan), feed=Feed.BIND))
    words = shlex.split(made.files["benchmark.sh"].splitlines()[-1])

    assert words[words.index("-shape") + 1] == shape
    if plan == "padded":
        assert "-data_shape" not in words
        return
    said = words[words.index("-data_shape") + 1]
    assert [said.count(f"[1,3,8,{width}]") for width in (8, 16, 40)] == [32, 24, 8]
    assert "-inference_only=false" in words


def test_onnxruntime_gets_bounds() -> None:
    """It takes nothing that is open."""
    for plan in ("dynamic", "bounded"):
        made = TARGETS["onnxruntime"](tuned_of(served(plan=plan)))
        options = json.loads(made.files["provider_options.json"])
        assert options["reshape_input"] == "x[1,3,8,8..40]"
        ast.parse(made.files["session.py"])


def test_a_type_that_numpy_lacks_is_refused() -> None:
    """Bits that NumPy takes for something else would be fed."""
    workload = served()
    odd = replace(workload, inputs=(replace(workload.inputs[0], type="bf16"),))
    for target in ("python", "cpp"):
        with pytest.raises(UnsupportedError, match="bf16, which NumPy does not have"):
            TARGETS[target](tuned_of(odd))


@settings(max_examples=20)
@given(name=NASTY, file=NASTY)
def test_names_are_data(name: str, file: str) -> None:
    """Of inputs, files and functions."""
    source = SampleSource(
        kind=Source.TEXT, files=(file,), function="f", function_file=file, folder=file
    )
    for plan in ("dynamic", "buckets:16|40"):
        workload = replace(served(plan=plan, name=name), source=source)
        for target in TARGETS:
            try:
                made = TARGETS[target](tuned_of(workload))
            except UnsupportedError:
                continue
            for path, text in made.files.items():
                if path.endswith(".py"):
                    names = {
                        node.targets[0].id
                        for node in ast.parse(text).body
                        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
                    }
                    assert "boom" not in names
                if path.endswith(".cpp"):
                    assert "\nimport os" not in text
