# Two commands for a newcomer: `make demo` and `make test`. Both build the environment they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FAULT ?= schema

.PHONY: demo test lint types layers package lock clean
.DELETE_ON_ERROR:

$(VENV)/.installed: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "migration-watchdog needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/.installed  ## one release goes wrong and is taken back: FAULT=schema|flag|integrity|elsewhere|latency|connections|stall|canary|none
	$(BIN)/watchdog demo --fault $(FAULT)

test: $(VENV)/.installed  ## every test that needs no root
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

layers: $(VENV)/.installed
	$(BIN)/lint-imports

package: $(VENV)/.installed  ## the wheel holds everything that it needs
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist .
	$(BIN)/python -m zipfile -l dist/*.whl | grep -q shipped/config.yaml

lock:  ## after a change of pyproject.toml; needs uv
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --all-extras --group dev requirements/build.in pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  pyproject.toml -o requirements/run.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
