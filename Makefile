# jobq: `make` lists the targets. PYTHON=python3.12 chooses another interpreter.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-admin demo-researcher test check bench fix up schema lock

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: $(VENV)/.ready  ## make .venv with jobq and all it needs (hash-locked)

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: jobq needs Python 3.11 or newer; $(PYTHON) is older" >&2; echo "hint: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "setting up $(VENV) (about a minute when nothing is cached)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup  ## a commit becomes projects on a real control plane, and a member's job runs in one
	@$(BIN)/python -m tests.demo path

demo-admin: setup  ## an admin's night: drift repaired live, an accident refused, what is meant approved
	@$(BIN)/python -m tests.demo admin

demo-researcher: setup  ## a researcher's first hour: a script, an array, a full queue and why, a shell, stop and resume
	@$(BIN)/python -m tests.demo researcher

test: setup  ## lint, types, and all tests on a real control plane
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m tests.controlplane build > /dev/null
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

check: setup  ## ruff, mypy, import contracts
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "hint: make fix" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > $(VENV)/imports.log || { cat $(VENV)/imports.log >&2; exit 1; }

bench: setup  ## speed beside kubectl and a bare loop, as ratios
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench.startup

fix: setup  ## format, and mend what ruff can
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format --quiet .

up: setup  ## run the control plane in the foreground, with a kubeconfig to play with
	@$(BIN)/python -m tests.controlplane up

schema: setup  ## write projects.d/schema.json anew
	@$(BIN)/python -c 'from reconciler.declaring.forms import schema; print(schema(), end="")' > $(VENV)/schema.json
	@mv $(VENV)/schema.json projects.d/schema.json

lock:  ## solve requirements.lock anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --group dev pyproject.toml -o requirements.lock
