"""What holds for every target, and what each one is particular about."""

import ast
import json
import math
import os
import re
import shlex
import subprocess
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.measurement import Feed
from autotune.domain.race import Status
from autotune.export.best_file import BestCoreBudget
from autotune.export.targets import TARGETS
from autotune.export.targets.target import (
    Port,
    Tuned,
    UnsupportedError,
    c_string,
    fence,
    markdown,
    one_line,
    render,
    tail_of,
    yaml_string,
)
from autotune.space.configuration import Effective
from autotune.space.dimensions import Api, PerformanceHint
from tests.export.targets.builders import make_file, make_tuned

NASTY = st.text(min_size=1, max_size=40) | st.sampled_from(
    [
        "a\nimport os",
        'x"""\nboom = 1\n"""',
        "*/ #include <x>",
        "'; rm -rf ~; '",
        "{{ 7 * 7 }}",
        "</script>",
        "😀" * 20,
        "a\\",
        "#{true}",
        "long " * 2000,
    ]
)


@pytest.mark.parametrize("name", TARGETS)
def test_the_same_input_gives_the_same_files(name: str) -> None:
    """No time, no random number, no order of a set."""
    first, second = TARGETS[name](make_tuned()), TARGETS[name](make_tuned())

    assert first == second
    assert all(first.files.values())
    assert first.run


@pytest.mark.parametrize("name", TARGETS)
@given(path=NASTY, study=NASTY, port=NASTY)
def test_names_are_data_in_every_language(name: str, path: str, study: str, port: str) -> None:
    """A model or an input may be called anything; what is written is still well-formed."""
    best = make_file().model_copy(update={"study": study})
    tuned = make_tuned(
        best,
        model=f"{path}.onnx",
        inputs=(Port(port, (1, 3, 8, 8), "f32"),),
        outputs=(Port(port, (1, 10), "f32"),),
    )
    try:
        made = TARGETS[name](tuned)
    except UnsupportedError:
        assert set(port) & set("[],")
        return

    for file, text in made.files.items():
        if file.endswith(".py"):
            names = {
                node.targets[0].id
                for node in ast.parse(text).body
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            }
            assert "boom" not in names
        if file.endswith(".json"):
            json.loads(text)
        if file.endswith(".sh"):
            assert tuned.model in shlex.split(text)
        if file.endswith(".cpp"):
            assert "\nimport os" not in text
    for command in made.run:
        assert shlex.split(command, comments=True) is not None


@pytest.mark.parametrize("name", TARGETS)
def test_every_loss_says_what_and_what_it_changes(name: str) -> None:
    """One without an effect is no help."""
    assert all(loss.what and loss.effect for loss in TARGETS[name](make_tuned()).losses)


@pytest.mark.parametrize("name", TARGETS)
def test_another_runtime_is_said(name: str) -> None:
    """Only what requires the measured release itself need not say so."""
    said = losses(name, make_tuned())

    assert ("not 2026.4.1" in said) is (name != "python")


PRELOADS = ["/usr/lib/libjemalloc.so.2", "libtcmalloc.so:/opt/it's-$(HOME).so"]


def preloaded(text: str) -> Tuned:
    """Tuned under a preloaded library."""
    return make_tuned(make_file().model_copy(update={"environment": {"LD_PRELOAD": text}}))


