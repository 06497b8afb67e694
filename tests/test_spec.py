"""study.toml: what it may say, how it is read back, and how its faults are told."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.goal import Goal, Objective, Resource
from autotune.domain.limits import TABLE, LimitRow, limits_of
from autotune.domain.sampler import Sampler
from autotune.errors import EXIT_USAGE, SpecError
from autotune.space.dimensions import Api
from autotune.spec import StudySpec, build_spec, load_spec, parse_shapes, parse_spec, to_toml

LEAST = """
[model]
path = "model.xml"
[goal]
max_latency = "20ms"
"""


def faults(text: str) -> list[str]:
    """The lines of the error that a study file gives."""
    with pytest.raises(SpecError) as refused:
        parse_spec(text)
    return str(refused.value).splitlines()


def fault(text: str) -> str:
    """The only line of the error that a study file gives."""
    lines = faults(text)
    assert len(lines) == 1, lines
    return lines[0]


# --- what a study may say


def test_the_least_study() -> None:
    """A model and a cap are enough; the rest has defaults."""
    spec = parse_spec(LEAST)
    assert spec.goal.goal == Goal(Objective.THROUGHPUT, 99.0, 20.0)
    assert spec.space.device == ("CPU",)
    assert spec.space.api == (Api.ASYNC,)
    assert spec.budget.duration_s == 600.0
    assert spec.limit_s == 15.0


@pytest.mark.parametrize(
    ("text", "cap_ms"), [("2.5ms", 2.5), ("800us", 0.8), ("1s", 1000.0), ("1.1ms", 1.1)]
)
def test_caps_have_a_unit(text: str, cap_ms: float) -> None:
    """The cap is a text with a unit."""
    assert parse_spec(LEAST.replace("20ms", text)).goal.goal.cap_ms == cap_ms


def test_headroom_is_kept_below_the_cap() -> None:
    """The choice is the one under the cap over 1.25, and the cap that was given is known."""
    goal = parse_spec(LEAST + 'headroom = "25%"\n').goal.goal
    assert (goal.cap_ms, goal.given_cap_ms, goal.headroom) == (16.0, 20.0, 0.25)


@pytest.mark.parametrize("value", ["0.25", '"25"', '"-1%"', "true", '"lots"'])
def test_headroom_is_a_percentage(value: str) -> None:
    """As a text, so that nobody has to know which number was meant."""
    line = fault(LEAST + f"headroom = {value}\n")
    assert "[goal] headroom" in line
    assert "%" in line or "percent" in line


def test_headroom_needs_a_cap() -> None:
    """There is nothing to keep away from."""
    text = LEAST.replace('max_latency = "20ms"', 'objective = "latency"\nheadroom = "5%"')
    assert "give max_latency" in fault(text)


@pytest.mark.parametrize("objective", ["throughput", "latency", "pareto", "efficiency"])
def test_no_objective_that_is_said_needs_a_cap(objective: str) -> None:
    """The lowest latency, the front, efficiency, and throughput overnight, where one says so."""
    spec = parse_spec(LEAST.replace("max_latency", "objective").replace("20ms", objective))
    assert spec.goal.goal == Goal(Objective(objective), 99.0, None)


def test_throughput_under_a_cap_may_be_said_or_not() -> None:
    """It is the same study, and is written in one way."""
    said = parse_spec(LEAST + 'objective = "throughput"\n')
    assert said == parse_spec(LEAST)
    assert said.goal.goal == Goal(Objective.THROUGHPUT, 99.0, 20.0)
    overnight = parse_spec(LEAST.replace('max_latency = "20ms"', 'objective = "throughput"'))
    assert parse_spec(to_toml(overnight)) == overnight


def test_limits_beside_latency() -> None:
    """Each with its unit, as many as one likes; in the order of the table."""
    text = LEAST + (
        'min_throughput = 500\nmax_memory = "1.5GiB"\nmax_cpu_per_item = "3ms"\n'
        'max_compile_time = "2s"\nmax_first_inference = "2.5s"\nmax_energy_per_item = "20mJ"\n'
    )
    spec = parse_spec(text)
    assert spec.goal.goal.limits == limits_of(
        {
            "max_memory": 1.5 * 2**30,
            "max_cpu_per_item": 0.003,
            "max_compile_time": 2.0,
            "max_first_inference": 2.5,
            "max_energy_per_item": 0.02,
            "min_throughput": 500.0,
        }
    )
    assert parse_spec(text.replace("500\n", '"500/s"\n')) == spec


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
@pytest.mark.parametrize("value", ["0", "-1", '"0s"', '"lots"', "true", "[]", '"1parsec"'])
def test_a_limit_is_positive_and_has_its_unit(row: LimitRow, value: str) -> None:
    """The message names the key."""
    assert f"[goal] {row.name}: " in fault(f"{LEAST}{row.name} = {value}\n")


def test_a_bare_number_is_no_limit_of_memory() -> None:
    """But one of throughput, which is items per second."""
    line = fault(LEAST + "max_memory = 500\n")
    assert line == (
        'study.toml: [goal] max_memory: 500 has no unit; write a text such as "500MB", "1.5GiB"'
    )
    assert parse_spec(LEAST + "min_throughput = 500.5\n").goal.goal.limits[0].value == 500.5


def test_what_efficiency_counts_by() -> None:
    """CPU time, or energy where it is said; of nothing else."""
    text = LEAST + 'objective = "efficiency"\n'
    assert parse_spec(text).goal.goal.resource is Resource.CPU
    assert parse_spec(text + 'efficiency = "energy"\n').goal.goal.resource is Resource.ENERGY
    assert "[goal] efficiency: is what the objective" in fault(LEAST + 'efficiency = "energy"\n')
    assert "[goal] efficiency" in fault(text + 'efficiency = "money"\n')


def test_portable() -> None:
    """A switch, off where it is not said."""
    assert not parse_spec(LEAST).goal.goal.portable
    assert parse_spec(LEAST + "portable = true\n").goal.goal.portable


def test_one_value_fixes_a_dimension() -> None:
    """A single value stands for a list of one."""
    one = parse_spec(LEAST + '[space]\nstreams = 2\nprecision = "bf16"\npinning = false\n')
    listed = parse_spec(LEAST + '[space]\nstreams = [2]\nprecision = ["bf16"]\npinning = [false]\n')
    assert one == listed
    assert one.space.streams == (2,)
    assert one.space.pinning == (False,)


@pytest.mark.parametrize(
    ("budget", "duration_s", "limit_s"),
    [
        ("", 600.0, 15.0),
        ('duration = "3m"', 180.0, 4.5),
        ('duration = "30s"', 30.0, 3.0),
        ('duration = "8h"', 28_800.0, 30.0),
        ("trials = 10", None, 10.0),
        ('until = "07:00"', None, 10.0),
    ],
)
def test_the_budget_decides_the_limit(
    budget: str, duration_s: float | None, limit_s: float
) -> None:
    """A measurement may take a fortieth of the budget, between 3 s and 30 s."""
    spec = parse_spec(f"{LEAST}[budget]\n{budget}\n")
    assert (spec.budget.duration_s, spec.limit_s) == (duration_s, limit_s)


def test_a_limit_of_the_study_stands() -> None:
    """What the study says about measuring goes before what follows from the budget."""
    assert parse_spec(LEAST + '[measure]\nlimit = "45s"\n').limit_s == 45.0


def test_a_time_of_day_may_be_one_of_toml() -> None:
    """A quoted time and TOML's own local time mean the same."""
    quoted = parse_spec(LEAST + '[budget]\nuntil = "07:00:00"\n')
    assert parse_spec(LEAST + "[budget]\nuntil = 07:00:00\n") == quoted


