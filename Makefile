# Two commands for a stranger: `make run` and `make test`. Everything else is for the people who work on it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
READY := $(VENV)/.ready

.PHONY: help setup run watch compile-tests test test-pure test-fast test-slow test-all lint clean drill coverage docs compose-env

# Most tests wait for processes: three times as many at once as there are cores. What others would spoil comes last, alone.
AT_ONCE ?= $(shell n=$$(( 3 * $$(nproc 2>/dev/null || echo 2) )); echo $$(( n < 8 ? n : 8 )))
# Hundreds of processes are started in tests: they should find their modules compiled.
unexport PYTHONDONTWRITEBYTECODE

WITHOUT_RUNS := $(addprefix --ignore=tests/,system browser dashboards deploy examples)
PYTEST := $(BIN)/python -m pytest -q -n $(AT_ONCE) $(AGAIN)

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: $(READY) ## Create the virtual environment, with all that tests need

CORE := setup.py $(wildcard loadtest/drive/_core/*.pyx loadtest/drive/_core/*.pxi loadtest/importing/*.pyx loadtest/importing/*.pxi)

$(INSTALLED): pyproject.toml $(CORE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@$(BIN)/python -m loadtest.drive._core
	@touch $(INSTALLED)

# What is installed already satisfies the name, so this adds what tests need and builds nothing again.
$(READY): $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check 'singlesday-loadtest[test]'
	@touch $(READY)

run: $(INSTALLED) ## Singles' Day against the sample order service, scaled to this machine (about two minutes)
	$(BIN)/singlesday run

watch: $(INSTALLED) ## The web UI, the order service and, if it is installed, Prometheus; says which addresses to open
	$(BIN)/singlesday watch

# Each worker would compile every test for itself, were none compiled yet.
COMPILED := tests/__pycache__/conftest*-pytest-*.pyc
compile-tests: $(READY)
	@ls $(COMPILED) >/dev/null 2>&1 || $(BIN)/python -m pytest -q --collect-only >/dev/null 2>&1 || true

test: $(READY) compile-tests ## Every kind of fault once: five to six minutes on two cores; tests/slow.py says what it leaves out
	$(PYTEST) -m "not slow and not campaign"

test-pure: $(READY) ## The tests of the client, of whole runs and of the truth on the pure Python core
	LOADTEST_PURE=1 $(PYTEST) -m "not slow and not campaign" tests/drive tests/plugin tests/system

test-fast: $(READY) ## Tests that start no run and no browser: about two minutes
	$(PYTEST) -m "not slow and not campaign" $(WITHOUT_RUNS)

# Which of the slow tests: 2/6 is the third of six shares. CI plays one with each commit.
SHARE ?= 0/1

test-slow: $(READY) ## What `make test` leaves out, but the campaigns; with SHARE=2/6 a part of it
	$(PYTEST) -m "slow and not campaign" --slow-share $(SHARE)

test-all: $(READY) ## Slow tests and campaigns too, as every night
	EXAMPLES=200 MUTATION_SEEDS=100 CONSERVATION_RUNS=20 FLEET_SCHEDULES=50 FAULT_PLANS=100 $(PYTEST)

COVERED := plan:95 measure:95 judge:95 fleet:95

coverage: $(READY) ## Lines and branches that `make test` reaches: 95 % of plan, measure, judge and fleet, 80 % of all
	$(PYTEST) -m "not slow and not campaign" --cov=loadtest --cov=target_service --cov-branch --cov-report=
	@for part in $(COVERED); do \
		$(BIN)/coverage report --include="loadtest/$${part%:*}/*" --fail-under=$${part#*:} --skip-covered || exit 1; done
	$(BIN)/coverage report --fail-under=80 --skip-covered --sort=cover

drill: $(READY) ## The long drills: kills, power cuts, PostgreSQL crashes, crowds (about a quarter of an hour)
	$(BIN)/python -m tests.target_service.long_drills

docs: $(READY) ## The documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

compose-env: ## Draw the passwords of docker-compose.yml: .env and secrets/
	@$(PYTHON) deploy/compose/make_secrets.py

lint: $(READY) ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: ## Remove the virtual environment and all run folders
	rm -rf $(VENV) runs
