# The commands of the house.  Each sets up what it needs: no root, no server, no screen.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip says what it is doing: it takes a minute or more.
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
ARGS ?=
BENCH_ARGS ?=
PYTEST := $(BIN)/python -m pytest
SIDE_BY_SIDE := -n logical --maxprocesses 4 --dist worksteal
QUICK := tests/unit tests/contract
TRAINING := training/tests
FUZZ_SECONDS ?= 60
FUZZ_ARGS ?=
SEED ?= 7
SECONDS ?= 60
CHAOS_ARGS ?=
LOAD_ARGS ?=

.PHONY: help demo venv wheel quick light test check format bench bench-upscalers bench-gpu chaos load fuzz clean

help:
	@echo "make demo    a pool on this machine and its picture in the browser (ARGS=--flower …)"
	@echo "make quick   for every change: make check, unit and contract tests, in 90 s on two cores"
	@echo "make light   units, contracts and the demo, without PyTorch: 1 GB instead of 2"
	@echo "make test    every test that needs no root (ARGS='tests/unit/test_wire.py -x')"
	@echo "make check   style, types and imports"
	@echo "make bench   every benchmark, some minutes (BENCH_ARGS=--quick for less than two)"
	@echo "make bench-gpu         a graphics card beside the processor (BENCH_ARGS='--device cpu')"
	@echo "make bench-upscalers   what each way of doubling gains and costs, on recorded games"
	@echo "make chaos   harm a real pool and audit it (SEED=7 SECONDS=60, CHAOS_ARGS='--seeds 10')"
	@echo "make load    one session among up to 200 light peers (LOAD_ARGS='--peers 100')"
	@echo "make fuzz    strangers' bytes at every format (FUZZ_SECONDS=60, FUZZ_ARGS=jpeg)"
	@echo "make venv    the set-up alone: 2 GB with PyTorch, for check, quick and test (the demo's is 0.7)"
	@echo "make wheel   dist/p2c2g-VERSION-py3-none-any.whl, for other machines"

$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e ".[demo]"
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(INSTALL) -e ".[demo,dev]"
	@touch $@

$(VENV)/.light: $(VENV)/.demo
	$(INSTALL) -e ".[demo,test]"
	@touch $@

$(VENV)/.bench: $(VENV)/.demo
	$(INSTALL) -e ".[demo,bench]"
	@touch $@

# Without atheris the fuzzing falls back to hypothesis, and says so.
$(VENV)/.fuzz: $(VENV)/.dev
	-$(INSTALL) -e ".[demo,dev,fuzz]"
	@touch $@

$(VENV)/.train: $(VENV)/.dev
	$(INSTALL) -e ".[demo,dev,bench,train]"
	@touch $@

venv: $(VENV)/.dev

wheel: $(VENV)/.demo
	$(BIN)/python -m pip wheel --disable-pip-version-check --no-deps --wheel-dir dist .

demo: $(VENV)/.demo
	@$(BIN)/p2c2g demo $(ARGS)

quick: check
	$(PYTEST) $(SIDE_BY_SIDE) $(QUICK) $(ARGS)

# What plays in real time has the machine to itself.
test: $(VENV)/.dev
ifeq ($(strip $(ARGS)),)
	$(PYTEST) $(SIDE_BY_SIDE) $(QUICK) $(TRAINING)
	$(PYTEST) tests $(addprefix --ignore=,$(QUICK))
else
	$(PYTEST) $(ARGS)
endif

light: $(VENV)/.light
	$(PYTEST) $(SIDE_BY_SIDE) $(QUICK) $(ARGS)
	$(PYTEST) tests/acceptance/test_demo.py $(ARGS)

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

bench-gpu: $(VENV)/.train
	@PYTHONPATH=. $(BIN)/python -m benchmarks.gpu $(BENCH_ARGS)

bench-upscalers: $(VENV)/.train
	@PYTHONPATH=. $(BIN)/python -m benchmarks.upscalers $(BENCH_ARGS)

chaos: $(VENV)/.dev
	@$(BIN)/python -m tests.chaos --seed $(SEED) --seconds $(SECONDS) $(CHAOS_ARGS)

load: $(VENV)/.dev
	@$(BIN)/python -m tests.load $(LOAD_ARGS)

fuzz: $(VENV)/.fuzz
	@$(BIN)/python -m fuzz.run --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

clean:
	rm -rf $(VENV) .venv-newest build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