def test_a_spec_cannot_be_changed() -> None:
    """A spec is a value."""
    with pytest.raises(ValueError, match="frozen"):
        parse_spec(LEAST).search.seed = 3


# --- round trip

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: bool(text.strip())
)
DURATIONS = st.builds(
    lambda digits, decimals, unit: f"{digits / 10**decimals:.{decimals}f}{unit}",
    st.integers(1, 10**9),
    st.integers(0, 4),
    st.sampled_from(["us", "ms", "s", "m", "h"]),
).filter(lambda text: any(digit in text for digit in "123456789"))


def lists_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One value, or a list of distinct ones."""
    return values | st.lists(values, min_size=1, max_size=4, unique=True)


def suits_its_objective(values: dict[str, Any]) -> bool:
    """Whether no two objectives are asked of what has one."""
    if values["goal"].get("objective") != "pareto":
        return True
    sampler = values.get("search", {}).get("sampler")
    return sampler != "gp" and not values.get("budget", {}).get("stable")


COUNTS = lists_of(st.integers(1, 65_536))
DICTIONARIES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "model": st.fixed_dictionaries({"path": NAMES}, optional={"shape": NAMES, "inputs": NAMES}),
        "goal": st.fixed_dictionaries(
            {"max_latency": DURATIONS},
            optional={
                "objective": st.sampled_from(["throughput", "latency", "pareto", "efficiency"]),
                "percentile": st.floats(0.01, 99.9999) | st.integers(1, 99),
                "portable": st.booleans(),
                "max_memory": st.integers(1, 10**13).map("{}B".format),
                "max_cpu_per_item": DURATIONS,
                "max_compile_time": DURATIONS,
                "max_first_inference": DURATIONS,
                "max_energy_per_item": st.integers(1, 10**9).map("{}uJ".format),
                "min_throughput": st.floats(1e-6, 1e9) | st.integers(1, 10**9),
            },
        ),
    },
    optional={
        "budget": st.fixed_dictionaries(
            {},
            optional={
                "duration": DURATIONS,
                "trials": st.integers(1, 65_536),
                "until": st.times().map(lambda time: time.isoformat("minutes")),
                "stable": st.booleans(),
            },
        ),
        "space": st.fixed_dictionaries(
            {},
            optional={
                "device": lists_of(NAMES.map(str.strip)),
                "streams": COUNTS,
                "threads_per_stream": COUNTS,
                "requests_per_stream": COUNTS,
                "batch": COUNTS,
                "pinning": lists_of(st.booleans()),
                "precision": lists_of(st.sampled_from(["f32", "bf16", "f16"])),
                "api": lists_of(st.sampled_from(["async", "sync"])),
            },
        ),
        "measure": st.fixed_dictionaries({}, optional={"limit": DURATIONS, "warmup": DURATIONS}),
        "search": st.fixed_dictionaries(
            {},
            optional={
                "sampler": st.sampled_from([sampler.value for sampler in Sampler]),
                "seed": st.integers(0, 2**31 - 1),
                "warm_start": NAMES,
            },
        ),
    },
)
SPECS = DICTIONARIES.filter(suits_its_objective).map(
    lambda values: build_spec(values, "study.toml")
)


@given(SPECS)
def test_toml_round_trip(spec: StudySpec) -> None:
    """Every spec, written as TOML, is read back as the same spec."""
    assert parse_spec(to_toml(spec)) == spec
    assert to_toml(parse_spec(to_toml(spec))) == to_toml(spec)


def test_defaults_and_comments_are_written_sparingly() -> None:
    """Only what differs from the defaults is written, below the comments."""
    text = to_toml(parse_spec(LEAST), ("why", "how long", "what to look at"))
    assert text == (
        "# why\n# how long\n# what to look at\n\n"
        '[model]\npath = "model.xml"\n\n[goal]\nmax_latency = "20ms"\n'
    )


def test_a_folder_stands_for_its_study(tmp_path: Path) -> None:
    """A study is loaded by its file or by its folder."""
    file = tmp_path / "study.toml"
    file.write_text(LEAST, encoding="utf-8")
    assert load_spec(tmp_path) == load_spec(file) == parse_spec(LEAST)


# --- faults


NO_CAP = (
    'is missing: write for instance max_latency = "20ms"; or objective = "throughput" for as many '
    "items as the machine can do, however long each takes"
)


def test_all_faults_are_told_together() -> None:
    """One line for each fault, with section, key, value and way out."""
    assert faults(
        """
        [model]
        paht = "model.xml"
        [goal]
        percentile = 101
        [budget]
        trials = 0
        until = "7am"
        [space]
        streams = [1, 2, 1]
        precision = "fp16"
        batch = []
        [search]
        seed = -1
        [serach]
        """
    ) == [
        "study.toml: [model] path: is missing",
        "study.toml: [model] paht: unknown key; did you mean 'path'?",
        f"study.toml: [goal] max_latency: {NO_CAP}",
        "study.toml: [goal] percentile: input should be less than 100, got 101",
        "study.toml: [budget] trials: input should be greater than or equal to 1, got 0",
        "study.toml: [budget] until: '7am' is no time of day; write for instance \"07:00\"",
        "study.toml: [space] streams: has a value twice: [1, 2, 1]",
        "study.toml: [space] batch: is empty; give a value or a list, or leave it out, got []",
        "study.toml: [space] precision.0: input should be 'f32', 'bf16' or 'f16', got 'fp16'",
        "study.toml: [search] seed: input should be greater than or equal to 0, got -1",
        "study.toml: [serach]: unknown key; did you mean 'search'?",
    ]


@pytest.mark.parametrize("section", ["model", "goal"])
def test_a_missing_section_is_named(section: str) -> None:
    """Without a model or a goal there is no study."""
    parts = {"model": '[model]\npath = "m.xml"\n', "goal": '[goal]\nmax_latency = "1ms"\n'}
    del parts[section]
    assert fault("".join(parts.values())) == f"study.toml: [{section}]: is missing"


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("max_latncy", "did you mean 'max_latency'?"),
        ("percentil", "did you mean 'percentile'?"),
        ("max_memry", "did you mean 'max_memory'?"),
        (
            "zzz",
            "known here: objective, efficiency, max_latency, percentile, headroom, portable, "
            + ", ".join(row.name for row in TABLE),
        ),
    ],
)
def test_unknown_keys_get_a_suggestion(key: str, suggestion: str) -> None:
    """A misspelt key names the near one, any other all known ones."""
    assert fault(f"{LEAST}{key} = 1\n") == f"study.toml: [goal] {key}: unknown key; {suggestion}"


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("20", "20 has no unit"),
        ("2.5", "2.5 has no unit"),
        ("true", "true has no unit"),
        ('"20"', "'20' is not a duration"),
        ('"-3ms"', "'-3ms' is not a duration"),
        ('"0ms"', "'0ms' must be more than zero"),
        ('"5 parsecs"', "unknown unit 'parsecs'"),
        ('""', "'' is not a duration"),
    ],
)
def test_durations_need_units(value: str, complaint: str) -> None:
    """A number alone, zero and negative numbers are no cap."""
    line = fault(LEAST.replace('"20ms"', value))
    assert line.startswith("study.toml: [goal] max_latency: ")
    assert complaint in line


@pytest.mark.parametrize("percentile", ["0", "100", "-5", "150", "nan", "inf", "true", '"99"'])
def test_percentiles_lie_between_0_and_100(percentile: str) -> None:
    """The bounds themselves, and what is no number, are refused."""
    line = fault(f"{LEAST}percentile = {percentile}\n")
    assert line.startswith("study.toml: [goal] percentile: input should be ")


@pytest.mark.parametrize("value", ["0", "-1", "65537", "1.5", "true", '"4"', "[1, [2]]"])
@pytest.mark.parametrize("key", ["streams", "threads_per_stream", "requests_per_stream", "batch"])
def test_counts_are_whole_and_positive(key: str, value: str) -> None:
    """Counts are integers from 1 to 65536, and nothing that merely looks like one."""
    assert fault(f"{LEAST}[space]\n{key} = {value}\n").startswith(f"study.toml: [space] {key}.")


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("budget", 'duration = "0s"'),
        ("budget", "trials = 0"),
        ("budget", 'until = "25:00"'),
        ("budget", "until = 7"),
        ("space", 'device = ""'),
        ("space", "device = []"),
        ("space", 'pinning = "yes"'),
        ("space", "pinning = [true, true]"),
        ("space", 'api = "blocking"'),
        ("measure", "limit = 5"),
        ("search", 'sampler = "magic"'),
        ("search", "seed = 2147483648"),
        ("search", f"seed = 0x{'f' * 5000}"),
    ],
)
def test_values_out_of_bounds_are_named(section: str, line: str) -> None:
    """Each bad value is told with its section and key."""
    key = line.split(" ", 1)[0]
    assert fault(f"{LEAST}[{section}]\n{line}\n").startswith(f"study.toml: [{section}] {key}")


def test_a_spec_error_is_a_usage_error() -> None:
    """A study file that cannot be used ends with exit code 2."""
    assert SpecError.exit_code == EXIT_USAGE


@pytest.mark.parametrize("text", ["[goal", "a = ", "= 3", "a = 1\na = 2", f"a = {'1' * 5000}"])
def test_what_is_no_toml_is_said_as_such(text: str) -> None:
    """The message of the TOML reader is passed on, with the file's name."""
    assert fault(text).startswith("study.toml: not a TOML file: ")


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    """A missing file and a file that is no text are told with their path."""
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    for file in (tmp_path / "none.toml", binary, tmp_path):
        with pytest.raises(SpecError, match="cannot be read") as refused:
            load_spec(file)
        assert str(refused.value).startswith(str(file))


