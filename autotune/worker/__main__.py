"""`python -P THIS_FILE FD`: commands from stdin, answers in JSON lines on descriptor FD.

Commands: `look`, `inspect`, `open`, `load` (until `stop` or its time is up), `close`. A worker
holds at most one compiled model, dies with its parent, and leaves with `os._exit` because tearing
down native objects has been seen to hang.
"""

import base64
import contextlib
import ctypes
import faulthandler
import importlib.util
import json
import os
import resource
import select
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

_LOG_LIMIT_BYTES = 64 * 2**20
_PR_SET_PDEATHSIG = 1


def main() -> NoReturn:
    """Answer commands until told to close or the parent is gone."""
    channel = Channel(int(sys.argv[1]))
    _die_with_parent()
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)  # asked for by a parent that waits
    # Imported late: a runtime that cannot even be imported is an answer, not a lost worker.
    try:
        from autotune.worker.session import Session
    except ImportError as error:
        channel.say("failed", kind="lost", message=f"the worker cannot start: {error}")
        os._exit(1)
    session = Session(channel)
    channel.say("ready")
    for command in channel.commands():
        session.obey(command)
        if command["do"] == "close":
            break
    os._exit(0)


class Channel:
    """Commands in, answers out: one JSON object per line."""

    def __init__(self, out: int) -> None:
        self._out = out
        os.set_inheritable(out, False)  # a child of ours must not keep the pipe open after us
        self._buffer = b""

    def say(self, word: str, **fields: Any) -> None:
        """Send one answer; bytes go as base64."""
        line = memoryview(json.dumps({"say": word, **fields}, default=_encode).encode() + b"\n")
        while line:
            line = line[os.write(self._out, line) :]

    def commands(self) -> Any:
        """Every command, until the parent closes its end."""
        while (line := self._line()) is not None:
            yield json.loads(line)

    def is_told_to_go_on(self) -> bool:
        """Wait for the next word during a load: `go` for another block, anything else ends it."""
        line = self._line()
        return line is not None and json.loads(line)["do"] == "go"

    def _line(self) -> bytes | None:
        while b"\n" not in self._buffer:
            chunk = os.read(0, 65536)
            if not chunk:
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


def _encode(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    message = f"cannot send {type(value).__name__}"
    raise TypeError(message)


def _die_with_parent() -> None:
    """No orphan may disturb the next measurement; the out-of-memory killer takes us first."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    stdin = select.poll()
    stdin.register(0, 0)
    if stdin.poll(0):  # hung up: the parent died before we asked
        os._exit(1)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a full log is cut off, not a crash
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = _LOG_LIMIT_BYTES if most == resource.RLIM_INFINITY else min(_LOG_LIMIT_BYTES, most)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _be_of_this_package() -> None:
    """Have `autotune` be the package that this file lies in, which need not be installed."""
    if "autotune" not in sys.modules:  # run as a file, and not by -m
        folder = Path(__file__).parents[1]
        spec = importlib.util.spec_from_file_location(
            "autotune", folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None  # noqa: S101 - for the type checker
        assert spec.loader is not None  # noqa: S101 - for the type checker
        package = sys.modules["autotune"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(package)


if __name__ == "__main__":
    _be_of_this_package()
    main()