@pytest.mark.parametrize("preload", PRELOADS)
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_preloaded_library_is_exported(name: str, preload: str, tmp_path: Path) -> None:
    """What was measured under an allocator runs under it, and what is left to do is said.

    The last command is run as it is written, with a stub in the place of what it starts.
    """
    made = TARGETS[name](preloaded(preload))
    assert any(loss.what.startswith(f"LD_PRELOAD={preload}: ") for loss in made.losses)
    if name == "kubernetes":
        (container,) = manifests(preloaded(preload))[0]["spec"]["template"]["spec"]["containers"]
        values = {one["name"]: one["value"] for one in container["env"]}
        assert values["LD_PRELOAD"] == preload.replace("$(", "$$(")
        return
    for file, text in made.files.items():
        (tmp_path / file).write_text(text)
    stubs = tmp_path / "bin"
    stubs.mkdir()
    (tmp_path / "build").mkdir()
    told = tmp_path / "told"
    for program in ("benchmark_app", "python", "tritonserver", "docker", "../build/infer"):
        stub = stubs / program
        stub.write_text(
            f'#!/bin/sh\nprintf "%s" "$LD_PRELOAD" > {told}\nfor word; do echo "$word"; done\n'
        )
        stub.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", made.run[-1]],
        cwd=tmp_path,
        env={"PATH": f"{stubs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    if name == "model-server":
        words = done.stdout.splitlines()
        assert f"LD_PRELOAD={preload}" in words
        file = preload.rpartition(":")[2]
        assert f"{file}:{file}:ro" in words
    else:
        assert told.read_text() == preload


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_without_a_preloaded_library_nothing_of_it_is_exported(name: str) -> None:
    """As in every file of an older version."""
    made = TARGETS[name](make_tuned())
    written = [*made.files.values(), *made.run, *(loss.what for loss in made.losses)]
    assert not [text for text in written if "PRELOAD" in text]


@pytest.mark.parametrize("stem", ["1" + "a" * 80, "a" * 80, "-" * 80, "Ä", "a.b.c"])
def test_a_name_is_a_label(stem: str) -> None:
    """As Kubernetes has it: at most 63 of letters, digits and hyphens, a letter first."""
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", make_tuned(model=f"x/{stem}.onnx").name)


@given(NASTY)
def test_markdown_is_text(text: str) -> None:
    """No markup, no line, no cell of a table."""
    shown = markdown(text)

    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[`*_\[\]<>#|!&]", shown)


@given(st.text(alphabet="`a\n"))
def test_a_fence_holds_what_is_in_it(text: str) -> None:
    """However many backticks."""
    assert fence(text) not in text


@given(st.text())
def test_a_c_string_holds_the_text(text: str) -> None:
    """Octal bytes mean the same in C, C++ and protobuf; Python's bytes read them alike."""
    literal = c_string(text.encode("utf-8", "ignore").decode())

    assert literal.isascii()
    assert literal.isprintable()
    assert ast.literal_eval(f"b{literal}").decode() == text.encode("utf-8", "ignore").decode()


@given(st.text(st.characters(codec="utf-8")))
def test_a_yaml_string_holds_the_text(text: str) -> None:
    """As PyYAML reads it."""
    import yaml

    assert yaml.safe_load(yaml_string(text)) == text


@given(NASTY)
def test_a_comment_stays_one(text: str) -> None:
    """It ends neither a line nor a comment nor a docstring, and joins no line to the next."""
    shown = one_line(text)

    assert shown.isprintable() or not shown
    assert "*/" not in shown
    assert '"""' not in shown
    assert "\\" not in shown


# ---------------------------------------------------------------------------------- benchmark_app


def test_benchmark_app_gets_strings_under_the_device_and_nothing_else() -> None:
    """An unknown key ends it, a number its C++ edition; without a hint it adds one of its own."""
    made = TARGETS["benchmark_app"](make_tuned(make_file(device="AUTO:CPU,GPU")))
    config = json.loads(made.files["load_config.json"])

    assert list(config) == ["AUTO"]
    assert all(isinstance(value, str) for value in config["AUTO"].values())
    assert config["AUTO"]["PERFORMANCE_HINT"] == "THROUGHPUT"


def options(best: Any, **fields: Any) -> dict[str, str]:
    """The command's options by name."""
    script = TARGETS["benchmark_app"](make_tuned(best, **fields)).files["benchmark.sh"]
    words = shlex.split(script.splitlines()[-1])[2:]
    found: dict[str, str] = {}
    for position, word in enumerate(words):
        if word.startswith("-inference_only"):
            found["-inference_only"] = word.partition("=")[2]
        elif word.startswith("-"):
            found[word] = words[position + 1]
    return found


def test_benchmark_app_is_told_what_its_file_cannot_say() -> None:
    """Requests and batch are read from the command line only."""
    told = options(make_file(batch_size=4, num_requests=6))

    assert told["-nireq"] == "6"
    assert told["-shape"] == "[4,3,8,8]"
    assert told["-api"] == "async"
    assert told["-inference_only"] == "true"
    assert told["-latency_percentile"] == "99"


@pytest.mark.parametrize(("items", "batch_size"), [(1, 1), (1, 4), (8, 1), (8, 2)])
def test_programs_count_items(items: int, batch_size: int) -> None:
    """Of the model's own batch and of the tuned one."""
    best = make_file(batch_size=batch_size)
    model = best.model.model_copy(update={"items_per_request": items})
    best = best.model_copy(update={"model": model})
    tuned = make_tuned(best, inputs=(Port("x", (best.items, 3, 8, 8), "f32"),))
    for name, says in (
        ("python", f"ITEMS = {items * batch_size}  # in a request"),
        ("onnxruntime", f"ITEMS = {items * batch_size}  # in a request"),
        ("cpp", f"ITEMS = {items * batch_size};  // in a request"),
    ):
        assert says in "\n".join(TARGETS[name](tuned).files.values())
    assert "what an item is" not in losses("benchmark_app", tuned)
    other = make_tuned(best, inputs=(Port("x", (3, 8, 8), "f32"),))
    assert f"in other units than {items * batch_size} items a request" in losses(
        "benchmark_app", other
    )


def test_benchmark_app_is_not_told_requests_of_a_blocking_call() -> None:
    """With -api sync it has one request."""
    told = options(make_file(api=Api.SYNC))

    assert told["-api"] == "sync"
    assert "-nireq" not in told


def test_benchmark_app_copies_inputs_where_the_measurement_did() -> None:
    """Otherwise it measures something else."""
    assert options(make_file(feed=Feed.COPY))["-inference_only"] == "false"


def test_benchmark_app_with_several_inputs() -> None:
    """Each shape has its name."""
    ports = (Port("ids", (4, 128), "i64"), Port("mask", (4, 128), "i64"))

    assert options(make_file(), inputs=ports)["-shape"] == "ids[4,128],mask[4,128]"


def test_benchmark_app_with_inputs_of_other_batches() -> None:
    """It takes one batch for all that are said to have one."""
    ports = (Port("x", (4, 3), "f32"), Port("anchors", (100, 4), "f32"))

    assert options(make_file(), inputs=ports)["-layout"] == "x[N...],anchors[X...]"


def test_benchmark_app_cannot_quote_brackets() -> None:
    """Its options have no way to."""
    ports = (Port("a[0]", (1,), "f32"), Port("b", (1,), "f32"))
    with pytest.raises(UnsupportedError, match="brackets"):
        TARGETS["benchmark_app"](make_tuned(inputs=ports))


def losses(name: str, tuned: Any) -> str:
    """Everything that a target cannot represent."""
    return "; ".join(f"{loss.what}: {loss.effect}" for loss in TARGETS[name](tuned).losses)


def test_benchmark_app_says_that_few_requests_lower_the_streams() -> None:
    """-nireq becomes PERFORMANCE_HINT_NUM_REQUESTS."""
    assert "fewer streams" in losses("benchmark_app", make_tuned(make_file(num_requests=1)))
    assert "fewer streams" not in losses("benchmark_app", make_tuned())


def test_benchmark_app_says_that_percentiles_are_whole_numbers() -> None:
    """p99.9 becomes p100."""
    best = make_file()
    assert best.sla is not None
    finer = best.model_copy(update={"sla": best.sla.model_copy(update={"percentile": 99.9})})

    assert "99.9" in losses("benchmark_app", make_tuned(finer))


# ----------------------------------------------------------------------------------- model server

SCHEMA = json.loads((Path(__file__).parent / "model_server.schema.json").read_text())
"""What Model Server checks its configuration against; its source is named in it."""


def server_config(**fields: Any) -> Any:
    """The entry of one model, checked."""
    made = TARGETS["model-server"](make_tuned(make_file(**fields)))
    config = json.loads(made.files["config.json"])
    jsonschema.validate(config, SCHEMA)
    (entry,) = config["model_config_list"]
    assert entry == json.loads(made.files["model_config.json"])
    return entry["config"]


def test_the_schema_refuses_what_the_server_would() -> None:
    """A check that cannot fail would check nothing."""
    config = {"model_config_list": [{"config": {"name": "m", "base_path": "/m", "note": "x"}}]}
    with pytest.raises(jsonschema.ValidationError, match="note"):
        jsonschema.validate(config, SCHEMA)


def test_model_server_gets_every_property_in_its_type() -> None:
    """In a container it has defaults of its own, so nothing is left to them."""
    config = server_config(batch_size=4, num_requests=6, pinning=False)

    assert config["plugin_config"] == {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": "2",
        "INFERENCE_NUM_THREADS": 2,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    assert config["nireq"] == 6
    assert config["shape"] == {"x": "(4,3,8,8)"}


def test_model_server_is_given_the_device_and_the_weights() -> None:
    """A container sees no device of its own accord, and a Paddle model has a second file."""
    tuned = make_tuned(make_file(device="GPU.1"), model="../m.pdmodel", weights=("m.pdiparams",))
    made = TARGETS["model-server"](tuned)
    commands = "\n".join(made.run)

    assert "--device /dev/dri" in commands
    assert "model_server:latest-gpu" in commands
    assert "cp ../m.pdiparams models/m/1/m.pdiparams" in commands
    assert "--device" not in "\n".join(TARGETS["model-server"](make_tuned()).run)


SEVERAL = {
    "IR": ("../net.xml", ("net.bin",)),
    "Paddle": ("../net.pdmodel", ("net.pdiparams",)),
    "ONNX": ("../net.onnx", ("net.onnx.data", "w/a b.bin", "net.bin")),
}


@pytest.mark.parametrize("form", SEVERAL)
@pytest.mark.parametrize("name", ["model-server", "triton"])
def test_servers_get_every_file_of_the_model(name: str, form: str, tmp_path: Path) -> None:
    """The commands are run: files named like the model still are, others lie where it says."""
    path, weights = SEVERAL[form]
    (tmp_path / "out").mkdir()
    for file in (Path(path).name, *weights):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(file)
    made = TARGETS[name](make_tuned(model=path, weights=weights))
    for file, text in made.files.items():
        (tmp_path / "out" / file).write_text(text)
    copying = [c for c in made.run if c.startswith(("mkdir ", "cp "))]
    subprocess.run(["sh", "-ec", "\n".join(copying)], cwd=tmp_path / "out", check=True, timeout=10)
    found = {
        str(file.relative_to(tmp_path / "out/models/net/1")): file.read_text()
        for file in (tmp_path / "out/models/net/1").rglob("*")
        if file.is_file()
    }

    renamed = {Path(path).name: f"model{Path(path).suffix}"} if name == "triton" else {}
    if name == "triton" and form != "ONNX":
        renamed |= {weights[0]: f"model{Path(weights[0]).suffix}"}
    wanted = {renamed.get(file, file): file for file in (Path(path).name, *weights)}
    assert found == wanted


def test_kubernetes_names_every_file_of_the_model() -> None:
    """For people, who put them into a volume."""
    made = TARGETS["kubernetes"](make_tuned(weights=("m.onnx.data", "w/1")))

    assert "put m.onnx and m.onnx.data and w/1 into a volume" in made.run[0]


def test_model_server_gets_what_a_hint_decided() -> None:
    """With the THROUGHPUT hint alone it would make as many streams as there are cores."""
    config = server_config(
        streams=None, threads_per_stream=None, pinning=None, precision=None, num_requests=None
    )

    assert config["plugin_config"]["NUM_STREAMS"] == "2"
    assert config["plugin_config"]["INFERENCE_NUM_THREADS"] == 2


# ----------------------------------------------------------------------------------------- triton


def triton_config(text: str) -> Any:
    """The configuration as Triton's own protobuf reads it."""
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    return text_format.Parse(text, model_config_pb2.ModelConfig())


def test_triton_reads_the_configuration() -> None:
    """One instance is one request in flight; the shapes are whole."""
    best = make_file(batch_size=4, num_requests=6)
    config = triton_config(TARGETS["triton"](make_tuned(best)).files["config.pbtxt"])

    assert config.backend == "openvino"
    assert config.max_batch_size == 0
    assert list(config.input[0].dims) == [4, 3, 8, 8]
    assert config.instance_group[0].count == 6
    assert config.parameters["NUM_STREAMS"].string_value == "2"
    assert config.parameters["RESHAPE_IO_LAYERS"].string_value == "YES"
    assert config.default_model_filename == "model.onnx"


@given(NASTY)
def test_triton_reads_any_name(name: str) -> None:
    """Names come back as they were."""
    plain = name.encode("utf-8", "ignore").decode()
    tuned = make_tuned(inputs=(Port(plain, (1, 3), "f32"),))
    config = triton_config(TARGETS["triton"](tuned).files["config.pbtxt"])

    assert config.input[0].name == plain


def test_triton_is_told_bf16_and_says_what_it_ignores() -> None:
    """It reads three properties and HINT_BF16."""
    bf16 = make_tuned(make_file(precision="bf16", pinning=False))
    config = triton_config(TARGETS["triton"](bf16).files["config.pbtxt"])

    assert config.parameters["HINT_BF16"].string_value == "YES"
    assert "ENABLE_CPU_PINNING" not in config.parameters
    assert "ENABLE_CPU_PINNING=NO" in losses("triton", bf16)
    assert "INFERENCE_PRECISION_HINT=f32" in losses("triton", make_tuned())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"best": make_file(device="NPU")}, "NPU"),
        ({"model": "m.pb"}, r"\.pb"),
        ({"inputs": (Port("x", (1,), "u4"),)}, "u4"),
        ({"inputs": (Port("x", (), "f32"),)}, "scalar"),
        ({"outputs": (Port("y", (), "f32"),)}, "scalar"),
    ],
    ids=["device", "format", "type", "scalar", "scalar output"],
)
def test_triton_says_why_not(fields: dict[str, Any], reason: str) -> None:
    """Its backend has limits."""
    with pytest.raises(UnsupportedError, match=reason):
        TARGETS["triton"](make_tuned(**fields))


