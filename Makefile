# What to do with this tree; the two that most people want are `make demo` and `make test`.
# Needs Python 3.11 or newer and make; everything else goes into .venv.

VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8000
ARGS ?=

# Workers and the processes of tests share what the first of them has compiled, whatever the shell
# says of it.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo demo-nextjs test test-processes test-services test-ecosystem test-suites test-matrix \
	test-cluster test-interop test-browser screenshots fuzz mutation bench bench-tokens lint shape coverage \
	format messages docs package check-example clean

help:
	@echo "make demo           serve the example project at http://127.0.0.1:$(PORT)/"
	@echo "                    (SESSION_BACKEND=cookie make demo chooses the engine, PORT=8001 the port)"
	@echo "make test           the tests on SQLite, no service needed (ARGS=... goes to pytest)"
	@echo "make test-processes servers, sites and commands in processes of their own, and Django's own tests"
	@echo "make test-services  the tests on PostgreSQL and MariaDB, with Redis as the cache"
	@echo "make test-ecosystem the newest DRF, allauth, Wagtail and 25 others beside it (docs/neighbours.md)"
	@echo "make test-suites    their own tests from their sdists, with our engines in place of Django's"
	@echo "make test-cluster   Galera, a standby, PgBouncer, HAProxy: a mixed load, and its promises proved"
	@echo "make test-interop   tokens and the Next.js example on Node, with jose"
	@echo "make test-browser   the example in Chromium, by Playwright (make screenshots: those of the docs)"
	@echo "make demo-nextjs    the example and a Next.js site that shares its session"
	@echo "make fuzz           a minute of hostile tokens"
	@echo "make mutation       which changes of what decides no test notices (docs/mutation.md; ARGS=rotation)"
	@echo "make bench          whole requests beside Django's engines and others, on PostgreSQL, in 15 minutes"
	@echo "                    (ARGS=--quick in 4, ARGS=--write-docs brings docs/performance.md up to date)"
	@echo "make bench-tokens   our tokens beside PyJWT, joserfc, jwcrypto and Django's signing"
	@echo "make test-matrix    the tests on Python 3.11-3.13 x Django 5.2, 6.0, 6.1 (tox)"
	@echo "make lint           ruff, mypy, and the arrows between rooms; make format mends what ruff can"
	@echo "make shape          sizes, imports and cycles, and how many files a request enters"
	@echo "make coverage       the tests, and which lines and branches none of them runs"
	@echo "make messages       the German, French and Spanish catalogues, from the sources"
	@echo "make check-example  the example's migrations, and manage.py check --deploy"
	@echo "make docs           the documentation, in docs/_build/html"
	@echo "make package        sdist, wheel and SBOM, in dist"

# --- environments --------------------------------------------------------------------------------

$(BIN)/python:
	@.ci/venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml | $(BIN)/python
	@echo "Installing the package and what it needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

# $(VENV)/.installed-test: with the extra "test" of setup.cfg, and so on.
$(VENV)/.installed-%: setup.cfg pyproject.toml | $(BIN)/python
	@echo "Installing the package with what \"$*\" needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@

# mysqlclient is compiled against MariaDB's client library.
$(VENV)/.installed-services: setup.cfg pyproject.toml | $(BIN)/python
	@.ci/mysqlclient $(BIN)/python
	@echo "Installing the package with what \"services\" needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[services]'
	@touch $@

# --- the example ---------------------------------------------------------------------------------

demo: $(VENV)/.installed
	@exec $(BIN)/python -m example_project.demo 127.0.0.1:$(PORT)

demo-nextjs: $(VENV)/.installed
	@.ci/node
	@exec $(BIN)/python -m example_project.nextjs.demo 127.0.0.1:$(PORT)

# As on a server, with a secret that is thrown away.
check-example: export SESSION_SECRET = $(shell head -c 32 /dev/urandom | base64)
check-example: export DEBUG = 0
check-example: export ALLOWED_HOSTS = example.com
check-example: $(VENV)/.installed
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --deploy --fail-level WARNING

# --- tests ---------------------------------------------------------------------------------------

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not processes and not packaging" $(ARGS)

# Real servers on SQLite, sites and commands in processes of their own, Django's own tests.
test-processes: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 3 --dist loadfile -m processes $(ARGS)

# What depends on the database: the tables, the engines, the lists, and real server processes. The
# rest is the same beside any, and runs with `make test`.
WITH_DATABASE := tests/models tests/revocation tests/rotation tests/admin tests/history tests/pages \
	tests/management tests/backends/test_db.py tests/backends/test_hybrid.py \
	tests/backends/test_parallel_writes.py tests/backends/test_session_base.py \
	tests/backends/test_sealed_rows.py tests/backends/test_custom_model.py tests/test_middleware.py \
	--ignore=tests/admin/test_themes.py --ignore=tests/history/test_edges.py \
	--ignore=tests/pages/test_confirmers.py --ignore=tests/pages/test_adapters.py

# In this order: files whose tests wait for servers are long and come first.
test-services: $(VENV)/.installed-services
	.ci/services sh -c '$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder \
		-o cache_dir=.pytest_cache/$${DATABASE_URL%%:*} \
		tests/services $(WITH_DATABASE) $(ARGS) || [ $$? = 5 ]'

# Three Galera nodes, PostgreSQL with a standby, PgBouncer, HAProxy: on loopback, for as long as it
# runs. Then what depends on the database, on the three nodes.
ON_GALERA ?= tests/services $(WITH_DATABASE)