# --- any text

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.datetimes()
    | st.times(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [*StudySpec.model_fields, *(key for f in StudySpec.model_fields.values()
     for key in getattr(f.annotation, "model_fields", {}))]
) | st.text(max_size=5)  # fmt: skip
PIECES = st.sampled_from(
    ["[", "]", "[model]", "[goal]", "[space]", "[budget]", "=", " = ", '"', "'''", "\n", "\\u",
     "path", "max_latency", "streams", "until", '"1ms"', "1e400", "-", "nan", "0x", "07:00:00",
     "1979-05-27T07:32:00Z", "{", "}", ",", "#", "é", "\x00", "\t", "1_0", "true", "a.b.c"]
)  # fmt: skip


def is_spec_or_error(values: dict[str, Any]) -> None:
    """Passes when the dictionary is a study, or a SpecError says why not."""
    try:
        build_spec(values, "study.toml")
    except SpecError as refused:
        assert all(line.startswith("study.toml: ") for line in str(refused).splitlines())  # noqa: PT017 - both outcomes are right


@given(st.text() | st.lists(PIECES, max_size=30).map("".join))
def test_any_text_is_a_study_or_a_spec_error(text: str) -> None:
    """No text of a study file leads to another exception."""
    try:
        assert parse_spec(text)
    except SpecError as refused:
        assert str(refused).startswith("study.toml: ")  # noqa: PT017 - both outcomes are right


