# make run       the program with three simulated PBXs, at http://127.0.0.1:8000/; PORT=N: at another
# make quick     lint, types and the unit tests that are not slow: under a minute
# make docs      the documentation as a site, in build/site/
# make release   all tests, then what is published, in dist/, built twice; CONTRIBUTING.md says what first
# make test      everything that a submission has to pass; sets up what it needs
# make test-all  the tests with each supported Python that this machine has
# make test-lowest  the tests with the oldest dependencies that setup.py allows
# make test-compiled  the tests of the live state, compiled to C as packages have it
# make bench     the figures of the README; those of the live state in Python, and compiled if there is cc
# make screenshots  pictures of all views of the dashboard, in screenshots/; VIEWS="calls wall": of these
# make man       the man pages and the completion for bash, in build/man/
# make soak      ten minutes of streams, churn, restarts and reloads
# make soak-actions  ten minutes of actions that try to get past a role, by each way in
# make soak-cluster  ten minutes in which collectors, edges and Redis are lost in every way
# make deb       the Debian package for this machine's release, in dist/
# make test-deb  builds and installs it in roots of Debian 12 and 13; as root, on Debian
# make lint, make types, make format, make wheel, make clean, make distclean

# Not := since the first recipe may be what installs it.
PYTHON ?= $(shell scripts/find-python.sh)
VENV ?= .venv
BIN := $(VENV)/bin

# Not yet 3.15: in November 2026 orjson 3.13.0 has no wheels for it; all else that is needed has.
PYTHON_VERSIONS := 3.11 3.12 3.13 3.14

# Debian packages: what makes virtual environments; a browser, a Digest client, certificates,
# Prometheus, Redis and a syslog daemon (which the tests run on their own, beside the system's if it
# has them).
RUN_PACKAGES := python3 python3-venv
TEST_PACKAGES := $(RUN_PACKAGES) apache2-utils chromium curl openssl prometheus redis-server rsyslog rsyslog-gnutls

DEB_PACKAGES := build-essential debhelper python3-dev python3-venv
TEST_DEB_PACKAGES := $(TEST_PACKAGES) debootstrap iproute2 lintian

# With fonts for the names of the simulated callers: Chinese, Japanese, Korean, Thai, Devanagari.
PICTURE_PACKAGES := $(RUN_PACKAGES) chromium pngquant fonts-noto-core fonts-noto-cjk

# What Python has compiled is kept: else each of the many processes that the tests start would compile
# all of the program anew, which is a third of what they take.
unexport PYTHONDONTWRITEBYTECODE

# By file, since a file's tests share what is slow to make; in the order of their names, in which
# those of the browser and of the whole program, the longest, do not come last and alone.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# A tree with the program of a compiled wheel, and what is tested there. `make bench` measures it
# where the live state is measured: LIVE is not empty then.
LIVE = $(filter live,$(or $(SECTIONS),live))
COMPILED_TREE := .make/compiled
COMPILED_TESTS := tests/unit/test_state_*.py tests/unit/test_live_*.py tests/unit/test_feeds_*.py \
	tests/unit/test_edge_*.py tests/property \
	tests/integration/test_live_state.py tests/integration/test_v2_servers.py

# The libraries of the dashboard. Each installation makes them, if they are not there.
VENDOR := web_root/vendor/made-from.txt

.PHONY: man run quick test test-all test-lowest test-compiled pytest lint style types format \
	bench soak soak-actions soak-cluster \
	wheel deb test-deb screenshots picture-packages \
	clean distclean run-packages test-packages
.DELETE_ON_ERROR:

run: $(VENV)/.installed $(VENDOR)
	@exec $(BIN)/amiws-gevent --demo $(PORT)

quick: lint
	$(PYTEST) -q -m "not slow" tests/unit

test: test-packages $(VENV)/.installed-test lint pytest

pytest: $(VENV)/.installed-test $(VENDOR) node_modules/.package-lock.json
	$(PYTEST)

lint: style types

style: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test $(VENDOR) node_modules/.package-lock.json
	@mkdir -p .make && ln -sfn ../plugins .make/amiws_plugins
	$(BIN)/mypy
	$(BIN)/node node_modules/typescript/bin/tsc

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: docs release

release: $(VENV)/.installed-test
	$(BIN)/python -m build_tools.release --check
	$(MAKE) --no-print-directory test
	$(BIN)/python -m build_tools.release

# Links and anchors that lead nowhere fail it; with --quiet they would not.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

