# The two commands of the README are `make demo` and `make test`; both install what is missing.

CARGO ?= cargo
# Debian keeps nft, ip and servers where an ordinary user does not look.
export PATH := $(PATH):/usr/sbin:/sbin
PREFIX ?= /usr
DESTDIR ?=
INSTALL_BINARY ?= target/release/portgrave

# The tests write policies, which are read only where nobody but their owner may write.
CARGO_TEST = umask 022; $(CARGO) test --locked

.PHONY: help setup build demo test kernels lint fmt bench soak fuzz install clean

help:
	@echo 'make demo     the main job in throwaway network namespaces (ROWS=1: with the table of rows)'
	@echo 'make test     all tests; installs what they need'
	@echo 'make kernels  the tests of rulesets and rows under other kernels in qemu (Debian only; SUITES=bullseye: one)'
	@echo 'make setup    installs what a build needs'
	@echo 'make build    target/release/portgrave'
	@echo 'make lint     formatting and clippy, warnings denied'
	@echo 'make fmt      formats the sources'
	@echo 'make bench    times, each as a ratio in one run'
	@echo 'make soak     the random proofs at length, and make fuzz'
	@echo 'make fuzz     every fuzz target for 5 minutes (SECONDS=60: for a minute; TARGETS=dns: that one)'
	@echo 'make install  into DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)'
	@echo 'make clean    removes target/'

setup:
	@scripts/setup build

build: setup
	$(CARGO) build --locked --release

demo:
	@scripts/setup demo
	@$(CARGO) build --locked --release
	@$(CARGO) build --locked --tests
	@scripts/demo

test:
	@scripts/setup test
	$(CARGO_TEST) --no-default-features --lib
	$(CARGO_TEST)

# docs/kernels.md says which kernels these are.
kernels:
	@scripts/setup kernels
	@umask 022; scripts/kernels $(SUITES)

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features -- -D warnings

fmt:
	$(CARGO) fmt

bench:
	@scripts/setup test
	umask 022; $(CARGO) bench --locked --bench apply

# The same tests as in `make test`, with larger counts, of which docs/performance.md has the figures; then the fuzzer.
soak:
	@scripts/setup test
	$(CARGO) build --locked --release
	export PORTGRAVE_TEST_SECONDS=3600 PORTGRAVE_TEST_NAME_SECONDS=600 PORTGRAVE_BIN="$(CURDIR)/target/release/portgrave"; \
		$(CARGO_TEST) --test agent_size -- --nocapture --test-threads=1
	export PORTGRAVE_TEST_POLICIES=20000 PORTGRAVE_TEST_PACKETS=50 PORTGRAVE_TEST_BATCHES=20000 \
		PORTGRAVE_TEST_KILLS=500 PORTGRAVE_TEST_RELOADS=1000 PORTGRAVE_TEST_SECONDS=3600 \
		PORTGRAVE_TEST_TEXTS=20000 PORTGRAVE_TEST_FLOOD=1000000 PORTGRAVE_TEST_LOOKS=300; \
		$(CARGO_TEST) --test meaning --test answers --test judged --test kernel_fake --test cli --test reload --test texts \
		--test agent_denied --test agent_drift --test agent_kills --test agent_reload
	$(MAKE) fuzz

# One after the other; the first finding ends it.
SECONDS ?= 300
TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
fuzz:
	@scripts/setup build
	set -e; for target in $(TARGETS); do scripts/fuzz $$target $(SECONDS); done

install: build
	install -D -m 0755 $(INSTALL_BINARY) "$(DESTDIR)$(PREFIX)/sbin/portgrave"
	install -d -m 0755 "$(DESTDIR)$(PREFIX)/share/portgrave/policy"
	install -m 0644 -t "$(DESTDIR)$(PREFIX)/share/portgrave/policy" policy/*.toml
	set -e; for file in $$(cd docs/examples && find . -type f); do \
		install -D -m 0644 "docs/examples/$$file" "$(DESTDIR)$(PREFIX)/share/doc/portgrave/examples/$$file"; done
	install -d -m 0750 "$(DESTDIR)/etc/portgrave" "$(DESTDIR)/etc/portgrave/policy.d" \
		"$(DESTDIR)/etc/portgrave/portgrave.d"
	test -e "$(DESTDIR)/etc/portgrave/portgrave.toml" || \
		install -m 0640 packaging/portgrave.toml "$(DESTDIR)/etc/portgrave/portgrave.toml"

clean:
	$(CARGO) clean
