# Every target sets itself up: a virtual environment per interpreter, from a lock with hashes, under .venvs/.
SHELL := /bin/bash
PYTHONS := $(shell scripts/pythons)
MAIN := $(firstword $(PYTHONS))
VERSION = $(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venvs/$(call VERSION,$(MAIN))
BIN := $(VENV)/bin

.PHONY: demo test reliability systemd soak lint bench format clean

demo: $(VENV)/ready
	$(BIN)/rotator demo

# The whole suite on the first interpreter; on the others what may differ between them: adapters, and the main job.
test: packages
	@set -e; for python in $(PYTHONS); do $(MAKE) --no-print-directory suite PYTHON=$$python; done

WHOLE := --ignore tests/reliability --ignore tests/systemd
ADAPTERS := tests/config tests/keys tests/keystore tests/planning tests/qlik tests/state tests/story/test_access_by_jwt.py

.PHONY: suite packages
suite:
	@version=$(call VERSION,$(PYTHON)); \
	$(MAKE) --no-print-directory .venvs/$$version/ready PYTHON=$(PYTHON) && \
	echo "Python $$version" && .venvs/$$version/bin/python -m pytest -q -n 5 $(if $(filter $(MAIN),$(PYTHON)),$(WHOLE),$(ADAPTERS)) $(PYTEST)

# A sample of every fault, drawn anew each time; `make soak` runs all of them and writes docs/reliability.md.
reliability: packages $(VENV)/ready
	$(BIN)/python -m pytest -q -n 4 tests/reliability $(PYTEST)

soak: packages $(VENV)/ready
	$(BIN)/python scripts/reliability

# Under a real systemd as PID 1, in namespaces: needs root, and says so where it cannot run.
systemd: packages $(VENV)/ready
	@scripts/can-boot || exit 0; \
	$(MAKE) --no-print-directory boxes

.PHONY: boxes
boxes:
	@scripts/packages systemd-creds:systemd ip:iproute2 nsenter:util-linux userdel:passwd
	@/usr/bin/python3 -c 'import ensurepip' 2>/dev/null || scripts/packages ensurepip:python3-venv
	$(BIN)/python -m pytest -q -n 3 tests/systemd $(PYTEST)

packages:
	@scripts/packages

lint: $(VENV)/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 rotator
	$(BIN)/lint-imports

format: $(VENV)/ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: packages $(VENV)/ready
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venvs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

PYTHON ?= $(MAIN)
.venvs/%/ready: requirements.lock pyproject.toml
	@echo "setting up .venvs/$*"
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || scripts/packages ensurepip:python3-venv
	@rm -rf .venvs/$* && $(PYTHON) -m venv .venvs/$*
	@.venvs/$*/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@.venvs/$*/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
