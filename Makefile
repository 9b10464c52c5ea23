# The project's verbs. CI calls `make test`; a newcomer calls `make demo`.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
BYTECODE := $(VENV)/.bytecode-stamp
NATIVE := src/sidestream/_native.abi3.so
RUST_SOURCES := $(shell find crates -name '*.rs' -o -name '*.[ch]' -o -name 'Cargo.toml' 2>/dev/null) Cargo.toml

.PHONY: setup build run demo test lint fmt unit scenario interop fuzz bench bench-media soak docs lock clean

setup: $(STAMP) ## venv by uv from the lock file

$(STAMP): requirements.lock scripts/setup.sh
	sh scripts/setup.sh $(VENV)
	touch $@

build: $(NATIVE) $(BYTECODE) ## the native module, into the source tree, and bytecode beside the sources

$(NATIVE): $(STAMP) $(RUST_SOURCES)
	. $(BIN)/activate && maturin develop --release --skip-install -q
	touch $@

$(BYTECODE): $(STAMP) $(shell find src -name '*.py')
	$(BIN)/python -m compileall -q src
	touch $@

run: build ## the server, with embedded defaults
	$(BIN)/sidestream serve

demo: build ## a real call, forked and recorded; ONCE=1 ends by itself
	$(BIN)/sidestream demo $(if $(ONCE),--once,)

test: build ## everything that must pass
	sh scripts/test.sh $(VENV)

fmt: setup
	$(BIN)/ruff check -q --fix src tests benches; $(BIN)/ruff format -q src tests benches
	cargo fmt --all

lint: build ## style, types, import contracts, clippy
	sh scripts/lint.sh $(VENV)

unit: build
	$(BIN)/pytest tests/unit tests/contract -q
	cargo test --workspace -q

scenario: build
	$(BIN)/pytest tests/scenario -q

interop: build
	sh scripts/install-peers.sh
	$(BIN)/pytest tests/interop -q

fuzz: build
	sh scripts/fuzz.sh $(VENV)

bench: build
	$(BIN)/python -m benches

bench-media: build ## the media engine beside rtpengine; the table goes into docs/topics/performance-media.md
	$(BIN)/python -m benches media --write

soak: build ## as many calls as one engine may have; then ten minutes of 500 that come and go: nothing may grow, leak or go astray
	$(BIN)/python -m benches full
	$(BIN)/python -m benches soak

docs: build ## regenerate what the docs take from the code
	$(BIN)/python scripts/generate_docs.py

lock: ## resolve the dependencies anew
	$(BIN)/uv pip compile -q pyproject.toml --extra dev --generate-hashes --no-header -o requirements.lock

clean:
	rm -rf $(VENV) target $(NATIVE)
