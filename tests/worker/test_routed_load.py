"""Requests over several compiled models: each answer is its item's own, and nothing is lost."""

import gc
import itertools
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from autotune.space.shape_plan import ShapePlan, parse_plan
from autotune.worker import slots
from autotune.worker.asking import Asking, asking, bound, copied_in
from autotune.worker.feeding import Feed, Feeding, Requests
from autotune.worker.fitting import cropped
from autotune.worker.inputs import DataError, Sample
from autotune.worker.load import RequestLoop, deployed
from autotune.workload.mix import Mix, Pad

pytestmark = pytest.mark.openvino

WIDTHS = (3, 4, 7, 8, 11, 16)
WEIGHTS = (1, 2, 3, 1, 2, 1)
BUCKETS = parse_plan("buckets:4|8|16")


def network() -> ov.Model:
    """x: f32 1x2x4xW to 1x3x4xW: what is behind an item as zeros does not change its answer.

    It begins with what may work in the memory of its input: no sample may be written to.
    """
    x = op.parameter([1, 2, 4, -1], np.float32, name="x")
    weights = np.random.default_rng(5).standard_normal((3, 2, 3, 3), dtype=np.float32)
    same = ([1, 1], [1, 1], [1, 1], [1, 1])
    model = ov.Model([op.convolution(op.relu(x), op.constant(weights), *same)], [x])
    x.output(0).get_tensor().set_names({"x"})
    return model


@pytest.fixture(scope="module")
def core() -> ov.Core:
    """One for all models."""
    return ov.Core()


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """Two of each width."""
    random = np.random.default_rng(1)
    return [
        {"x": random.standard_normal((1, 2, 4, width), dtype=np.float32)}
        for width in WIDTHS
        for _ in range(2)
    ]


@pytest.fixture(scope="module")
def expected(core: ov.Core, samples: list[Sample]) -> list[np.ndarray]:
    """The answer of each alone, in its own shape."""
    found = []
    for sample in samples:
        model = network()
        model.reshape(sample["x"].shape)
        found.append(core.compile_model(model, "CPU", {})([sample["x"]])[0].copy())
    return found


def mix() -> Mix:
    """Every width, with zeros behind."""
    return Mix(
        shapes=tuple({"x": (1, 2, 4, width)} for width in WIDTHS),
        weights=WEIGHTS,
        pads={"x": (Pad(0, 3),)},
    )


def asked_of(
    samples: list[Sample], plan: ShapePlan, batch_size: int = 1, length: int = 60
) -> Asking:
    """Every sample by the weight of its width."""
    weights = [weight for weight in WEIGHTS for _ in range(2)]
    return asking(mix(), plan, samples, weights, batch_size=batch_size, length=length, seed=3)


