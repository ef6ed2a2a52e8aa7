# The commands a person types; everything runs from .venv, which is made here from the hash-locked lists.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run demo test fuzz sim sim-long bench lint lock clean

run: .venv/ready
	@$(BIN)/p2pblog id >/dev/null 2>&1 || $(BIN)/p2pblog init || $(BIN)/p2pblog id
	@exec $(BIN)/p2pblog run

demo: .venv/ready
	@exec $(BIN)/python -m simulations.demo

test: .venv/ready-dev lint sim
	$(BIN)/python -m pytest

# Bytes from anybody, pushed through every reader, new and many each time; a quarter of an hour.
fuzz: .venv/ready-dev
	P2PBLOG_SEARCH=1 $(BIN)/python -m pytest tests/test_fuzz.py

# A few small simulations, in seconds.
sim: .venv/ready-dev
	$(BIN)/python -m simulations.series short

# All of them at full size, in hours; it goes on where it was, and writes the table and pictures of docs/simulating.md.
sim-long: .venv/ready-dev
	$(BIN)/python -m simulations.series long

# Every benchmark, beside what users would pick instead; minutes each, best on a quiet machine.
bench: .venv/ready-dev
	$(BIN)/python -m benchmarks --all

lint: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/ready: requirements/run.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/ready-dev: requirements/dev.txt .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# Renews both lists for every Python and platform at once; needs `uv` on the PATH.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		pyproject.toml requirements/build.in -o requirements/run.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		--constraint requirements/run.txt --extra dev pyproject.toml -o requirements/dev.txt

clean:
	rm -rf .venv
