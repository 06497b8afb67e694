"""What every runner must do: the tuner cannot tell a formula or a recording from a real machine."""

from array import array
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import pytest

from autotune.domain.arrival import Closed
from autotune.domain.failure import FailureKind, TrialFault
from autotune.domain.inspection import Inspection
from autotune.domain.measurement import Block
from autotune.errors import DeviceError
from autotune.machines.ports import Load, OpenModel, Runner
from autotune.machines.workers import SubprocessRunner
from autotune.space.configuration import CompileKey, Configuration
from autotune.space.dimensions import Api, PerformanceHint
from autotune.surfaces.recording import Recording
from autotune.surfaces.runner import RecordedRunner
from autotune.surfaces.surface import RecordedLaunch, RecordPlan, Surface, SurfaceIdentity
from autotune.surfaces.truth import RecordedMachine
from autotune.testing import SimulatedRunner
from autotune.workload.workload import ModelSource
from tests import models
from tests.search.surface import make_space

LATENCY = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
THROUGHPUT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)


REAL = pytest.param("real", marks=pytest.mark.openvino)


@pytest.fixture(scope="module", params=["simulated", "recorded", REAL])
def runner(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model_folder: Path
) -> Runner:
    """Each implementation in turn."""
    if request.param == "simulated":
        return SimulatedRunner()
    if request.param == "recorded":
        return RecordedRunner(recorded=RecordedMachine(recorded_surface()))
    folder = tmp_path_factory.mktemp("runner")
    source = ModelSource(path=model_folder / models.TINY, shapes={}, inputs=None)
    return SubprocessRunner(source, folder)


def recorded_surface() -> Surface:
    """What a simulated machine makes of all that is asked for here."""
    runner = SimulatedRunner(noise=0.05, seed=3)
    facts = runner.inspect(["CPU"], try_batch=True)
    cpus = runner.cpu.cpus
    cells = [
        LATENCY,
        THROUGHPUT,
        *(replace(LATENCY, num_requests=1, api=api) for api in Api),
        *(replace(THROUGHPUT, num_requests=count) for count in range(1, 5)),
        replace(THROUGHPUT, num_requests=1, api=Api.SYNC),
        *(of_streams(streams, cpus) for streams in (cpus, 4 * cpus)),
    ]
    plan = RecordPlan(launches=2, rounds=2)
    launches: list[RecordedLaunch] = []
    Recording(cells, plan, runner, keep=launches.extend).run()
    identity = SurfaceIdentity(
        name="contract",
        spec="",
        model_sha256="0" * 64,
        shapes=facts.static_shapes,
        machine=runner.machine(facts).to_dict(),
        versions={},
        space=make_space(),
        plan=plan,
        started_at="2026-11-26T12:00:00+00:00",
    )
    return Surface(identity=identity, cells=tuple(cells), launches=tuple(launches))


def of_streams(streams: int, num_requests: int) -> Configuration:
    """Streams of one thread."""
    return Configuration(
        device="CPU", streams=streams, threads_per_stream=1, num_requests=num_requests
    )


@pytest.fixture(scope="module")
def inspected(runner: Runner) -> Inspection:
    """A study looks before it opens."""
    return runner.inspect(["CPU"], try_batch=True)


@pytest.fixture(scope="module")
def model(runner: Runner, inspected: Inspection) -> Iterator[OpenModel]:
    """One model for all tests that only put it under load."""
    opened = runner.open(THROUGHPUT.compile_key)
    yield opened
    opened.close()


def load(num_requests: int = 4, api: Api = Api.ASYNC, limit_s: float = 60.0) -> Load:
    """Short blocks."""
    return Load(arrival=Closed(num_requests, api is Api.SYNC), block_s=0.02, limit_s=limit_s)


def first_blocks(opened: OpenModel, wanted: Load, count: int = 2) -> list[Block]:
    """Some blocks of a load that is then closed."""
    blocks = opened.load(wanted)
    found = list(islice(blocks, count))
    blocks.close()
    return found


@pytest.mark.parametrize("runner", ["simulated", REAL], indirect=True)  # no surface has a model
def test_an_inspection_describes_the_model(inspected: Inspection) -> None:
    """One input and one output, and a CPU with a range of streams."""
    assert inspected.inputs is not None
    assert inspected.outputs is not None
    assert [port.name for port in inspected.inputs] == ["x"]
    assert len(inspected.outputs) == 1
    assert inspected.devices["CPU"].streams


@pytest.mark.parametrize("runner", ["recorded"], indirect=True)
def test_a_recording_says_that_it_knows_no_model(inspected: Inspection) -> None:
    """Not that the model has no inputs, or its CPU no streams: nobody knows."""
    assert (inspected.inputs, inspected.outputs) == (None, None)
    assert inspected.devices["CPU"].streams is None


