# Everything runs out of .venv, which `make demo` and `make test` set up; a second run finds it there.
# Needs make and Python 3.11, 3.12 or 3.13. Nothing else: Node comes from PyPI too.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# Hundreds of processes start in a run of the tests, and each would compile all of our modules anew: 0.2 s every time.
unexport PYTHONDONTWRITEBYTECODE

# The first of these that is new enough; tools/check_python.py says so if none is.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" tools/check_python.py 2>/dev/null && echo "$$python" && exit; done; echo python3)
VENV := .venv
PROOF_VENV := .venv-proof
BIN := $(VENV)/bin
PY := $(BIN)/python
# --only-binary: no compiler is ever started. --require-hashes: no file but the one that was locked.
# --no-deps: a lock is complete, so there is nothing to look up.
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --no-input
LOCKED_OPTIONS := --require-hashes --only-binary=:all: --no-deps
LOCKED := $(PIP_INSTALL) $(LOCKED_OPTIONS)
SAY = @echo "==>"
UV_VENV := .cache/uv
HADOLINT := .cache/hadolint
CODE := benchmarks chain_gateway contracts group_protocol master_api measure slave_client system_ports vgroup tests tools

ARGS ?=
PYTEST_ARGS ?=
WORKERS ?= auto

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- the two commands of the README ----

.PHONY: demo
demo: $(VENV)/.demo $(VENV)/.project ## form a group on this machine and attack it (ARGS="--slaves 5")
	@$(BIN)/vgroup demo $(ARGS)

.PHONY: demo-picture
demo-picture: dev ## run the demo and put what it showed into docs/demo.svg and the README (on a quiet machine)
	@$(PY) -m tools.picture_demo docs/demo.svg README.md

.PHONY: test
test: dev $(PROOF_VENV)/.ready ## run the tests, on all cores (PYTEST_ARGS="-k token" WORKERS=0 for one process)
	@$(PY) -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

# What one command of Debian's packages each brings: faketime, tc and ip, unshare and nsenter.
SYSTEM_PACKAGES := faketime=faketime tc=iproute2 nsenter=util-linux
.PHONY: system-packages
system-packages: ## install the Debian packages that the tests of faults use, where they are missing (as root)
	@missing=; for pair in $(SYSTEM_PACKAGES); do command -v $${pair%%=*} >/dev/null || missing="$$missing $${pair##*=}"; done; \
		if [ -n "$$missing" ]; then apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi

KILLS ?= 50
SEED ?= 1
.PHONY: kill-test
kill-test: dev ## SIGKILL at random instants under load; nothing may be lost (KILLS=1000 SEED=7; about 2 s a kill)
	@KILLS=$(KILLS) SEED=$(SEED) $(PY) -m pytest -s tests/kills $(PYTEST_ARGS)

# Four at a time: they wait for blocks more than they work.
.PHONY: test-network
test-network: dev $(if $(VGROUP_GETH),,geth) ## run the tests that need geth (VGROUP_GETH=/path/to/geth for one of yours)
	@VGROUP_GETH="$(VGROUP_GETH)" $(PY) -m pytest tests/network -n 4 $(PYTEST_ARGS)

.PHONY: geth
geth: $(VENV)/.made ## build geth 1.13.15, the last that seals Clique, from source (needs Go; 3 minutes)
	@$(PY) tools/build_geth.py

# ---- checks ----

.PHONY: lint
lint: dev ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: dev ## mypy, strict, over code and tests
	@$(BIN)/mypy

.PHONY: imports
imports: dev ## which package may import which
	@$(BIN)/lint-imports --no-logo

.PHONY: artifact
artifact: dev ## compile the contract and check that the committed artifact is what comes out
	@$(PY) -m contracts.build --check

.PHONY: units
units: ## the service units: free of mistakes, sandbox tight (needs systemd-analyze)
	@$(PYTHON) tools/check_units.py

# SECONDS_EACH=3600 fuzzes for hours; KEEP=--keep puts what widened the coverage into the kept corpus; FUZZ_SEED=1
# begins as the last run with that seed did, 0 otherwise each time.
SECONDS_EACH ?= 60
FUZZ_SEED ?= 0
TARGET ?= all
.PHONY: fuzz
fuzz: dev ## fuzz the decoders, guided by coverage (TARGET=senml SECONDS_EACH=60 FUZZ_SEED=0 KEEP=--keep)
	@$(PY) -m tests.fuzz.run $(TARGET) --seconds $(SECONDS_EACH) --seed $(FUZZ_SEED) $(KEEP)

