# Every target sets up what it needs: two commands, `make demo` and `make test`, are enough.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
FLOWER := .venv-flower-app
MILESTONE ?= 1
SECONDS ?= 60
TARGET ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test flower flower-setup test-native fuzz lint types contracts ci acceptance clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

setup: $(VENV)/ready ## make .venv with the package, its extras and the development tools

$(VENV)/ready: pyproject.toml CMakeLists.txt $(shell find csrc -type f) scripts/setup.sh
	PYTHON=$(PYTHON) bash scripts/setup.sh $(VENV)
	touch $@

demo: setup ## the main job: train on real data under every protocol and compare
	$(BIN)/secagg compare

test: setup flower-setup ## all Python tests; those of the adapters in their own environments
	$(BIN)/pytest
	$(PYTHON) scripts/flower_checks.py $(FLOWER)

flower-setup: $(FLOWER)/ready

$(FLOWER)/ready: pyproject.toml CMakeLists.txt $(shell find csrc -type f) scripts/flower.sh
	PYTHON=$(PYTHON) bash scripts/flower.sh $(FLOWER)
	touch $@

flower: flower-setup ## types and tests of the adapter for Flower, in an environment with it
	$(PYTHON) scripts/flower_checks.py $(FLOWER) --types

test-native: setup ## C tests, sanitizers, constant-time check
	$(BIN)/python scripts/native_checks.py

fuzz: setup ## all fuzz targets, or some: make fuzz SECONDS=600 TARGET="invitation native-ring"
	$(BIN)/python scripts/fuzzing.py --seconds $(SECONDS) $(TARGET)

lint: setup ## style
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: setup ## mypy --strict
	$(BIN)/mypy

contracts: setup ## the rules of dependence
	$(BIN)/lint-imports

ci: ## all of the above from nothing, in fresh virtual environments, with a budget per stage
	$(PYTHON) scripts/ci.py

acceptance: setup ## run a milestone's must-shows and record them: make acceptance MILESTONE=1
	$(BIN)/python scripts/acceptance.py $(MILESTONE)

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