def compiled_for(core: ov.Core, plan: ShapePlan, batch_size: int = 1) -> list[ov.CompiledModel]:
    """The models of a plan."""
    found = []
    for form in mix().forms(plan):
        model = network()
        sizes = [one if isinstance(one, int) else ov.Dimension(*one) for one in form["x"]]
        model.reshape(ov.PartialShape([batch_size, *sizes[1:]]))
        found.append(core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"}))
    return found


class Witness:
    """A feeding that looks at each answer before the next item takes its place."""

    def __init__(self, feeding: Feeding, asked: Asking, expected: Sequence[np.ndarray]) -> None:
        self.feeding, self.asked, self.expected = feeding, asked, expected
        self.checked: list[int] = []
        self.fed: list[int] = []
        self.most_running = 0

    def begin(self, requests: Requests) -> Feed:
        """As the feeding that is watched."""
        feed = self.feeding(requests)
        assert feed is not None
        turns, running = itertools.cycle(self.asked.turns), dict[int, tuple[Any, Sequence[int]]]()

        def watched(slot: int) -> int:
            if slot in running:
                self.check(*running.pop(slot))
            busy = sum(not request.wait_for(0) for request, _ in running.values())
            self.most_running = max(self.most_running, busy + 1)
            number, turn = feed(slot) or 0, next(turns)
            assert number == self.asked.model_of[turn[0]]
            running[slot] = requests[slot][number], turn
            self.fed += turn
            return number

        return watched

    def check(self, request: Any, turn: Sequence[int]) -> None:
        """Every item of a batch is as it is alone."""
        output = request.get_output_tensor(0).data
        for number, item in zip(turn, np.split(output, len(turn)), strict=True):
            answer = cropped(item, self.expected[number].shape)
            assert np.allclose(answer, self.expected[number], atol=1e-5)
        self.checked += turn


def blocks_of(load: RequestLoop, count: int, least_s: float, least_completions: int) -> list[Any]:
    """Blocks of one load, from fill to drain."""
    load.fill()
    try:
        return [load.block(least_s, least_completions) for _ in range(count)]
    finally:
        load.drain()


FEEDS: dict[str, Callable[..., Feeding]] = {"bind": bound, "copy": copied_in}


@pytest.mark.parametrize("feed", FEEDS)
def test_ten_thousand_routed_requests_have_each_its_own_answer(
    core: ov.Core, samples: list[Sample], expected: list[np.ndarray], feed: str
) -> None:
    """Over three buckets and four slots; never more than four run; samples stay as they were."""
    before = [sample["x"].copy() for sample in samples]
    models, asked = compiled_for(core, BUCKETS), asked_of(samples, BUCKETS)
    witness = Witness(FEEDS[feed](asked, models[0].inputs), asked, expected)
    load = deployed(models, 4, witness.begin, is_blocking=False)
    blocks = blocks_of(load, 2, 0.0, 5000)
    assert [len(block["latency_ticks"]) // 4 for block in blocks] == [5000] * 2
    assert len(witness.checked) >= 10_000
    assert witness.most_running <= 4
    assert set(witness.fed) == set(range(len(samples)))
    assert all(0 < block["occupancy"] <= 1.001 for block in blocks)
    assert all(np.array_equal(a["x"], b) for a, b in zip(samples, before, strict=True))


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("is_blocking", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("plan", ["dynamic", "bounded", "padded", "buckets:4|8|16"])
def test_every_plan_gives_each_item_its_own_answer(
    core: ov.Core,
    samples: list[Sample],
    expected: list[np.ndarray],
    plan: str,
    feed: str,
    *,
    is_blocking: bool,
) -> None:
    """One model or several, waited for or not: all are asked the same in the same order."""
    models, asked = compiled_for(core, parse_plan(plan)), asked_of(samples, parse_plan(plan))
    assert len(models) == max(1, parse_plan(plan).count)
    witness = Witness(FEEDS[feed](asked, models[0].inputs), asked, expected)
    load = deployed(models, 3, witness.begin, is_blocking=is_blocking)
    assert load.num_requests == (1 if is_blocking else 3)
    blocks_of(load, 2, 0.0, 120)
    assert len(witness.checked) >= 239  # the last one of a blocking load has no successor
    assert witness.fed[:60] == [number for (number,) in asked_of(samples, BUCKETS).turns]


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("plan", ["padded", "buckets:4|8|16"])
def test_batches_are_of_one_bucket_and_each_item_has_its_own_answer(
    core: ov.Core, samples: list[Sample], expected: list[np.ndarray], plan: str, feed: str
) -> None:
    """Items of different widths beside each other, each with what is behind it."""
    asked = asked_of(samples, parse_plan(plan), batch_size=3)
    models = compiled_for(core, parse_plan(plan), batch_size=3)
    witness = Witness(FEEDS[feed](asked, models[0].inputs), asked, expected)
    blocks_of(deployed(models, 2, witness.begin, is_blocking=False), 1, 0.0, 300)
    assert len(witness.checked) >= 900


def test_shares_of_the_mix_are_exact_over_a_cycle(core: ov.Core, samples: list[Sample]) -> None:
    """Whichever slots and buckets items ran in."""
    models, asked = compiled_for(core, BUCKETS), asked_of(samples, BUCKETS)
    feeding, fed = bound(asked, models[0].inputs), list[int]()

    def begin(requests: Requests) -> Feed:
        feed = feeding(requests)
        assert feed is not None

        def noted(slot: int) -> int:
            fed.append(feed(slot) or 0)
            return fed[-1]

        return noted

    blocks_of(deployed(models, 3, begin, is_blocking=False), 3, 0.0, 60)
    # 3 fill; each block begins with a round of 1 + 3 that is not recorded, and 1 + 60 that are.
    assert len(fed) == 3 + 3 * (4 + 61)
    assert fed[:180] == [asked.model_of[turn[0]] for turn in asked.turns] * 3
    assert Counter(fed[:60]) == {0: 18, 1: 24, 2: 18}  # weights 3, 4 and 3 of 10


def test_a_batch_needs_static_models(samples: list[Sample]) -> None:
    """Items of different widths cannot lie in one tensor."""
    with pytest.raises(ValueError, match="no batch of 2 in a dynamic plan"):
        asked_of(samples, parse_plan("dynamic"), batch_size=2)


def test_an_item_that_fits_no_bucket_is_refused(samples: list[Sample]) -> None:
    """Before anything runs."""
    with pytest.raises(DataError, match="sample 10 has the size 16, and no bucket holds it"):
        asked_of(samples, parse_plan("buckets:4|8|11"))


# --- faults


def broken_pair(core: ov.Core) -> list[ov.CompiledModel]:
    """Two models of a + b, which fail in the request where their lengths differ."""
    found = []
    for _ in range(2):
        a, b = (op.parameter([-1], np.float32, name=name) for name in "ab")
        found.append(core.compile_model(ov.Model([op.add(a, b)], [a, b]), "CPU"))
    return found


def adding(fails: Iterator[bool]) -> Feeding:
    """Items of which some fail, on one model and the other."""
    good, bad = ov.Tensor(np.ones(3, np.float32)), ov.Tensor(np.ones(2, np.float32))

    def begin(requests: Requests) -> Feed:
        turns = itertools.count()

        def feed(slot: int) -> int:
            number = next(turns) % len(requests[slot])
            requests[slot][number].set_input_tensor(0, good)
            requests[slot][number].set_input_tensor(1, bad if next(fails) else good)
            return number

        return feed

    return begin


@pytest.mark.parametrize("models", [1, 2])
@pytest.mark.parametrize("is_blocking", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("after", [0, 3, 50])
def test_a_request_that_fails_is_raised_and_nothing_hangs(
    core: ov.Core, monkeypatch: pytest.MonkeyPatch, models: int, after: int, *, is_blocking: bool
) -> None:
    """One alone, among others that go on; then the load can be filled again.

    But an `AsyncInferQueue`, which keeps what one of its requests failed with: it says so again.
    """
    monkeypatch.setattr(slots, "_LOOK_S", 0.02)
    fails = itertools.chain([False] * after, [True], itertools.repeat(False))
    load = deployed(broken_pair(core)[:models], 3, adding(fails), is_blocking=is_blocking)
    with pytest.raises(RuntimeError, match="mismatch"):
        blocks_of(load, 2, 0.0, 100)
    assert gc.isenabled()
    if models == 1 and not is_blocking:
        with pytest.raises(RuntimeError, match="mismatch"):
            load.fill()
        assert gc.isenabled()
        return
    blocks = blocks_of(load, 2, 0.0, 40)
    assert [len(block["latency_ticks"]) // 4 for block in blocks] == [40, 40]


def test_where_all_requests_fail_the_first_block_says_so(
    core: ov.Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No callback comes at all."""
    monkeypatch.setattr(slots, "_LOOK_S", 0.02)
    load = deployed(broken_pair(core), 3, adding(itertools.repeat(True)), is_blocking=False)
    with pytest.raises(RuntimeError, match="mismatch"):
        blocks_of(load, 1, 0.0, 10)


def test_a_failure_in_the_last_requests_is_raised_by_the_drain(
    core: ov.Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for them but it; the slots are whole again after it."""
    monkeypatch.setattr(slots, "_LOOK_S", 0.02)
    fails = itertools.chain([False, True], itertools.repeat(False))
    load = deployed(broken_pair(core), 2, adding(fails), is_blocking=False)
    load.fill()
    with pytest.raises(RuntimeError, match="mismatch"):
        load.drain()
    assert gc.isenabled()
    assert len(blocks_of(load, 1, 0.0, 10)) == 1


def test_a_feed_that_fails_leaves_a_load_that_can_be_filled_again(core: ov.Core) -> None:
    """Its slot was idle, and is again."""
    counts, plain = itertools.count(), adding(itertools.repeat(False))

    def begin(requests: Requests) -> Feed:
        feed = plain(requests)
        assert feed is not None

        def failing(slot: int) -> int | None:
            if next(counts) == 20:
                message = "no picture"
                raise OSError(message)
            return feed(slot)

        return failing

    load = deployed(broken_pair(core), 3, begin, is_blocking=False)
    with pytest.raises(OSError, match="no picture"):
        blocks_of(load, 1, 0.0, 100)
    assert len(blocks_of(load, 2, 0.0, 100)) == 2


@pytest.mark.parametrize("models", [1, 2])
@pytest.mark.parametrize("is_blocking", [False, True], ids=["async", "sync"])
def test_a_load_without_a_block_is_drained(
    core: ov.Core, models: int, *, is_blocking: bool
) -> None:
    """And filled again, as turns in a race do."""
    feeding = adding(itertools.repeat(False))
    load = deployed(broken_pair(core)[:models], 4, feeding, is_blocking=is_blocking)
    for _ in range(3):
        load.fill()
        load.drain()
        assert gc.isenabled()
    assert len(blocks_of(load, 1, 0.0, 20)) == 1


# --- the time of feeding


@pytest.mark.parametrize("models", [1, 2])
@pytest.mark.parametrize("is_blocking", [False, True], ids=["async", "sync"])
def test_the_time_of_feeding_is_part_of_the_latency(
    core: ov.Core, models: int, *, is_blocking: bool
) -> None:
    """By the clock; a feed that sleeps has no CPU time; no slot is busier than its time."""
    plain = adding(itertools.repeat(False))

    def begin(requests: Requests) -> Feed:
        feed = plain(requests)
        assert feed is not None

        def slow(slot: int) -> int | None:
            time.sleep(0.002)
            return feed(slot)

        return slow

    load = deployed(
        broken_pair(core)[:models], 2, begin, is_blocking=is_blocking, times_feeding=True
    )
    for block in blocks_of(load, 2, 0.0, 20):
        ticks = array("I", block["latency_ticks"])
        assert len(ticks) == 20
        assert ticks[0] >= 20_000
        assert 0.04 <= block["prepare_s"] <= block["duration_s"]
        assert 0 <= block["prepare_cpu_s"] < 0.04
        assert block["prepare_cpu_s"] <= block["loop_cpu_s"] * 1.001
        assert 0 < block["occupancy"] <= 1.001


def test_a_feed_that_computes_has_its_cpu_time(core: ov.Core) -> None:
    """Which the loop's own holds too: whoever takes that off has to add this again."""
    plain = adding(itertools.repeat(False))

    def begin(requests: Requests) -> Feed:
        feed = plain(requests)
        assert feed is not None

        def busy(slot: int) -> int | None:
            until = time.thread_time() + 0.001
            while time.thread_time() < until:
                pass
            return feed(slot)

        return busy

    for is_blocking in (False, True):
        load = deployed(broken_pair(core), 2, begin, is_blocking=is_blocking, times_feeding=True)
        (block,) = blocks_of(load, 1, 0.0, 20)
        assert block["prepare_cpu_s"] >= 0.02
        assert block["loop_cpu_s"] >= block["prepare_cpu_s"] * 0.999


def test_an_untimed_block_says_nothing_of_feeding(core: ov.Core) -> None:
    """What was not measured is not there."""
    load = deployed(broken_pair(core), 2, adding(itertools.repeat(False)), is_blocking=False)
    (block,) = blocks_of(load, 1, 0.0, 20)
    assert not {"prepare_s", "prepare_cpu_s"} & set(block)


@pytest.mark.parametrize("is_blocking", [False, True], ids=["async", "sync"])
def test_what_is_not_fed_is_neither_routed_nor_timed(core: ov.Core, *, is_blocking: bool) -> None:
    """Nothing would say whose turn it is, and there is nothing to time."""
    models = broken_pair(core)
    with pytest.raises(ValueError, match="several models are fed"):
        deployed(models, 2, lambda _: None, is_blocking=is_blocking)
    with pytest.raises(ValueError, match="nothing to time"):
        deployed(models[:1], 2, lambda _: None, is_blocking=is_blocking, times_feeding=True)