def test_an_inspection_says_what_a_space_follows_from(inspected: Inspection) -> None:
    """A static shape, a CPU, precisions with f32 exact, and that there may be batches."""
    assert inspected.static_shapes == {"x": [1, 3, 32, 32]}
    assert set(inspected.devices) == {"CPU"}
    assert inspected.precision_errors["f32"] == 0.0
    assert inspected.default_precision in inspected.precision_errors
    assert inspected.why_no_batch is None


def test_an_unknown_device_is_refused(runner: Runner) -> None:
    """The message names the device and those that are here."""
    with pytest.raises(DeviceError, match=r"'NOSUCH'.*CPU"):
        runner.inspect(["CPU", "NOSUCH"], try_batch=False)


def test_the_machine_is_the_one_that_was_inspected(runner: Runner, inspected: Inspection) -> None:
    """Same runtime, same devices, at least one CPU; twice the same answer."""
    machine = runner.machine(inspected)
    assert machine.openvino == inspected.openvino
    assert set(machine.devices) == set(inspected.devices)
    assert machine.usable_cpus >= 1
    assert machine.differences(runner.machine(inspected).to_dict()) == []


def test_the_latency_hint_is_one_stream(runner: Runner, inspected: Inspection) -> None:
    """And one request is then optimal."""
    opened = runner.open(LATENCY.compile_key)
    opened.close()
    effective = opened.opening.effective
    assert effective.properties["NUM_STREAMS"] == "1"
    assert effective.optimal_requests == 1


def test_the_throughput_hint_asks_for_a_request_per_stream(model: OpenModel) -> None:
    """Optimal requests = streams; a stream has at least one thread."""
    effective = model.opening.effective
    streams = int(effective.properties["NUM_STREAMS"])
    assert effective.requests(THROUGHPUT) == effective.optimal_requests == streams
    assert int(effective.properties["INFERENCE_NUM_THREADS"]) >= streams


@pytest.mark.parametrize(
    "name",
    [
        "NUM_STREAMS",
        "INFERENCE_NUM_THREADS",
        "ENABLE_CPU_PINNING",
        "INFERENCE_PRECISION_HINT",
        "EXECUTION_DEVICES",
        "OPTIMAL_NUMBER_OF_INFER_REQUESTS",
        "PERFORMANCE_HINT",
    ],
)
def test_effective_properties_are_read_back(model: OpenModel, name: str) -> None:
    """As non-empty text."""
    assert model.opening.effective.properties[name]


def test_more_threads_than_cpus_are_clamped_without_a_word(
    runner: Runner, inspected: Inspection
) -> None:
    """So that equal effective keys show what need not be measured twice."""
    cpus = runner.machine(inspected).usable_cpus
    most, more = (of_streams(streams, cpus) for streams in (cpus, 4 * cpus))
    keys = []
    for configuration in (most, more):
        opened = runner.open(configuration.compile_key)
        keys.append(opened.opening.effective.key(configuration))
        opened.close()
    assert keys[0] == keys[1]


def test_free_memory_is_known_or_said_to_be_unknown(runner: Runner) -> None:
    """None is no number."""
    free = runner.free_memory()
    assert free is None or free > 0


def test_an_unknown_property_is_an_invalid_configuration(
    runner: Runner, inspected: Inspection
) -> None:
    """A fault of the configuration, found when it is opened; the runner lives on."""
    with pytest.raises(TrialFault, match="NO_SUCH") as caught:
        runner.open(CompileKey("CPU", (("NO_SUCH", "1"),), 1))
    assert caught.value.failure.kind is FailureKind.INVALID_CONFIGURATION
    assert caught.value.failure.phase == "open"
    runner.open(LATENCY.compile_key).close()


def test_models_are_opened_side_by_side(runner: Runner, inspected: Inspection) -> None:
    """In whatever order they are waited for, twins too; each is what it is when it is alone."""
    keys = [THROUGHPUT.compile_key, LATENCY.compile_key, THROUGHPUT.compile_key]
    with runner.side_by_side(keys):
        opened = [runner.open(key) for key in reversed(keys)]
    effective = [model.opening.effective for model in opened]
    assert effective[0] == effective[2] != effective[1]
    assert effective[1].optimal_requests == 1
    for model in opened:
        assert first_blocks(model, load(1), 1)
        model.close()


def test_side_by_side_a_fault_is_its_own(runner: Runner, inspected: Inspection) -> None:
    """It is raised where that model is opened, and the others open."""
    bad = CompileKey("CPU", (("NO_SUCH", "1"),), 1)
    with runner.side_by_side([bad, LATENCY.compile_key]):
        runner.open(LATENCY.compile_key).close()
        with pytest.raises(TrialFault, match="NO_SUCH") as caught:
            runner.open(bad)
    assert caught.value.failure.kind is FailureKind.INVALID_CONFIGURATION