# ------------------------------------------------------------------------------------ onnxruntime


def test_onnxruntime_gets_text_and_not_a_file_name() -> None:
    """load_config is parsed, never opened."""
    made = TARGETS["onnxruntime"](make_tuned(make_file(batch_size=4)))
    given_options = json.loads(made.files["provider_options.json"])

    assert json.loads(given_options["load_config"])["CPU"]["NUM_STREAMS"] == "2"
    assert given_options["reshape_input"] == "x[4,3,8,8]"


def test_onnxruntime_looks_for_a_gpu_without_its_number() -> None:
    """Under GPU.1 it would find nothing, and say nothing."""
    made = TARGETS["onnxruntime"](make_tuned(make_file(device="GPU.1")))
    given_options = json.loads(made.files["provider_options.json"])

    assert given_options["device_type"] == "GPU.1"
    assert list(json.loads(given_options["load_config"])) == ["GPU"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model": "m.xml"}, "onnx"),
        ({"best": make_file(device="BATCH:CPU(4)")}, "BATCH"),
        ({"inputs": (Port("x", (1,), "bf16"),)}, "bf16"),
        ({"fixed": (Port("x", (1, 3, 8, 8), "f32"),)}, "fixes"),
    ],
    ids=["format", "device", "type", "batch"],
)
def test_onnxruntime_says_why_not(fields: dict[str, Any], reason: str) -> None:
    """A session that silently ran elsewhere would be worse."""
    with pytest.raises(UnsupportedError, match=reason):
        TARGETS["onnxruntime"](make_tuned(**fields))


