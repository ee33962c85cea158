# Recipes exec what they start, so that a signal to make reaches it. GNU make passes SIGTERM on to its children.
# `make help` prints every target with what stands behind its `##`, and every line that begins with `#:` as a variable.
PYTHON ?= python3
PORT ?= 8080
BIN := .venv/bin

#: PORT=NUMBER Serve the API on this port (up; default 8080)
#: EMPTY=1 Start with an empty desk, without the cases of the rehearsal (up)
#: PYTHON=COMMAND Make .venv with this Python (all targets; default python3)
#: SHORT=1 Run the short form, as CI does (bench, bench-*, chaos, hosts)
#: REF=COMMIT Compare with this commit (bench-against)
#: ROUNDS=NUMBER Repeat each measurement so often (bench, bench-against, -growth, -latency, -smtp)
#: N=NUMBER Run so many schedules (chaos; default 20) or seeds (simulate; default 5000)
#: SEED=NUMBER Replay the schedule of this seed (chaos), or start at this seed (simulate; default 0)
#: LARGEST=NUMBER Put at most so many messages into a schedule (chaos; default 200)
#: JOBS=NUMBER Run so many trials at once (chaos, chaos-broken; default 1)
#: POINTS=NUMBER Fire every crash point so often: killed, frozen and cut in turn (chaos)
#: POINT=NAME Fire this crash point only (chaos)
#: ACTION=NAME Use only this of kill, freeze and cut at crash points (chaos)
#: SCENE=NAME Play this scene only (chaos)
#: NOTE=1 Only print a note when no vulnerability database is reachable (audit)
#: BUILD=NAME Try this broken build only (chaos-broken)

.PHONY: help up test check format lock bench bench-smtp bench-latency bench-door bench-growth bench-rules bench-against chaos chaos-broken hosts simulate browser peers peers-packages audit runtime dev

help: ## Show this help
	@awk -f tools/help.awk $(MAKEFILE_LIST)

up: runtime ## Start everything embedded and print a ready curl command
	@exec $(BIN)/postroom up --port $(PORT) $(if $(EMPTY),--no-rehearsal)

test: dev ## Run all tests, on servers that they start themselves
	@exec $(BIN)/pytest -n 2

check: dev ## Check format, lint, types, import contracts, locks and generated docs
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/locks.py --check
	$(BIN)/python -m tools.settings_table --check
	$(BIN)/python -m tools.facts_table --check
	$(BIN)/python -m tools.decisions_index --check
	$(BIN)/python -m tools.state_diagram --check
	$(BIN)/python -m tools.import_layers --check

format: dev ## Format the code, apply safe lint fixes and regenerate docs
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/python -m tools.settings_table
	$(BIN)/python -m tools.facts_table
	$(BIN)/python -m tools.decisions_index
	$(BIN)/python -m tools.state_diagram
	$(BIN)/python -m tools.import_layers

bench: dev ## Compare the drain with Celery, Dramatiq, Huey and a bare loop (20 min)
	@exec $(BIN)/python -m benchmarks.drain $(if $(SHORT),--short) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-smtp: dev ## Measure the SMTP lane against a fast and a slow relay
	@exec $(BIN)/python -m benchmarks.smtp $(if $(SHORT),--short) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-latency: dev ## Measure one message from POST to verdict, idle and at half of the peak
	@exec $(BIN)/python -m benchmarks.latency $(if $(SHORT),--short) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-door: dev ## Compare the API with a textbook one (6 min)
	@exec $(BIN)/python -m benchmarks.api $(if $(SHORT),--short)

bench-rules: dev ## Measure the CPU that the rules take for one message
	@exec $(BIN)/python -m benchmarks.rules

bench-against: dev ## Measure the drain of this tree and of the commit REF in turns
	@exec $(BIN)/python -m benchmarks.against $(REF) $(if $(SHORT),--short) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-growth: dev ## Measure the drain with a long backlog, old rows, many clients, more workers (15 min)
	@exec $(BIN)/python -m benchmarks.growth $(if $(SHORT),--short) $(if $(ROUNDS),--rounds $(ROUNDS))

chaos: dev ## Try to break the promises with real processes and seeded faults
	@exec $(BIN)/python -m chaos $(if $(N),--n $(N)) $(if $(SEED),--seed $(SEED)) $(if $(LARGEST),--largest $(LARGEST)) \
		$(if $(SHORT),--short) $(if $(POINTS),--points $(POINTS)) $(if $(POINT),--point $(POINT)) $(if $(SCENE),--scene $(SCENE)) \
		$(if $(ACTION),--action $(ACTION)) $(if $(JOBS),--jobs $(JOBS))

chaos-broken: dev ## Prove that the trials catch deliberately broken builds
	@exec $(BIN)/python -m chaos.mutants $(BUILD) $(if $(JOBS),--jobs $(JOBS))

hosts: dev ## Part four hosts (network namespaces) and lose one: skips where they cannot be made (5 min)
	@exec $(BIN)/python -m chaos.hosts $(if $(SHORT),--short)

simulate: dev ## Run thousands of seeded schedules on a model of the database
	@exec $(BIN)/python -m tests.simulation $(or $(N),5000) $(or $(SEED),0)

audit: dev ## List all packages (SBOM) and look them up in vulnerability databases
	@exec $(BIN)/python -m tools.audit $(if $(NOTE),--note)

browser: dev ## Work at the desk in a real Chromium, by keyboard
	@command -v chromium >/dev/null || { echo "make browser needs Chromium: apt-get install chromium" >&2; exit 1; }
	@exec $(BIN)/pytest -n 2 tests/system/test_desk_browser.py

peers: dev ## Send through real mail servers, brokers, databases and proxies of Debian
	@exec $(BIN)/pytest -n 2 tests/peers

peers-packages: dev ## Unpack what `make peers` needs into var/peers, without installing it
	@exec $(BIN)/python -m tools.peer_packages

lock: dev ## Resolve both locks again from pyproject.toml
	@exec $(BIN)/python tools/locks.py

runtime: ## Install what `make up` needs into .venv
	@exec $(PYTHON) tools/bootstrap.py

dev: ## Install what tests and checks need as well
	@exec $(PYTHON) tools/bootstrap.py --dev