@given(st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=5), max_size=6))
def test_any_values_are_a_study_or_a_spec_error(values: dict[str, Any]) -> None:
    """No value of any type at any key leads to another exception."""
    is_spec_or_error(values)


@given(DICTIONARIES, st.data())
def test_one_bad_value_is_a_study_or_a_spec_error(
    values: dict[str, dict[str, Any]], data: st.DataObject
) -> None:
    """A good study with one value replaced by anything is still a study or a SpecError."""
    section = data.draw(st.sampled_from(sorted(values)))
    key = data.draw(KEYS)
    is_spec_or_error({**values, section: {**values[section], key: data.draw(VALUES)}})


# --- how a study searches, and how long


@pytest.mark.parametrize("name", ["auto", "gp", "tpe", "random", "grid", "exhaustive"])
def test_samplers_have_names(name: str) -> None:
    """Each is read, kept, and written back unless it is the default."""
    spec = parse_spec(f'{LEAST}[search]\nsampler = "{name}"\n')
    assert spec.search.sampler == Sampler(name)
    assert parse_spec(to_toml(spec)) == spec
    assert ("sampler" in to_toml(spec)) == (name != "auto")


def test_the_least_study_leaves_the_sampler_to_us() -> None:
    """No sampler, no study to start from, and no early end."""
    spec = parse_spec(LEAST)
    assert spec.search.sampler is Sampler.AUTO
    assert spec.search.warm_start is None
    assert spec.budget.stable is False


