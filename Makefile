# Recipes exec what they start, so that a signal to make reaches it. GNU make passes SIGTERM on to its children.
PYTHON ?= python3
PORT ?= 8080
BIN := .venv/bin

.PHONY: help up test check format lock bench bench-smtp bench-latency bench-door bench-growth chaos chaos-broken simulate runtime dev

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 12

up: runtime ## start everything embedded and print a ready curl (PORT=8080)
	@exec $(BIN)/postroom up --port $(PORT)

test: dev ## all tests, on servers they start themselves
	@exec $(BIN)/pytest -n 2

check: dev ## format, lint, types, import contracts, lock in step
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/locks.py --check
	$(BIN)/python -m tools.settings_table --check

format: dev ## put the code into its form
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/python -m tools.settings_table

bench: dev ## the drain beside Celery, Dramatiq, Huey and a bare loop, about 20 minutes (SHORT=1: three; ROUNDS=n)
	@exec $(BIN)/python -m benchmarks.drain $(if $(SHORT),--short) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-smtp: dev ## the lane of mails at a relay that answers at once and at a slow one (SHORT=1; ROUNDS=n)
	@exec $(BIN)/python -m benchmarks.smtp $(if $(SHORT),--short) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-latency: dev ## one message from POST to verdict, idle and at half of the peak, and through the door (SHORT=1; ROUNDS=n)
	@exec $(BIN)/python -m benchmarks.latency $(if $(SHORT),--short) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-door: dev ## the front door beside a textbook one, about six minutes (SHORT=1: one)
	@exec $(BIN)/python -m benchmarks.door $(if $(SHORT),--short)

bench-growth: dev ## the drain with a long backlog, an old store, many clients, more workers, about 15 minutes (SHORT=1: one; ROUNDS=n)
	@exec $(BIN)/python -m benchmarks.growth $(if $(SHORT),--short) $(if $(ROUNDS),--rounds $(ROUNDS))

chaos: dev ## try to break it: seeded faults (N=20, JOBS=1, SEED=n, LARGEST=200, SHORT=1, POINTS=times, POINT=name, ACTION=name, SCENE=name)
	@exec $(BIN)/python -m chaos $(if $(N),--n $(N)) $(if $(SEED),--seed $(SEED)) $(if $(LARGEST),--largest $(LARGEST)) \
		$(if $(SHORT),--short) $(if $(POINTS),--points $(POINTS)) $(if $(POINT),--point $(POINT)) $(if $(SCENE),--scene $(SCENE)) \
		$(if $(ACTION),--action $(ACTION)) $(if $(JOBS),--jobs $(JOBS))

chaos-broken: dev ## show that the trials see broken builds (BUILD=name: that one, JOBS=1)
	@exec $(BIN)/python -m chaos.breaking $(BUILD) $(if $(JOBS),--jobs $(JOBS))

simulate: dev ## run seeds of deeds and deaths on a model of the store (N=5000, SEED=n: from that one on)
	@exec $(BIN)/python -m tests.simulation $(or $(N),5000) $(or $(SEED),0)

lock: dev ## resolve the locks anew from pyproject.toml
	@exec $(BIN)/python tools/locks.py

runtime:
	@exec $(PYTHON) tools/bootstrap.py

dev:
	@exec $(PYTHON) tools/bootstrap.py --dev
