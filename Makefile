# `make` alone says what there is. LAB_DATA and LAB_OUT reach the commands through the environment.
# Kept to what GNU make 3.81 (macOS) and a plain POSIX shell understand.

BIN := .venv/bin

# The Python that .venv is made from; left empty, the first of these that fits.
PYTHON ?=
PYTHONS = $(if $(PYTHON),"$(PYTHON)",python3 python3.12 python3.13 python3.11)

# Prints the name it is given if that Python fits. Inside a venv, which may be the very .venv that is about
# to be made anew, it prints the Python which that one was made from.
FITTING = import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) and print( \
	sys.argv[1] if sys.prefix == sys.base_prefix else sys._base_executable)

.SILENT:
.PHONY: help setup report test lab study bench oldest lock clean

help:
	echo "make report   re-execute the notebooks that changed, write report/index.html: 3 to 14 minutes on 2 cores"
	echo "make test     check everything, ruff first, then pytest: 7 to 24 minutes"
	echo "make study    make the run records that are missing, if any: a minute to an hour each"
	echo "make lab      open copies of the notebooks in JupyterLab"
	echo "make bench    training speed beside Keras's defaults and PyTorch: half an hour on fast cores, writes tables"
	echo "make oldest   the tests with the oldest dependencies that are allowed: 12 minutes on slow cores"
	echo "make lock     bring requirements.lock in step with pyproject.toml; delete it first for the newest versions"
	echo "make clean    delete .venv and caches; results and data stay"
	echo
	echo "Each sets up .venv where it is needed: 1 to 2 minutes, 3 GB on disk, once."
	echo "With another Python (3.11, 3.12 or 3.13): make PYTHON=python3.12 report"

report: setup
	$(BIN)/lab report

# Three, even on two cores: one of them often waits for a kernel or a command to start.
PYTEST := pytest -n 3 --no-loadscope-reorder

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/$(PYTEST)

lab: setup
	$(BIN)/lab jupyter

study: setup
	$(BIN)/lab study

# Two stamps in .venv hold what was installed, and where. They are compared by content, not by time: a
# checkout that only touches files costs nothing, and a venv in a moved or copied folder, whose scripts still
# start the old one, is seen. Each is written after its step has succeeded. Without the first, .venv is made
# anew, never completed: pip takes a package that was unpacked half-way for an installed one.
# Debian keeps ensurepip out of its Python: there the pip outside installs into a venv without one.
setup:
	fail() { echo "make: $$1" >&2; exit 2; }; \
	lock() { pwd -P && cat requirements.lock; }; \
	asked() { [ -z "$(PYTHON)" ] || [ "$$($(BIN)/python -V)" = "$$("$(PYTHON)" -V 2>&1)" ]; }; \
	locked() { [ -x $(BIN)/python ] && lock | cmp -s - .venv/stamp.lock && asked; }; \
	ready() { locked && cmp -s pyproject.toml .venv/stamp.toml; }; \
	pip() { \
		if [ -e $(BIN)/pip ]; then set -- $(BIN)/python -m pip "$$@"; \
		else set -- "$$python" -m pip --python $(BIN)/python "$$@"; fi; \
		PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 "$$@" || \
		fail "pip failed, see above; is there network, and room on the disk? Then run it again"; \
	}; \
	ready && exit; \
	\
	exec 9< requirements.lock; \
	if flock 9 2> /dev/null; then ready && exit; fi; \
	for name in $(PYTHONS); do \
		python=$$("$$name" -c '$(FITTING)' "$$name" 2> /dev/null) && [ "$$python" ] && break; \
	done; \
	[ "$$python" ] || fail "needs Python 3.11, 3.12 or 3.13, and $(if $(PYTHON),$(PYTHON) is not,none was found); \
	name one like this: make PYTHON=python3.12 report"; \
	\
	if ! locked; then \
		echo "setting up .venv with $$("$$python" -V): 1 to 2 minutes, 3 GB on disk, this once"; \
		rm -rf .venv; \
		"$$python" -m venv .venv > /dev/null 2>&1 || "$$python" -m venv --clear --without-pip .venv || \
		fail "$$python could not make .venv, see above; is there room, and may you write here?"; \
		[ -e $(BIN)/pip ] || "$$python" -m pip --version > /dev/null 2>&1 || \
		fail "$$python comes without pip and venv; on Debian and Ubuntu: apt install python3-pip"; \
		pip install -qq --require-hashes -r requirements.lock; \
		lock > .venv/stamp.lock; \
	fi; \
	pip install -qq --no-deps --no-build-isolation -e .; \
	cp pyproject.toml .venv/stamp.toml

# PyTorch is for the benchmark alone, and lies outside .venv. Nothing else should run meanwhile.
TORCH := torch==2.13.0

bench: setup
	[ -d .bench ] || { echo "installing $(TORCH) for the benchmark"; \
		$(BIN)/python -m pip install -qq --target .bench.part $(TORCH) && mv .bench.part .bench; }
	$(BIN)/python tests/benchmarks/training.py
	$(BIN)/python tests/benchmarks/workers.py
	$(BIN)/python tests/benchmarks/wide.py
	$(BIN)/python tests/benchmarks/kernels.py

# The oldest direct dependencies that pyproject.toml allows, in a venv that is thrown away.
oldest:
	venv=$$(mktemp -d) && trap 'rm -rf "$$venv"' EXIT && \
	$(if $(PYTHON),"$(PYTHON)",python3) -m venv "$$venv" && "$$venv/bin/python" -m pip install -qq uv && \
	"$$venv/bin/uv" pip install -q -p "$$venv/bin/python" --resolution lowest-direct -e . --group test && \
	"$$venv/bin/python" -m $(PYTEST) --ignore tests/test_environment.py --ignore tests/test_notebooks.py

# For maintainers. The versions that are there stay, as long as they fit.
lock:
	tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && \
	$(if $(PYTHON),"$(PYTHON)",python3) -m venv "$$tools" && "$$tools/bin/python" -m pip install -qq uv && \
	"$$tools/bin/uv" pip compile -q pyproject.toml --group test --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock

clean:
	rm -rf .venv .bench .bench.part build labhelpers.egg-info .pytest_cache .ruff_cache
	find labhelpers tests -name __pycache__ -prune -exec rm -rf {} +
