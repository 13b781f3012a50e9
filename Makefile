BIN := .venv/bin
# Three processes, even on two cores: one of them often waits for a kernel or a command.
PYTEST := pytest -n 3 --no-loadscope-reorder

.SILENT:
.PHONY: help report test quick-test lab study bench axe oldest lock clean setup

help:
	grep -E '^[a-z-]+:.*# ' Makefile | sed 's/\([a-z-]*\):.*# /make \1	/' | expand -t 20
	echo "Each sets up .venv if necessary: 1 to 2 minutes, 3 GB on disk, once. Other Python: make PYTHON=python3.12 report"

report: setup  # re-execute the notebooks that changed, write report/index.html: 3 to 14 minutes on 2 cores
	$(BIN)/lab report

test: setup  # check everything, first ruff and mypy, then pytest: 7 to 20 minutes
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	$(BIN)/$(PYTEST)

quick-test: setup  # the tests that neither train nor start kernels: under a minute on fast cores
	$(BIN)/$(PYTEST) -m "not slow"

lab: setup  # open copies of the notebooks in JupyterLab
	$(BIN)/lab jupyter
study: setup  # make the run records that are missing, if any: a minute to an hour each
	$(BIN)/lab study

bench: setup  # time the training against Keras and PyTorch, write tables: half an hour on fast cores
	[ -d .bench ] || { $(BIN)/python -m pip install -qq --target .bench.part torch==2.13.0 && mv .bench.part .bench; }
	for name in training workers wide kernels; do $(BIN)/python tests/benchmarks/$$name.py || exit; done
axe: setup  # get axe-core, so that the tests also check the page's accessibility
	$(BIN)/python -m pip install -qq --no-deps --require-hashes --target .axe --upgrade -r tests/axe.txt

oldest: .uv  # run the tests with the oldest packages that pyproject.toml allows: 12 minutes on slow cores
	.uv/bin/uv venv -q --clear -p $(BIN)/python .oldest
	.uv/bin/uv pip install -q -p .oldest --resolution lowest-direct -e . --group test
	.oldest/bin/$(PYTEST) --ignore tests/test_environment.py --ignore tests/test_notebooks.py

lock: .uv  # make requirements.lock consistent with pyproject.toml; delete it first for the newest versions
	.uv/bin/uv pip compile -q pyproject.toml --group test --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock

clean:  # delete .venv and caches; results and data stay
	if [ -e .venv/created_by_setup_venv ]; then rm -rf .venv; fi  # one that it did not create is left
	rm -rf .axe .bench .bench.part .oldest .uv labhelpers.egg-info .pytest_cache .ruff_cache .mypy_cache
	find labhelpers tests -name __pycache__ -prune -exec rm -rf {} +

setup:
	$(or $(PYTHON),python3) setup_venv.py $(if $(PYTHON),--exactly)

.uv: | setup
	$(BIN)/python -m pip install -qq --target .uv uv
