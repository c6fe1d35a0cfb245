# Everything that a developer, a reader of the README and CI run.
# Needs Python 3.11 or newer (PYTHON=python3.12 make ... picks another one) and git; the rest is fetched.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
UV = $$(command -v uv || echo $(BIN)/uv)
EXTRAS := lidc,pretrained,postgresql
DEMO := demo-out
# Two workers with one thread each: the suite is made for two cores.
WORKERS ?= 2

.PHONY: help setup demo check test docs constraints clean

help: ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 14

setup: $(STAMP) ## create .venv with what constraints.txt pins

# Repeated only when pyproject.toml or constraints.txt changed. uv is fetched with pip, into .venv,
# where the machine has none. Hashes in constraints.txt are checked on every download. Compiled to
# bytecode here, since importing MONAI from source takes 20 s where Python may not write it.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
	  echo "expected Python 3.11 or newer, found $$($(PYTHON) --version 2>&1); run: make PYTHON=/path/to/python3.11 ..." >&2
	  exit 1
	}
	if ! test -x $(BIN)/python; then
	  uv venv --quiet --python "$(PYTHON)" .venv 2>/dev/null || $(PYTHON) -m venv .venv
	fi
	command -v uv >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5'
	echo "installing into .venv: a minute or two, 8 GB" >&2
	"$(UV)" pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt \
	  -e '.[$(EXTRAS)]' --group dev
	touch $@

demo: setup ## a simulated study through the main job, ending with a report
	@rm -rf $(DEMO)
	$(BIN)/calcilens phantoms study --out $(DEMO)/study --pattern diffuse --pattern peripheral_zonal
	$(BIN)/calcilens predict $(DEMO)/study/dicom --out $(DEMO)/report
	echo
	echo "The report:       $$(ls -d "$$PWD"/$(DEMO)/report/*/report.html)"
	echo "The exact truth:  $$PWD/$(DEMO)/study/truth.json"
	echo "Next: open the report in a browser; then try your own study:"
	echo "  $(BIN)/calcilens predict PATH/TO/DICOM --out my-report"
	echo "and read 'Train on your own data' in README.md."

check: setup ## ruff, mypy and import-linter
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## check, then the whole test suite
	@export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 MPLBACKEND=Agg
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

docs: setup ## the pages of docs/ as a site in site/
	@"$(UV)" pip install --quiet --python $(BIN)/python -c constraints.txt --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	echo "$$PWD/site/index.html"

# Existing pins stay where pyproject.toml still allows them; UPGRADE=--upgrade renews all.
constraints: ## pin what pyproject.toml asks for, with hashes
	@"$(UV)" pip compile pyproject.toml --all-extras --group dev --group docs --group bench --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet \
	  --output-file constraints.txt $(UPGRADE)

clean: ## remove what was made, .venv too
	@rm -rf .venv $(DEMO) runs site .mypy_cache .ruff_cache .pytest_cache .hypothesis
