"""Properties that no row has: one dimension for all that a study names."""

import json
from typing import Any

import pytest

from autotune.domain.hardware import Hardware
from autotune.errors import SpecError
from autotune.search.derive import Known, derive_space
from autotune.search.gp import features
from autotune.search.points import PointTable
from autotune.space.configuration import Configuration, Effective
from autotune.space.dimensions import TABLE, Api
from autotune.space.named import PARTS, choices_of, properties_in
from autotune.space.settings import configuration_in
from autotune.space.space import SearchSpace
from autotune.spec import parse_spec, to_toml

STUDY = """
[model]
path = "model.onnx"
[goal]
max_latency = "20ms"
[space]
streams = 1
{key} = {value}
"""


def space_of(value: str, key: str = "properties", device: str = "CPU") -> SearchSpace:
    """What a study with such a key makes of two CPUs."""
    text = STUDY.format(key=key, value=value).replace("streams = 1", f'device = "{device}"')
    hardware = Hardware(cpus=2, cores=2, devices={})
    return derive_space(parse_spec(text).space, hardware, Known(precisions={"CPU": ["f32"]}))


def test_a_list_sweeps_and_a_value_fixes() -> None:
    """All combinations are choices of one dimension."""
    space = space_of("{ KEY_CACHE_GROUP_SIZE = [16, 32], ENABLE_TENSOR_PARALLEL = true }")
    assert space.choices["named_properties"] == (
        "ENABLE_TENSOR_PARALLEL=YES;KEY_CACHE_GROUP_SIZE=16",
        "ENABLE_TENSOR_PARALLEL=YES;KEY_CACHE_GROUP_SIZE=32",
    )
    assert "named_properties" in space.sampled
    for point in space.points():
        configuration = space.configuration(point)
        assert configuration.properties["ENABLE_TENSOR_PARALLEL"] == "YES"
        assert space.locate(configuration) == point
        stored = json.loads(json.dumps(configuration.to_dict()))
        assert Configuration.from_dict(stored) == configuration
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space


def test_a_table_of_its_own_is_the_same() -> None:
    """As people write it."""
    text = STUDY.format(key="batch", value="1") + "[space.properties]\nA_PROPERTY = ['x', 'y']\n"
    spec = parse_spec(text)
    assert spec.space.choices("named_properties") == ("A_PROPERTY=x", "A_PROPERTY=y")
    assert parse_spec(to_toml(spec)) == spec


def test_members_are_told() -> None:
    """By their names, like all that is chosen for them; what is the device's own is its own."""
    space = space_of('{ ENABLE_X = "y", SCHEDULE_POLICY = "z" }', device="AUTO:CPU")
    properties = space.configuration(next(space.points())).properties
    assert "ENABLE_X:y" in properties["DEVICE_PROPERTIES"]
    assert properties["SCHEDULE_POLICY"] == "z"
    assert "ENABLE_X" not in properties


@pytest.mark.parametrize(("name", "key"), PARTS.items())
def test_one_thing_under_two_names_is_refused(name: str, key: str) -> None:
    """Either of them alone is taken."""
    (row,) = [one for one in TABLE if one.key == key]
    value = json.dumps(row.allowed[0])
    alone = STUDY.format(key="properties", value=f"{{ {name} = {value} }}")
    assert parse_spec(alone).space.properties
    assert parse_spec(STUDY.format(key=key, value=value)).space.choices(row.name)
    with pytest.raises(SpecError, match=f"{name} decides what {key} decides; say one of both"):
        parse_spec(f"{alone}{key} = {value}\n")


@pytest.mark.parametrize("values", ['[true, "true"]', '["YES", "on"]', '["NO", false]', "[1, 1]"])
def test_one_value_in_two_words_is_refused(values: str) -> None:
    """It would be measured twice."""
    with pytest.raises(SpecError, match="a value twice"):
        parse_spec(STUDY.format(key="properties", value=f"{{ A_PROPERTY = {values} }}"))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("{ NUM_STREAMS = 2 }", r"a dimension of its own: say \[space\] streams"),
        ('{ TBB_PARTITIONER = "AUTO" }', r"say \[space\] partitioner"),
        ("{ ENABLE_CPU_RESERVATION = true }", "takes CPUs away"),
        ("{ PERF_COUNT = true }", "slows what is measured"),
        ('{ DEVICE_ID = "1" }', r"say \[space\] device"),
        ("{ PERFORMANCE_HINT_NUM_REQUESTS = 2 }", r"\[space\] requests_per_stream"),
        ('{ EXECUTION_MODE_HINT = "ACCURACY" }', r"what \[space\] precision decides"),
        ("{ tbb = 1 }", "no name of a property"),
        ('{ A_PROPERTY = "x;B=1" }', "a character that separates"),
        ("{ A_PROPERTY = [] }", "is empty"),
        ("{}", "is empty"),
        ("{ A_PROPERTY = [1, 1] }", "twice"),
        ("{ A_PROPERTY = 2024-01-01 }", "is no text, number or switch"),
        ("3", "is a table"),
    ],
)
def test_what_must_not_be_named_is_refused(value: str, why: str) -> None:
    """With what to say instead."""
    with pytest.raises(SpecError, match=rf"\[space\] properties.*{why}"):
        space_of(value)


def test_a_fault_names_a_property_as_it_is_written() -> None:
    """A sentence begins small behind its key, a name does not."""
    with pytest.raises(SpecError, match=r"properties: NUM_STREAMS is a dimension of its own"):
        space_of("{ NUM_STREAMS = 2 }")


def test_every_property_has_its_columns() -> None:
    """The process learns what a value does, whatever it stands beside."""
    named: dict[str, list[str | int | float | bool]] = {
        "A_PROPERTY": ["x", "y"],
        "ANOTHER": [1, 2, 3],
    }
    one = SearchSpace(
        {
            "device": ("CPU",),
            "threads_per_stream": (1,),
            "streams": (1,),
            "requests_per_stream": (1,),
            "batch": (1,),
            "pinning": (True,),
            "precision": ("f32",),
            "api": (Api.ASYNC,),
            "named_properties": choices_of(named),
        },
        1,
    )
    found = features(PointTable(one))
    assert found.shape == (6, 3)  # y; 2 and 3


def test_words_name_a_property() -> None:
    """`compare` takes what no row has, and none that must not be set or is nearly a row's."""
    found = configuration_in("streams=2,KEY_CACHE_GROUP_SIZE=16")
    assert properties_in(found.named_properties) == {"KEY_CACHE_GROUP_SIZE": "16"}  # type: ignore[attr-defined]
    assert "KEY_CACHE_GROUP_SIZE=16" in str(found)
    with pytest.raises(ValueError, match="PERF_COUNT makes the runtime count"):
        configuration_in("streams=2,PERF_COUNT=YES")
    with pytest.raises(KeyError):
        configuration_in("NUM_STREAM=2")


def test_what_was_read_back_decides_what_is_known() -> None:
    """Two values that the runtime makes one of are one; what cannot be read is as requested."""

    def key(value: str, **read: str) -> str:
        configuration = configuration_in(f"streams=1,A_PROPERTY={value}")
        return Effective({"NUM_STREAMS": "1", **read}, 1).key(configuration)

    assert key("1", A_PROPERTY="2") == key("2", A_PROPERTY="2")
    assert key("1") != key("2")
    unread: Any = Effective({"NUM_STREAMS": "1"}, 1)
    assert unread.unread(configuration_in("streams=1,A_PROPERTY=1")) == ["A_PROPERTY"]
