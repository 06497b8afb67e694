"""optuna-dashboard sees what the tuner meant, and the study stays as it is."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from unittest import mock
from wsgiref.util import setup_testing_defaults

import pytest

from autotune.cli.dashboard import run_dashboard
from autotune.domain.goal import Verdict
from autotune.errors import AutotuneError, StorageError, UsageError
from autotune.storage.dashboard_copy import dashboard_copy
from autotune.storage.reader import StudyReader
from tests.report.studies import BrokenRunner, make_study


def served(folder: Path, target: Path) -> Any:
    """What the dashboard's own program answers about the copy."""
    with mock.patch.dict(os.environ):  # scikit-learn sets variables when it is imported
        from optuna_dashboard import wsgi

    storage = dashboard_copy(folder, target, ["throughput_per_s"])
    status: list[str] = []
    environ: dict[str, Any] = {"PATH_INFO": "/api/studies/1"}
    setup_testing_defaults(environ)
    body = b"".join(wsgi(storage)(environ, lambda said, *_: status.append(said)))
    storage.engine.dispose()
    assert status == ["200 OK"]
    return json.loads(body)


def test_constraints_are_where_the_dashboard_looks(tmp_path: Path) -> None:
    """What misses the cap is above zero, so that it is drawn as infeasible."""
    folder = make_study(tmp_path / "study", cap="4ms")
    before = (folder / "study.db").read_bytes()
    with closing(StudyReader.read_only(folder)) as store:
        verdicts = {t.number: t.measurement.verdict for t in store.trials() if t.measurement}
    trials = {trial["number"]: trial for trial in served(folder, tmp_path / "copy.db")["trials"]}

    assert {Verdict.MET, Verdict.MISSED} <= set(verdicts.values())
    for number, verdict in verdicts.items():
        (constraint,) = trials[number]["constraints"]
        assert constraint > 0 or verdict is not Verdict.MISSED
        assert constraint <= 0 or verdict is not Verdict.MET
    assert (folder / "study.db").read_bytes() == before


def test_figures_are_attributes(tmp_path: Path) -> None:
    """The dashboard's table can sort by them."""
    found = served(make_study(tmp_path / "study", trials=8), tmp_path / "copy.db")
    attributes = {one["key"]: one["value"] for one in found["trials"][0]["user_attrs"]}

    assert float(attributes["throughput_per_s"]) > 0
    assert attributes["verdict"] in {"met", "unclear", "missed"}
    assert found["objective_names"] == ["throughput_per_s"]


def test_failures_have_their_kind(tmp_path: Path) -> None:
    """A study of nothing else opens too."""
    folder = make_study(tmp_path / "study", trials=3, runner=BrokenRunner)
    found = served(folder, tmp_path / "copy.db")
    attributes = {one["key"]: one["value"] for one in found["trials"][0]["user_attrs"]}

    assert attributes["failure"] == "compile_error"


def test_no_database_of_ours_is_said(tmp_path: Path) -> None:
    """One message, whatever is in the file."""
    (tmp_path / "study.db").write_bytes(b"nothing" * 1000)
    with pytest.raises(StorageError, match="cannot be copied"):
        dashboard_copy(tmp_path, tmp_path / "copy.db", [])


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(UsageError, match=r"autotune\[dashboard\]"):
        run_dashboard(tmp_path, 0, open_it=False)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """Named, with the reason."""
    folder = make_study(tmp_path / "study", trials=2)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AutotuneError, match=f"{port} .*in use"):
            run_dashboard(folder, port, open_it=False)


def test_it_serves_until_ctrl_c(tmp_path: Path) -> None:
    """On a free port, for this machine, and leaves nothing behind."""
    folder = make_study(tmp_path / "study", trials=2)
    (tmp_path / "tmp").mkdir()
    # A background job may begin with SIGINT ignored, which is then inherited.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from autotune.cli.main import main; main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, "dashboard", str(folder), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        address = re.match(r"http://(127\.0\.0\.1):(\d+)/", said)
        assert address
        with closing(HTTPConnection(address[1], int(address[2]), timeout=60)) as connection:
            connection.request("GET", "/api/studies")
            found = json.load(connection.getresponse())
        assert found["study_summaries"][0]["study_name"] == "study"
        process.send_signal(signal.SIGINT)
        try:
            code = process.wait(timeout=60)
        finally:
            process.kill()

    assert code == 130
    assert not list((tmp_path / "tmp").iterdir())
