# make demo    the main job on an embedded sample      make test   the tests      make demo-train   a model on its shards
# Both make their own environment in .venv first. Needs Python 3.11 or later, and a package registry.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DEMO ?= demo-out
ENGINE_TESTS ?= engines and not slow
TEST_WORKERS ?= 2

.PHONY: demo demo-train test test-all test-airflow test-gcs test-dataflow test-prism test-flink test-spark lint bench bench-peers image-root \
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

# A tiny model on the demo's shards: it learns them nearly by heart, which is all that forty pages are good for.
demo-train: $(VENV)/.trainer $(DEMO)/run/shards/manifest.json
	@rm -rf $(DEMO)/train $(DEMO)/model
	$(RUN) -m trainer.train --data $(DEMO)/run/shards/manifest.json --out $(DEMO)/train --model tiny --steps 200 \
	  --global-batch 8 --micro-batch 8 --lr 3e-3 --warmup 10 --eval-every 50 --checkpoint-every 50
	$(RUN) -m trainer.export --run $(DEMO)/train --output $(DEMO)/model
	$(RUN) -m trainer.generate --model $(DEMO)/model --prompt '' --top-k 20 --seed 1
	$(RUN) -m trainer.generate --model $(DEMO)/model --prompt 'The' --beams 4
	@echo
	@echo "The run is   $(DEMO)/train: tensorboard --logdir $(DEMO)/train/tensorboard shows its curves"
	@echo "The model is $(DEMO)/model: transformers.AutoModelForCausalLM.from_pretrained('$(DEMO)/model') loads it"

$(DEMO)/run/shards/manifest.json:
	@$(MAKE) --no-print-directory demo

test: $(VENV)/.test lint
	@$(RUN) -m pipelines.models > /dev/null
	$(RUN) -m pytest -n $(TEST_WORKERS) --dist loadfile

test-all: $(VENV)/.test lint
	@$(RUN) -m pipelines.models > /dev/null
	$(RUN) -m pytest -m 'not bench and not gcs and not engines and not airflow'

test-gcs: $(VENV)/.test
	@$(RUN) -m pipelines.models > /dev/null
	$(RUN) -m pytest -m gcs

# Dataflow's tests want the client libraries of Google Cloud, 0.4 GB that nothing else needs.
test-dataflow: $(VENV)/.gcp
	@$(RUN) -m pipelines.models > /dev/null
	$(RUN) -m pytest -m dataflow

# Airflow has an environment of its own, .airflow: its libraries and Beam's exclude each other.
test-airflow: $(VENV)/.test .airflow/.done
	@$(RUN) -m pipelines.models > /dev/null
	WINNOW_AIRFLOW=.airflow/bin/airflow $(RUN) -m pytest -m airflow tests/deploy

.airflow/.done: deploy/airflow/requirements.lock deploy/airflow/requirements-test.lock
	$(PYTHON) -m venv .airflow
	.airflow/bin/python -m pip install --quiet --upgrade pip
	.airflow/bin/python -m pip install --quiet -r deploy/airflow/requirements-test.lock
	@touch $@

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

# From PyPI, Linux gets torch's CUDA build, 3 GB; there is no other in the registry.
$(VENV)/.trainer: $(VENV)/.run requirements-trainer.lock
	$(RUN) -m pip install --quiet -r requirements-trainer.lock
	@touch $@

$(VENV)/.gcp: $(VENV)/.test requirements-gcp.lock
	$(RUN) -m pip install --quiet -r requirements-gcp.lock
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements-dev.lock
	$(RUN) -m pip install --quiet -r requirements-dev.lock
	@touch $@
