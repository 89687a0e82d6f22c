# fishnet_mmdet: `make help` lists what there is.
# Every step of the set-up leaves a stamp in .venv/.done, so that a second call does nothing and an interrupted one goes on
# where it stopped.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
DONE := $(VENV)/.done
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
MMCV := mmcv==2.1.0

# The torch of an earlier set-up stays until another one is asked for.
installed_torch := $(shell cat $(DONE)/torch 2>/dev/null)
TORCH ?= $(or $(installed_torch),torch==2.13.0)

.PHONY: help setup demo test lint clean FORCE

help:
	@echo 'make demo    set up what is missing, then train FishNet-150 in two stages, evaluate and show it, on generated data'
	@echo 'make test    set up what is missing, then run the tests'
	@echo 'make lint    set up what is missing, then run ruff'
	@echo 'make setup   only set up (.venv: torch, the OpenMMLab stack, mmcv with its ops compiled, this package)'
	@echo '             TORCH=torch==X.Y.Z chooses another torch, for a CUDA machine say; it stays chosen'
	@echo 'make clean   remove .venv, work_dirs/demo and caches'

setup: $(DONE)/package

DEMO := work_dirs/demo
DEMO_CLASSIFIER := configs/demo_classifier_fishnet150_shapes.py
DEMO_DETECTOR := configs/demo_mask_rcnn_fishnet150_shapes.py
demo: setup
	$(BIN)/python tools/make_shapes.py $(DEMO)/shapes --train 400 --val 40
	@echo 'Stage 1: FishNet-150 learns to classify the objects'
	$(BIN)/python tools/train.py $(DEMO_CLASSIFIER) --work-dir $(DEMO)/classifier
	@echo 'Stage 2: Mask R-CNN begins with what stage 1 has learned'
	$(BIN)/python tools/train.py $(DEMO_DETECTOR) --work-dir $(DEMO)/detector
	$(BIN)/python tools/test.py $(DEMO_DETECTOR) $$(cat $(DEMO)/detector/last_checkpoint) --eval bbox segm --work-dir $(DEMO)/test --show-dir pictures
	$(BIN)/python tools/plot_curves.py $(DEMO)/classifier --out $(DEMO)/classifier_curves.png
	$(BIN)/python tools/plot_curves.py $(DEMO)/detector --out $(DEMO)/curves.png
	@echo "Curves of the losses and of AP:  $(DEMO)/curves.png (stage 1: $(DEMO)/classifier_curves.png)"
	@echo "The truth beside what was found: $$(ls -d $(DEMO)/test/*/pictures | tail -n 1)/"

# Two processes of one thread each: most tests are too small for two threads to share.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) work_dirs/demo build *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(DONE)/venv:
	@[ -n '$(PYTHON)' ] && '$(PYTHON)' -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo 'The set-up needs Python 3.11, found: $(or $(PYTHON),none). Install it, or name it: make setup PYTHON=/path/to/python3.11'; exit 1; }
	@command -v c++ >/dev/null \
	  || { echo 'The set-up compiles mmcv and needs a C++ compiler (c++ on the PATH): install g++, on Debian or Ubuntu "apt-get install g++".'; exit 1; }
	'$(PYTHON)' -m venv $(VENV)
	mkdir -p $(DONE)
	touch $@

ifneq ($(TORCH),$(installed_torch))
$(DONE)/torch: FORCE
endif
$(DONE)/torch: requirements/build.txt | $(DONE)/venv
	rm -f $@ $(DONE)/mmcv
	$(PIP) install $(TORCH) -r requirements/build.txt
	echo '$(TORCH)' > $@

$(DONE)/runtime: requirements/runtime.txt $(DONE)/torch
	$(PIP) install -r requirements/runtime.txt
	touch $@

# pip may hold a wheel of mmcv that was built without torch or against another one: that one is built again.
compile_mmcv = $(PIP) install -v --no-build-isolation --no-deps $(1) $(MMCV) 2>&1 | tee $(VENV)/mmcv-build.log \
  | grep --line-buffered -oE '^ *\[[0-9]+/[0-9]+\]|^Successfully installed.*|^ *error:.*' || true
$(DONE)/mmcv: $(DONE)/runtime
	@echo 'Compiling the ops of $(MMCV): about 9 minutes on 2 cores (log: $(VENV)/mmcv-build.log) ...'
	@$(call compile_mmcv,)
	@$(BIN)/python -c 'import mmcv._ext' 2>/dev/null || { $(call compile_mmcv,--no-cache-dir --force-reinstall); }
	@$(BIN)/python -c 'import mmcv._ext' \
	  || { echo 'mmcv was not compiled: see $(VENV)/mmcv-build.log, then call make setup again.'; exit 1; }
	touch $@

$(DONE)/package: setup.py requirements/dev.txt $(DONE)/mmcv
	$(PIP) install -r requirements/dev.txt
	$(PIP) install --no-build-isolation --no-deps -e .
	touch $@