.PHONY: deep-protocol
deep-protocol: dev ## the protocol's property tests with thousands of new examples each
	@VGROUP_HYPOTHESIS=deep $(PY) -m pytest tests/property --timeout 0 $(PYTEST_ARGS)

.PHONY: mutate-protocol
mutate-protocol: dev ## put every small fault into the protocol core; each has to be noticed (ARGS="--children 1 records tickets")
	@$(PY) -m tools.mutate_protocol $(ARGS)

.PHONY: formal
formal: dev ## make the symbolic models and ask ProVerif, if it is on the path
	@$(PY) -m tools.formal_models

VERIFPAL := .cache/verifpal
.PHONY: formal-verifpal
formal-verifpal: dev $(VERIFPAL)/bin/verifpal ## run the second symbolic model in Verifpal (needs cargo; some minutes to build it)
	@$(PY) -m tools.verifpal_models $(VERIFPAL)/bin/verifpal

# The crate asks for a newer rustc than it needs.
$(VERIFPAL)/bin/verifpal:
	$(SAY) "building Verifpal"
	@cargo install --quiet --locked --ignore-rust-version --root $(VERIFPAL) verifpal@1.6.7

# Hours. The quick form of each is in `make test`.
.PHONY: prove-contract
prove-contract: dev $(PROOF_VENV)/.ready ## the proofs of the contract, long: 100,000 runs, all that CHC can do
	$(SAY) "forge: 100,000 runs of every fuzz test, 100,000 calls of every invariant"
	@cd contracts && PATH="$$(cd .. && $(PY) -c 'from contracts.build import node_directory; print(node_directory())'):$$PATH" \
		FOUNDRY_PROFILE=prove ../node_modules/.bin/forge test
	$(SAY) "the state machine, CHC and halmos"
	@PROOF=deep $(PY) -m pytest --timeout 0 tests/contract/test_state_machine.py tests/contract/test_smt.py tests/contract/test_halmos.py

.PHONY: mutate-contract
mutate-contract: dev ## put every small fault into the contract; each has to be noticed (ARGS="--sample 20 --seed 7")
	@$(PY) -m tools.mutate_contract $(ARGS)

.PHONY: ci
ci: ## everything that .ci/run does
	@.ci/run

# ---- measuring ----

.PHONY: bench
bench: dev ## measure speed and load beside their targets, 4 minutes on a quiet machine (ARGS="speed --quick")
	@$(PY) -m benchmarks $(ARGS)

.PHONY: crowd
crowd: dev ## a thousand devices associate at once, on the embedded chain and on anvil (CROWD=1000)
	@CROWD=$${CROWD:-1000} $(PY) -m pytest -s --timeout 600 tests/integration/test_crowd.py $(PYTEST_ARGS)

.PHONY: bench-chain
bench-chain: dev geth ## gas, joins, associations a second, revocations on three chains (ARGS="--quick")
	@$(PY) -m benchmarks.chain $(ARGS)

.PHONY: bench-streaming
bench-streaming: dev ## /stream beside Mosquitto, 30 minutes on a quiet machine (ARGS="--quick"); needs Debian's mosquitto, gcc
	@$(PY) -m benchmarks.streaming $(ARGS)

.PHONY: bench-batches
bench-batches: dev ## what batches of associations cost and bring, side by side
	@$(PY) -m benchmarks.association_batches

# ---- making things ----

.PHONY: wheel
wheel: dev ## build the wheel into dist/
	$(SAY) "building the wheel"
	@rm -rf dist
	@$(PY) -m build --wheel --no-isolation --outdir dist . >/dev/null
	@ls dist

# ARCH=arm64 builds for a Raspberry Pi, on any machine.
ARCH ?= amd64
.PHONY: deb
deb: wheel ## build vgroup-slave and vgroup-master as .deb into dist/ (ARCH=arm64)
	@$(PY) tools/build_deb.py --arch $(ARCH)