def test_an_unknown_sampler_is_told_the_known_ones() -> None:
    """All names, in one line."""
    assert fault(f'{LEAST}[search]\nsampler = "magic"\n') == (
        "study.toml: [search] sampler: input should be "
        "'auto', 'gp', 'tpe', 'random', 'grid' or 'exhaustive', got 'magic'"
    )


def test_two_objectives_have_no_improvement_that_could_be_unlikely() -> None:
    """So a Pareto study cannot end by it."""
    text = LEAST.replace("max_latency", "objective").replace("20ms", "pareto")
    assert "two objectives" in fault(f"{text}[budget]\nstable = true\n")


def test_two_objectives_are_too_many_for_a_gaussian_process() -> None:
    """The message names those that can."""
    text = LEAST.replace("max_latency", "objective").replace("20ms", "pareto")
    assert fault(f'{text}[search]\nsampler = "gp"\n') == (
        'study.toml: [search]: sampler: "gp" has one objective; for "pareto" take "tpe" or "auto"'
    )


@pytest.mark.parametrize("name", ["auto", "tpe", "random", "grid", "exhaustive"])
def test_other_samplers_take_two_objectives(name: str) -> None:
    """Only one of them cannot."""
    text = LEAST.replace("max_latency", "objective").replace("20ms", "pareto")
    assert parse_spec(f'{text}[search]\nsampler = "{name}"\n').search.sampler == Sampler(name)


