"""The library, its layers and its documents."""

import re
import subprocess
import sys
from pathlib import Path

import autotune

ROOT = Path(__file__).parent.parent


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """`autotune` as a user starts it."""
    return subprocess.run(
        [sys.executable, "-m", "autotune", *words], capture_output=True, text=True, check=False
    )


def test_everything_public_is_there_and_documented() -> None:
    """Each name in __all__ can be imported and has a docstring."""
    for name in autotune.__all__:
        assert getattr(autotune, name).__doc__, name


def test_help_imports_nothing_heavy() -> None:
    """--help is instant because it loads no runtime, no study, no frame."""
    probe = (
        "import sys; sys.argv[1:] = ['--help']\n"
        "from autotune.cli.main import app\n"
        "app(standalone_mode=False)\n"
        "print([m for m in ('openvino', 'optuna', 'pandas', 'numpy', 'nncf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_the_tuning_process_never_loads_openvino() -> None:
    """The modules of the parent leave the runtime alone."""
    modules = "autotune.cli.tune, autotune.cli.results, autotune.cli.status"
    code = f"import sys, {modules}; print('openvino' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_every_command_is_in_the_readme() -> None:
    """A command that the README does not know is a command that nobody finds."""
    readme = (ROOT / "README.md").read_text()
    listed = re.findall(r"^│ (\w+) ", run("--help").stdout, flags=re.MULTILINE)

    assert listed
    assert all(f"autotune {command}" in readme for command in listed)


def test_every_option_of_tune_is_in_the_readme() -> None:
    """So are the options of the main command."""
    readme = (ROOT / "README.md").read_text()
    options = set(re.findall(r"--[a-z-]+", run("tune", "--help").stdout))

    assert not [option for option in options - {"--help", "--anyway"} if option not in readme]


def test_links_in_documents_lead_somewhere() -> None:
    """Every relative link in a document names a file."""
    for document in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("studies/*.md"),
    ):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"


def test_example_studies_are_valid_and_introduced() -> None:
    """Each opens with three comment lines: the question, the duration, what to look at."""
    from autotune.domain.goal import Objective
    from autotune.spec import load_spec

    studies = sorted(ROOT.glob("studies/*/study.toml"))

    assert len(studies) == 17
    goals = [load_spec(study).goal.goal for study in studies]
    assert {goal.objective for goal in goals} == set(Objective)
    assert any(goal.objective is Objective.THROUGHPUT and goal.cap_ms is None for goal in goals)
    assert {limit.name for goal in goals for limit in goal.limits} >= {"max_memory"}
    for study in studies:
        first = study.read_text().splitlines()[:3]
        assert [line.split(":")[0] for line in first] == ["# Question", "# Duration", "# Look at"]


def test_manifest_names_the_pinned_package() -> None:
    """The model's wheel and the installed package are of one version."""
    import tomllib

    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    entries = tomllib.loads((ROOT / "studies" / "models.toml").read_text())["model"]

    assert {entry["version"] for entry in entries if entry["package"] == "onnx"} == {pins["onnx"]}
