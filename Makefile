# Two commands do everything on a fresh machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test docs lint types layers tests coverage test-timm test-dlib test-deploy test-hostile clean

demo: .venv/installed  # make demo ARGS=--serve ends with the page on http://127.0.0.1:8000
	$(BIN)/arcwise demo --out runs/demo $(ARGS)

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
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

coverage: .venv/installed  # the same tests; measuring coverage takes a third longer
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered

# timm needs torchvision, which needs another torch than the one that constraints.txt pins: several
# gigabytes, in an environment of their own.
test-timm: .venv-timm/installed
	OMP_NUM_THREADS=1 .venv-timm/bin/python -m pytest tests/timm

# dlib itself and the package with its network, 130 MB, against the network that is imported from it.
test-dlib: .venv-dlib/installed
	OMP_NUM_THREADS=1 .venv-dlib/bin/python -m pytest tests/dlib tests/verbs/test_import_dlib.py

# The steps of deploy/Dockerfile in a clean virtual environment, and the server that they make.
test-deploy: .venv/installed
	ARCWISE_DEPLOY=1 $(BIN)/python -m pytest tests/deploy

# Malformed requests to a server: 10,000 of a seeded stream, and what schemathesis makes of the OpenAPI.
test-hostile: .venv/installed .venv-hostile/installed
	OMP_NUM_THREADS=1 ARCWISE_MALFORMED=10000 ARCWISE_SCHEMATHESIS=$(CURDIR)/.venv-hostile/bin/schemathesis $(BIN)/python -m pytest tests/serving/test_many_malformed.py tests/serving/test_openapi_fuzzing.py

.venv-hostile/installed:
	$(PYTHON) -m venv .venv-hostile
	.venv-hostile/bin/python -m pip install --quiet --disable-pip-version-check schemathesis==4.32.5
	@touch $@

.venv-dlib/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-dlib
	.venv-dlib/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,export,faces]' dlib-bin==20.0.1.post1 'pytest>=8' 'pytest-timeout>=2.3' 'hypothesis>=6.100'
	@touch $@

.venv-timm/installed: pyproject.toml
	$(PYTHON) -m venv .venv-timm
	.venv-timm/bin/python -m pip install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 -e '.[train,export,timm]' 'pytest>=8' 'pytest-timeout>=2.3'
	@touch $@

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"Arcwise needs Python 3.11 or newer, this is {v[0]}.{v[1]}; try `make PYTHON=python3.12 ...`")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv .venv-timm .venv-dlib .venv-hostile build dist site src/*.egg-info .pytest_cache .ruff_cache .coverage
