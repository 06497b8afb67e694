"""What a model was fed with, as it is stored."""

from typing import Any

import pytest

from autotune.domain.fed import Fed


@pytest.mark.parametrize("fed", [Fed(data="real"), Fed(data="random", warnings=("a", "b"))])
def test_it_survives_its_dictionary(fed: Fed) -> None:
    """Data and warnings."""
    assert Fed.from_dict(fed.to_dict()) == fed


@pytest.mark.parametrize(
    "values",
    [{}, {"data": "made up"}, {"data": "real", "warnings": "x"}, {"data": "real", "warnings": [1]}],
)
def test_what_is_none_is_refused(values: dict[str, Any]) -> None:
    """Anybody may have written it."""
    with pytest.raises(ValueError, match=r"data is|warnings are"):
        Fed.from_dict(values)