.PHONY: test-deb
test-deb: deb ## install, use, remove and purge the packages in a Debian of their own, booted by systemd (root)
	@$(PY) tools/try_deb.py dist/*_amd64.deb

.PHONY: test-arm
test-arm: wheel ## the slave's package as 64-bit ARM code, streaming to a master on this machine (root, qemu-user-static)
	@$(PY) tools/build_deb.py --arch arm64 vgroup-slave
	@$(PY) -m tools.try_arm dist/vgroup-slave_*_arm64.deb

.PHONY: test-pipx
test-pipx: wheel ## install device and master by pipx from the wheel, join, send a reading (a minute; needs the package index)
	@$(PY) tools/try_pipx.py dist/vgroup-*.whl

.PHONY: dockerfiles
dockerfiles: $(HADOLINT)/.ready ## hadolint over deploy/docker
	@$(HADOLINT)/bin/hadolint deploy/docker/*.Dockerfile

.PHONY: wheels-everywhere
wheels-everywhere: dev $(UV_VENV)/.ready ## every dependency that is shipped has a wheel for each Python, on x86-64 and ARM
	@$(PY) tools/check_wheels.py $(UV_VENV)/bin/uv

# The versions that stand in a lock stay, unless UPGRADE=--upgrade. The dev lock holds everything; the others are parts of it.
LOCK := $(UV_VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	--python-version 3.11 --group editable pyproject.toml
# heartpy is there for its recordings and never imported: the demo does without the 250 MB that it would import.
UNUSED_BY_DEMO := contourpy cycler fonttools kiwisolver matplotlib numpy pillow pyparsing python-dateutil scipy
LOCK_PROOF := $(UV_VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	--python-version 3.11 --group proof $(UPGRADE)
LOCK_PART := $(LOCK) --constraints requirements/dev.lock --no-annotate
# What is shipped is never built where it is installed: without the build backend.
LOCK_SHIPPED := $(filter-out --group editable,$(LOCK_PART))
.PHONY: lock
lock: $(UV_VENV)/.ready ## resolve the dependencies again and write requirements/*.lock (UPGRADE=--upgrade)
	$(SAY) "locking dev, then its parts"
	@$(LOCK) --extra dev $(UPGRADE) --output-file requirements/dev.lock
	@$(LOCK_SHIPPED) --extra slave --output-file requirements/slave.lock
	@$(LOCK_SHIPPED) --extra master --extra slave --extra fast --output-file requirements/master.lock
	@$(LOCK_PROOF) --output-file requirements/proof.lock
	@$(LOCK_PART) --extra demo $(UNUSED_BY_DEMO:%=--no-emit-package %) --output-file requirements/demo.lock

$(UV_VENV)/.ready: requirements/uv.lock
	@$(PYTHON) -m venv --clear $(UV_VENV)
	@$(UV_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.lock
	@touch $@

$(HADOLINT)/.ready: requirements/hadolint.lock
	@$(PYTHON) -m venv --clear $(HADOLINT)
	@$(HADOLINT)/bin/python -m pip install --quiet --disable-pip-version-check --no-input $(LOCKED_OPTIONS) -r $<
	@touch $@

.PHONY: clean
clean: ## remove all that make made, the environment too
	rm -rf $(VENV) $(PROOF_VENV) node_modules .cache build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the environment, in three steps with a stamp each ----

$(VENV)/.made:
	@"$(PYTHON)" tools/check_python.py
	$(SAY) "making $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

# The dev lock holds all of the demo lock in the same versions, so either is enough for the demo.
$(VENV)/.demo: requirements/demo.lock | $(VENV)/.made
	$(SAY) "installing what the demo needs (half a minute the first time)"
	@$(LOCKED) -r $<
	@touch $@

$(VENV)/.dev: requirements/dev.lock | $(VENV)/.made
	$(SAY) "installing what the tests need (about a minute the first time)"
	@$(LOCKED) -r $<
	@touch $@ $(VENV)/.demo

# slither, halmos and z3 ask for other versions of what the project uses, so they live apart.
$(PROOF_VENV)/.ready: requirements/proof.lock
	@"$(PYTHON)" tools/check_python.py
	$(SAY) "installing what proves things about the contract (half a minute the first time)"
	@"$(PYTHON)" -m venv --clear $(PROOF_VENV)
	@$(PROOF_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-input $(LOCKED_OPTIONS) -r $<
	@touch $@

$(VENV)/.project: pyproject.toml | $(VENV)/.made
	$(SAY) "installing vgroup itself, editable"
	@$(PIP_INSTALL) --no-deps --no-build-isolation --no-index --editable .
	@touch $@

node_modules/.installed: package-lock.json package.json .npmrc | $(VENV)/.dev
	$(SAY) "installing the Solidity compiler, anvil and forge"
	@$(PY) tools/npm.py ci --silent
	@touch $@

.PHONY: dev
dev: $(VENV)/.dev $(VENV)/.project node_modules/.installed
