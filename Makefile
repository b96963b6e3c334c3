# Every target sets up .venv by itself; a second run starts at once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONDONTWRITEBYTECODE :=  # compiled once, and not in every process: torch alone takes seconds

.PHONY: demo test build lab bench study mutants

demo: $(READY)
	@$(BIN)/python tests/demo.py

test: $(READY)  # one thread a worker; on two cores a third one fills the time that the others wait
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadgroup --max-worker-restart 0

build: $(READY)
	@$(BIN)/autograder build

lab: $(READY)
	@$(BIN)/autograder release --all --update --to build/lab
	@cd build/lab && $(CURDIR)/$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root)

bench: $(READY)
	@$(BIN)/python -m pip install -qq -c constraints.txt adversarial-robustness-toolbox statsmodels
	@$(BIN)/python tests/benchmarks/smoothing.py
	@$(BIN)/python tests/benchmarks/constructions.py
	@$(BIN)/python tests/benchmarks/fourier.py
	@$(BIN)/python tests/benchmarks/oblivious.py
	@test -x build/art/bin/python || $(PYTHON) -m venv build/art
	@build/art/bin/python -m pip install -qq -c constraints.txt adversarial-robustness-toolbox tensorflow-cpu
	@$(BIN)/python tests/benchmarks/neural_cleanse.py build/art/bin/python
	@$(BIN)/python tests/benchmarks/throughput.py

study: $(READY)
	@$(BIN)/python -m pip install -qq -c constraints.txt adversarial-robustness-toolbox
	@OMP_NUM_THREADS=1 $(BIN)/python tests/studies/regrades.py
	@OMP_NUM_THREADS=1 $(BIN)/python tests/studies/kills.py
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/autograder/test_protocol_fuzz.py --frames 100000
	@OMP_NUM_THREADS=1 $(BIN)/python tests/studies/advantages.py
	@OMP_NUM_THREADS=1 $(BIN)/python tests/studies/sanitising.py
	@OMP_NUM_THREADS=1 $(BIN)/python tests/studies/cleansing.py
	@OMP_NUM_THREADS=1 $(BIN)/python tests/studies/training_data.py

mutants: $(READY)  # ARGS=--help says what else it can do
	@$(BIN)/python -m pytest -q -n 2 tests/autograder/test_mutants.py --secrets 3
	@$(BIN)/python tests/mutation/mutants.py $(ARGS)

$(READY): setup.cfg pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (about 2 GB, one to three minutes; once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --no-compile -c constraints.txt -e '.[course,test]'
	@touch $@
