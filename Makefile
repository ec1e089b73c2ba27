# make setup | demo | run | test | check | docs
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup setup-s3 setup-dev servers demo run test check docs

help:  ## Say what there is
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/runtime  ## Make .venv with what the program needs

.venv/runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with: make setup PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

setup-s3: setup .venv/s3  ## Add what fetching deliveries from S3 needs

.venv/s3: requirements-s3.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-s3.txt
	@touch $@

setup-dev: setup .venv/workshop

.venv/workshop: requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

servers: setup-dev  ## Install MariaDB and GnuPG for the tests, where the system lets us
	@{ { command -v mariadbd || test -x /usr/sbin/mariadbd; } && command -v gpg; } >/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& apt-get update -q >/dev/null \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
			mariadb-server gpg gpg-agent >/dev/null; \
	} || echo "MariaDB or GnuPG is not installed: the tests that need them say so. Install mariadb-server and gnupg to run them."

demo: setup  ## Write a synthetic package, ingest it, show what came out
	@$(BIN)/python ingestor.py demo

run: setup  ## Watch the data folders and ingest what arrives, until stopped
	@$(BIN)/python ingestor.py run

test: check servers  ## Lint, types, layers, and all tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: setup-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: setup  ## Write the generated pages of docs/ anew
	@$(BIN)/python -m optimus.documenting
