# Two commands matter: `make run` and `make test`. Each does all its own set-up on a fresh machine.

SHELL := /bin/sh
# The first interpreter that really is Python 3.11 or 3.12 (a version manager's stub may stand in for one that is not there).
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1 && { echo $$p; break; }; done)
BIN := .venv/bin

.PHONY: run test test-ray check format docs lock clean browser python environment test-environment ray-environment

run: environment
	@$(BIN)/python app.py

# As on a machine that has only what README names, whatever this one has: see tools/bare.
test: test-environment browser check
	@$(PYTHON) tools/bare --offline $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations 40

# Measuring on Ray, on a real one of this machine: apart, since Ray is a download of 80 MB that nothing else needs.
RAY_TESTS ?= tests/cluster
test-ray: ray-environment
	@$(PYTHON) tools/bare --offline $(BIN)/python -m pytest $(RAY_TESTS)

check: test-environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: test-environment
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What is generated: the list of licences.
docs: test-environment
	$(BIN)/python -m tools.licences

# Renews the lock: requirements.in -> requirements.txt, and the others. Needs uv. `make lock UPGRADE=1` takes newer versions.
lock: test-environment
	$(BIN)/python -m tools.lock $(if $(UPGRADE),--upgrade)

# A real browser for the page's tests: Debian's, where it is missing and can be installed. Without it they skip and say so.
browser:
	@command -v chromium >/dev/null || { \
	  command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-core \
	  >/dev/null; } || echo "chromium is missing and cannot be installed here: the browser tests will skip"

python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or 3.12 is needed: install one, or run make PYTHON=/path/to/python3.11"; exit 1; }

environment: python
	@$(PYTHON) tools/environment.py run

test-environment: python
	@$(PYTHON) tools/environment.py test

ray-environment: python
	@$(PYTHON) tools/environment.py ray

clean:
	rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache
