# Every target brings what it needs; nothing has to be installed first but Python 3.11 and make.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= $(shell for python in python3.11 python3 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$python" && break; done)
PIP := $(PY) -m pip --disable-pip-version-check --quiet
SBOM := .sbom-venv
DOCS := .docs-venv
# What `make pins` resolves with.
RESOLVER := uv==0.13.9
SOURCES := $(wildcard chatflow workflows tests bench) manage.py bin/book.py bin/demo bin/screenshots.py bin/version.py

# More arguments for pytest: make test-sqlite ARGS='-k stream'
ARGS ?=
UNIT := $(PY) -m pytest --ignore=tests/acceptance $(ARGS)
# Two files at a time on SQLite, where more tests run; on PostgreSQL none beside another, as all
# databases of a server see which transactions are open.
SQLITE_UNIT := $(UNIT) -n 2 --dist loadfile
POSTGRES_UNIT := $(PY) -m tests.servers postgres -- $(UNIT)

# Some machines' Python writes no bytecode: then each of the many processes of the tests would compile
# all of our modules anew.
unexport PYTHONDONTWRITEBYTECODE

# A developer's .env never reaches the checks, and Django loads without one.
CHECKS := lint check test-js test-python test-acceptance
PARTS := test-sqlite test-postgres
$(CHECKS) $(PARTS): export ENV_FILE := /dev/null
$(CHECKS) $(PARTS): export SECRET_KEY := only-for-the-checks

.PHONY: help install install-dev install-system ready demo test $(CHECKS) $(PARTS) bench chaos redeploy format dist pins sbom clean \
	bundle words screenshots docs docs-serve

help:  ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 18

install: $(VENV)/.installed  ## Create .venv with the packages that Chatflow runs on

install-dev: $(VENV)/.installed-dev  ## The same, and the packages of the tests

install-system:
	@bin/install-system

# A virtual environment whose Python is gone, or that was left half-made, is made anew.
$(VENV)/.installed: pins.txt
	@if ! $(PIP) --version >/dev/null 2>&1; then \
		test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed." >&2; exit 1; }; \
		echo "Creating $(VENV)"; \
		$(PYTHON) -m venv --clear $(VENV) >/dev/null \
		|| { bin/install-system python3-venv && $(PYTHON) -m venv --clear $(VENV); }; \
	fi
	@echo "Installing packages"
	@$(PIP) install --require-hashes --no-deps -r pins.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed pins-dev.txt
	@echo "Installing packages for the tests"
	@$(PIP) install --require-hashes --no-deps -r pins-dev.txt
	@touch $@

# Side by side: half a minute less on a new machine.
ready: install
	@$(MAKE) --no-print-directory $(SBOM)/.installed $(DOCS)/.installed & others=$$!; \
	$(MAKE) --no-print-directory install-dev install-system; \
	wait $$others

demo: install  ## Run everything: database, demo data, web server, cluster; HOST and PORT are honoured
	@exec $(PY) bin/demo

# The rest has the time in which the Python tests wait. What it said is shown behind theirs.
test: ready check  ## Run the whole suite, on SQLite and PostgreSQL
	@said=$$(mktemp); trap 'rm -f "$$said"' EXIT; failed=; \
	$(MAKE) --no-print-directory test-js lint >"$$said" 2>&1 & rest=$$!; \
	$(MAKE) --no-print-directory test-python || failed=1; \
	wait $$rest || failed=1; \
	cat "$$said"; \
	test -z "$$failed"
	@$(MAKE) --no-print-directory test-acceptance

lint: install-dev  ## ruff and mypy
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy $(SOURCES)

check: install-dev  ## Django's checks, and models without a migration
	$(PY) manage.py check
	$(PY) manage.py makemigrations --check --dry-run

test-js: install-system  ## The JavaScript tests
	@files=$$(find tests/js -name '*test*.*js' -not -path '*/node_modules/*'); \
	test -n "$$files" || { echo "No test stands in tests/js." >&2; exit 1; }; \
	node --test $$files

# Side by side, which takes hardly longer than one of them. What PostgreSQL's said is shown behind.
test-python: install-dev install-system $(SBOM)/.installed $(DOCS)/.installed  ## The Python tests on SQLite and on PostgreSQL
	@said=$$(mktemp); trap 'rm -f "$$said"' EXIT; failed=; \
	$(POSTGRES_UNIT) >"$$said" 2>&1 & postgres=$$!; \
	$(SQLITE_UNIT) || failed=1; \
	wait $$postgres || failed=1; \
	cat "$$said"; \
	test -z "$$failed"

test-sqlite: install-dev  ## The Python tests on SQLite
	$(SQLITE_UNIT)

test-postgres: install-dev install-system  ## The same on PostgreSQL
	$(POSTGRES_UNIT)

