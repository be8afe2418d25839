# The ways in: `make quickstart`, `make test`. Everything is installed into .venv-<python version>, nothing elsewhere.
PYTHON ?= python3
EXTRAS ?= full,dev
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV := .venv-$(VERSION)
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed-$(EXTRAS)

.PHONY: help env quickstart test slow lint types contract docs check wheel bench clean

help:
	@echo "make quickstart   measure, tune, measure again and export a real 135M model on this machine"
	@echo "make test         the tests (make test PYTHON=python3.12 for another interpreter)"
	@echo "make check        tests, lint, types, docs and the import contract, as CI runs them"
	@echo "make docs         the pages of docs/ and the reference of the Python API, into build/docs"
	@echo "make bench        the benchmark of the training step and the decoder"

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "error: '$(PYTHON)' is not Python 3.11 or later; name one: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(INSTALLED): $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	@touch $@

env: $(INSTALLED)

quickstart: env
	$(BIN)/flan-jax quickstart

test: env
	$(BIN)/python -m pytest -m 'not slow'

slow: env
	$(BIN)/python -m pytest -m slow

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env
	$(BIN)/pyright --pythonpath $(BIN)/python

contract: env
	$(BIN)/lint-imports

docs: env
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning docs build/docs
	@echo "open build/docs/index.html"

wheel: env
	$(BIN)/python -m build --wheel --outdir dist .

check: lint contract types docs test slow

bench: env
	$(BIN)/python benchmarks/step.py

clean:
	rm -rf build dist .pytest_cache .ruff_cache .import_linter_cache *.egg-info
