# Two commands come first: `make demo` and `make test`. Both set up what they need.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
READY := .venv/.ready
MEMBERS := $(shell sed -n '/^members = \[/,/^\]/s/^ *"\(.*\)",/\1/p' pyproject.toml)
PEERS := libs/mesh/peers
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
# A user without a writable home (a service account, a container) still gets caches; .ci/setup makes it.
ifneq ($(shell [[ -n "$$HOME" && -w "$$HOME" ]] && echo yes),yes)
export HOME := $(CURDIR)/.tools/home
endif
# Extra arguments of one run: make test ARGS="-k refund -x"
ARGS ?=

.PHONY: help setup demo up down test test-long test-unit chaos bench lint format diagrams protos \
	protos-check protos-release lock clean FORCE

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-15s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## run a few hundred payments through the whole mesh and prove that the books agree
	@$(BIN)/python -m cashier_mesh demo $(ARGS)

up: $(READY) ## start everything on this machine and leave it running; Ctrl-C or `make down` ends it
	@$(BIN)/python -m cashier_mesh up $(ARGS)

down: $(READY) ## stop what `make up` started
	@$(BIN)/python -m cashier_mesh down $(ARGS)

test: $(READY) ## run the tests, two at a time; ARGS="-k refund" picks some
	@$(BIN)/python -m pytest -n 2 --durations 15 $(ARGS)

test-long: $(READY) ## kill processes at every point, where `make test` kills at some
	@$(BIN)/python -m pytest -n 2 -m long --durations 15 $(ARGS)

chaos: $(READY) ## minutes of payments while everything breaks; TEST_SEED=7 repeats a plan, CHAOS_S=600 is longer
	@$(BIN)/python -m pytest tests/chaos -m long -s --timeout 3600 $(ARGS)

test-unit: $(READY) ## run the tests that start no server, in seconds
	@$(BIN)/python -m pytest tests/unit tests/architecture -m "not slow" $(ARGS)

bench: $(READY) ## payments per second and latency of the mesh, beside a floor; ARGS=webhooks or ARGS=health measures those
	@$(BIN)/python -m tests.bench $(ARGS)

lint: $(READY) protos-check ## everything that can be said without running the code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/hadolint $$(git ls-files '*Dockerfile')

format: $(READY) ## lay out the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

diagrams: $(READY) ## draw each service's LIFECYCLE.md from its state tables
	@for table in services/*/src/*/domain/lifecycle.py services/*/*/src/*/domain/lifecycle.py; do \
		if [[ -e $$table ]]; then \
			package=$${table##*/src/}; package=$${package%%/*}; \
			$(BIN)/python -m cashier_common.statetable $$package.domain.lifecycle > $${table%%/src/*}/LIFECYCLE.md; \
		fi; done

protos: $(READY) ## make the stubs in protos/gen from the contracts
	@$(BIN)/python protos/stubs.py write

protos-check: $(READY) ## fail on stale stubs, on what buf refuses, on what breaks released contracts
	@$(BIN)/python protos/stubs.py check
	@$(BIN)/python protos/stubs.py lint

protos-release: $(READY) ## make today's contracts the ones that later ones are compared with
	@$(BIN)/python protos/stubs.py release

lock: $(READY) ## renew the locks within the bounds of the pyproject files; UPGRADE=1 takes the newest
	@$(COMPILE) $(addsuffix /pyproject.toml,$(MEMBERS)) --group dev $(if $(UPGRADE),--upgrade) \
		$(foreach name,$(MEMBERS),--no-emit-package $$(sed -n 's/^name = "\(.*\)"/\1/p' $(name)/pyproject.toml)) \
		-o requirements.lock
	@for peer in localstripe node; do $(COMPILE) $(if $(UPGRADE),--upgrade) \
		$(PEERS)/$$peer/requirements.in -o $(PEERS)/$$peer/requirements.lock; done

setup: $(READY) ## make .venv and .tools from the locks (every other command does it by itself)

# A checkout that was moved or copied holds a .venv that points elsewhere: the stamp knows its folder.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
$(READY): FORCE
endif
ifeq ($(wildcard .tools/localstripe/bin/python),)
$(READY): FORCE
endif
$(READY): requirements.lock .ci/setup $(addsuffix /pyproject.toml,$(MEMBERS)) $(wildcard $(PEERS)/*/*)
	@.ci/setup
	@printf '%s' '$(CURDIR)' > $@

clean: ## remove the environment, the tools and the caches; the databases of `make up` stay
	@rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
