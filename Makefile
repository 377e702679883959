# Everything happens in .venv; the stamp makes the set-up run again only when the pins or the package metadata change.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SLOW   ?= slow

.PHONY: demo test test-slow lint format bench docs clean

demo: $(STAMP)   ## simulate, distil, train with AMRB and report, in two to four minutes
	rm -rf demo
	$(BIN)/rmaat demo --out demo

test: $(STAMP)   ## the default suite: two workers of one thread each, which would otherwise wait for each other
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-slow: $(STAMP)   ## the tests that take from some ten seconds to minutes each, in the same way
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "$(SLOW)" -n 2 --dist loadfile

lint: $(STAMP)   ## ruff (rules and formatting) and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/rmaat bench

docs: $(STAMP)   ## the pages, the gallery (executed) and the API, into docs/_build/html; warnings are errors
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -n -W --keep-going -q -b html docs docs/_build/html

# torch first: a later package that asks for "torch" would otherwise fetch its newest build, CUDA included.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,lint]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist demo docs/_build docs/gallery *.egg-info
