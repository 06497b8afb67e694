"""Limits in the search: what is learnt of them, and how soon their inner side is found."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from autotune.domain.goal import Goal, Objective
from autotune.domain.limits import limits_of
from autotune.domain.measurement import Interval, Readings
from autotune.domain.sampler import Sampler
from autotune.domain.trial import Trial
from autotune.search.belief import Belief, Kept, Needed
from autotune.search.choose import search_of
from autotune.search.gp import Gp, observed
from autotune.search.points import PointTable
from autotune.search.score import CLIP, CONSTRAINT, SPEED
from autotune.search.search import Proposal, Search
from autotune.search.sweep import next_point
from autotune.space.configuration import Configuration
from autotune.space.dimensions import DIMENSIONS
from autotune.space.space import SearchSpace
from autotune.storage.optuna_study import study_in_memory
from tests.domain.builders import make_measurement
from tests.search.conftest import CAPPED, NewSearch
from tests.search.surface import LARGE, failed, make_space, measured

SMALL = make_space()
MIB = 2.0**20


def memory_of(configuration: Configuration) -> int:
    """A hundred MiB, four for each stream and one for each item in flight."""
    items = (configuration.num_requests or 1) * configuration.batch_size
    return int((100 + 4 * (configuration.streams or 1) + items) * MIB)


def cpu_of(configuration: Configuration) -> float:
    """Seconds for each item: batches save it, and threads that wait for each other take it."""
    threads = configuration.threads_per_stream or 1
    return 0.01 * (1 + 0.1 * (threads - 1)) * (1 + 1 / configuration.batch_size)


def costing(proposal: Proposal) -> Trial:
    """As `measured`, with what it costs beside time."""
    trial, memory = measured(proposal), memory_of(proposal.configuration)
    assert trial.measurement is not None
    cpu_s = cpu_of(proposal.configuration)
    seen = Readings(
        cpu_s_per_item=Interval(cpu_s, 0.99 * cpu_s, 1.01 * cpu_s),
        open_peak_rss_bytes=memory,
        load_peak_rss_bytes=memory,
    )
    return replace(trial, measurement=replace(trial.measurement, readings=seen))


def goal(
    objective: Objective = Objective.THROUGHPUT, cap_ms: float | None = None, **limits: float
) -> Goal:
    """With these limits beside latency."""
    return Goal(objective, 99, cap_ms, limits=limits_of(limits))


def searched(
    asked: Goal,
    trials: int,
    space: SearchSpace = LARGE,
    seed: int = 0,
    sampler: Sampler = Sampler.GP,
) -> list[Trial]:
    """So many trials of a study that nobody else has."""
    study = study_in_memory(asked)
    search = search_of(sampler, study, space, asked, seed=seed, name="study.db")
    found = []
    for _ in range(trials):
        proposal = search.ask()
        assert proposal is not None
        found.append(costing(proposal))
        search.tell(found[-1])
    return found


def truth(asked: Goal, space: SearchSpace = LARGE) -> tuple[float, Callable[[Trial], float]]:
    """The optimum of what is asked for, and what a trial is worth; 0 where it keeps not all."""

    def worth(trial: Trial) -> float:
        seen, configuration = trial.measurement, trial.configuration
        assert seen is not None
        values = {
            "max_memory": float(memory_of(configuration)),
            "max_cpu_per_item": cpu_of(configuration),
            "min_throughput": seen.throughput_per_s,
        }
        over = [one.row.excess(values[one.name], one.value) for one in asked.limits]
        is_slow = asked.cap_ms is not None and seen.latency.goal_ms > asked.cap_ms
        if is_slow or max(over, default=0.0) > 0:
            return 0.0
        is_cheap = asked.objective is Objective.EFFICIENCY
        return 1 / cpu_of(configuration) if is_cheap else seen.throughput_per_s

    everything = [costing(Proposal(0, space.configuration(point))) for point in space.points()]
    return max(worth(trial) for trial in everything), worth


# --- how soon it finds what is there


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "asked",
    [
        goal(cap_ms=30, max_memory=150 * MIB),
        goal(max_memory=130 * MIB, max_cpu_per_item=0.0145),
        goal(Objective.EFFICIENCY, 30, min_throughput=600),
        goal(Objective.EFFICIENCY, max_memory=140 * MIB, min_throughput=300),
    ],
    ids=str,
)
def test_the_optimum_within_all_limits_is_found_within_few_trials(asked: Goal, seed: int) -> None:
    """Each binds; 40 trials out of more than a thousand points come within 3 % of it."""
    optimum, worth = truth(asked)
    assert optimum > 0
    best = max(worth(trial) for trial in searched(asked, 40, seed=seed))
    assert best >= 0.97 * optimum


def test_the_inner_side_of_all_limits_is_sought_first() -> None:
    """Few points keep both; they are found although nothing feasible is known at first."""
    asked = goal(cap_ms=8, max_memory=107 * MIB)
    _, worth = truth(asked)
    share = np.mean(
        [worth(costing(Proposal(0, LARGE.configuration(p)))) > 0 for p in LARGE.points()]
    )
    assert 0 < share < 0.01
    assert any(worth(trial) for trial in searched(asked, 12))


@pytest.mark.parametrize("sampler", [s for s in Sampler if s is not Sampler.AUTO])
def test_every_sampler_takes_limits(sampler: Sampler) -> None:
    """All of them are told the same constraints."""
    asked = goal(cap_ms=30, max_memory=150 * MIB, min_throughput=10)
    assert len(searched(asked, 12, SMALL, sampler=sampler)) == 12


def test_two_objectives_take_limits() -> None:
    """By Optuna's constraints."""
    asked = goal(Objective.PARETO, max_memory=110 * MIB)
    assert len(searched(asked, 12, SMALL, sampler=Sampler.AUTO)) == 12


