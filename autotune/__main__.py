"""`python -m autotune`."""

import os
import sys

# -m looks for every module in the current folder first, where whatever lies there would take the
# place of those that we need; this package is found, also in a checkout that is not installed. Not
# even pathlib may be imported before this.
if not sys.flags.safe_path and sys.path and os.path.isdir(sys.path[0]):  # noqa: PTH112
    del sys.path[0]

from autotune.cli.main import main

main()
