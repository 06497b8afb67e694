"""What ``all`` stands for."""

import pytest

from autotune.space.all_devices import expanded


@pytest.mark.parametrize(
    ("names", "here", "expected"),
    [
        (["all"], ["CPU"], ("CPU",)),
        (["ALL"], ["CPU", "GPU"], ("CPU", "GPU", "AUTO:GPU,CPU", "MULTI:GPU,CPU")),
        (
            ["all"],
            ["CPU", "GPU.0", "GPU.1", "NPU"],
            (
                *("CPU", "GPU.0", "GPU.1", "NPU"),
                *("AUTO:GPU.0,GPU.1,NPU,CPU", "MULTI:GPU.0,GPU.1,NPU,CPU"),
            ),
        ),
        (["CPU"], ["CPU", "GPU"], ("CPU",)),
        (["CPU", "all", "BATCH:CPU(4)"], ["CPU"], ("CPU", "BATCH:CPU(4)")),
        (["GPU", "GPU"], ["CPU"], ("GPU",)),
        (["all"], ["CPU", "TPU"], ("CPU", "TPU", "AUTO:CPU,TPU", "MULTI:CPU,TPU")),
    ],
)
def test_all_is_each_alone_and_all_together(
    names: list[str], here: list[str], expected: tuple[str, ...]
) -> None:
    """Each once; one device alone has nothing to be together with."""
    assert expanded(names, here) == expected
