# Two commands do everything on a fresh machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test docs lint types layers tests coverage clean

demo: .venv/installed
	$(BIN)/arcwise demo --out runs/demo

test: lint types layers tests

lint: .venv/installed
	$(BIN)/ruff check src tests studies benchmarks
	$(BIN)/ruff format --check src tests studies benchmarks
	$(BIN)/python studies/reference.py --check

docs: .venv/installed
	$(BIN)/python studies/reference.py
	$(BIN)/zensical build --clean --strict

types: .venv/installed
	$(BIN)/pyrefly check

layers: .venv/installed
	$(BIN)/lint-imports --no-cache

tests: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

coverage: .venv/installed  # the same tests; measuring coverage takes a third longer
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"Arcwise needs Python 3.11 or newer, this is {v[0]}.{v[1]}; try `make PYTHON=python3.12 ...`")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv build dist site src/*.egg-info .pytest_cache .ruff_cache .coverage