test-cluster: $(VENV)/.installed-services
	@.ci/cluster
	failed=0; \
		CLUSTER_TESTS=1 $(BIN)/python -m pytest tests/cluster $(ARGS) || [ $$? = 5 ] || failed=1; \
		$(BIN)/python -m tests.cluster.through_haproxy $(BIN)/python -m pytest -n 2 --dist loadfile \
			--no-loadscope-reorder -o cache_dir=.pytest_cache/galera $(ON_GALERA) $(ARGS) || [ $$? = 5 ] || failed=1; exit $$failed

test-matrix: $(VENV)/.installed-matrix
	$(BIN)/tox run $(ARGS)

test-interop: $(VENV)/.installed-interop
	@.ci/node
	INTEROP=1 $(BIN)/python -m pytest tests/interop $(ARGS)

test-browser: $(VENV)/.installed-browser
	BROWSER_TESTS=1 .ci/chromium $(BIN)/python -m pytest -n 2 --dist loadfile tests/browser $(ARGS)

screenshots: export SCREENSHOTS = 1
screenshots: $(VENV)/.installed-browser
	BROWSER_TESTS=1 .ci/chromium $(BIN)/python -m pytest tests/browser/test_screenshots.py

# The newest that there is of each neighbour: an environment of its own, of a Python that the newest
# Django takes and all of them have been tried with.
ECOSYSTEM := $(VENV)-ecosystem
ECOSYSTEM_PYTHON ?= $(shell for python in python3.12 python3.13 python3 \
	$$(ls -d $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.1[23].*/bin/python3 2>/dev/null); do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && echo $$python && break; done)

$(ECOSYSTEM)/.installed: setup.cfg
	@echo "Installing the neighbours into $(ECOSYSTEM) ..."
	@python='$(ECOSYSTEM_PYTHON)'; "$${python:-python3}" -m venv $(ECOSYSTEM)
	@$(ECOSYSTEM)/bin/python -m pip install --quiet --editable '.[ecosystem]'
	@touch $@

# django-tenants needs PostgreSQL. WRITE=1 writes the table of the docs.
test-ecosystem: $(ECOSYSTEM)/.installed
	failed=0; export ECOSYSTEM=1; tests="-m pytest -q tests/ecosystem/test_neighbours.py"; \
	$(ECOSYSTEM)/bin/python $$tests -n 2 $(ARGS) || [ $$? = 5 ] || failed=1; \
	tests="$(ECOSYSTEM)/bin/python $$tests -k tenants" .ci/services \
		sh -c 'case $$DATABASE_URL in postgres*) $$tests ;; esac' || failed=1; exit $$failed

$(ECOSYSTEM)/.installed-suites: tests/ecosystem/suites/requirements.txt $(ECOSYSTEM)/.installed
	@$(ECOSYSTEM)/bin/python -m pip install --quiet --requirement $<
	@touch $@

# 4,600 tests, four times over. ARGS="-k drf" runs one suite, WRITE=1 writes the table of the docs.
test-suites: $(ECOSYSTEM)/.installed-suites
	SUITES=1 $(ECOSYSTEM)/bin/python -m pytest -q tests/ecosystem/test_suites.py -n 2 $(ARGS)

SECONDS_OF_FUZZING ?= 60

fuzz: $(VENV)/.installed-fuzz
	$(BIN)/python -m fuzz.tokens -max_total_time=$(SECONDS_OF_FUZZING) $(ARGS)

# In copies of the tree, build/mutation: minutes for a room, an hour for all (FORKS=2 at a time).
mutation: $(VENV)/.installed-mutation
	@nice $(BIN)/python .ci/mutation.py $(ARGS)

bench-tokens: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.tokens

# What the benchmark compares is pinned, and needs Python 3.12 or newer: the first that runs, those
# that pyenv keeps for itself included.
BENCH_PYTHON ?= $(shell for python in python3.13 python3.12 python3 \
	$$(ls -dr $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.1[23].*/bin/python3 2>/dev/null); do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && echo $$python && break; done)
BENCH := $(VENV)-bench

$(BENCH)/.installed: benchmarks/requirements.txt setup.cfg
	@python='$(BENCH_PYTHON)'; echo "Installing what is compared into $(BENCH) ..."; \
	"$${python:?needs Python 3.12 or newer: make bench BENCH_PYTHON=/path/to/it}" -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet --requirement benchmarks/requirements.txt --editable .
	@touch $@

# wrk loads the servers; without it they are left out.
bench: $(BENCH)/.installed
	@command -v wrk >/dev/null || [ "$$(id -u)" != 0 ] || { apt-get update; apt-get install -y wrk; } >/dev/null 2>&1 || true
	@$(BENCH)/bin/python -m benchmarks.engines $(ARGS)

# --- quality, documents, package -----------------------------------------------------------------

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests benchmarks fuzz
	$(BIN)/lint-imports --no-logo

# Sizes, arrows between modules, and the files that a request enters; tests/test_shape.py holds them.
shape: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.shape

# With branches; what must be covered at least is in pyproject.toml.
coverage: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 3 --dist loadfile -m "not packaging" --cov --cov-report=term:skip-covered $(ARGS)

format: $(VENV)/.installed-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The catalogues in locale/: what is new has to be translated by hand then.
messages: $(VENV)/.installed-test
	$(BIN)/python -m tests.translations.catalogues

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -W --keep-going --quiet -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# Twice from one commit, and the bytes are the same; beside them what they bring along (CycloneDX).
package: $(VENV)/.installed-test $(VENV)/.installed-package
	rm -rf dist
	$(BIN)/python .ci/package.py dist
	$(BIN)/python .ci/sbom.py dist
	$(BIN)/python -m pytest -q tests/packaging

clean:
	rm -rf $(VENV) $(BENCH) $(ECOSYSTEM) .tox build dist docs/_build *.egg-info .mypy_cache .pytest_cache .ruff_cache
