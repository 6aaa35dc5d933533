# Every command makes or reuses .venv and installs what it needs; a second run finds it there.
# PYTHON=python3.12 make test     picks the interpreter that .venv is made from

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
NOTEBOOKS := $(wildcard notebooks/*.ipynb)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PIP_NO_COMPILE := 1
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo lab test soak notebooks check format bench comparison reference clean browser postgresql

help: ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(STAMPS)/demo ## run the tour on real flight data, say what it did, write out/tour.html
	@$(BIN)/python notebooks/demo.py notebooks/tour.ipynb out/tour.html

lab: $(STAMPS)/lab ## open the tour in JupyterLab
	$(BIN)/jupyter lab notebooks/tour.ipynb

# Where CI is set, a failed test gets a second try, and the summary lists it as RERUN: on a loaded
# machine a real kernel or browser can be too slow for a time limit. At a desk every failure is red.
test: $(STAMPS)/browser browser postgresql ## tests, doctests and notebooks
	@mkdir -p out/test/ipython
	AAICLICK_STATE_DIR=$(CURDIR)/out/test/state AAICLICK_SCRATCH_DIR=$(CURDIR)/out/test/scratch \
	  IPYTHONDIR=$(CURDIR)/out/test/ipython \
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder --doctest-modules $(if $(CI),--reruns 1 -rR) \
	  --nbval --nbval-current-env --nbval-cell-timeout 120 \
	  --nbval-sanitize-with tests/nbval_sanitize.cfg \
	  aaiclick_ext tests $(NOTEBOOKS)

soak: $(STAMPS)/test ## the long tests: tens of thousands of steps, kills and interrupts
	@mkdir -p out/test/ipython
	AAICLICK_STATE_DIR=$(CURDIR)/out/test/state AAICLICK_SCRATCH_DIR=$(CURDIR)/out/test/scratch \
	  IPYTHONDIR=$(CURDIR)/out/test/ipython AAICLICK_SOAK=1 \
	$(BIN)/python -m pytest -m soak -s --durations 0 tests

notebooks: $(STAMPS)/demo ## run the notebooks and store their outputs
	@$(BIN)/python notebooks/store_outputs.py $(NOTEBOOKS)

check: $(STAMPS)/check ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMPS)/check ## let ruff format and fix what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMPS)/bench ## what it costs, next to what you would use instead
	@$(BIN)/python -m benchmarks

reference: $(STAMPS)/test ## write docs/reference.md: every setting and every magic
	$(BIN)/python -m aaiclick_ext.notebook.reference docs/reference.md

comparison: $(STAMPS)/comparison browser ## check each cell of the table of other tools
	@$(BIN)/python -W ignore -m benchmarks.comparison

clean: ## remove the environments, caches and out/
	rm -rf .venv .venv-aaiclick out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find aaiclick_ext tests benchmarks notebooks -type d \
	  \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "aaiclick_ext needs Python 3.11 or later, and $(PYTHON) is" \
	    "$$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 …" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "could not make $(VENV); on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing into $(VENV): pip"
	@$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1'
	@mkdir -p $(STAMPS) && touch $@

# One stamp for each dependency group of pyproject.toml.
$(STAMPS)/%: pyproject.toml $(STAMPS)/venv
	@echo "installing into $(VENV): aaiclick_ext and group $*"
	@$(BIN)/python -m pip install -qq --editable . --group $*
	@touch $@

# Programs that tests start, of Debian's packages; $(call debian,what needs it,test for it,packages)
define debian
@if $(2); then :; \
elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
  echo "installing Debian packages: $(3)"; \
  export DEBIAN_FRONTEND=noninteractive; \
  { apt-get update -qq && apt-get install -qq -y --no-install-recommends \
    $(3); } >/dev/null || [ -z "$$CI" ]; \
elif [ -n "$$CI" ]; then \
  echo "$(1) needs $(firstword $(3)), and here is no root or no apt to install it" >&2; exit 1; \
else \
  echo "$(1) is skipped: no $(firstword $(3)), and no root or no apt to install it"; \
fi
endef

# Playwright's own browser is a download that CI and many offices do not allow.
browser:
	$(call debian,the browser test,command -v chromium >/dev/null,chromium fonts-dejavu-core)

postgresql:
	$(call debian,the registry on PostgreSQL,\
	  [ -n "$$(command -v initdb /usr/lib/postgresql/*/bin/initdb)" ],postgresql)