# Four files at a time, as they wait a good deal, in the order that tests/acceptance/conftest.py gives them.
test-acceptance: install-dev install-system  ## Real processes; they choose their databases themselves
	$(PY) -m pytest tests/acceptance -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

# About 45 minutes; ARGS='pickup listeners --listeners 1000' measures these alone.
bench: install-dev install-system  ## Measure Chatflow beside its peers; fail where it misses a bar
	$(PY) -m bench $(ARGS)

# Seconds that `make chaos` takes.
DURATION ?= 600

chaos: install-dev install-system  ## Ten minutes of kills, cuts and outages, then an audit: DURATION=60
	@$(PY) -m tests.acceptance.chaos --seconds=$(DURATION) $(ARGS)

redeploy: install-dev install-system  ## Replace every process under 200 jobs and 200 streams, then an audit: ARGS='--kind sqlite --jobs 40'
	$(PY) -m tests.acceptance.redeploy $(ARGS)

format: install-dev  ## Let ruff put the code into shape
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

# A version that ends in +dirty was built from files that aren't committed.
dist: install-dev  ## Build the wheel and the sdist of the package into dist/
	@rm -rf dist
	$(PY) -m build --no-isolation

# Needs Node and npm; what it writes is committed, so that nobody else does.
bundle:  ## Build static/chatflow/js/built and static/chatflow/js/vendor, after a change of static/chatflow/js or package.json
	npm ci --ignore-scripts --no-audit --no-fund
	node bin/bundle.mjs

screenshots: install-dev install-system  ## Take the README's pictures anew
	$(PY) bin/screenshots.py

# Needs gettext. What is found is to be translated in locale/*/LC_MESSAGES/*.po, and compiled by this again.
words: export ENV_FILE := /dev/null
words: export SECRET_KEY := only-for-the-words
words: install  ## Collect the pages' words, and compile their translations
	@for domain in django djangojs; do \
		$(PY) manage.py makemessages --all --domain $$domain --no-location --no-obsolete --ignore $(VENV) \
			--ignore node_modules --ignore tests --ignore workflows --ignore bench \
			--ignore 'static/chatflow/js/vendor/*' --ignore 'static/chatflow/js/built/*'; \
	done
	$(PY) manage.py compilemessages --ignore $(VENV) --ignore node_modules

# After a change of requirements*.txt: resolves from nothing, so that nothing stale stays pinned, for
# every system and Python that Chatflow runs on.
pins:  ## Write pins*.txt anew: every package, with the hashes of its files
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder"; \
	"$$folder/bin/python" -m pip --disable-pip-version-check --quiet install $(RESOLVER); \
	for name in -dev "" -sbom -docs; do \
		{ echo "# Every package of requirements$$name.txt, with the hashes of its files, by \`make pins\`."; \
		  "$$folder/bin/uv" --no-config pip compile --quiet --universal --python-version 3.11 \
			--generate-hashes --no-annotate --no-header --no-emit-index-url \
			$$(test -z "$$name" && echo "-c $$folder/pins-dev.txt") \
			requirements$$name.txt; } >"$$folder/pins$$name.txt"; \
	done; \
	cp "$$folder"/pins*.txt .

$(SBOM)/.installed: pins-sbom.txt $(VENV)/.installed
	@echo "Installing packages for the SBOM"
	@$(PY) -m venv --clear $(SBOM)
	@$(SBOM)/bin/python -m pip --disable-pip-version-check --quiet install \
		--require-hashes --no-deps -r pins-sbom.txt
	@touch $@

# MkDocs has its own as well. Material says at each start that it will have a successor.
docs docs-serve: export NO_MKDOCS_2_WARNING := 1

$(DOCS)/.installed: pins-docs.txt $(VENV)/.installed
	@echo "Installing packages for the documentation"
	@$(PY) -m venv --clear $(DOCS)
	@$(DOCS)/bin/python -m pip --disable-pip-version-check --quiet install \
		--require-hashes --no-deps -r pins-docs.txt
	@touch $@

docs: $(DOCS)/.installed  ## Build the documentation into site/; a broken link fails
	@$(DOCS)/bin/mkdocs build --quiet --strict
	@echo "Wrote site/index.html"

docs-serve: $(DOCS)/.installed  ## Show the documentation at http://127.0.0.1:8001/, anew at each edit
	@$(DOCS)/bin/mkdocs serve --dev-addr 127.0.0.1:8001 --watch README.md --watch chatflow

# Names every package that `make install` installs, with the hashes of its files; asks nobody.
sbom: $(SBOM)/.installed  ## Write sbom.json, in CycloneDX's format
	@$(SBOM)/bin/cyclonedx-py requirements --output-reproducible --output-file sbom.json pins.txt
	@echo "Wrote sbom.json"

clean:  ## Remove what the tools leave behind; .venv, .env and the database stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache .bench-venv .sbom-venv .docs-venv .nox dist site
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
