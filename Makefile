# Everything happens in .venv; the stamp makes the set-up run again only when the pins or the package metadata change.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Two workers of one thread each, since threads of both would wait for each other; one that is done takes over from the other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(if $(ROOM),tests/$(ROOM))

.PHONY: demo test test-biology test-slow test-long lint format bench docs clean

demo: $(STAMP)   ## simulate, distil, train with AMRB and report, in one to two minutes
	rm -rf demo
	$(BIN)/rmaat demo --out demo

test: $(STAMP)   ## the default suite, of all rooms or of one: make test ROOM=bridge
	$(PYTEST) -m "not slow and not biology"

test-biology: $(STAMP)   ## what builds and runs networks on Brian2
	$(PYTEST) -m "biology and not long"

test-slow: $(STAMP)   ## what takes from some ten seconds to minutes a test
	$(PYTEST) -m "slow and not biology and not long"

test-long: $(STAMP)   ## what takes five minutes and more a test, which CI leaves out
	$(PYTEST) -m long

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
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all,docs]"
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -n -W --keep-going -q -b html docs docs/_build/html

# torch first: a later package that asks for "torch" would otherwise fetch its newest build, CUDA included.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all,test,lint]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist demo docs/_build docs/gallery *.egg-info
