"""Capability profiles: read with all faults at once, written so that they are read back."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.inspection import DeviceFacts
from autotune.errors import SpecError
from autotune.host.topology import LogicalCpu, Topology
from autotune.spec.profile import DeviceSection, Profile, load_profile
from autotune.spec.profile_file import profile_toml, recorded

PROFILES = Path(__file__).parent.parent / "profiles"
NAMES = sorted(path.stem for path in PROFILES.glob("*.toml"))
PAGE = PROFILES.parent.parent / "docs" / "profiles.md"
READABLE = re.compile(
    r"^read (from this machine|with OpenVINO \d)|https://\S|"
    r"\b[\w.-]+/[\w.-]+(#\d+|, [\w.+-]+(/[\w.+-]+)+)"
)
"""What read a value, an address, an issue, or a repository and a path in it."""
ASSUMED = re.compile(r"^assumed: .{30,}", re.DOTALL)
SOURCE = 'source = "a document"'
LEAST = f"""
name = "one CPU"
openvino = {{ value = "2026.4.1", {SOURCE} }}
[topology]
cpus = {{ value = "0-3", {SOURCE} }}
[devices.CPU]
name = {{ value = "a CPU", {SOURCE} }}
capabilities = {{ value = ["FP32"], {SOURCE} }}
"""


def written(folder: Path, text: str) -> Path:
    """A profile with this text."""
    path = folder / "profile.toml"
    path.write_text(text, encoding="utf-8")
    return path


# --- those that are there


@pytest.mark.parametrize(
    ("name", "counts", "types", "devices"),
    [
        ("two-sockets", (128, 64, 2, 2), {}, {"CPU"}),
        ("hybrid-laptop", (24, 16, 1, 1), {"P": 8, "E": 8}, {"CPU"}),
        ("integrated-gpu", (8, 4, 1, 1), {}, {"CPU", "GPU"}),
        ("discrete-gpu", (12, 6, 1, 1), {}, {"CPU", "GPU"}),
        ("npu", (22, 16, 1, 1), {"P": 6, "E": 10}, {"CPU", "GPU", "NPU"}),
        ("recorded", (2, 2, 1, 1), {}, {"CPU"}),
    ],
)
def test_a_profile_is_hardware(
    name: str, counts: tuple[int, int, int, int], types: dict[str, int], devices: set[str]
) -> None:
    """As its first lines say."""
    found = load_profile(PROFILES / f"{name}.toml").hardware
    assert (found.cpus, found.cores, found.sockets, found.nodes) == counts
    assert found.core_types == types
    assert found.devices.keys() == devices


def test_every_profile_is_looked_at() -> None:
    """Whoever adds one adds what it holds."""
    (mark,) = test_a_profile_is_hardware.pytestmark  # type: ignore[attr-defined]
    assert sorted(case[0] for case in mark.args[1]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_value_of_a_profile_has_its_source(name: str) -> None:
    """A name of a document, a header or a file of sources, or what was read from where."""
    found = load_profile(PROFILES / f"{name}.toml")
    for device, facts in found.devices.items():
        told = {one.name for one in fields(DeviceFacts) if getattr(facts, one.name)}
        assert {f"devices.{device}.{key}" for key in told} <= found.sources.keys()
    unclear = {place: source for place, source in found.sources.items() if not is_clear(source)}
    assert not unclear


def is_clear(source: str) -> bool:
    """Anyone can look it up, or it says that it is assumed, and why that is likely."""
    assumed = source.startswith("assumed")
    return bool((ASSUMED if assumed else READABLE).search(source))


@pytest.mark.parametrize(
    ("source", "clear"),
    [
        ("torvalds/linux, tools/perf/Documentation/intel-hybrid.txt: 0-15", True),
        ("lscpu in FDio/csit, docs/content/sm_spr_hw_bios_cfg.md", True),
        ("openvinotoolkit/openvino#6211, hello_query_device", True),
        ("https://docs.openvino.ai/2026/openvino-workflow", True),
        ("read with OpenVINO 2026.4.1 on another CPU", True),
        ("assumed: as on a CPU of the same series, which was read", True),
        ("assumed", False),
        ("assumed: it is so", False),
        ("assumed by torvalds/linux, tools/perf/Documentation/intel-hybrid.txt", False),
        ("data sheet: 4 cores, 8 threads", False),
        ("the maker's page: 6 cores, 12 threads, one socket", False),
    ],
)
def test_a_source_can_be_looked_up_or_says_that_it_is_assumed(source: str, clear: bool) -> None:
    """A name of a document that nobody opened is no source."""
    assert is_clear(source) == clear


def test_the_documentation_says_what_assumed_means() -> None:
    """Its example holds to it, too."""
    assert "`assumed: ...`" in PAGE.read_text(encoding="utf-8")


def test_a_profile_lists_what_the_runtime_lists() -> None:
    """Every GPU and every CPU alike: the lists do not depend on the hardware."""
    profiles = [load_profile(PROFILES / f"{name}.toml").devices for name in NAMES]
    for device in ("CPU", "GPU"):
        lists = [dict(found[device].properties) for found in profiles if device in found]
        assert all(one == lists[0] for one in lists)


def test_the_two_threads_of_a_core_are_told_apart_from_two_cores() -> None:
    """Of two sockets each core has one thread in the first half of the numbers."""
    found = load_profile(PROFILES / "two-sockets.toml").topology
    assert found.within(range(32)).cores == 32
    assert found.within([0, 64]).cores == 1
    assert found.within([0, 32]).sockets == 2


def test_low_power_laptops_do_not_begin_with_the_pair_of_cpu_0() -> None:
    """Of a Core Ultra H the second thread of CPU 0 is CPU 5: neighbours need not be one core."""
    found = load_profile(PROFILES / "npu.toml").topology
    assert found.within([0, 1]).cores == 2
    assert found.within([0, 5]).cores == 1
    assert found.within(range(12)).cores == 6


def test_the_example_in_the_documentation_is_a_profile(tmp_path: Path) -> None:
    """As it stands there."""
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    found = load_profile(written(tmp_path, example))
    assert found.hardware.cores == 4
    assert all(is_clear(source) for source in found.sources.values())


# --- reading


def test_what_is_left_out_is_not_known(tmp_path: Path) -> None:
    """Each CPU is then a core, and the device says nothing."""
    found = load_profile(written(tmp_path, LEAST))
    assert (found.hardware.cpus, found.hardware.cores) == (4, 4)
    assert found.devices["CPU"] == DeviceFacts(name="a CPU", capabilities=("FP32",), streams=None)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """Each with its key, the value, and the way out."""
    text = """
