# The commands a person types. Each is one readable script below scripts/.
.PHONY: help setup dev dev-stop test check cron chaos attack bench bench-cost bench-lists bench-retention schemathesis sqlx

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 17

setup: ## install what this machine lacks
	@scripts/setup --tests

dev: ## the whole stack with one script run through it, until Ctrl-C (DETACH=1: in the background)
	@DETACH="$(DETACH)" scripts/dev start

dev-stop: ## end the stack that `make dev DETACH=1` started
	@scripts/dev stop

test: ## everything CI checks, against servers of its own
	@scripts/test

check: ## what CI checks first: format, lints, docs, unit tests, dependencies
	@scripts/setup --tests
	@scripts/check

cron: ## all changes of clocks in 20 years, in all zones, against the loop of Debian's cron
	@scripts/setup --tests
	@scripts/cron

chaos: ## everything dies under load (SEEDS=1,2,3 FAULTS=42 RATE=25)
	@scripts/setup --tests
	@scripts/chaos

attack: ## hostile scripts, servers and clients, with peaks of memory and times of others (CASES=20000)
	@scripts/setup --tests
	@scripts/attack

bench: ## the load program: from POST to completed (RATE=20 per second, FOR=30 seconds, WORKSPACES=1)
	@scripts/bench

bench-cost: ## counts per execution of a burst: statements, rows, bytes of log, processor time (EXECUTIONS=1200)
	@scripts/bench-cost

bench-lists: ## lists over a long history (ROWS=10000000 WEEKS=13 REQUESTS=200)
	@scripts/bench-lists

bench-retention: ## the load program beside a drop of old history (ROWS=2000000, RATE=50 per second, FOR=60 seconds)
	@scripts/bench-retention

schemathesis: ## property tests of the running HTTP interface by its OpenAPI document
	@scripts/schemathesis

sqlx: ## rewrite .sqlx after a query or the schema changed
	@scripts/with-services scripts/sqlx-prepare
