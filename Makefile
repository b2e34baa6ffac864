# Every target sets up what it needs. Python 3.11 or newer, Node 20.19 or newer, git and make are all that must be there.
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo test check lint types contracts soak mutants scale smoke docs-pages docs-images clean

VENV := .venv
BIN := $(VENV)/bin
# The function runs on Python 3.13, so the local AWS should too; any Python from 3.11 on does for everything else.
PYTHON ?= $(shell layer/find-python)

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: requirements-dev.txt pyproject.toml
	@echo "Setting up $(VENV) with $(PYTHON): a minute or two, once"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

node_modules/.installed: package-lock.json
	@echo "Installing the Serverless CLI: some seconds, once"
	@npm ci --silent --no-progress --no-audit --no-fund
	@touch $@

demo: $(VENV)/.installed node_modules/.installed ## The main job on a local AWS: a crash loop, an OOM, a failed pull, a failed deployment
	@$(BIN)/ecs-alert-router demo

test: $(VENV)/.installed node_modules/.installed ## Unit, template and end-to-end tests; `check` simulates more seeds
	$(BIN)/python -m pytest -n auto --dist loadgroup

lint: $(VENV)/.installed ## ruff, format and rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed ## mypy, strict
	$(BIN)/mypy

contracts: $(VENV)/.installed ## Who may import whom
	$(BIN)/lint-imports

check: export SIMULATION_SEEDS := 500
check: lint types contracts test ## All that must pass before a commit lands (cfn-lint runs among the template tests)

SECONDS ?= 300
soak: $(VENV)/.installed ## The fault simulation for as long as one likes: make soak SECONDS=3600
	$(BIN)/python -m tests.simulation.soak --seconds $(SECONDS)

mutants: $(VENV)/.installed ## Breaks the code on purpose and shows the seed of the simulation that notices
	$(BIN)/python -m tests.simulation.mutants

smoke: $(VENV)/.installed ## A failing task in a real account, and whether everybody heard: make smoke STAGE=dev
	@STAGE=$(STAGE) CLUSTER=$(CLUSTER) SUBNETS=$(SUBNETS) $(BIN)/python -m deploy.smoke

scale: $(VENV)/.installed ## A hundred thousand alerts on the local AWS: what each question costs, how hot keys get
	$(BIN)/python -m tests.scale.scale

docs-pages: $(VENV)/.installed ## Writes docs/classification.md and docs/messages.md anew
	$(BIN)/python -m docs.pages

bench: $(VENV)/.installed ## Speed, size and cost beside how alerts are sent today: some minutes; ROUNDS=3 is quicker
	@$(BIN)/python layer/build.py
	@$(BIN)/python -m benchmarks --rounds $(or $(ROUNDS),9)

docs-images: $(VENV)/.installed node_modules/.installed ## Draws the pictures of the docs anew, with a headless Chromium
	$(BIN)/python -m docs.pictures
	$(BIN)/python -m docs.photos

clean: ## Remove all that was built
	rm -rf $(VENV) node_modules .build .serverless