@pytest.mark.parametrize("objective", ["throughput", "latency"])
def test_a_gaussian_process_takes_one_objective(objective: str) -> None:
    """Whichever it is."""
    text = f'{LEAST}objective = "{objective}"\n[search]\nsampler = "gp"\n'
    assert parse_spec(text).search.sampler is Sampler.GP


def test_a_fault_of_the_goal_hides_no_fault_of_the_sampler() -> None:
    """And is told once."""
    text = LEAST.replace("20ms", "20") + '[search]\nsampler = "magic"\n'
    assert [line.split(":")[1] for line in faults(text)] == [
        " [goal] max_latency",
        " [search] sampler",
    ]


@pytest.mark.parametrize("limit", ["", "trials = 5\n", 'until = "07:00"\n', 'duration = "2m"\n'])
def test_a_search_may_end_when_it_is_stable(limit: str) -> None:
    """Beside every other limit; by itself it does not take the default duration away."""
    spec = parse_spec(f"{LEAST}[budget]\n{limit}stable = true\n")
    same = parse_spec(f"{LEAST}[budget]\n{limit}")
    assert spec.budget.stable is True
    assert spec.budget.duration_s == same.budget.duration_s
    assert parse_spec(to_toml(spec)) == spec
    budget = spec.budget.after(10.0, datetime.now().astimezone())
    assert budget.stable is True
    assert same.budget.after(10.0, datetime.now().astimezone()).stable is False


@pytest.mark.parametrize("value", ["1", '"yes"', "[true]", '"true"'])
def test_stable_is_a_yes_or_no(value: str) -> None:
    """Nothing that merely looks like one."""
    assert fault(f"{LEAST}[budget]\nstable = {value}\n").startswith("study.toml: [budget] stable: ")


