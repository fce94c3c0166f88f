# Two commands: `make demo` recasts the sample, `make test` runs the tests. Each sets everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test coverage lint docs clean

demo: $(VENV)/installed
	$(BIN)/understudy demo -o film

# Two processes of one thread each: with two threads each they wait for one another, some tests twelve times as long.
test: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not gpu and not browser"

# The floor of the share of lines and branches that tests run stands in pyproject.toml (tool.coverage.report.fail_under).
coverage: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not gpu and not browser" --cov --cov-report term --cov-report json:coverage.json

lint: $(VENV)/installed-dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright --pythonpath $(BIN)/python

# Pages that are made from the code and from what was measured; tests see that they are in step.
docs: $(VENV)/installed-dev
	$(BIN)/python -m scripts.api_page && $(BIN)/python -m scripts.architecture_page
	$(BIN)/python -m scripts.stage_table && $(BIN)/python -m scripts.format_page && $(BIN)/python -m benchmarks.page

$(VENV)/installed: pyproject.toml constraints.txt scripts/system_libraries.sh
	PYTHON=$(PYTHON) sh scripts/system_libraries.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) film