# ------------------------------------------------------------------------------------- kubernetes


def manifests(tuned: Any) -> list[Any]:
    """The documents, checked against the schemas of Kubernetes."""
    import kubernetes_validate
    import yaml

    made = list(yaml.safe_load_all(TARGETS["kubernetes"](tuned).files["deployment.yaml"]))
    for document in made:
        kubernetes_validate.validate(document, "1.30", strict=True)
    return made


def test_kubernetes_asks_for_as_many_cpus_as_threads() -> None:
    """Equal and whole, with half as much memory again as was seen."""
    deployment, service = manifests(make_tuned(make_file(num_requests=6)))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    arguments = dict(zip(container["args"][::2], container["args"][1::2], strict=True))

    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "192Mi"}
    assert json.loads(arguments["--plugin_config"])["NUM_STREAMS"] == "2"
    assert arguments["--nireq"] == "6"
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]


def test_kubernetes_expands_no_name_of_a_variable() -> None:
    """An input may be called like one."""
    tuned = make_tuned(inputs=(Port("$(OMP_NUM_THREADS)", (1, 3), "f32"),))
    (container,) = manifests(tuned)[0]["spec"]["template"]["spec"]["containers"]

    assert any("$$(OMP_NUM_THREADS)" in argument for argument in container["args"])


