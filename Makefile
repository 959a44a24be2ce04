# Everything a contributor needs; each target makes the virtual environment it needs first.
# A second run is quick: the environment is rebuilt only when pyproject.toml or constraints.txt change.

PYTHON  ?= python3
VENV    ?= .venv
WORKERS ?= 2
BIN     := $(VENV)/bin

# Small matrices gain nothing from threads, and two test workers would fight over the cores.
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint format types docs docs-test check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; ok = (3, 11) <= v[:2] <= (3, 13); \
	ok or sys.exit("vneuron needs Python 3.11 to 3.13, but $(PYTHON) is %d.%d: choose another with make PYTHON=python3.11 ..." % v[:2])'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.ready-demo: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.ready-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,polars,test,dev]'
	@touch $@ $(VENV)/.ready-demo

$(VENV)/.ready-docs: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

demo: $(VENV)/.ready-demo ## fit, forecast and report on real data that ships in a dependency
	$(BIN)/vneuron demo

test: $(VENV)/.ready-dev ## the quick tests and the examples in docstrings
	$(BIN)/pytest -q -n $(WORKERS) --ignore=tests/docs

test-all: $(VENV)/.ready-dev ## every test, the slow ones too
	$(BIN)/pytest -q -n $(WORKERS) -m ''

lint: $(VENV)/.ready-dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.ready-dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.ready-dev ## mypy, strict, on src
	$(BIN)/mypy

docs-test: $(VENV)/.ready-dev ## run the examples in README.md, CONTRIBUTING.md and docs/
	$(BIN)/pytest -q -n $(WORKERS) tests/docs

docs: $(VENV)/.ready-docs ## the pages as a site in site/
	$(BIN)/mkdocs build --strict --quiet

check: test lint types docs-test ## what continuous integration runs

clean: ## remove caches and builds; the environment and runs/ stay
	rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis htmlcov .coverage
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
