"""What earlier trials say about the next: who is tried again, and who is not."""

from autotune.domain.failure import FailureKind
from autotune.domain.history import MOST_REFUSALS, MOST_TRIES, is_hopeless, unlucky
from autotune.domain.trial import Trial
from tests.builders import make_configuration, make_failure, make_trial


def refused(number: int, device: str = "NPU", **fields: str) -> Trial:
    """A trial whose model the device would not compile."""
    failure = make_failure(FailureKind.COMPILE_ERROR, **{"phase": "open", **fields})
    configuration = make_configuration(device=device, batch_size=number + 1)
    return make_trial(number, configuration=configuration, failure=failure)


def test_a_device_that_refuses_five_models_is_hopeless() -> None:
    """Not four, and not the same one five times."""
    trials = [refused(number) for number in range(MOST_REFUSALS)]
    assert is_hopeless("NPU", trials)
    assert not is_hopeless("NPU", trials[:-1])
    assert not is_hopeless("NPU", [refused(0)] * MOST_REFUSALS)
    assert not is_hopeless("CPU", trials)


def test_a_device_that_ran_anything_is_not_hopeless() -> None:
    """Then it is the configurations that it refuses."""
    trials = [refused(number) for number in range(MOST_REFUSALS)]
    ran = make_trial(9, configuration=make_configuration(device="NPU"))
    assert not is_hopeless("NPU", [*trials, ran])


def test_a_fault_under_load_or_of_the_machine_rules_out_no_device() -> None:
    """Another request count may work, or another moment."""
    loads = [refused(number, phase="load") for number in range(MOST_REFUSALS)]
    assert not is_hopeless("NPU", loads)
    lost = [
        make_trial(
            number,
            configuration=make_configuration(device="NPU", batch_size=number + 1),
            failure=make_failure(FailureKind.LOST, phase="open"),
        )
        for number in range(MOST_REFUSALS)
    ]
    assert not is_hopeless("NPU", lost)


def test_whoever_met_only_machine_faults_gets_another_chance() -> None:
    """So many in all; one result settles it."""
    lost = [make_trial(n, failure=make_failure(FailureKind.LOST)) for n in range(MOST_TRIES)]
    assert list(unlucky(lost[:-1])) == [lost[0].configuration]
    assert unlucky(lost) == {}
    assert unlucky([lost[0], make_trial(5)]) == {}
