# syncd: build, test, demonstrate, install. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

SWIFT ?= swift
# Extra flags for every compilation, the same in each step of one run: changed flags rebuild all.
SWIFTFLAGS ?=
DESTDIR ?=
PREFIX ?= /usr
FUZZ_SECONDS ?= 60
BENCH_RUNS ?= 5

export FUZZ_SECONDS BENCH_RUNS SWIFT SWIFTFLAGS

BUILD := $(SWIFT) build $(SWIFTFLAGS)
# The installed programs carry the Swift runtime with them: the target machine needs none.
RELEASE := $(BUILD) -c release --static-swift-stdlib
LINTED := $(wildcard Package.swift Sources Tests Benchmarks Fuzz/Package.swift Fuzz/Sources)
SCRIPTS = $(shell grep -rlIE '^\#!(/usr/bin/env bash|/bin/bash|/bin/sh)' \
	.ci Tests/Support Fuzz Benchmarks packaging --exclude-dir=.build 2>/dev/null)

sbindir := $(PREFIX)/sbin
bindir := $(PREFIX)/bin
unitdir := $(PREFIX)/lib/systemd/system
sysusersdir := $(PREFIX)/lib/sysusers.d
tmpfilesdir := $(PREFIX)/lib/tmpfiles.d
mandir := $(PREFIX)/share/man
docdir := $(PREFIX)/share/doc/syncd
bashdir := $(PREFIX)/share/bash-completion/completions
zshdir := $(PREFIX)/share/zsh/vendor-completions
fishdir := $(PREFIX)/share/fish/vendor_completions.d

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: build ## the daemon among simulated neighbours, on this machine (ARGS=--once: to the end, then exit)
	"$$($(BUILD) --show-bin-path)/syncd-demo" $(ARGS)

.PHONY: test
test: dependencies peers ## every test, with the real peers that are installed (FILTER=regex: only those)
	@Tests/Support/run-tests $(FILTER)

.PHONY: build
build: dependencies ## debug build of everything but the tests
	$(BUILD)

.PHONY: release
release: dependencies ## release build of syncd and syncctl, the Swift runtime linked in
	$(RELEASE) --product syncd
	$(RELEASE) --product syncctl

.PHONY: bench-programs
bench-programs: release
	$(RELEASE) --product dicom-load

.PHONY: bench
bench: bench-programs peers ## speed, memory and cycle cost beside DCMTK and Orthanc (BENCH_RUNS=5)
	Benchmarks/bench --bin "$$($(RELEASE) --show-bin-path)"

.PHONY: bench-smoke
bench-smoke: bench-programs peers ## the same, small: shows that the benchmarks run
	Benchmarks/bench --bin "$$($(RELEASE) --show-bin-path)" --smoke

.PHONY: fuzz
fuzz: dependencies ## libFuzzer with AddressSanitizer over every parser (FUZZ_SECONDS=60 in all)
	Fuzz/run

.PHONY: lint
lint: ## swift format and, where installed, shellcheck
	$(SWIFT) format lint --strict --parallel --recursive --configuration .swift-format $(LINTED)
	@if command -v shellcheck > /dev/null; then shellcheck $(SCRIPTS); \
	else echo 'lint: shellcheck is not installed, scripts not checked' >&2; fi
	@python="$${SYNCD_PEERS:-.peers}/venv/bin/python"; if [ -x "$$python" ]; then \
	"$$python" Tools/render-api --check; \
	else echo 'lint: no peers, docs/*-api.md not checked against the descriptions' >&2; fi

.PHONY: format
format: ## put the Swift sources into the project's format
	$(SWIFT) format --in-place --parallel --recursive --configuration .swift-format $(LINTED)

.PHONY: dependencies
dependencies: ## the Debian packages a build needs; installs only what is missing
	@Tests/Support/install-peers build

.PHONY: peers
peers: ## the Debian packages and Python peers the tests talk to; installs only what is missing
	@Tests/Support/install-peers test

# Nothing goes to /etc: without a configuration file the daemon runs on its built-in defaults.
.PHONY: install
install: release ## install below DESTDIR, with PREFIX=/usr
	bin="$$($(RELEASE) --show-bin-path)"; \
	install -D -m 755 "$$bin/syncd" "$(DESTDIR)$(sbindir)/syncd"; \
	install -D -m 755 "$$bin/syncctl" "$(DESTDIR)$(bindir)/syncctl"; \
	install -d "$(DESTDIR)$(bashdir)" "$(DESTDIR)$(zshdir)" "$(DESTDIR)$(fishdir)"; \
	"$$bin/syncctl" completion bash > "$(DESTDIR)$(bashdir)/syncctl"; \
	"$$bin/syncctl" completion zsh > "$(DESTDIR)$(zshdir)/_syncctl"; \
	"$$bin/syncctl" completion fish > "$(DESTDIR)$(fishdir)/syncctl.fish"
	for unit in units/*.service units/*.socket; do \
	  install -d "$(DESTDIR)$(unitdir)"; \
	  sed 's,/usr/sbin/syncd,$(sbindir)/syncd,g' "$$unit" \
	    > "$(DESTDIR)$(unitdir)/$${unit##*/}"; \
	  chmod 644 "$(DESTDIR)$(unitdir)/$${unit##*/}"; \
	done
	install -D -m 644 units/sysusers.d/syncd.conf "$(DESTDIR)$(sysusersdir)/syncd.conf"
	install -D -m 644 units/tmpfiles.d/syncd.conf "$(DESTDIR)$(tmpfilesdir)/syncd.conf"
	install -d "$(DESTDIR)$(docdir)/drop-ins"
	install -m 644 units/drop-ins/*.conf "$(DESTDIR)$(docdir)/drop-ins/"
	install -m 644 LICENSE README.md config.toml.example docs/dicom-conformance.md docs/dicom-tls.md \
	  docs/stunnel-dicom.conf "$(DESTDIR)$(docdir)/"
	for page in $(wildcard docs/man/*.[1-8]); do \
	  install -D -m 644 "$$page" "$(DESTDIR)$(mandir)/man$${page##*.}/$${page##*/}"; \
	done

# What the daemon has stored (/var/lib/syncd) and its configuration (/etc/syncd) stay.
.PHONY: uninstall
uninstall: ## remove what install put there; state and configuration stay
	rm -f "$(DESTDIR)$(sbindir)/syncd" "$(DESTDIR)$(bindir)/syncctl" \
	  "$(DESTDIR)$(bashdir)/syncctl" "$(DESTDIR)$(zshdir)/_syncctl" \
	  "$(DESTDIR)$(fishdir)/syncctl.fish" \
	  "$(DESTDIR)$(sysusersdir)/syncd.conf" "$(DESTDIR)$(tmpfilesdir)/syncd.conf"
	for unit in $(notdir $(wildcard units/*.service units/*.socket)); do \
	  rm -f "$(DESTDIR)$(unitdir)/$$unit"; done
	for page in $(notdir $(wildcard docs/man/*.[1-8])); do \
	  rm -f "$(DESTDIR)$(mandir)/man$${page##*.}/$$page"; done
	rm -rf "$(DESTDIR)$(docdir)"

.PHONY: clean
clean: ## remove everything built; the Python peers stay (they are in .peers)
	rm -rf .build Fuzz/.build Fuzz/findings
