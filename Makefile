# One command each. Everything happens in .venv; nothing outside the checkout is touched.
PYTHON ?= python3
BIN := .venv/bin
MARKED := session or media or browser or phone or rehearsal or vllm

.DEFAULT_GOAL := help
.PHONY: help install test pictures rehearse check lint types imports marked bench-quick vllm-env training-env soak lock

help:  ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

install: .venv/installed  ## Install Viva and its tools into .venv

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Viva needs Python 3.11 or newer; name one with: make PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test: install  ## The quick, offline tests, on every core
	$(BIN)/python -m pytest -n auto

rehearse: install  ## A whole spoken interview on this machine; results in out/rehearsal
	$(BIN)/viva rehearse

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

# Such a test mostly waits for real time to pass. One that failed is taken once more, and listed with its
# reason (tests/conftest.py). Files stay whole, for what their tests share, and in
# order: by the number of tests in them, the longest would begin last.
marked: install  ## Every marked test that can run here, two at a time
	$(BIN)/python -m pytest -m "$(MARKED)" -n 2 --dist loadfile --no-loadscope-reorder -rfER --durations=15

bench-quick: install
	$(BIN)/python -m bench.receive --quick
	$(BIN)/python -m bench.turn_latency --quick
	$(BIN)/python -m bench.first_load --quick
	$(BIN)/python -m bench.rejoin --quick
	$(BIN)/python -m bench.phone_delay --quick
	$(BIN)/python -m bench.asr_cost --quick
	$(BIN)/python -m bench.asr_latency --quick
	$(BIN)/python -m bench.asr_sessions --quick
	$(BIN)/python -m bench.asr_silence --quick

vllm-env: install  ## The environment of the vLLM contract test (6 GB, from the package index)
	$(BIN)/python tests/vllm/environment.py

training-env: install  ## Torch for python -m asr.rehearsal.training, in .venv-training (3 GB on Linux)
	$(PYTHON) -m venv .venv-training
	.venv-training/bin/python -m pip install --quiet --require-hashes -r requirements.lock
	.venv-training/bin/python -m pip install --quiet --require-hashes -r asr/rehearsal/training/requirements.txt
	.venv-training/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .

soak: install  ## The long series: 60 kills over rehearsals, 60 over calls, 5,000 keys by telephone, 50 reloads and 50 lost networks (two hours)
	$(BIN)/python -m pytest -m soak -s
	$(BIN)/python -m bench.rejoin

pictures: install  ## A picture of every state of every page, at 360 and 1280 px, in out/pictures
	mkdir -p out/pictures
	PICTURES=$(CURDIR)/out/pictures $(BIN)/python -m pytest -m browser tests/browser/test_accessibility.py

check: lint types imports bench-quick marked  ## Lint, types, import contracts, short benchmarks, every marked test that can run

COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header

lock:  ## Make requirements.lock and the training's again (hashes, no addresses)
	$(COMPILE) --group dev pyproject.toml -o requirements.lock
	$(COMPILE) --group training -c requirements.lock -o asr/rehearsal/training/requirements.txt