def test_kubernetes_without_a_memory_says_what_follows() -> None:
    """From files before format 3."""
    best = make_file()
    measured = best.measured.model_copy(update={"peak_rss_bytes": None})
    tuned = make_tuned(best.model_copy(update={"measured": measured}))
    (container,) = manifests(tuned)[0]["spec"]["template"]["spec"]["containers"]

    assert container["resources"]["limits"] == {"cpu": "2"}
    assert "no whole CPUs" in losses("kubernetes", tuned)


@pytest.mark.parametrize("stem", ["true", "1e3", "Ärger mit Namen", "x" * 200, "-"])
def test_kubernetes_gets_a_name_that_it_takes(stem: str) -> None:
    """Whatever the model file is called."""
    deployment, _ = manifests(make_tuned(model=f"{stem}.onnx"))

    assert isinstance(deployment["metadata"]["name"], str)


@pytest.mark.parametrize(
    "best",
    [make_file(device="GPU"), make_file(effective=Effective({}, 1))],
    ids=["device", "threads"],
)
def test_kubernetes_says_why_not(best: Any) -> None:
    """CPUs are all that it can be asked for here."""
    with pytest.raises(UnsupportedError, match="kubernetes"):
        TARGETS["kubernetes"](make_tuned(best))


# -------------------------------------------------------------------------------- python and C++


