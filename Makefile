# The commands of the house.  Each sets up what it needs: no root, no server, no screen.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
ARGS ?=
BENCH_ARGS ?=

.PHONY: help demo venv test check format bench clean

help:
	@echo "make demo    a pool on this machine and its picture in the browser (ARGS=--flower …)"
	@echo "make test    every test that needs no root"
	@echo "make check   style, types and imports"
	@echo "make bench   every benchmark, some minutes (BENCH_ARGS=--quick for less than two)"
	@echo "make venv    the set-up alone"

$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e ".[demo]"
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(INSTALL) -e ".[demo,dev]"
	@touch $@

$(VENV)/.bench: $(VENV)/.demo
	$(INSTALL) -e ".[demo,bench]"
	@touch $@

venv: $(VENV)/.dev

demo: $(VENV)/.demo
	@$(BIN)/p2c2g demo $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench
	@$(BIN)/python benchmarks/bench.py $(BENCH_ARGS)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
