# Everything one does with a checkout; `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON_BIN := .venv/bin

# The capture that `make run` analyses: make run PCAP=my.pcap
PCAP ?= $(firstword $(wildcard samples/mixed.pcap*))
# make test TESTS=tests/infra runs these only

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what is missing (run and tests), nothing twice
	@infra/setup.sh test

.PHONY: run
run: ## Set up, then analyse the bundled capture (or PCAP=FILE) and say what is in it
	@infra/setup.sh run
	@$(PYTHON_BIN)/spanwatch analyze $(PCAP)

.PHONY: up
up: ## Set up, then run everything until Ctrl-C: broker, store, workers, API
	@infra/setup.sh run
	@$(PYTHON_BIN)/spanwatch up

.PHONY: test
test: ## Set up, then run the tests (or TESTS=PATH): units side by side, then what starts whole stacks
	@infra/setup.sh test
ifdef TESTS
	$(PYTHON_BIN)/pytest $(TESTS)
else
	$(PYTHON_BIN)/pytest --numprocesses 2 --dist loadfile --ignore tests/integration
	$(PYTHON_BIN)/pytest tests/integration
endif

.PHONY: lint
lint: ## Set up, then check format, style, types and the import rule
	@infra/setup.sh test
	$(PYTHON_BIN)/ruff format --check .
	$(PYTHON_BIN)/ruff check .
	$(PYTHON_BIN)/mypy
	$(PYTHON_BIN)/lint-imports
	cd console && npm run --silent check && npm test --silent

.PHONY: check
check: lint test ## lint and test: what CI runs

.PHONY: bench
bench: ## Measure throughput against nfstream and tshark; writes docs/benchmarks.md
	@infra/setup.sh bench
	$(PYTHON_BIN)/python -m benchmarks.run
	$(PYTHON_BIN)/python -m benchmarks.panels > docs/benchmarks/panels.md.new
	@mv docs/benchmarks/panels.md.new docs/benchmarks/panels.md
	$(PYTHON_BIN)/python -m benchmarks.events > docs/benchmarks/events.md.new
	@mv docs/benchmarks/events.md.new docs/benchmarks/events.md

.PHONY: lab
lab: ## Record labelled captures of real programs and attacks in network namespaces (root)
	@infra/setup.sh lab
	$(PYTHON_BIN)/python -m lab all --out .local/lab

.PHONY: console
console: ## Build the console (Node 18 or newer) and check its types
	@infra/setup.sh run
	cd console && npm run --silent check && npm test --silent

.PHONY: cluster
cluster: ## Set up, then run three brokers and three workers, kill one of each, and compare the rows
	@infra/setup.sh run
	@SPANWATCH_STATE=$${SPANWATCH_STATE:-.local/cluster} $(PYTHON_BIN)/spanwatch cluster --prove $(PCAP)

.PHONY: screenshots
screenshots: console ## Take the console's pictures in docs/images again, from a run on the bundled capture (Chromium)
	$(PYTHON_BIN)/python -m lab.screenshots

.PHONY: docs
docs: ## Write the generated reference pages again
	@infra/setup.sh run
	$(PYTHON_BIN)/python -m infra.settings_page > docs/settings.md.new
	@mv docs/settings.md.new docs/settings.md
	$(PYTHON_BIN)/python -m api.access_page
	$(PYTHON_BIN)/python -m infra.grafana_dashboards
	cd console && npm run --silent types

.PHONY: clean
clean: ## Remove caches and build leftovers; data, jars and .venv stay
	rm -rf build console/dist console/node_modules .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info infra/kafka/target
	find . -path ./.venv -prune -o -path ./.local -prune -o -name __pycache__ -type d -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## clean, and remove .venv, Kafka's jars and all data in .local
	rm -rf .venv .local
