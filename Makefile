# gpuyard's house-keeping. Every target does its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS ?= learn,dev

.PHONY: install compiler quickstart test fast check format bench clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@sh tests/venv.sh $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

quickstart: install
	$(BIN)/gpuyard quickstart

compiler:
	@sh tests/compiler.sh

test: install compiler
	$(BIN)/python -m pytest -n auto --dist worksteal

fast: install compiler
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases tests

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/gpuyard benchmark

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
