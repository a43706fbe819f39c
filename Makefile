# A fresh machine needs git, make and python3-venv. `make` lists the targets; PYTHON=python3.12 chooses the interpreter.
PYTHON ?= python3
BUDGET ?= laptop
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help install lint test test-slow test-matrix test-lowest test-newest run reproduce figures report docs notebooks bench gpu-check clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

install: $(INSTALLED) ## make .venv and install fdi into it

lint: $(INSTALLED_DEV) ## check style, common mistakes and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(INSTALLED_DEV) ## run the tests; FDI_TEST_DATA=folder adds those that need reference data
	$(BIN)/pytest -m "not slow" -n 2 --dist worksteal

test-slow: $(INSTALLED_DEV) ## kill runs and sweeps, cut the power, give values nobody meant, all commands in any order, 4 GB of events in 1 GB of memory: minutes
	$(BIN)/pytest -m slow --ignore=tests/engine

test-matrix: $(INSTALLED_DEV) ## every kind of network on every engine: an hour
	$(BIN)/pytest -m slow tests/engine

test-lowest: ## commands and tests from the wheel, with the lowest versions and Python that pyproject.toml allows; TESTS=tests/snn runs a part
	scripts/versions.sh lowest $(TESTS)

test-newest: ## the same with the newest
	scripts/versions.sh newest $(TESTS)

run: $(INSTALLED) ## train Randman from two initial states, show a table, draw the learning curves
	$(BIN)/fdi-run -m experiment=quickstart
	$(BIN)/fdi-figures --own learning_curves

reproduce: $(INSTALLED) ## run every experiment with the data that are here, 25 core-hours with BUDGET=laptop; resumes
	$(BIN)/python scripts/study/reproduce.py --budget $(BUDGET)

figures: $(INSTALLED) ## draw all figures from results/; make fig-depth draws one
	$(BIN)/fdi-figures

fig-%: $(INSTALLED)
	$(BIN)/fdi-figures $*

report: $(INSTALLED) ## write results/report.html: figures, tables, where they come from
	$(BIN)/fdi-report --claims

docs: $(INSTALLED_DEV) ## build the documentation in site/
	$(BIN)/zensical build

notebooks: $(INSTALLED_DEV) ## run the notebooks of examples/, and write their pages
	$(BIN)/python scripts/run_notebooks.py

bench: $(INSTALLED) ## measure training speed, and draw it
	$(BIN)/python scripts/bench.py

gpu-check: ## on a machine with a GPU, numpy and torch: whether it computes what the CPU does, and how fast, written to gpu-check.md
	$(PYTHON) scripts/gpu_check.py

clean: ## remove what was built; .venv, data and results stay
	rm -rf build dist site .cache *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable .
	touch $@

$(INSTALLED_DEV): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@ $(INSTALLED)
