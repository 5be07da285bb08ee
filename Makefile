# From a bare clone: `make demo` or `make test` sets up all they need first, and is quick the second time.
#
# PYTHON=python3.13 make ...       another interpreter than python3 (3.11 or newer)
# SYSTEM_PACKAGES=no make ...      never install Debian packages, only name the missing ones
# make test ARGS='-k election -x'  arguments for pytest

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench coverage clean system system-test python FORCE

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

help: ## list these commands
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/make \1\t\2/p' Makefile | expand -t 18

demo: system $(VENV)/.installed ## set up, then watch one line in three windows
	@$(BIN)/python -m coordinator

test: system-test $(VENV)/.installed-dev ## set up, then run all tests
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.installed-dev ## linters, formatting, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: system $(VENV)/.installed-dev ## set up, and run nothing

format: $(VENV)/.installed-dev ## format the code, and repair what can be repaired by rule
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: system $(VENV)/.installed ## measure this machine
	@$(BIN)/python -m coordinator bench

coverage: system-test $(VENV)/.installed-dev ## run all tests, and say which lines none of them ran
	@mkdir -p .coverage
	@$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

clean: ## remove all that the other commands made
	rm -rf $(VENV) .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist

# Checked each time, because it takes no time and because somebody may have installed or removed one since.
system: python
	@.ci/system-packages

system-test: python
	@.ci/system-packages --test

# No PYTHON given: an environment that is there is good. One given: it is remade if it is another version's.
$(VENV)/pyvenv.cfg: $(if $(PYTHON),FORCE) | system
	@.ci/make-venv $(VENV) $(PYTHON)

$(VENV)/.installed: pyproject.toml $(VENV)/pyvenv.cfg
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/pyvenv.cfg
	$(PIP) install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.installed