def test_programs_read_back_what_was_measured() -> None:
    """So that they never run something else without saying so."""
    for name, file in (("python", "infer.py"), ("cpp", "infer.cpp")):
        text = TARGETS[name](make_tuned()).files[file]
        assert "INFERENCE_NUM_THREADS" in text
        assert "not what was measured" in text


def test_a_program_says_when_it_cannot_read_back() -> None:
    """AUTO does not report streams and threads."""
    best = make_file(device="AUTO", effective=Effective({"EXECUTION_DEVICES": "(CPU)"}, 2))

    assert "nothing is read back" in losses("python", make_tuned(best))


def test_the_runtime_that_was_measured_is_required() -> None:
    """Another release may choose other kernels."""
    assert "openvino==2026.4.1" in TARGETS["python"](make_tuned()).files["requirements.txt"]


def test_a_hint_is_exported_as_a_hint() -> None:
    """Its own number of requests, resolved."""
    best = make_file(
        hint=PerformanceHint.LATENCY,
        streams=None,
        threads_per_stream=None,
        pinning=None,
        precision=None,
        num_requests=None,
    )
    text = TARGETS["python"](make_tuned(best)).files["infer.py"]

    assert "'PERFORMANCE_HINT': 'LATENCY'" in text
    assert "NUM_STREAMS" not in text.split("EXPECTED")[0]


