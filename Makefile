# The commands of the house.  Each sets up what it needs: no root, no server, no screen.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip says what it is doing: it takes a minute or more.
RELEASE := .venv-release
ROLES := worker,ml,capture,coordinator
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
ARGS ?=
BENCH_ARGS ?=
PYTEST := $(BIN)/python -m pytest
SIDE_BY_SIDE := -n logical --maxprocesses 4 --dist worksteal
# Files whose tests share a broker or a browser stay together.
BY_FILE := -n logical --maxprocesses 4 --dist loadfile
ALONE := tests/chaos tests/load $(addprefix tests/integration/test_,$(addsuffix .py,benchmarks busy_line delay_proxy \
	guest limits lines malicious_peers open_pool reliability routing run session transport_readahead))
QUICK := tests/unit tests/contract
TRAINING := training/tests
FUZZ_SECONDS ?= 60
FUZZ_ARGS ?=
# The tests that docs/security.md names, and what else a stranger may try: from bytes to a whole pool.
ATTACKS := $(addprefix tests/unit/test_,$(addsuffix .py,answers belief bombs noise breaker coordinator_keys core courier door \
	envelope evidence examiner games_shelf input_controls input_events install_script joining labels logs membership peer_page relaying sealing seals settings shares simulator \
	strangers text trust update_acceptance update_course update_steps)) \
	$(wildcard $(addprefix tests/integration/test_,$(addsuffix *.py,bounded_reads confinement \
	coordinator_ crowded_ enrolment_api expulsion fronts games_socket input_socket malicious_ open_ sealed_ server_files strangers \
	watching))) \
	$(wildcard $(addprefix tests/acceptance/test_,$(addsuffix .py,banning coordinator games_panel joining lending pool_under_attack updating))) \
	$(wildcard tests/trials/test_updates.py)
SEED ?= 7
SECONDS ?= 60
CHAOS_ARGS ?=
LOAD_ARGS ?=

.PHONY: help demo venv wheel quick light test check format bench bench-codecs bench-gpu bench-lines bench-upscalers chaos load trials fuzz audit release-check clean

help:
	@echo "make demo    a pool on this machine and its picture in the browser (ARGS=--flower …)"
	@echo "make quick   for every change: make check, unit and contract tests: minutes on two cores"
	@echo "make light   units, contracts and the demo, without PyTorch: 1 GB instead of 2"
	@echo "make test    every test that needs no root, in half an hour (ARGS='tests/unit/test_wire.py -x')"
	@echo "make check   style, types, imports, and what bandit finds"
	@echo "make format  the style, where ruff can mend it by itself"
	@echo "make bench   every benchmark, some minutes (BENCH_ARGS=--quick for less than two)"
	@echo "make bench-lines       what home lines carry (BENCH_ARGS='--films FILE')"
	@echo "make bench-gpu         a graphics card beside the processor (BENCH_ARGS='--device cpu')"
	@echo "make bench-codecs      what each way of writing chunks and residuals takes, on recorded games"
	@echo "make bench-upscalers   what each way of doubling gains and costs, on recorded games"
	@echo "make chaos   harm a real pool and audit it (SEED=7 SECONDS=60, CHAOS_ARGS='--seeds 10')"
	@echo "make load    one session among up to 200 light peers (LOAD_ARGS='--peers 100')"
	@echo "make fuzz    strangers' bytes at every format (FUZZ_SECONDS=60, FUZZ_ARGS=jpeg)"
	@echo "make audit   make check, attacks on a pool, advisories and licences of what we use"
	@echo "make trials  what takes minutes and the mirrors of packages: images built, whole machines set up; needs root"
	@echo "make venv    the set-up alone: 2 GB with PyTorch, for check, quick and test (the demo's is 0.7)"
	@echo "make wheel   dist/p2c2g-VERSION-py3-none-any.whl, for other machines"
	@echo "make release-check     wheel, sdist, what is in them and an SBOM, in dist/ (docs/releases.md)"
	@echo "make clean   remove .venv, dist and what the tools keep"

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

# What measures or audits in real time has the machine to itself; of the rest two files at a time.
test: $(VENV)/.dev
ifeq ($(strip $(ARGS)),)
	$(PYTEST) $(SIDE_BY_SIDE) $(QUICK) $(TRAINING)
	$(PYTEST) $(BY_FILE) tests $(addprefix --ignore=,$(QUICK) $(ALONE))
	$(PYTEST) $(ALONE)
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
	$(BIN)/bandit --quiet --configfile pyproject.toml --severity-level medium --recursive \
		p2c2g workers/p2c2g_workers capture/p2c2g_capture training/p2c2g_training

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench
	@$(BIN)/python benchmarks/bench.py $(BENCH_ARGS)

bench-lines: $(VENV)/.bench
	@$(BIN)/python benchmarks/lines.py $(BENCH_ARGS)

bench-gpu: $(VENV)/.train
	@PYTHONPATH=. $(BIN)/python -m benchmarks.gpu $(BENCH_ARGS)

bench-codecs: $(VENV)/.train
	@PYTHONPATH=. $(BIN)/python -m benchmarks.codecs $(BENCH_ARGS)
	@PYTHONPATH=. $(BIN)/python -m benchmarks.lanes $(BENCH_ARGS)

bench-upscalers: $(VENV)/.train
	@PYTHONPATH=. $(BIN)/python -m benchmarks.upscalers $(BENCH_ARGS)

chaos: $(VENV)/.dev
	@$(BIN)/python -m tests.chaos --seed $(SEED) --seconds $(SECONDS) $(CHAOS_ARGS)

load: $(VENV)/.dev
	@$(BIN)/python -m tests.load $(LOAD_ARGS)

trials: $(VENV)/.dev
	$(PYTEST) -m trial -s --timeout 3600 tests/trials $(ARGS)

fuzz: $(VENV)/.fuzz
	@$(BIN)/python -m fuzz.run --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

audit: check
	$(BIN)/python .ci/dependencies.py
	$(PYTEST) $(ATTACKS) $(ARGS)

# The tools by themselves, and what was built as those install it who have roles: 1 GB.
$(RELEASE)/.tools: constraints.txt
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --disable-pip-version-check -c constraints.txt \
		build check-wheel-contents cyclonedx-bom twine
	@touch $@

release-check: $(RELEASE)/.tools
	rm -rf dist $(RELEASE)/installed
	$(RELEASE)/bin/python -m build --outdir dist .
	$(RELEASE)/bin/check-wheel-contents dist/*.whl
	$(RELEASE)/bin/twine check --strict dist/*
	$(RELEASE)/bin/python .ci/release.py
	$(PYTHON) -m venv $(RELEASE)/installed
	for wheel in dist/*.whl; do $(RELEASE)/installed/bin/python -m pip install \
		--disable-pip-version-check -c constraints.txt "$$wheel[$(ROLES)]"; done
	$(RELEASE)/installed/bin/p2c2g --version
	$(RELEASE)/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
		--output-reproducible --of JSON -o dist/sbom.cdx.json $(RELEASE)/installed/bin/python
	$(RELEASE)/bin/python .ci/release.py --sbom dist/sbom.cdx.json

clean:
	rm -rf $(VENV) .venv-3.* $(RELEASE) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
