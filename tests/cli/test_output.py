"""What commands print."""

import json
import math

import pytest

from autotune.cli.output import print_json


def test_json_output_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    """A value that is none is an error of ours, never invalid JSON."""
    print_json({"a": None, "b": 1.5})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": 1.5}
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"a": math.nan})