def test_what_was_not_begun_is_opened_alone(runner: Runner, inspected: Inspection) -> None:
    """Also amid others, and after them."""
    with runner.side_by_side([LATENCY.compile_key]):
        amid = runner.open(THROUGHPUT.compile_key)
    after = runner.open(LATENCY.compile_key)
    for opened in (amid, after):
        assert first_blocks(opened, load(1), 1)
        opened.close()


@pytest.mark.parametrize(
    ("wanted", "num_requests"),
    [(load(1), 1), (load(4), 4), (load(num_requests=1, api=Api.SYNC), 1)],
    ids=["one request", "four requests", "one blocking call"],
)
def test_blocks_hold_what_they_promise(model: OpenModel, wanted: Load, num_requests: int) -> None:
    """Both minima are met, latencies ascend and fill no more time than the requests had."""
    for block in first_blocks(model, wanted):
        latencies = array("I", block.latency_ticks)
        assert block.completions == len(latencies) >= 5 * num_requests
        assert block.duration_s >= wanted.block_s
        assert all(a <= b for a, b in pairwise(latencies))
        assert latencies[0] > 0
        assert 0 < block.occupancy <= 1.001
        assert sum(latencies) * 1e-7 <= 1.05 * num_requests * block.duration_s
        assert block.cpus >= 1


def test_a_load_closed_early_leaves_the_model_usable(model: OpenModel) -> None:
    """Another load, with another request count, follows on the same model."""
    for num_requests in (1, 3, 2):
        assert len(first_blocks(model, load(num_requests), 1)) == 1


def test_a_load_that_nobody_stops_ends_at_its_limit(model: OpenModel) -> None:
    """The blocks add up to about the limit, and the model is idle again."""
    blocks = list(model.load(load(limit_s=0.1)))
    assert blocks
    assert len(first_blocks(model, load(), 1)) == 1


def test_peak_memory_is_known_after_a_load(model: OpenModel) -> None:
    """More than nothing."""
    first_blocks(model, load())
    assert (model.peak_rss_bytes or 0) > 2**20


def test_cpu_time_is_that_of_the_block(model: OpenModel) -> None:
    """Something was computed, by no more than the CPUs that there are; also where it waits."""
    for wanted in (load(1), load(4), load(num_requests=1, api=Api.SYNC)):
        for block in first_blocks(model, wanted):
            assert block.work_cpu_s is not None
            assert block.process_cpu_s is not None
            assert 0 < block.work_cpu_s <= block.process_cpu_s
            assert block.process_cpu_s <= 1.2 * block.cpus * block.duration_s + 0.05


def test_memory_is_known_by_phase(model: OpenModel) -> None:
    """Until the first answer, at most under load, and at the end of every block of it."""
    blocks = first_blocks(model, load())
    opened, loaded = model.opening.peak_rss_bytes, model.load_peak_rss_bytes
    assert opened is not None
    assert loaded is not None
    assert model.peak_rss_bytes is not None
    for block in blocks:
        assert block.rss_bytes is not None
        assert 2**20 < block.rss_bytes <= 1.01 * loaded  # the kernel's own count is not exact
    assert 2**20 < opened <= 1.01 * model.peak_rss_bytes


def test_energy_is_measured_or_there_is_a_reason(inspected: Inspection, model: OpenModel) -> None:
    """It is never estimated."""
    is_known = inspected.why_no_energy is None
    for block in first_blocks(model, load()):
        assert (block.energy_j is not None) is is_known
        assert block.energy_j is None or block.energy_j >= 0


def test_a_cache_gives_times_or_a_reason(runner: Runner, inspected: Inspection) -> None:
    """And leaves a model that is open as it is."""
    found = runner.cached(LATENCY.compile_key)
    times = (found.compile_s, found.first_inference_ms)
    assert (found.why_not is None) is (None not in times)
    assert all(time is None or time > 0 for time in times)
    opening = runner.open(LATENCY.compile_key)
    assert found.of(opening.opening).cached_compile_s == found.compile_s
    opening.close()


def test_the_clock_moves_on_with_work(runner: Runner, model: OpenModel) -> None:
    """By at least the time that the blocks took."""
    before = runner.clock()
    spent = sum(block.duration_s for block in first_blocks(model, load()))
    assert runner.clock() - before >= 0.99 * spent


def test_resident_models_take_turns(runner: Runner, model: OpenModel) -> None:
    """A second model may be opened and loaded while the first one is idle."""
    other = runner.open(LATENCY.compile_key)
    for opened in (model, other, model):
        assert first_blocks(opened, load(1), 1)
    other.close()


def test_a_closed_model_takes_no_load(runner: Runner, inspected: Inspection) -> None:
    """It says so, and as a fault where it is asked all the same, however often it is closed."""
    opened = runner.open(LATENCY.compile_key)
    was_open = opened.is_open
    opened.close()
    opened.close()
    assert (was_open, opened.is_open) == (True, False)
    with pytest.raises(TrialFault) as caught:
        next(opened.load(load()))
    assert caught.value.failure.kind.is_machine_fault
