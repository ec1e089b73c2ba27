# make setup | demo | run | test | check | docs
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup setup-dev demo run test check docs

help:  ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/runtime  ## Make .venv with what the program needs

.venv/runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with: make setup PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

setup-dev: setup .venv/workshop

.venv/workshop: requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

demo: setup  ## Write a synthetic package, ingest it, show what came out
	@$(BIN)/python ingestor.py demo

run: setup  ## Watch the data folders and ingest what arrives, until stopped
	@$(BIN)/python ingestor.py run

test: check  ## Lint, types, layers, and all tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: setup-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: setup  ## Write the generated pages of docs/ anew
	@$(BIN)/python -m optimus.documenting
