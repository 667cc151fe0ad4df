# Everything a user or a contributor runs. Each target installs first what is missing.
#
#   make run     the receiver on an embedded NATS          make test    the test suite
#   make demo    see it work, a few seconds                make check   ruff, mypy, import-linter
#   make bench   lines/s, cost per event, the balance      make faults  kill things, count what is lost
#   make compiled  the core as C, which `run` then takes   make bench-full  longer, and beside peers
#   make lock    renew the pinned versions

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
COMPILED := $(VENV)/compiled
SOURCES := $(shell find service schemas -name '*.py' -o -name '*.toml') hatch_build.py

.PHONY: compiled install run demo test check bench bench-full faults lock clean

install: $(INSTALLED)

$(INSTALLED): requirements/dev.txt pyproject.toml install.sh
	./install.sh $(VENV)
	@touch $@

# With the compiled core once `make compiled` was made of the sources as they are.
run: $(INSTALLED)
	@if $(MAKE) --question $(COMPILED)/.made 2>/dev/null; then export PYTHONPATH=$(CURDIR)/$(COMPILED); fi; \
	exec $(BIN)/mailfault serve

demo: $(INSTALLED)
	$(BIN)/mailfault demo

# The tests start the program some hundred times: without bytecode each start compiles it anew.
test: export PYTHONDONTWRITEBYTECODE =
test: $(INSTALLED)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The core as C, where there is a compiler: what is measured, and what an image can hold.
compiled: $(COMPILED)/.made

$(COMPILED)/.made: $(INSTALLED) $(SOURCES) compile.sh
	./compile.sh $(BIN)/python $(COMPILED)
	@touch $@

bench: compiled
	$(BIN)/python -m benchmarks.run --tree $(COMPILED)

# The peers are Debian's; root has them installed.
bench-full: compiled
	$(BIN)/python -m benchmarks.run --full --tree $(COMPILED)
	$(BIN)/python -m benchmarks.peers --tree $(COMPILED)

faults: $(INSTALLED)
	$(BIN)/python -m tests.faults

COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# Needs uv. Without --upgrade: keeps what still fits.
lock:
	$(COMPILE) $(UPGRADE) pyproject.toml -o requirements/runtime.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra embedded --group dev -o requirements/dev.txt
	$(COMPILE) $(UPGRADE) --constraints requirements/dev.txt \
		--group build --group compile -o requirements/build.txt

clean:
	rm -rf $(VENV) .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
