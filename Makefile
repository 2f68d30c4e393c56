# Every target works from a bare Python 3.11; what is up to date is not done again.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo test test-quick test-containers check format bench faults sandbox lock clean

demo: $(INSTALLED)          ## the whole pipeline on this machine, checked against the emulator's ledger
	$(BIN)/routee-sandbox demo

test: check                 ## the whole suite: unit, behaviour, integration, end to end
	$(BIN)/pytest --durations=10

test-quick: $(INSTALLED)    ## what needs no Kafka and no engine: seconds
	$(BIN)/pytest tests/unit tests/project

test-containers: $(INSTALLED)  ## the image and the whole pipeline as containers; needs an engine, see docker/README.md
	TEST_CONTAINERS=1 $(BIN)/pytest tests/containers

check: $(INSTALLED)         ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)         ## speed and cost; see tests/bench
	$(BIN)/python -m tests.bench

faults: $(INSTALLED)        ## long fault and soak runs
	$(BIN)/pytest tests/faults tests/e2e/test_demo.py --full

sandbox: $(INSTALLED)       ## Kafka, ClickHouse and the three programs, until Ctrl-C
	$(BIN)/routee-sandbox up

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(INSTALLED)          ## after a change of pyproject.toml's dependencies
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --no-emit-package routee-callbacks -o requirements.lock

clean:                      ## what was installed and cached; the sandbox's state stays
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	    { echo 'Python 3.11 is needed: make PYTHON=/path/to/python3.11 ...' >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	@# uv is ten times quicker than pip; it comes from the lock like everything else. Compiled once, programs start twice as fast.
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .venv/uv.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $(INSTALLED)
