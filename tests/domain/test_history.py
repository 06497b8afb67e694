"""What earlier trials say about the next: who is tried again, and who is not."""

import pytest

from autotune.domain.failure import FailureKind
from autotune.domain.history import MOST_REFUSALS, History
from autotune.domain.measurement import Flag
from autotune.domain.trial import Trial
from tests.builders import make_configuration, make_failure, make_measurement, make_trial


def refused(number: int, device: str = "NPU", **fields: str) -> Trial:
    """A trial whose model the device would not compile."""
    failure = make_failure(FailureKind.COMPILE_ERROR, **{"phase": "open", **fields})
    configuration = make_configuration(device=device, batch_size=number + 1)
    return make_trial(number, configuration=configuration, failure=failure)


def test_a_device_that_refuses_five_models_is_hopeless() -> None:
    """Not four, and not the same one five times."""
    trials = [refused(number) for number in range(MOST_REFUSALS)]
    assert History(trials).is_hopeless("NPU")
    assert not History(trials[:-1]).is_hopeless("NPU")
    assert not History([refused(0)] * MOST_REFUSALS).is_hopeless("NPU")
    assert not History(trials).is_hopeless("CPU")


def test_a_device_that_ran_anything_is_not_hopeless() -> None:
    """Then it is the configurations that it refuses."""
    trials = [refused(number) for number in range(MOST_REFUSALS)]
    ran = make_trial(9, configuration=make_configuration(device="NPU"))
    assert not History([*trials, ran]).is_hopeless("NPU")


def test_a_fault_under_load_or_of_the_machine_rules_out_no_device() -> None:
    """Another request count may work, or another moment."""
    loads = [refused(number, phase="load") for number in range(MOST_REFUSALS)]
    assert not History(loads).is_hopeless("NPU")
    lost = [
        make_trial(
            number,
            configuration=make_configuration(device="NPU", batch_size=number + 1),
            failure=make_failure(FailureKind.LOST, phase="open"),
        )
        for number in range(MOST_REFUSALS)
    ]
    assert not History(lost).is_hopeless("NPU")


@pytest.mark.parametrize("kind", FailureKind, ids=str)
def test_a_configuration_gets_its_tries(kind: FailureKind) -> None:
    """Three for faults of the machine, two for what may be chance, one for what must repeat."""
    chance = {FailureKind.CRASH, FailureKind.HANG, FailureKind.RUNTIME_ERROR}
    tries = 3 if kind.is_machine_fault else 2 if kind in chance else 1
    failed = [make_trial(number, failure=make_failure(kind)) for number in range(tries)]
    for count in range(1, tries):
        history = History(failed[:count])
        assert history.open == [failed[count - 1]]
        assert [history.is_open(trial) for trial in failed[:count]][-1]
        assert history.finished == 0
    history = History(failed)
    assert history.open == []
    assert history.finished == (not kind.is_machine_fault)


def test_what_a_model_came_to_is_kept_once() -> None:
    """Thousands of trials of some dozen models; what was measured stays what it was."""
    trials = [make_trial(number, measurement=make_measurement()) for number in range(3)]
    kept = History(trials).trials
    assert kept == trials
    assert len({id(t.measurement.opening.effective) for t in kept if t.measurement}) == 1


def test_one_result_settles_it() -> None:
    """After a lost worker it was measured."""
    lost = make_trial(0, failure=make_failure(FailureKind.LOST))
    history = History([lost, make_trial(1)])
    assert history.open == []
    assert not history.is_open(lost)
    assert history.finished == 1


def test_a_model_that_may_have_failed_by_chance_is_not_ruled_out() -> None:
    """Not before the second time."""
    crash = make_failure(FailureKind.CRASH, phase="open")
    crashed = [make_trial(number, failure=crash) for number in range(2)]
    assert History(crashed[:1]).ruled_out() == ([], [])
    assert History(crashed).ruled_out() == ([crashed[1]], [])


def test_a_disturbed_measurement_is_no_last_word_while_there_are_few() -> None:
    """One in ten trials; it is not what an equal configuration is said to do."""
    quiet = [
        make_trial(number, configuration=make_configuration(batch_size=number + 1))
        for number in range(10)
    ]
    measured = make_measurement(flags=frozenset({Flag.STEAL}))
    noisy = make_trial(10, configuration=make_configuration(batch_size=77), measurement=measured)
    assert History(quiet[:9]).is_final(noisy)
    history = History([*quiet, noisy])
    assert history.open == [noisy]
    assert history.known(measured.opening.effective, noisy.configuration) is None
    assert History([*quiet, noisy]).is_final(
        make_trial(11, configuration=make_configuration(batch_size=78), measurement=measured)
    )
    flag_of_ours = make_measurement(flags=frozenset({Flag.LOOP_BOUND}))
    assert History(quiet).is_final(make_trial(10, measurement=flag_of_ours))
