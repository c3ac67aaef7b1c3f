# Two commands set everything up by themselves: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_FLAGS := --quiet --disable-pip-version-check --require-hashes

.PHONY: demo test check docs bench crash lock clean help

help:
	@echo "make demo   a compromised instance contained on a simulated AWS organisation; no account needed"
	@echo "make test   all tests"
	@echo "make check  format, lint, types, import rules, docs in sync"
	@echo "make docs   write the generated pages of docs/reference"
	@echo "make bench  benchmarks against the floors; results go to docs/benchmarks.md"
	@echo "make crash  kill the runner at many more points than the tests do"
	@echo "make lock   renew requirements/*.txt from pyproject.toml"

# The stamp depends on the pins: a changed pin makes the environment anew.
$(VENV)/.run: requirements/run.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install $(PIP_FLAGS) -r requirements/run.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(BIN)/pip install $(PIP_FLAGS) -r requirements/dev.txt
	touch $@

demo: $(VENV)/.run
	$(BIN)/irrunner demo

# An IAM evaluator by others, for one test; without Node that test is skipped and says so.
INDEPENDENT := tests/gameday/world/authz/independent
$(INDEPENDENT)/node_modules/.stamp: $(INDEPENDENT)/package-lock.json
	command -v npm >/dev/null && npm ci --silent --no-audit --no-fund --prefix $(INDEPENDENT) && touch $@ || true

test: $(VENV)/.dev $(INDEPENDENT)/node_modules/.stamp
	$(BIN)/python -m pytest -n auto --dist loadgroup -q

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/irrunner validate playbooks
	$(BIN)/python docs/sync.py --check

docs: $(VENV)/.dev
	$(BIN)/python docs/sync.py

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/cli.py
	$(BIN)/python benchmarks/parked.py
	$(BIN)/python benchmarks/forensics.py
	$(BIN)/python benchmarks/custody.py

crash: $(VENV)/.dev
	$(BIN)/python -m pytest -q -m crash --kill-points 2000

lock:
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --extra gameday --extra build -o requirements/run.txt pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --extra gameday --extra build --extra dev -o requirements/dev.txt pyproject.toml

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