@pytest.mark.parametrize("folder", ["../other", "a b", "studies/é", 'qu"ote', "back\\slash"])
def test_the_study_to_start_from_is_written_and_read_back(folder: str) -> None:
    """Any name that a folder may have."""
    values = {
        "model": {"path": "m.xml"},
        "goal": {"max_latency": "1ms"},
        "search": {"warm_start": folder},
    }
    spec = build_spec(values, "study.toml")
    assert spec.search.warm_start == folder
    assert parse_spec(to_toml(spec)) == spec


@pytest.mark.parametrize("value", ['""', '" "', "3", "true", '["a", "b"]'])
def test_the_study_to_start_from_is_one_name(value: str) -> None:
    """Neither nothing nor several."""
    line = fault(f"{LEAST}[search]\nwarm_start = {value}\n")
    assert line.startswith("study.toml: [search] warm_start: ")


# --- shapes


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        (None, {}),
        ("", {}),
        ("x:1,3,48,192", {"x": [1, 3, 48, 192]}),
        ("1,3,48,192", {"": [1, 3, 48, 192]}),
        ("a:1,2; b:3", {"a": [1, 2], "b": [3]}),
        ("x:[1, 3]", {"x": [1, 3]}),
        ("scope:x:0:1,8", {"scope:x:0": [1, 8]}),
        ("past:1,8,0,64", {"past": [1, 8, 0, 64]}),
        ("x:00,010", {"x": [0, 10]}),
        ("sr:[]; x:1", {"sr": [], "x": [1]}),
    ],
)
def test_shapes_by_input(text: str | None, shapes: dict[str, list[int]]) -> None:
    """Inputs are parted by semicolons, and their names, which may hold colons, by the last one."""
    assert parse_shapes(text) == shapes


@pytest.mark.parametrize(
    "text",
    ["x", "x:", "x:1,-3", "x:1,,2", "x:1.5", "x:?", "x:1;x:2", "x:²", f"x:{'9' * 5000}"],
)
def test_other_shapes_are_refused(text: str) -> None:
    """Dimensions are whole numbers, and each input is given once."""
    with pytest.raises(SpecError, match=r"\[model\] shape: .* is no shape; write name:1,3,48,192"):
        parse_shapes(text)


# --- the core budget


@pytest.mark.parametrize(
    ("value", "count", "listed"),
    [
        ("6", 6, ()),
        ('"6"', 6, ()),
        ('"0-2"', 3, (0, 1, 2)),
        ("[0, 2]", 2, (0, 2)),
        ('"1-1"', 1, (1,)),
    ],
)
def test_a_core_budget_is_a_count_or_a_list(
    value: str, count: int, listed: tuple[int, ...]
) -> None:
    """And is written back as what it is; without one nothing is."""
    spec = parse_spec(f"{LEAST}\n[machine]\ncpus = {value}\n")
    assert spec.machine.cpus is not None
    assert (spec.machine.cpus.count, spec.machine.cpus.listed) == (count, listed)
    assert parse_spec(to_toml(spec)) == spec
    assert "[machine]" not in to_toml(parse_spec(LEAST))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("0", "'0' is no count of CPUs"),
        ('""', "'' is empty"),
        ('"0,0"', "'0,0' names CPU 0 twice"),
        ('"5-0"', "5-0 runs backwards"),
        ("true", "true is neither a count nor a list"),
        ("1.5", "1.5 is neither a count nor a list"),
        ("[]", "[] is empty"),
    ],
)
def test_a_wrong_core_budget_is_named(value: str, says: str) -> None:
    """The key, the value, what is allowed."""
    said = fault(f"{LEAST}\n[machine]\ncpus = {value}\n")
    assert said.startswith("study.toml: [machine] cpus: ")
    assert says in said
    assert any(
        way in said for way in ("write a count such as 6", "name each CPU once", "write 0-5")
    )