def test_text_has_no_random_values() -> None:
    """The C++ program would write bytes over strings."""
    with pytest.raises(UnsupportedError, match="text"):
        TARGETS["cpp"](make_tuned(inputs=(Port("x", (1,), "string"),)))


def of_percentile(percentile: float, **fields: Any) -> Tuned:
    """What was tuned for another percentile."""
    best = make_file()
    assert best.sla is not None
    sla = best.sla.model_copy(update={"percentile": percentile})
    return make_tuned(best.model_copy(update={"sla": sla}), **fields)


@pytest.mark.parametrize("name", ["python", "cpp", "onnxruntime"])
@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.0, 99.9, 99.99])
def test_a_program_prints_the_percentile_that_was_asked_for(name: str, percentile: float) -> None:
    """Under its own name: whoever holds it against best.json compares the same."""
    found = TARGETS[name](of_percentile(percentile, model="m.onnx")).files
    (program,) = [text for file, text in found.items() if file.endswith((".py", ".cpp"))]
    assert f"p{percentile:g}_ms" in program


@given(st.integers(1, 10_000), st.sampled_from([1.0, 50.0, 90.0, 95.0, 99.0, 99.9, 99.99]))
def test_a_percentile_is_counted_in_whole_numbers(count: int, percentile: float) -> None:
    """Of the decimals that were written, and not of the float that is near them."""
    tail = tail_of(of_percentile(percentile))
    assert -(-tail.of * count // tail.all) == math.ceil(Fraction(str(percentile)) / 100 * count)


def test_templates_are_in_the_package() -> None:
    """Whoever installs it has them."""
    folder = files("autotune.export.targets") / "templates"
    names = {entry.name for entry in folder.iterdir()}

    assert {"infer.py.jinja", "infer.cpp.jinja", "config.pbtxt.jinja", "notes.md.jinja"} <= names


def test_sync_and_data_are_said_where_they_are_lost() -> None:
    """C++ and the servers keep one request in flight instead of blocking."""
    sync = make_tuned(make_file(api=Api.SYNC), data="../inputs.npz")

    assert "blocking" in losses("cpp", sync)
    assert "input data" in losses("cpp", sync)
    assert "blocking" in losses("model-server", sync)
    assert "input data" in losses("benchmark_app", sync)
    assert "input data" in losses("onnxruntime", replace(sync, model="m.onnx"))


def test_what_could_not_be_proven_is_in_the_notes() -> None:
    """Beside the status, as text."""
    best = make_file().model_copy(
        update={"status": Status.UNPROVEN, "unproven": "outputs are *all* zero"}
    )
    text = render(
        "notes.md.jinja",
        target="python",
        best=best,
        files=(),
        run=("python x.py",),
        losses=(),
        budget=None,
    )
    assert "unproven: its answers could not be proven: outputs are \\*all\\* zero." in text


# --- the core budget


def budgeted(**fields: Any) -> Tuned:
    """What was tuned on CPUs 4, 5 and 8 of 16."""
    held = BestCoreBudget(asked="3", count=3, cpus=[4, 5, 8])
    machine = {"logical_cpus": 16, "affinity_cpus": 3, "quota_cpus": None}
    return make_tuned(
        make_file(**fields).model_copy(update={"core_budget": held, "machine": machine})
    )


def under_quota(quota: float, **fields: Any) -> Tuned:
    """What was tuned in a container of 8 CPUs with a quota."""
    machine = {"logical_cpus": 8, "affinity_cpus": 8, "quota_cpus": quota}
    return make_tuned(make_file(**fields).model_copy(update={"machine": machine}))


def written(name: str, tuned: Tuned) -> str:
    """All that a target gives: files, commands, losses."""
    made = TARGETS[name](tuned)
    lost = [f"{loss.what}: {loss.effect}" for loss in made.losses]
    return "\n".join([*made.files.values(), *made.run, *lost])


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_holds_the_core_budget_or_lists_it_as_lost(name: str) -> None:
    """What holds by itself is no loss; without a budget none of them says a word."""
    holds = {"benchmark_app", "python"}
    assert ("the core budget, CPUs 4-5,8: " in losses(name, budgeted())) is (name not in holds)
    assert re.search(r"4-5,8|4, 5, 8", written(name, budgeted()))
    assert not re.search("core budget|taskset|cpuset", written(name, make_tuned()))


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("benchmark_app", "exec taskset -c 4-5,8 benchmark_app"),
        ("python", "CPUS = [4, 5, 8]"),
        ("python", "taskset -c 4-5,8 python infer.py"),
        ("cpp", "taskset -c 4-5,8 build/infer"),
        ("cpp", "// Usage: taskset -c 4-5,8 infer [MODEL]"),
        ("onnxruntime", "taskset -c 4-5,8 python session.py"),
        ("triton", "taskset -c 4-5,8 tritonserver"),
        ("model-server", "--cpuset-cpus 4-5,8 openvino/model_server"),
        ("kubernetes", 'limits: { cpu: "3"'),
        ("kubernetes", 'requests: { cpu: "3"'),
    ],
)
def test_every_target_sets_the_core_budget(name: str, held: str) -> None:
    """In the way that it has."""
    assert held in written(name, budgeted())


