# make demo    the main job on an embedded sample      make test   the tests
# Both make their own environment in .venv first. Needs Python 3.11 or later, and a package registry.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DEMO ?= demo-out
ENGINE_TESTS ?= engines and not slow

.PHONY: demo test test-all test-gcs test-dataflow test-prism test-flink test-spark lint bench bench-peers image-root \
  clean-demo env

demo: $(VENV)/.run
	@$(RUN) -m pipelines.models > /dev/null
	@rm -rf $(DEMO)
	@$(RUN) -m pipelines.sample $(DEMO)/sample
	$(RUN) -m pipelines.clean --input 'web=$(DEMO)/sample/web' --input 'wet=$(DEMO)/sample/wet' \
	  --input 'json=$(DEMO)/sample/json' --output $(DEMO)/run --recipe pipelines/sample/demo.toml --workers 2
	@echo
	@echo "The report is  $(DEMO)/run/report.html"
	@echo "The shards are $(DEMO)/run/shards/, described by $(DEMO)/run/shards/manifest.json"

test: $(VENV)/.test lint
	@$(RUN) -m pipelines.models > /dev/null
	$(RUN) -m pytest

test-all: $(VENV)/.test lint
	@$(RUN) -m pipelines.models > /dev/null
	$(RUN) -m pytest -m 'not bench and not gcs and not engines'

test-gcs: $(VENV)/.test
	@$(RUN) -m pipelines.models > /dev/null
	$(RUN) -m pytest -m gcs

# Dataflow's tests want the client libraries of Google Cloud, 0.4 GB that nothing else needs.
test-dataflow: $(VENV)/.gcp
	@$(RUN) -m pipelines.models > /dev/null
	$(RUN) -m pytest -m dataflow

# What the image of deploy/ holds, in a folder: no daemon needed.
IMAGE_ROOT ?= image-root
image-root: $(VENV)/.run
	$(RUN) deploy/build_root.py $(IMAGE_ROOT)

# A real engine each: fetched on the first run (Flink 0.4 GB, Spark 0.4 GB, Prism built by Go).
test-prism test-flink test-spark: test-%: $(VENV)/.test
	@$(RUN) -m pipelines.models > /dev/null
	$(RUN) -m pipelines.engines --$*
	$(RUN) -m pytest -m '$(ENGINE_TESTS)' tests/engines -k $*

lint: $(VENV)/.test
	$(RUN) -m ruff check .
	$(RUN) -m mypy

bench: $(VENV)/.test
	@$(RUN) -m pipelines.models > /dev/null
	$(RUN) -m pytest -m bench -s

bench-peers: $(VENV)/.run
	@$(RUN) -m pipelines.models > /dev/null
	$(RUN) tests/benchmarks/peers.py

env: $(VENV)/.test

# A new virtual environment of Python 3.11 has pip 23.2, which loses extras and backtracks for minutes: hence the upgrade.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip

$(VENV)/.run: $(VENV)/bin/python requirements.lock pyproject.toml
	$(RUN) -m pip install --quiet -r requirements.lock
	$(RUN) -m pip install --quiet --quiet --no-deps --editable .
	@touch $@

$(VENV)/.gcp: $(VENV)/.test requirements-gcp.lock
	$(RUN) -m pip install --quiet -r requirements-gcp.lock
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements-dev.lock
	$(RUN) -m pip install --quiet -r requirements-dev.lock
	@touch $@
