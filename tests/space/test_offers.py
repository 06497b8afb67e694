"""What each dimension comes to on a device: choices, or the reason why there are none."""

from autotune.space.dimensions import TABLE
from autotune.space.offer import Offer
from autotune.space.offers import offers_of
from tests.space.copies import HERE


def offer(device: str = "CPU", **facts: object) -> Offer:
    """On four CPUs."""
    known: dict[str, object] = {"cpus": 4, "most_streams": 4, "may_batch": True}
    return Offer(device=device, **{**known, **facts})  # type: ignore[arg-type]


def test_a_cpu_offers_threads_and_streams() -> None:
    """Up to the CPUs; what there is needs no reason."""
    found = offers_of(offer(precisions=("f32",)))
    assert found["streams"].choices == found["threads_per_stream"].choices == (1, 2, 3, 4)
    assert found["precision"].choices == ("f32",)
    assert found["streams"].why_not == ""


def test_what_a_device_lacks_has_a_reason() -> None:
    """A setting of another device says whose it is."""
    found = offers_of(offer("GPU"))
    assert found["threads_per_stream"].choices == ()
    assert found["threads_per_stream"].why_not == "a setting of CPU"


def test_a_batch_that_is_not_right_is_not_offered() -> None:
    """With the reason that was found; bounded by what fits elsewhere."""
    refused = offers_of(offer(may_batch=False, why_no_batch="outputs differ"))["batch"]
    assert (refused.choices, refused.why_not) == ((), "outputs differ")
    assert offers_of(offer("GPU", max_batch=9))["batch"].choices == (1, 2, 4, 8)


def test_members_decide_for_a_device_that_stands_for_them() -> None:
    """A setting is that of all members that have it; what they have in common is offered."""
    both = (offer("CPU", most_streams=8), offer("GPU", most_streams=2))
    found = offers_of(offer("AUTO:CPU,GPU", members=both))
    assert found["streams"].choices == (1, 2)
    assert found["threads_per_stream"].choices == (1, 2, 3, 4)


def test_one_that_does_not_say_what_it_stands_for_has_nothing_to_set() -> None:
    """Bare AUTO: the runtime chooses, and nobody knows before."""
    found = offers_of(offer("AUTO"))["streams"]
    assert found.choices == ()
    assert "name them, as in AUTO:GPU,CPU" in found.why_not


def test_every_row_is_in_the_reference_and_among_the_offers() -> None:
    """Of the documentation, and of every device: with choices, or a reason, or for experts."""
    reference = (HERE.parent / "docs" / "dimensions.md").read_text(encoding="utf-8")
    devices = ("CPU", "GPU", "NPU", "AUTO", "BATCH:CPU(4)")
    offers = [offers_of(offer(device)) for device in devices]
    for one in TABLE:
        assert f"`{one.column}`" in reference
        if not one.tunable or one.name == "device":
            continue
        for found in offers:
            said = found[one.name]
            assert said.choices or said.why_not or said.is_expert
