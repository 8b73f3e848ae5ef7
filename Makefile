# Every target makes the environment it needs by itself, in .venv. Only Python is needed.
# Paths are relative and tools are called as `python -m`: a checkout path may hold spaces.

PYTHON ?= python3
RUN := .venv/bin/python

# One thread a process: what is compared is the method, not the number of cores.
export OMP_NUM_THREADS ?= 1

# A worker a core; who is done takes over tests of the others.
WORKERS := -n auto --dist worksteal

# More arguments for asv run, for example ASV="--bench accuracy"
ASV ?=

.DEFAULT_GOAL := help
.PHONY: help environment bench bench-full gpu packages test test-fast test-long lint format docs asv

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1  /p' Makefile | while read -r target text; do \
		printf '  make %-12s %s\n' "$$target" "$$text"; done

environment:  ## Make .venv, or bring it up to date (the other targets do this by themselves)
	@.ci/environment "$(PYTHON)"

bench: export ADJOINTBENCH_QUICK = 1
bench:  ## The quick benchmarks, then the report: about ten minutes on two cores
bench-full: export ADJOINTBENCH_FULL = 1
bench-full:  ## The whole suite, then the report: hours
# The ladders are measured first, with progress on the console, and asv reads them. What an
# interrupted run has measured is used by the next; after a finished one all is measured anew, and
# the old rows are kept beside the new ones.
bench bench-full: environment
	@$(RUN) -m asv machine --yes
	@rows="$$PWD/.asv/results/$${ADJOINTBENCH_MACHINE:-$$(hostname)}/$$(git rev-parse --short=8 HEAD)-rows.jsonl"; \
	anew=--anew; [ ! -e .asv/unfinished ] || anew=; \
	mkdir -p "$$(dirname "$$rows")" && touch .asv/unfinished || exit; \
	$(RUN) -m adjointbench bench --out "$$rows" $$anew || exit; \
	status=0; \
	ADJOINTBENCH_ROWS="$$rows" $(RUN) -m asv run -E existing \
		--set-commit-hash "$$(git rev-parse HEAD)" $(ASV) || status=$$?; \
	$(RUN) -m adjointbench report --out report || exit; \
	rm -f .asv/unfinished; \
	if [ $$status -ne 0 ]; then echo "Some benchmarks failed; the report lists them." >&2; fi; \
	exit $$status

# The Python that has the frameworks for the card: PYTHON where it is given, else that of .venv where
# there is one. Nothing is installed; what the checkout holds is run as it is.
DEVICE ?= cuda
BUDGET ?= 8m
ROWS ?=
gpu: export PYTHONPATH := $(subst $() $(),:,$(strip $(wildcard build/packages/*.whl) $(PYTHONPATH)))
gpu:  ## On a GPU: agreement with the CPU, ensembles, networks, kernels (DEVICE=cpu tries the script)
	@python="$(if $(filter command environment,$(firstword $(origin PYTHON))),$(PYTHON),$(firstword $(wildcard $(RUN)) $(PYTHON)))"; \
	"$$python" -m adjointbench.suite.gpu.run --device "$(DEVICE)" --budget "$(BUDGET)" $(if $(ROWS),--out "$(ROWS)")

packages: environment  ## What the package needs besides NumPy, for a machine without a network
	@$(RUN) -m pip download -q --no-deps --only-binary=:all: -d build/packages "array-api-compat>=1.11"

test: environment  ## The tests; some of them: make test TESTS=tests/problems
	@$(RUN) -m pytest $(WORKERS) $(TESTS)

test-fast: environment  ## A part of them that sees every part of the package, between two edits
	@$(RUN) -m pytest $(WORKERS) -m "not slow and not long and not gpu" $(TESTS)

test-long: export ADJOINTBENCH_EXAMPLES ?= 1000
test-long: environment  ## Other random problems each time; every method on every closed form; more certificates; more examples
	@$(RUN) -m pytest $(WORKERS) -m "" tests/random_problems tests/adjoints/contract tests/adjoints/test_certify.py tests/adjoints/test_jax_lanes.py tests/adjoints/test_torch_compiled.py tests/adjoints/test_torch_compiled_steps.py tests/docs/test_jax_examples.py tests/suite/cluster

lint: environment  ## Style, types and the Dockerfile, without changing anything
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m pyright
	@$(dir $(RUN))hadolint Dockerfile

format: environment  ## Bring the style in order
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

docs: environment  ## Make the parts of README.md and docs/ anew that come from the code
	@$(RUN) docs/generate.py

asv: environment  ## The web pages of asv itself, from all results
	@$(RUN) -m adjointbench.reports.asv_pages
