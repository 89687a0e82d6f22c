# fishnet_mmdet: `make help` lists the commands.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Written at the end of the set-up; holds the torch that was asked for, which stays until another one is.
READY := $(VENV)/ready
# Many containers set it, and each start of a command then compiles torch and mmdet again: 16 s where it takes 5.
unexport PYTHONDONTWRITEBYTECODE
installed_torch := $(shell cat $(READY) 2>/dev/null)
TORCH ?= $(or $(installed_torch),torch<=2.13.0)

.PHONY: help setup demo test lint clean FORCE

help:
	@echo 'make demo    set up, then train FishNet-150 in two stages on images of cells, evaluate it and show the results'
	@echo 'make test    set up, then run the tests'
	@echo 'make lint    set up, then run ruff'
	@echo 'make setup   install torch, mmdet and this package in .venv, from wheels; nothing where that is done'
	@echo '             PYTHON=/path/to/python3 chooses the Python (3.9 or newer)'
	@echo '             TORCH=torch==X.Y.Z chooses the torch; it stays chosen'
	@echo '             TORCH="torch==2.2.2 numpy<2" for a torch below 2.3, which needs NumPy 1'
	@echo 'make clean   remove .venv, work_dirs/demo, builds and caches'

setup: $(READY)

DEMO := work_dirs/demo
DEMO_CLASSIFIER := configs/demo/classifier_fishnet150_nuclei.py
DEMO_DETECTOR := configs/demo/mask_rcnn_fishnet150_nuclei.py
# bfloat16 where it is faster than float32: with AMX, or AMD's AVX-512. Intel's AVX-512 alone is slower (docs/performance.md).
CPUINFO := /proc/cpuinfo
DEMO_AMP := $(shell grep -qs amx_bf16 $(CPUINFO) || grep -qsz 'AuthenticAMD.*avx512_bf16' $(CPUINFO) && echo --amp)
demo: setup
	@echo 'Pretraining: FishNet-150 learns to tell crops of cell nuclei from crops of the background'
	$(BIN)/python tools/train.py $(DEMO_CLASSIFIER) --work-dir $(DEMO)/classifier $(DEMO_AMP)
	@echo 'Detection: Mask R-CNN starts from the pretrained weights'
	$(BIN)/python tools/train.py $(DEMO_DETECTOR) --work-dir $(DEMO)/detector $(DEMO_AMP)
	$(BIN)/python tools/test.py $(DEMO_DETECTOR) $$(cat $(DEMO)/detector/last_checkpoint) --eval bbox segm --work-dir $(DEMO)/test --show-dir pictures --report $(DEMO)/report
	$(BIN)/python tools/analysis_tools/analyze_logs.py $(DEMO)/classifier --out $(DEMO)/classifier_curves.png
	$(BIN)/python tools/analysis_tools/analyze_logs.py $(DEMO)/detector --out $(DEMO)/curves.png
	@echo "Curves of the losses and of AP:  $(DEMO)/curves.png (pretraining: $(DEMO)/classifier_curves.png)"
	@echo "Ground truth beside predictions: $$(ls -d $(DEMO)/test/*/pictures | tail -n 1)/"
	@echo "All results as a page:           $(DEMO)/report/index.html"

# Two processes of one thread each: most tests are too small for two threads to share.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) work_dirs/demo build dist *.egg-info .hypothesis .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

ifneq ($(TORCH),$(installed_torch))
$(READY): FORCE
endif
# --no-compile: Python compiles the few modules that are imported, pip would compile all of them.
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --no-compile --only-binary :all:
$(READY): setup.py pyproject.toml requirements/runtime.txt requirements/openmmlab.txt requirements/dev.txt
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 9))' \
	  || { echo 'The set-up needs Python 3.9 or newer, and $(PYTHON) is not that. Choose one: make setup PYTHON=/path/to/python3'; exit 1; }
	@[ -e $@ ] || '$(PYTHON)' -m venv --clear $(VENV)
	$(PIP_INSTALL) $(foreach package,$(TORCH),'$(package)') -r requirements/runtime.txt -r requirements/dev.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation -r requirements/openmmlab.txt -e .
	@echo '$(TORCH)' > $@
