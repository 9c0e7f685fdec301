# What people type; `make` alone lists it. PYTHON=python3.12 chooses the interpreter, VENV the folder.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
export PYTHON VENV ONESHOT SOAK PEERS

.PHONY: help setup demo test check peers bench bench-peers soak lock

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 20

setup: ## make the environment from the hashed locks (EXTRAS="email mqtt": with what these kinds of channel need)
	@sh deploy/setup.sh run $(EXTRAS)

demo: setup ## a real outage on every channel of config/demo.yaml, on this machine only (ONESHOT=1: then end)
	@sh deploy/demo.sh

test: peers ## every tier; says at its end which real servers were missing, and which tests are unsteady
	@sh deploy/setup.sh test
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS) || sh tests/once_more.sh $(BIN)/python

check: ## format, lint, types, import contracts, documentation
	@sh deploy/setup.sh check
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/house

peers: ## bring the real servers and browsers the tests talk to (PEERS=all: the large ones too)
	@sh deploy/peers.sh

bench: ## measure, every figure a ratio to a limit of the same run (ARGS="accept --size small" runs a part)
	@sh deploy/setup.sh test
	@$(BIN)/python -m tests.bench --json var/bench.json --markdown var/bench.md $(ARGS)

bench-peers: ## the same work by Celery, Apprise and Alertmanager beside ours
	@sh deploy/setup.sh test
	@sh tests/bench/peers.sh $(ARGS)

soak: peers ## kill the daemon again and again and judge by what the far ends received
	@sh deploy/setup.sh test
	@SOAK=1 $(BIN)/python -m pytest -v -s -m "scenario or slow" --timeout=3600 $(ARGS)

# For maintainers, with uv on the path: the locks again; ARGS=--upgrade takes newer versions.
lock:
	@sh requirements/lock.sh $(ARGS)
