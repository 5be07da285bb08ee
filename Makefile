# From a bare clone: `make demo` or `make test` sets up all they need first, and is quick the second time.
#
# PYTHON=python3.13 make ...       another interpreter than python3 (3.11 or newer)
# SYSTEM_PACKAGES=no make ...      never install Debian packages, only name the missing ones
# BROWSER=no make test             no Chromium, no Node.js: the tests in a browser are skipped where these are missing
# make fuzz SECONDS=3600           look for longer
# make test ARGS='-k election -x'  arguments for pytest

.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos check format bench fuzz coverage clean portaudio kamailio qt browser FORCE

SECONDS := 60
VENV := .venv
BIN := $(VENV)/bin
# Without --no-compile, pip spends a quarter of the set-up on byte code of modules that nobody imports.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --prefer-binary --editable

# Node.js may be in there, see .ci/browser.
PYTEST := PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest

# What needs the processors in time, what mostly waits, and the rest: see tests/conftest.py.
WORKERS := -n 3

help: ## list these commands
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/make \1\t\2/p' Makefile | expand -t 18

demo: portaudio $(VENV)/.installed ## set up, then watch one line in three windows
	@$(BIN)/python -m coordinator

test: portaudio kamailio qt browser $(VENV)/.installed-dev ## set up, then run all tests
	@$(PYTEST) $(WORKERS) $(ARGS)

# SCALE: times what `make test` does with real processes; SEEDS: simulated groups. Hours, not minutes.
chaos: portaudio $(VENV)/.installed-dev ## kill, stop and starve processes for a long time, and judge it all
	@CHAOS_SCALE=$(or $(SCALE),25) SIMULATION_SEEDS=$(or $(SEEDS),200000) STATEFUL_SCALE=$(or $(SCALE),25) \
	    CHAOS_RECORD=docs/reliability.md \
	    $(BIN)/python -m pytest -s -p tests.chaos.record --timeout 36000 tests/chaos tests/stateful tests/test_simulation.py $(ARGS)

check: $(VENV)/.installed-dev ## linters, formatting, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: portaudio $(VENV)/.installed-dev ## set up, and run nothing

format: $(VENV)/.installed-dev ## format the code, and repair what can be repaired by rule
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: portaudio $(VENV)/.installed-bench ## measure this machine, next to NATS, Redis and a browser where they are
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m coordinator bench

fuzz: $(VENV)/.installed-dev ## look for messages that break what reads them; SECONDS=60 for each kind
	@for target in message challenge sdp xml info phone leader; do \
	    echo "$$target"; $(BIN)/python -m tests.fuzz $$target $(SECONDS) || exit 1; done

coverage: portaudio kamailio qt browser $(VENV)/.installed-dev ## run all tests, and say which lines none of them ran
	@mkdir -p .coverage
	@$(PYTEST) --cov --cov-report=term $(ARGS)

clean: ## remove all that the other commands made
	rm -rf $(VENV) tests/browser/node_modules .coverage .fuzz .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist

# These look each time, which takes no time: somebody may have installed or removed a package since.
portaudio: $(VENV)/pyvenv.cfg
	@.ci/debian-packages 'calls use files or silence in place of a sound card' libportaudio2

kamailio: $(VENV)/pyvenv.cfg
	@.ci/debian-packages 'the tests against a foreign SIP server are skipped' \
	    kamailio kamailio-outbound-modules kamailio-tls-modules kamailio-websocket-modules

qt: $(VENV)/pyvenv.cfg
	@.ci/debian-packages 'the test of a window of Qt is skipped' \
	    libdbus-1-3 libegl1 libfontconfig1 libgl1 libglib2.0-bin libxkbcommon0

browser: $(VENV)/pyvenv.cfg
	@.ci/browser $(VENV)

$(VENV)/pyvenv.cfg: FORCE
	@.ci/make-venv $(VENV) $(PYTHON)

$(VENV)/.installed: pyproject.toml $(VENV)/pyvenv.cfg
	$(INSTALL) .
	@touch $@

$(VENV)/.installed-bench: pyproject.toml $(VENV)/pyvenv.cfg
	$(INSTALL) '.[bench]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml $(VENV)/pyvenv.cfg
	$(INSTALL) '.[dev]'
	@touch $@ $(VENV)/.installed
