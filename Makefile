# Every target makes .venv first when it is missing or out of date.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
RUNS := $(VENV)/.runs
STAMP := $(VENV)/.installed
# GPU nodes: make venv CUDA=1
LISTS := requirements.txt $(if $(CUDA),requirements-cuda.txt)
PIP := $(PY) -m pip install --quiet --disable-pip-version-check

export MPLBACKEND ?= Agg

# Tests run in as many processes as there are cores, up to four; a file stays
# in one process, since its tests share what they set up.
WORKERS := -n auto --maxprocesses=4 --dist loadfile --no-loadscope-reorder

# make demo-train SIZE=... STEPS=...: the agent that is trained.
SIZE ?= size1m
STEPS ?= 2500
DEMO := logdir/demo

.PHONY: venv demo demo-train figures test test-slurm fast lint format clean help

help:  ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

venv: $(STAMP)  ## Create or update .venv (CUDA=1 on GPU nodes).

$(RUNS): requirements.txt requirements-cuda.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; pass PYTHON=python3.11" >&2; exit 2; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP) $(LISTS:%=-r %)
	touch $@

$(STAMP): $(RUNS) requirements-test.txt
	$(PIP) $(LISTS:%=-r %) -r requirements-test.txt
	touch $@

figures: venv  ## Draw every figure on a small input, and a sheet of all (WIDTH=single).
	bash docs/figures.sh

test: lint  ## Lint, types, all tests, then the Crafter world script.
	$(PY) -m pytest $(WORKERS) --durations=15
	PYTHONPATH=. $(PY) embodied/tests/test_crafter_world.py

demo: $(RUNS)  ## What the agent that ships knows about space; FRESH=1 starts over.
	$(if $(FRESH),rm -rf logdir/crafter_small_size1m logdir/demo_further)
	bash demo.sh

demo-train: $(RUNS)  ## The whole pipeline from scratch on a small agent.
	$(if $(FRESH),rm -rf $(DEMO))
	SIZE=$(SIZE) STEPS=$(STEPS) LOGDIR=$(DEMO) bash demo_train.sh

test-slurm: venv  ## The cluster scripts and a study through a real SLURM (needs root).
	tests/slurm/run.sh

fast: venv  ## The tests of about a minute.
	$(PY) -m pytest $(WORKERS) -m 'not slow'

lint: venv  ## ruff and mypy.
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: venv  ## Rewrite the layout of all files.
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

clean:  ## Remove .venv and caches; never runs or recordings.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .jax_cache
