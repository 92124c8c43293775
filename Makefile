# Everything a fresh clone needs: Python 3.11 or 3.12, git, make. `make help` lists the targets.
VENV ?= .venv
# GRID clips for benchmarks/quality.py; see CONTRIBUTING.md.
DATA ?= data/grid
# Further arguments for pytest: make test ARGS="-k ring"
ARGS ?=
SECONDS_OF ?= 600

BIN := $(VENV)/bin
PYTHON := $(BIN)/python
PIP := $(PYTHON) -m pip --quiet --quiet --disable-pip-version-check --no-input
# hatchling is in the lock, so the package itself is built with that one and nothing unpinned is downloaded.
INSTALL_SELF := $(PIP) install --no-deps --no-build-isolation --editable .

.PHONY: help demo test test-slow test-ci test-long test-train fuzz lint format bench lock venv system system-test gpu clean
.DELETE_ON_ERROR:

help:
	@echo "make demo        dub the built-in portrait with the built-in speech into demo.mp4"
	@echo "make test        run the tests;  make test-slow: those that take long;  make test-ci: both at once"
	@echo "make test-long   those that take long, in every order"
	@echo "make test-train  those of the training kit (installs torch)"
	@echo "make fuzz        ten minutes of broken input for every reader of files and texts"
	@echo "make lint        ruff and mypy;  make format: let ruff mend what it can"
	@echo "make bench       the benchmarks; make bench DATA=folder for the one that needs clips"
	@echo "make venv        install what running needs into $(VENV);  make system: the system libraries"
	@echo "make gpu         put onnxruntime-gpu in the place of onnxruntime"
	@echo "make lock        resolve requirements/*.lock anew;  make clean: remove what was made"

demo: $(VENV)/.base $(VENV)/.system
	@echo "demo: 12 seconds, live ..."
	@$(BIN)/realtime-dub --webcam demo --mic demo --to demo.mp4 --seconds 12 \
		--contact-sheet demo.png --stats-json demo.json
	@echo "demo: see demo.mp4 (video), demo.png (source, mouth and result side by side), demo.json (statistics)"

test: $(VENV)/.dev $(VENV)/.system-test
	@tools/test.sh $(PYTHON) "not slow and not long" $(ARGS)

test-slow: $(VENV)/.dev $(VENV)/.system-test
	@tools/test.sh $(PYTHON) "slow and not long" $(ARGS)

# The same tests as both of these, in less time.
test-ci: $(VENV)/.dev $(VENV)/.system-test
	@tools/test.sh $(PYTHON) "not long" $(ARGS)

test-long: $(VENV)/.train $(VENV)/.system-test
	@$(PYTHON) -m pytest --ignore=tests/train -m long $(ARGS)
	@$(PYTHON) -m pytest tests/train -m long $(ARGS)

test-train: $(VENV)/.train $(VENV)/.system-test
	@$(PYTHON) -m pytest tests/train -m "not long" $(ARGS)

# SECONDS_OF=60 for a shorter look; ARGS="--kind srt --seed 2" for one reader and other copies.
fuzz: $(VENV)/.train $(VENV)/.system
	@PYTHONPATH=tests $(PYTHON) -m fuzz --seconds $(SECONDS_OF) $(ARGS)

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.base $(VENV)/.system
	@$(PYTHON) -m benchmarks.stages --size 480p,720p,1080p,2160p
	@$(PYTHON) -m benchmarks.latency --size 480p,720p,1080p --fps 30
	@$(PYTHON) -m benchmarks.files --size 480p,1080p
	@if [ -d "$(DATA)" ]; then $(PYTHON) -m benchmarks.quality --data "$(DATA)"; \
	else echo "benchmarks/quality.py needs clips, and $(DATA) does not exist: make bench DATA=folder"; fi

lock:
	@tools/lock.sh $(ARGS)

venv: $(VENV)/.base

system: $(VENV)/.system

system-test: $(VENV)/.system-test

# Both packages own the folder onnxruntime/, so the CPU one goes and the other is laid down whole, at the same version.
gpu: $(VENV)/.base
	@version=$$(sed -nE 's/^onnxruntime==([^ ]+).*/\1/p' requirements/base.lock) && \
	$(PIP) uninstall --yes onnxruntime onnxruntime-gpu && \
	$(PIP) install "onnxruntime-gpu[cuda,cudnn]==$$version" && \
	$(PYTHON) -c 'import realtime_dub, onnxruntime; print("onnxruntime providers:", *onnxruntime.get_available_providers())'

$(PYTHON):
	@python=$$(tools/python.sh) && tools/system-packages.sh venv "$$python" && \
	echo "$(VENV): new virtual environment with $$("$$python" --version)" && "$$python" -m venv "$(VENV)"

$(VENV)/.base: requirements/base.lock pyproject.toml | $(PYTHON)
	@echo "$(VENV): installing what running needs (about 300 MB, the first time it is downloaded) ..."
	@$(PIP) install --require-hashes --requirement requirements/base.lock
	@$(INSTALL_SELF)
	@touch $@

$(VENV)/.dev: requirements/dev.lock requirements/fleet.lock pyproject.toml | $(PYTHON)
	@echo "$(VENV): installing what running and testing needs (about 410 MB, the first time it is downloaded) ..."
	@$(PIP) install --require-hashes --requirement requirements/dev.lock --requirement requirements/fleet.lock
	@$(INSTALL_SELF)
	@touch $@ $(VENV)/.base

# torch without CUDA where such a wheel is at hand (PyPI has none for Linux), else PyPI's.
$(VENV)/.train: requirements/train.lock requirements/cpu.lock requirements/cuda.lock $(VENV)/.dev
	@echo "$(VENV): installing what training needs (torch: 200 MB for the CPU, some GB for CUDA) ..."
	@$(PIP) install --no-deps --require-hashes --requirement requirements/cpu.lock 2> /dev/null || true
	@$(PIP) install --no-deps --require-hashes --requirement requirements/train.lock
	@case $$($(PYTHON) -c 'import sys, torch; print(sys.platform, torch.__version__)') in \
	linux*+cpu) ;; linux*) $(PIP) install --no-deps --require-hashes --requirement requirements/cuda.lock;; esac
	@touch $@

$(VENV)/.system: tools/system-packages.sh | $(PYTHON)
	@tools/system-packages.sh run
	@touch $@

$(VENV)/.system-test: tools/system-packages.sh | $(PYTHON)
	@tools/system-packages.sh test
	@touch $@ $(VENV)/.system

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .python build dist demo.mp4 demo.png demo.json
	find realtime_dub engines export benchmarks tests -name __pycache__ -prune -exec rm -rf {} +
	if [ -e "$(VENV)/.base" ]; then rm -rf "$(VENV)"; fi
