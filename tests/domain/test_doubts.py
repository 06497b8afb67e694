"""What is unproven holds for whatever was measured with it, and is read back as it was written."""

import pytest

from autotune.domain.doubts import Doubts
from autotune.space.configuration import Effective
from tests.builders import (
    make_configuration,
    make_failure,
    make_measurement,
    make_opening,
    make_trial,
)

EMPTY = "its output is empty for every sample"
FAR = "it differs from f32 by 0.2 of the largest output"
BOTH = Doubts(batch=EMPTY, precisions={"CPU": {"bf16": FAR}})


def uses(precision: str) -> Effective:
    """A model that runs in it."""
    return Effective({"INFERENCE_PRECISION_HINT": precision}, 1)


@pytest.mark.parametrize(
    ("fields", "effective", "why"),
    [
        ({"batch_size": 2}, uses("f32"), EMPTY),
        ({"batch_size": 2}, None, EMPTY),
        ({}, uses("f32"), None),
        ({"precision": None}, uses("bf16"), FAR),
        ({"precision": "bf16"}, None, FAR),
        ({"precision": "bf16"}, uses("f32"), None),
        ({"precision": "bf16", "device": "GPU"}, uses("bf16"), None),
    ],
    ids=[
        "batch",
        "batch that was never opened",
        "batch 1",
        "precision by itself",
        "precision that was never opened",
        "precision that was not used",
        "another device",
    ],
)
def test_a_doubt_is_of_a_batch_or_of_what_a_device_uses(
    fields: dict[str, object], effective: Effective | None, why: str | None
) -> None:
    """What was asked for counts only where nobody knows what was used."""
    assert BOTH.why(make_configuration(**fields), effective) == why
    assert Doubts().why(make_configuration(**fields), effective) is None


def test_a_trial_keeps_what_it_was_measured_with() -> None:
    """Only what was not in doubt then takes on the doubt of now; a failure has no answers."""
    batch = make_configuration(batch_size=2)
    for then, now in ((None, EMPTY), ("state", "state")):
        measured = make_measurement(configuration=batch, opening=make_opening(unproven=then))
        found = BOTH.of(make_trial(3, configuration=batch, measurement=measured)).measurement
        assert found is not None
        assert found.opening == make_opening(unproven=now)
    failed = make_trial(4, configuration=batch, failure=make_failure())
    assert BOTH.of(failed) is failed


@pytest.mark.parametrize("doubts", [Doubts(), BOTH])
def test_they_are_read_back(doubts: Doubts) -> None:
    """As they were."""
    assert Doubts.from_dict(doubts.to_dict()) == doubts


@pytest.mark.parametrize(
    "values", [{"batch": 1, "precisions": {}}, {"precisions": ["CPU"]}, {"precisions": {"CPU": 1}}]
)
def test_what_are_none_is_refused(values: dict[str, object]) -> None:
    """Anybody may have written the file."""
    with pytest.raises(ValueError, match="what is unproven is"):
        Doubts.from_dict(values)


def test_they_are_told_in_one_line() -> None:
    """What, and why."""
    assert str(BOTH) == f"a batch, as {EMPTY}; bf16 on CPU, as {FAR}"
    assert str(Doubts()) == "nothing any more"
