# Every target works from a bare Python, 3.11 or newer; what is up to date is not done again.
PYTHON ?= python3
BIN := .venv/bin
PROGRAMS := .venv/programs
INSTALLED := .venv/installed
# uv draws bars on a terminal; elsewhere the steps are enough.
UV_INSTALL := $(BIN)/uv pip install $(shell [ -t 2 ] || echo --quiet) --python $(BIN)/python
INGEST := tests/behaviour/ingest tests/integration/ingest
SINKS := tests/behaviour/sinks tests/integration/sinks
STREAMS := tests/behaviour/state tests/integration/streams
FAULTS_OF_STREAMS := $(wildcard tests/faults/test_streams_*.py)
FAULTS_WITH_LATENCY := tests/faults/test_ingest_strangers.py tests/faults/test_ingest_overload.py
# Make 3.81, as macOS has it, mixes the output of two suites.
SUITE_BY_SUITE := $(if $(filter output-sync,$(.FEATURES)),--output-sync=line)
BUILD_TOOLS := uv hatchling editables packaging pathspec pluggy trove-classifiers
CYCLONEDX := $(BIN)/uv run --quiet --isolated --no-project --python $(BIN)/python --with cyclonedx-bom==7.5.0
CLASS_CACHE := .venv/kafka.aot
# The tests start hundreds of processes. Where the environment forbids Python to keep what it compiles, each of them
# would compile the same files anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo demo-console test-console test-browser screenshots test test-quick test-ingest test-sinks test-sinks-behaviour test-sinks-kafka test-sinks-tables test-streams test-faults test-faults-streams test-faults-others test-programs test-e2e test-containers test-fresh check format contract dashboards pictures bench faults faults-streams faults-others faults-elsewhere faults-latency sandbox lock sbom clean

demo: $(PROGRAMS)           ## the whole pipeline on this machine, checked against the emulator's ledger
	$(BIN)/routee-sandbox demo

demo-console: $(PROGRAMS)   ## the same in the console, in a browser; everything stays until Ctrl-C
	$(BIN)/routee-sandbox demo --console

# Tests of programs wait more than they compute, so five run beside each other; those that take longest begin first.
test: $(CLASS_CACHE)        ## `check`, and the whole suite: the ten below
	@echo 'The checks and ten suites, five at a time, about a quarter of an hour: each prints its results when it is done'
	@$(MAKE) --no-print-directory --jobs=5 --keep-going $(SUITE_BY_SUITE) \
	    check test-sinks-tables test-sinks-kafka test-programs test-faults-others test-faults-streams test-streams \
	    test-quick test-ingest test-e2e test-browser test-sinks-behaviour

test-quick: $(INSTALLED)    ## what needs no Kafka and no engine: seconds
	$(BIN)/pytest tests/unit tests/project

test-ingest: $(CLASS_CACHE)  ## behaviour and integration of ingest, on the real Kafka
	$(BIN)/pytest $(INGEST) --durations=5

test-sinks: test-sinks-behaviour test-sinks-kafka test-sinks-tables  ## the sinks, on the real Kafka and the real engine

test-sinks-behaviour: $(CLASS_CACHE)
	$(BIN)/pytest tests/behaviour/sinks --durations=5

test-sinks-kafka: $(CLASS_CACHE)
	$(BIN)/pytest tests/integration/sinks -m kafka --durations=5

test-sinks-tables: $(INSTALLED)
	$(BIN)/pytest tests/integration/sinks -m 'not kafka' --durations=5

test-streams: $(CLASS_CACHE)  ## behaviour and integration of streams, on the real Kafka
	$(BIN)/pytest $(STREAMS) --durations=5

test-faults: test-faults-streams test-faults-others  ## one short pass of each fault test

test-faults-streams: $(CLASS_CACHE)
	$(BIN)/pytest $(FAULTS_OF_STREAMS) --durations=5

test-faults-others: $(CLASS_CACHE)
	$(BIN)/pytest tests/faults $(addprefix --ignore=,$(FAULTS_OF_STREAMS)) --durations=5

test-programs: $(CLASS_CACHE)  ## all others: behaviour and integration of the other programs
	$(BIN)/pytest $(addprefix --ignore=,tests/unit tests/project tests/faults tests/console tests/e2e $(INGEST) $(SINKS) $(STREAMS)) --durations=5

test-e2e: $(CLASS_CACHE)    ## the whole pipeline, the demo, the examples of the documents
	$(BIN)/pytest tests/e2e --durations=5

test-console:               ## installs Debian's chromium where it may, then: the console in a browser
	@command -v chromium > /dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get > /dev/null \
	    || apt-get install -qq -y --no-install-recommends chromium > /dev/null || echo 'chromium could not be installed'
	@$(MAKE) --no-print-directory test-browser

test-browser: $(CLASS_CACHE)  ## the console in a browser; skipped with a reason where there is no chromium
	$(BIN)/pytest tests/console --durations=5

screenshots: $(INSTALLED)   ## draws each page of the console for the documents, in docs/console; needs chromium
	$(BIN)/python -m tests.console.screenshots

test-containers: $(INSTALLED)  ## the image and the whole pipeline as containers; needs an engine, see docker/README.md
	TEST_CONTAINERS=1 $(BIN)/pytest tests/containers

test-fresh:                 ## the demo and test-quick in bare Debian systems, one per Python; as root, see tests/fresh
	$(PYTHON) -m tests.fresh

check: $(INSTALLED)         ## format, lint, types, import rules, and no change of the contract that breaks a reader
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.support.compatibility

bench: $(INSTALLED)         ## speed and cost; see tests/bench
	$(BIN)/python -m tests.bench

