"""`python -m tests.cli.commands [FSIZE]`: commands from stdin, one after the other in one process.

Starting Python for each of some hundred commands would take minutes. Reads a JSON list of word
lists; writes a JSON list of exit code, output and errors. With FSIZE, no file may become larger.
"""

import contextlib
import io
import json
import os
import resource
import sys
import traceback

from autotune.cli.main import main


def run(words: list[str]) -> tuple[int, str, str]:
    """What a command returns and prints; a traceback is code -1."""
    out, errors = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    sys.argv = ["autotune", *words]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:  # noqa: BLE001 - whatever it is, the user would see it
            traceback.print_exc()
            code = -1
    found = []
    for stream in (out, errors):
        stream.flush()
        assert isinstance(stream.buffer, io.BytesIO)
        found.append(stream.buffer.getvalue().decode(errors="backslashreplace"))
    return code, found[0], found[1]


if __name__ == "__main__":
    wanted = [[os.fsdecode(bytes(word)) for word in words] for words in json.load(sys.stdin)]
    if len(sys.argv) > 1:
        limit = int(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    results = [run(words) for words in wanted]
    json.dump(results, sys.stdout)