nam = "x"
[topology]
cpus = "0-3"
[devices.GPU]
name = { value = "x" }
capabilites = { value = [], source = "y" }
streams = { value = [3, 1], source = "z" }
requests = { value = [1, "4", 1], source = "z" }
tiles = { value = 0, source = "z" }
properties = { value = { A = "R" }, source = "z" }
kind = { value = "large", source = "" }
"""
    path = written(tmp_path, text)
    with pytest.raises(SpecError) as raised:
        load_profile(path)
    said = str(raised.value).replace(str(path), "F").splitlines()
    assert said == [
        "F: [name]: is missing",
        "F: [openvino]: is missing",
        "F: [topology] cpus: has no source; write { value = '0-3', source = \"where it is from\" }",
        (
            "F: [devices] GPU.name.source: is missing; say where the value is from: a document, "
            "a header, a file of OpenVINO's sources"
        ),
        "F: [devices] GPU.capabilities: is missing",
        (
            "F: [devices] GPU.streams.value: [3, 1] is no range: its first number is above its "
            "second one"
        ),
        "F: [devices] GPU.requests.value.1: input should be a valid integer, got '4'",
        "F: [devices] GPU.tiles.value: input should be greater than or equal to 1, got 0",
        "F: [devices] GPU.kind.value: input should be 'integrated' or 'discrete', got 'large'",
        "F: [devices] GPU.kind.source: string should have at least 1 character, got ''",
        "F: [devices] GPU.properties.value.A: input should be 'RW', 'RO' or 'WO', got 'R'",
        "F: [devices] GPU.capabilites: unknown key; did you mean 'capabilities'?",
        "F: [nam]: unknown key; did you mean 'name'?",
    ]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("cores", '["0-1", "1-3"]', "cores: has CPU 1 in two groups"),
        ("cores", '["0-1"]', "cores: has CPU 2 in no group; each CPU must be in one"),
        ("nodes", '["0-3", "4"]', "nodes: names CPU 4, which is not among cpus"),
        ("sockets", "[]", "sockets.value: tuple should have at least 1 item"),
        ("sockets", '["0-x"]', "sockets.value.0: '0-x' is no list of CPUs"),
        ("sockets", "[3]", "sockets.value.0: 3 is no list of CPUs; write for instance"),
        ("core_types", '{ P = "0-2" }', "core_types: has CPU 3 in no group"),
        ("core_types", '{ L = "0-3" }', "core_types.value.L"),
    ],
)
def test_a_cpu_is_in_one_group_of_each_kind(
    tmp_path: Path, key: str, value: str, said: str
) -> None:
    """Or the file contradicts itself."""
    line = f"{key} = {{ value = {value}, {SOURCE} }}\n"
    text = LEAST.replace("[devices.CPU]", f"{line}[devices.CPU]")
    with pytest.raises(SpecError) as raised:
        load_profile(written(tmp_path, text))
    assert f"[topology] {said}" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        (b"name = ", "not a TOML file"),
        (b"\xff\xfe", "not a TOML file"),
        (b"", "is missing"),
    ],
)
def test_what_is_no_profile_is_refused_by_name(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    """Whatever it is."""
    path = tmp_path / "profile.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=said) as raised:
        load_profile(path)
    assert str(raised.value).startswith(str(path))


# --- writing


def test_a_profile_says_all_that_a_device_may() -> None:
    """A fact that is added to devices is added to the file."""
    assert set(DeviceSection.model_fields) == {one.name for one in fields(DeviceFacts)}


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_written_as_it_was_read(name: str, tmp_path: Path) -> None:
    """But for comments."""
    found = load_profile(PROFILES / f"{name}.toml")
    assert load_profile(written(tmp_path, profile_toml(found))) == found


texts = st.text(min_size=1, max_size=12).filter(lambda text: text == text.strip())
counts = st.integers(0, 9)
devices = st.builds(
    DeviceFacts,
    name=texts,
    capabilities=st.lists(texts, max_size=3).map(tuple),
    streams=st.none() | st.tuples(counts, counts).map(lambda pair: tuple(sorted(pair))),
    requests=st.none() | st.tuples(st.just(1), counts.map(lambda n: n + 1), counts),
    max_batch=st.none() | st.integers(1, 64),
    best_batch=st.none() | st.integers(1, 64),
    tiles=st.none() | st.integers(1, 6),
    kind=st.sampled_from(["", "integrated", "discrete"]),
    properties=st.dictionaries(texts, st.sampled_from(["RW", "RO", "WO"]), max_size=3),
)


@st.composite
def machines(draw: st.DrawFn) -> Topology:
    """Of which each part is told of all CPUs, or of none."""
    numbers = draw(st.sets(st.integers(0, 40), min_size=1))
    told = {key: draw(st.booleans()) for key in ("core", "socket", "node", "kind")}
    cores = draw(st.lists(st.sets(st.sampled_from(sorted(numbers)), min_size=1), max_size=4))
    core_of = {number: number for number in numbers}
    for threads in cores:
        core_of |= dict.fromkeys(threads, min(threads))
    firsts: dict[int, int] = {}  # a core is named by the smallest of its threads
    for number in sorted(numbers):
        firsts.setdefault(core_of[number], number)
    kinds = draw(st.lists(st.sampled_from(["P", "E"]), min_size=41, max_size=41))
    return Topology(
        tuple(
            LogicalCpu(
                number=number,
                core=firsts[core_of[number]] if told["core"] else None,
                socket=0 if told["socket"] else None,
                node=0 if told["node"] else None,
                kind=kinds[number] if told["kind"] else "",
            )
            for number in sorted(numbers)
        )
    )


@given(texts, machines(), st.dictionaries(texts, devices, min_size=1, max_size=2))
def test_whatever_is_recorded_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    topology: Topology,
    facts: dict[str, DeviceFacts],
) -> None:
    """Texts of any kind, and what is not known left out."""
    made = recorded(name, "2026.4.1", topology, facts)
    path = written(tmp_path_factory.mktemp("profile"), profile_toml(made))
    assert load_profile(path) == made


def test_a_recording_says_what_it_was_read_by() -> None:
    """The runtime with its version, and the kernel."""
    made = recorded(
        "here",
        "2026.4.1-22982",
        Topology((LogicalCpu(number=0, core=0),)),
        {"CPU": DeviceFacts(name="a CPU", capabilities=(), streams=None)},
    )
    assert made.sources["devices.CPU.name"] == "read from this machine by OpenVINO 2026.4.1-22982"
    assert "read from this machine" in made.sources["topology.cores"]
    assert isinstance(replace(made, name="there"), Profile)