# Long tests wait more than they compute, too. The parts are about as long as each other. Bounds of latency hold on a
# machine that does nothing else, so these tests come last and alone.
faults: $(CLASS_CACHE)      ## long fault and soak runs, and tests that fetch tools of other languages
	@echo 'Three parts, two beside each other, for over an hour, and then a fourth'
	@result=0; \
	    $(MAKE) --no-print-directory --jobs=2 --keep-going $(SUITE_BY_SUITE) faults-streams faults-others faults-elsewhere || result=$$?; \
	    $(MAKE) --no-print-directory faults-latency || result=$$?; \
	    exit $$result

faults-streams: $(CLASS_CACHE)
	$(BIN)/pytest $(FAULTS_OF_STREAMS) --full --durations=10

faults-others: $(CLASS_CACHE)
	$(BIN)/pytest tests/faults $(addprefix --ignore=,$(FAULTS_OF_STREAMS) $(FAULTS_WITH_LATENCY)) --full --durations=10

faults-elsewhere: $(CLASS_CACHE)  ## the long forms of tests outside of tests/faults
	$(BIN)/pytest --ignore=tests/faults -m full --full --durations=10

faults-latency: $(CLASS_CACHE)
	$(BIN)/pytest $(FAULTS_WITH_LATENCY) --full --durations=10

sandbox: $(PROGRAMS)        ## Kafka, ClickHouse, the three programs and the console, until Ctrl-C
	$(BIN)/routee-sandbox up

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

contract: $(INSTALLED)      ## the documents of the contract anew, after a change of streams/contract
	$(BIN)/python -m tests.unit.contract.example_records
	$(BIN)/python -m streams.contract.documents

dashboards: $(INSTALLED)    ## Grafana's dashboards and Kubernetes' rules anew, after a change of tests/dashboards or of rules.yaml
	$(BIN)/python -m tests.dashboards write

pictures: $(INSTALLED)      ## draws the dashboards for the documents; needs prometheus, and says so
	$(BIN)/python -m tests.dashboards draw

lock: | $(BIN)/uv           ## after a change of pyproject.toml's dependencies
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --no-emit-package routee-callbacks -o requirements.lock

sbom: $(PROGRAMS)           ## bills of materials (CycloneDX) of the locked packages and of Kafka's jars, in dist/
	@mkdir -p dist
	$(CYCLONEDX) python -W ignore -m cyclonedx_py requirements --output-reproducible --sv 1.6 --pyproject pyproject.toml -o dist/python.cdx.json requirements.lock
	$(CYCLONEDX) python -m sandbox.sbom > dist/kafka.cdx.json
	@$(CYCLONEDX) python -c "$$SBOM_CHECK" dist/python.cdx.json dist/kafka.cdx.json

clean:                      ## what was installed and cached here; uv's cache, Kafka's jars and the sandbox's state stay
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

define PYTHON_CHECK
import sys
if sys.version_info < (3, 11):
    sys.exit("is Python %d.%d" % sys.version_info[:2])
try:
    import ensurepip, venv
except ImportError:
    sys.exit("has no module venv")
endef
define PYTHON_WANTED
Python 3.11 or newer is needed, with its module venv. Install it:
  Debian, Ubuntu   apt install python3-venv
  Fedora           dnf install python3
  macOS            brew install python
Where python3 is older than 3.11, name a newer one to make:
  Ubuntu 22.04     apt install python3.11-venv, then make PYTHON=python3.11 ...
  RHEL 8 and 9     dnf install python3.12, then make PYTHON=python3.12 ...
endef
export PYTHON_CHECK PYTHON_WANTED

define SBOM_CHECK
import pathlib, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
for name in sys.argv[1:]:
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(pathlib.Path(name).read_text())
    fault and sys.exit(f"{name}: {fault}")
    print(f"{name}: valid")
endef
export SBOM_CHECK

# What the demo and the sandbox need. The mark is set last, so that an interrupted installation begins anew.
$(PROGRAMS): requirements.lock pyproject.toml
	@if command -v $(PYTHON) > /dev/null; then why=$$($(PYTHON) -c "$$PYTHON_CHECK" 2>&1); else why='is not there'; fi; \
	    [ -z "$$why" ] || { printf '%s\n' "$(PYTHON) $$why." "$$PYTHON_WANTED" >&2; exit 1; }
	@rm -rf .venv
	@echo 'Installing into .venv: 1.2 GB on disk, 360 MB to fetch unless the cache of uv has them'
	@echo '  1/3 an empty environment'
	@$(PYTHON) -m venv .venv
	@echo '  2/3 uv, which installs the rest'
	@sed -n $(BUILD_TOOLS:%=-e '/^%==/,/[^\\]$$/p') requirements.lock > .venv/tools.lock
	@$(BIN)/pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes --no-deps -r .venv/tools.lock
	@echo '  3/3 the programs, with Kafka'"'"'s Java and the ClickHouse engine'
	@$(UV_INSTALL) --require-hashes --constraint requirements.lock --requirement pyproject.toml --extra sandbox --extra console
	@$(UV_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $(PROGRAMS)

# A lock that lacks a new dependency cannot be installed, so `lock` takes the uv that is there.
$(BIN)/uv:
	@$(MAKE) --no-print-directory $(PROGRAMS)

# What the tests need besides.
$(INSTALLED): $(PROGRAMS)
	@echo 'Installing what the tests need besides: 590 MB on disk, 175 MB to fetch unless the cache of uv has them'
	@$(UV_INSTALL) --require-hashes --requirement requirements.lock
	@touch $(INSTALLED)

# The suites start dozens of brokers. Without the cache, which the module says, these only start more slowly.
$(CLASS_CACHE): $(INSTALLED)
	@echo 'Making a cache of Kafka'"'"'s classes for quick starts: 68 MB in .venv'
	@$(BIN)/python -m sandbox.class_cache || true
