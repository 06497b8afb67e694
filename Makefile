# Everything runs in .venv, which 'make setup' creates; each target works alone.

PYTHON ?= python3
STUDY  ?= studies/classifier
ARGS   ?=

# As it is for users: what was compiled once is not compiled again by every process.
export PYTHONDONTWRITEBYTECODE =

BIN   := .venv/bin
PY    := $(BIN)/python
STAMP := .venv/.installed
FAULTS := .venv/.faults
BROWSER := .venv/.browser
COMPILER := .venv/.compiler

.DEFAULT_GOAL := help
.PHONY: help setup tune test test-faults test-faults-short coverage lint bench bench-search \
    dist docs docs-check models clean

help: ## show this help
	@echo "make TARGET [PYTHON=python3.12] [STUDY=studies/NAME] [ARGS='-k word']"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## install autotune and its tools into .venv

# Also runs again whenever the dependencies change.
$(STAMP): pyproject.toml constraints.txt
	@echo "installing into .venv: one to three minutes the first time"
	@$(PYTHON) -m venv .venv
	@# What 0.1 was installed as: left there, it would take its command away when it is removed.
	@if $(PY) -m pip show --quiet autotune 2>/dev/null; then \
	    $(PY) -m pip uninstall --quiet --yes autotune; fi
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch $@

tune: $(STAMP) ## tune a study (STUDY=studies/classifier), or continue it
	@$(PY) studies/fetch_model.py --study '$(STUDY)'
	@$(PY) studies/make_data.py --study '$(STUDY)'
	$(BIN)/autotune tune '$(STUDY)'

models: $(STAMP) ## obtain the models of all example studies, and what their data are made of
	@$(PY) studies/fetch_model.py --all

# The report is tried in a real browser: the system's Chromium, or the one that playwright knows.
$(BROWSER): $(STAMP)
	@command -v chromium >/dev/null || \
	    (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) >/dev/null 2>&1 || \
	    $(PY) -m playwright install --with-deps chromium-headless-shell
	@touch $@

# The exported C++ program is compiled: nothing that the runtime itself would need.
$(COMPILER): $(STAMP)
	@command -v cmake >/dev/null && command -v g++ >/dev/null || \
	    (apt-get update -qq && apt-get install -y -qq --no-install-recommends cmake g++ make) >/dev/null
	@touch $@

# Two test processes on two CPUs: threads of their matrices would wait for each other.
test: docs-check models $(BROWSER) $(COMPILER) ## run every test but the heavy faults (ARGS: options for pytest)
	OPENBLAS_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile $(ARGS)

$(FAULTS): $(STAMP)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev,faults]' -c constraints.txt
	@touch $@

test-faults: models $(FAULTS) ## run the heavy fault tests, as root
	$(PY) -m pytest -m faults -n auto $(ARGS)

# One or two of each kind, with fewer examples: no fuzzer guided by coverage, and nothing to mount.
test-faults-short: models ## run a part of the fault tests that takes minutes
	AUTOTUNE_EXAMPLES=2000 $(PY) -m pytest -m 'faults and short' -n 2 $(ARGS)

# Workers are measured, too: coverage starts in every process of this environment.
coverage: docs-check models $(BROWSER) $(COMPILER) ## measure the branch coverage of make test
	@rm -rf build/coverage && mkdir -p build/coverage
	@status=0; OPENBLAS_NUM_THREADS=1 $(BIN)/coverage run -m pytest -n 2 --dist loadfile $(ARGS) || status=$$?; \
	    $(BIN)/coverage combine --quiet && $(BIN)/coverage report && exit $$status

lint: $(STAMP) ## check style, formatting, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: models ## measure the ratios that the tests do not assert on
	$(PY) -m tests.bench $(ARGS)

bench-search: $(STAMP) ## replay the search and its peers on recorded surfaces
	OPENBLAS_NUM_THREADS=1 $(PY) -m tests.bench.search $(ARGS)

dist: $(STAMP) ## build wheel and sdist, and tune from the wheel in an empty environment
	$(PY) -m tests.dist

docs: $(STAMP) ## write the generated parts of docs/
	$(PY) docs/generate.py

docs-check: $(STAMP) ## check that the generated parts of docs/ are up to date
	$(PY) docs/generate.py --check

clean: ## remove build output and caches; databases, results and models stay
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find autotune tests studies docs -type d -name __pycache__ -prune -exec rm -rf {} +