# --- what is observed


def told(asked: Goal, space: SearchSpace = SMALL) -> tuple[Search, PointTable]:
    """Every third point is known, and one failed."""
    study, table = study_in_memory(asked), PointTable(space)
    search = search_of(Sampler.GP, study, space, asked, seed=0, name="study.db")
    points = list(space.points())
    for point in points[::3]:
        search.tell(costing(search.begin(space.configuration(point), point)))
    search.tell(failed(search.begin(space.configuration(points[1]), points[1])))
    table.take([*points[::3], points[1]])
    return search, table


def test_every_trial_has_every_constraint() -> None:
    """A failure stands at the clip in all of them."""
    asked = goal(max_memory=110 * MIB, min_throughput=100)
    search, _ = told(asked)
    trials = search._study.get_trials()
    assert {tuple(trial.constraints) for trial in trials} == {
        (CONSTRAINT, "max_memory", "min_throughput")
    }
    assert set(trials[-1].constraints.values()) == {CLIP}


def test_the_speed_is_known_where_the_value_is_another_one() -> None:
    """And survives when trials are made lean: cap and floor hang on it."""
    asked = goal(Objective.EFFICIENCY, 30, min_throughput=100)
    search, table = told(asked)
    search._make_lean()
    seen = observed(search._study, table, ("min_throughput",))
    assert seen.log_speed.shape == seen.log_value.shape == seen.rows.shape
    assert np.exp(seen.log_speed) * np.exp(seen.beside["min_throughput"]) == pytest.approx(
        np.full(seen.rows.size, 100.0)
    )
    assert all(set(t.user_attrs) == {SPEED} for t in search._study.get_trials()[:-1])
    plain, known = told(goal())
    assert all(SPEED not in t.user_attrs for t in plain._study.get_trials())
    same = observed(plain._study, known)
    assert same.log_speed.tolist() == same.log_value.tolist()


def test_trials_without_a_constraint_still_load() -> None:
    """As an older version told them: what is not known is not kept."""
    search, table = told(goal(cap_ms=30))
    seen = observed(search._study, table, ("max_memory",))
    assert seen.beside["max_memory"].tolist() == [CLIP] * seen.rows.size


def test_what_surely_misses_a_limit_is_not_proposed() -> None:
    """Its gain is far below that of what keeps it."""
    asked = goal(max_memory=112 * MIB)
    search, table = told(asked, LARGE)
    strategy = Gp(table, asked)
    seen = observed(search._study, table, ("max_memory",))
    gains = strategy.log_gains(seen, table.free)
    memory = np.array([memory_of(LARGE.configuration(table[row])) for row in table.free.tolist()])
    assert gains[memory > 200 * MIB].max() < gains.max() - 10
    assert memory[np.argmax(gains)] <= 112 * MIB


def test_a_resumed_study_makes_the_same_proposals(new_search: NewSearch) -> None:
    """Limits are learnt from what is stored, and from nothing else."""
    asked = goal(Objective.EFFICIENCY, 30, max_memory=130 * MIB, min_throughput=50)

    def proposals(search: Search, count: int) -> list[Configuration]:
        found = []
        for _ in range(count):
            proposal = search.ask()
            assert proposal is not None
            found.append(proposal.configuration)
            search.tell(costing(proposal))
        return found

    whole = proposals(new_search(LARGE, asked, sampler=Sampler.GP), 14)
    study = study_in_memory(asked)
    parts: list[Configuration] = []
    for count in (6, 8):
        again = search_of(Sampler.GP, study, LARGE, asked, seed=0, name="study.db")
        again.take(p for c in parts if (p := LARGE.locate(c)) is not None)
        parts += proposals(again, count)
    assert parts == whole


