"""`python -m autotune`."""

import os
import sys

# -m looks for every module in the current folder first, where whatever lies there would take the
# place of those that we need. Only a checkout that is not installed must be found there, as a last
# resort. Not even pathlib may be imported before this.
if not sys.flags.safe_path and sys.path and os.path.isdir(sys.path[0]):  # noqa: PTH112
    _here = sys.path.pop(0)
    if os.path.samefile(_here, os.path.dirname(os.path.dirname(__file__))):  # noqa: PTH120, PTH121
        sys.path.append(_here)

from autotune.cli.main import main

main()