test-all: test-packages
	@set -e; tested=; \
	for version in $(PYTHON_VERSIONS); do \
		if python=$$(scripts/find-python.sh $$version); then \
			echo "== Python $$version ($$python)"; \
			$(MAKE) --no-print-directory pytest VENV=.venv-$$version PYTHON=$$python; \
			tested="$$tested $$version"; \
		else \
			echo "== Python $$version: not on this machine"; \
		fi; \
	done; \
	echo "Passed with Python$$tested"

test-lowest: test-packages
	$(MAKE) --no-print-directory pytest VENV=.venv-lowest CONSTRAINTS=.make/lowest.txt

test-compiled: test-packages $(COMPILED_TREE)/made
	cd $(COMPILED_TREE) && $(PYTEST) -m "not pure" $(COMPILED_TESTS)

# SECTIONS may name what to measure: make bench SECTIONS="client bursts"
# MINUTES is how long the memory of the page is watched: make bench SECTIONS=page MINUTES=10
# BEFORE may be the Python of an environment with another commit, which is measured beside.
bench: $(VENV)/.installed-bench $(VENDOR) $(if $(LIVE),$(if $(shell command -v cc),$(COMPILED_TREE)/made))
	$(BIN)/python -m bench $(if $(BEFORE),--before $(BEFORE)) $(if $(MINUTES),--minutes $(MINUTES)) $(SECTIONS)

# DOCS=yes copies those that the README shows to docs/images.
screenshots: picture-packages $(VENV)/.installed-test $(VENDOR)
	$(BIN)/python scripts/screenshots.py $(if $(DOCS),--docs) $(VIEWS)

# MINUTES and SEED may be given: make soak MINUTES=1 SEED=7
soak: $(VENV)/.installed-test
	$(BIN)/python -m soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

soak-actions: $(VENV)/.installed-test
	$(BIN)/python -m soak.actions $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

soak-cluster: $(VENV)/.installed-test
	$(BIN)/python -m soak.cluster $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

man: $(VENV)/.installed
	$(BIN)/python scripts/manual.py build/man

wheel: $(VENV)/.installed-test
	$(BIN)/python -m build --no-isolation --outdir dist .

# Not of another Python than the release's.
deb:
	@PYTHON=/usr/bin/python3 scripts/system-packages.sh $(DEB_PACKAGES)
	scripts/build-deb.sh dist

test-deb: $(VENV)/.installed-test $(VENDOR)
	@PYTHON="$(PYTHON)" scripts/system-packages.sh $(TEST_DEB_PACKAGES)
	$(BIN)/python -m pytest -o python_files='check_*.py' tests/deb

clean:
	rm -rf build dist web_root/vendor .make .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf node_modules .venv $(addprefix .venv-,$(PYTHON_VERSIONS) lowest)

# What each virtual environment has is marked by an empty file in it; a changed
# setup.py asks for more, so that it is looked through again.

run-packages:
	@PYTHON="$(PYTHON)" scripts/system-packages.sh $(RUN_PACKAGES)

picture-packages:
	@PYTHON="$(PYTHON)" scripts/system-packages.sh $(PICTURE_PACKAGES)

test-packages:
	@PYTHON="$(PYTHON)" scripts/system-packages.sh $(TEST_PACKAGES)

$(BIN)/python: | run-packages
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.installed: setup.py pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.installed-bench: setup.py pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --editable '.[bench]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: setup.py pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --editable '.[docs]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-test: setup.py pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(PIP_INSTALL) $(addprefix --constraint ,$(CONSTRAINTS)) --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENDOR): package.json package-lock.json $(wildcard build_tools/*.py build_tools/entries/*) \
		$(filter-out web_root/vendor/%,$(wildcard web_root/*/*.js web_root/*/*/*.js)) \
		| $(VENV)/.installed
	$(PIP_INSTALL) --no-deps --editable .
	@touch $@

$(COMPILED_TREE)/made: $(VENV)/.installed-test $(VENDOR) setup.py build_tools/compiled.py \
		$(wildcard amiws_gevent/*.py amiws_gevent/*/*.py amiws_gevent/*/*/*.py)
	scripts/compiled-tree.sh $(COMPILED_TREE)
	@touch $@

# npm, and the node that runs it, come with a package of Python: no machine needs them.
node_modules/.package-lock.json: package.json package-lock.json | $(VENV)/.installed-test
	$(BIN)/npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

.make/lowest.txt: setup.py scripts/lowest_versions.py
	@mkdir -p .make
	"$(PYTHON)" scripts/lowest_versions.py > $@