@pytest.mark.parametrize(
    "asked",
    [
        goal(cap_ms=30, max_memory=120 * MIB),
        goal(Objective.EFFICIENCY, 30, min_throughput=100),
        goal(Objective.LATENCY, min_throughput=150, max_memory=120 * MIB),
    ],
    ids=str,
)
def test_the_chance_of_an_improvement_knows_limits(asked: Goal) -> None:
    """A probability that falls with the gain; certain while nothing keeps all limits."""
    search, table = told(asked, LARGE)
    chances = [
        Gp(table, asked).chance_of_improvement(search._study, table, by) for by in (0.01, 1.0)
    ]
    assert 0 <= chances[1] <= chances[0] <= 1
    hopeless = asked.within({"max_cpu_per_item": 1e-9})
    search, table = told(hopeless, SMALL)
    assert Gp(table, hopeless).chance_of_improvement(search._study, table, 0.01) == 1.0


# --- beliefs, by hand and by numbers drawn


def belief(best: float | None = 0.0, **fields: object) -> Belief:
    """Of one point, about 0.1 ± 0.2."""
    values = {"mean": np.array([0.1]), "sd": np.array([0.2]), "best": best, **fields}
    return Belief(**values)  # type: ignore[arg-type]


def test_a_limit_multiplies_the_chance() -> None:
    """Of being feasible, and of being above a value; the margin is kept free."""
    kept = Kept(mean=np.array([-0.05]), sd=np.array([0.1]), margin=0.02)
    chance = norm.cdf(0.03 / 0.1)
    found = belief(kept=[kept])
    assert np.exp(found.log_feasible(found.mean)) == pytest.approx([chance])
    assert found.chance_above(0.2) == pytest.approx([norm.sf(0.2, 0.1, 0.2) * chance])


@pytest.mark.parametrize("value", [-0.5, 0.0, 0.3])
@pytest.mark.parametrize("floor", [None, 0.05, 0.6])
def test_above_a_value_and_fast_enough(value: float, floor: float | None) -> None:
    """Where both hang on the speed it is one event; drawn a million times."""
    random = np.random.default_rng(0)
    needed = Needed(speed=np.array([0.15]), sd=np.array([0.1])).at_least(floor)
    speed = random.normal(0.1, 0.2, 1_000_000)
    least = random.normal(needed.speed[0], needed.sd[0], speed.size)
    wanted = np.mean((speed > value) & (speed > least))
    found = belief(needed=needed).chance_above(value)[0]
    assert found == pytest.approx(wanted, abs=0.02 if floor is None else 0.005)


def test_another_value_leaves_the_speed_to_itself() -> None:
    """Efficiency above a value, and speed above what is needed: two functions."""
    needed = Needed(speed=np.array([0.0]), sd=np.array([0.3]))
    found = belief(needed=needed, speed=(np.array([0.2]), np.array([0.4])))
    chance = norm.cdf(0.2 / 0.5)
    assert np.exp(found.log_feasible(np.array([9.0]))) == pytest.approx([chance])
    assert found.chance_above(0.1) == pytest.approx([0.5 * chance])


def test_nothing_asked_is_always_feasible() -> None:
    """Log of one."""
    assert belief().log_feasible(np.array([0.0])).tolist() == [0.0]


# --- the sweep


def swept(
    per_stream: int, asked: Goal, *, latency_ms: float = 1.0, memory: float = 1.0
) -> int | None:
    """The requests per stream that the sweep goes on to."""
    space = make_space(requests_per_stream=(1, 2, 3, 4))
    point = tuple(per_stream - 1 if n == "requests_per_stream" else 0 for n in DIMENSIONS)
    seen = Readings(open_peak_rss_bytes=round(memory), load_peak_rss_bytes=round(memory))
    measurement = replace(make_measurement(latency_ms=latency_ms), readings=seen)
    found = next_point(space, point, measurement, asked, 100.0)
    axis = DIMENSIONS.index("requests_per_stream")
    return None if found is None else int(space.choices["requests_per_stream"][found[axis]])


def test_a_sweep_goes_where_limits_may_be_kept() -> None:
    """More requests take more memory, fewer give no more throughput, none compiles faster."""
    capped = replace(CAPPED, cap_ms=10.0)

    def asked(**limits: float) -> Goal:
        return replace(capped, limits=limits_of(limits))

    assert swept(1, capped) == 2
    assert swept(4, capped, latency_ms=20.0) == 2
    assert swept(1, asked(max_memory=100.0), memory=200.0) is None
    assert swept(1, asked(max_memory=500.0), memory=200.0) == 2
    assert swept(4, asked(max_memory=100.0), latency_ms=20.0, memory=200.0) == 2
    assert swept(4, asked(min_throughput=1000.0), latency_ms=20.0) is None
    assert swept(1, asked(min_throughput=1000.0)) == 2
    assert swept(1, asked(max_compile_time=0.01)) is None
    assert math.isclose(make_measurement().opening.compile_s, 0.3)