@pytest.mark.parametrize("name", TARGETS)
def test_the_threads_of_a_hint_are_said_where_it_had_some_cpus(name: str) -> None:
    """It would take all that it sees, on a machine that is not confined."""
    read_back = Effective(
        {"INFERENCE_NUM_THREADS": "3", "NUM_STREAMS": "3", "PERFORMANCE_HINT": "THROUGHPUT"}, 3
    )
    hint = {"hint": PerformanceHint.THROUGHPUT, "effective": read_back}
    hint |= dict.fromkeys(("streams", "threads_per_stream", "pinning", "precision"))
    for tuned in (budgeted(**hint), under_quota(2.5, **hint)):
        made = TARGETS[name](tuned)
        text = "\n".join(made.files.values())
        assert re.search(r"INFERENCE_NUM_THREADS\W+(value: \{ string_value: )?\W*3", text), text


def test_a_quota_is_set_where_a_target_can() -> None:
    """And named everywhere else; half a CPU is no whole one."""
    assert "--cpus 2.5 openvino/model_server" in written("model-server", under_quota(2.5))
    assert 'limits: { cpu: "2500m"' in written("kubernetes", under_quota(2.5))
    assert 'limits: { cpu: "4"' in written("kubernetes", under_quota(4.0))
    assert "none of them is its own" in written("kubernetes", under_quota(2.5))
    for name in TARGETS:
        assert "the quota of 2.5 CPUs" in losses(name, under_quota(2.5)), name
        assert "quota" not in losses(name, under_quota(8.0)), name


def test_binding_under_a_quota_is_advised_against() -> None:
    """Where threads were bound, and only there."""
    bound, free = under_quota(2.5, pinning=True), under_quota(2.5, pinning=False)
    assert "ENABLE_CPU_PINNING under a quota" in losses("python", bound)
    assert "ENABLE_CPU_PINNING under a quota" not in losses("python", free)
