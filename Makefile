# For a newcomer: `make install` to read, `make demo` to see the whole way, `make test`. Each makes its own .venv first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
DEMO := data/demo
DEMO_STYLE := --height 32 --style kalapa --effects clean \
	--faces patrickhand,mali,itim,grapenuts,sriracha,playpensans,shantellsans,grandstander
export PYTHONWARNINGS = ignore
export NO_ALBUMENTATIONS_UPDATE = 1

.PHONY: install demo test test-extras test-gpu lint types layers bench clean

.venv/.installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	touch $@

# What reading needs, and nothing else.
install: .venv/bin/netchu

.venv/bin/netchu: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# The release reads twelve lines as soon as reading is installed. Then the whole way once: renders lines, trains on them
# for some minutes, reads held-out ones and scores the answers, with the release's beside.
demo: .venv/bin/netchu
	$(BIN)/python scripts/first_lines.py $(DEMO)/first_lines.png
	@echo "Next: what training needs (6 GB), then lines are drawn, trained on, read and scored."
	@$(MAKE) --no-print-directory .venv/.installed
	$(BIN)/python synthetic_data/gendata_address.py --count 5000 --writers 80 --seed 1 $(DEMO_STYLE) --out $(DEMO)/train
	$(BIN)/python synthetic_data/gendata_address.py --count 200 --writers 20 --seed 2 $(DEMO_STYLE) --out $(DEMO)/test
	$(BIN)/python prepare_ext_data.py --labels-tsv $(DEMO)/train --out $(DEMO)
	$(BIN)/python train.py -C demo
	$(BIN)/python infer.py --images $(DEMO)/test --bundles outputs/demo/best.safetensors --restart \
		--labels $(DEMO)/test/labels.tsv --out outputs/demo/submission.csv --samples outputs/demo/samples.png
	@echo "The same lines, read by the released ensemble:"
	$(BIN)/python infer.py --images $(DEMO)/test --labels $(DEMO)/test/labels.tsv --out outputs/demo/released.csv --restart

# Two test processes of one thread each: more threads would only wait for one another. Each begins with half of the files,
# so that what a file prepares is mostly prepared once, and takes from the other when it is done.
test: lint types layers
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# What only a GPU can show: fp16 with its scaler, CTC and resume on the device, compile, two processes.
test-gpu: .venv/.installed
	$(BIN)/python -m pytest -m gpu --numprocesses 0 -rs

# The tests that need packages which nothing else does, in an environment of their own. They are installed after the
# measured versions, since they move some of them: MLflow 3.17 wants pyarrow below 26.
EXTRAS := executorch,wandb,comet,mlflow
test-extras:
	$(PYTHON) -m venv .venv-extras
	.venv-extras/bin/python -m pip install --quiet --requirement requirements.txt
	.venv-extras/bin/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	OMP_NUM_THREADS=1 .venv-extras/bin/python -m pytest tests/export tests/experiments/test_tracking.py

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed
	$(BIN)/mypy

layers: .venv/.installed
	$(BIN)/lint-imports

# Rates of this machine beside those of a published trainer; installs it into a folder of its own.
bench: .venv/.installed
	$(BIN)/python -m benchmarks.train_step

clean:
	rm -rf .venv .venv-extras $(DEMO) outputs/demo
