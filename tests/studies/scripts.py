"""The programs of the example studies, which are no package."""

import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

STUDIES = Path(__file__).parents[2] / "studies"


@cache
def load(path: str) -> Any:
    """A module of studies/, such as ``vad/samples.py``."""
    spec = spec_from_file_location(f"studies.{Path(path).stem}", STUDIES / path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module
