# The one entry for people and for CI. `make help` lists what there is.

CARGO ?= cargo
# One selection of packages for every command, so that nothing is built twice.
BUILD := $(CARGO) build --workspace
TARGET := $(or $(CARGO_TARGET_DIR),target)
PLANE := $(TARGET)/debug/plane

.PHONY: help up down run record texts test offline fault cluster cluster-1.18 tlog rest bench lint ci

help: ## this list
	@grep -E '^[a-z0-9.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build:
	@$(BUILD)

up: build ## start the control plane, Kyverno and Docket; write target/run/env
	@$(PLANE) up

down: ## end everything that `make up` started, also after a crash
	@$(CARGO) build --quiet --package docket-tests --bin plane && $(PLANE) down

run: build ## the first run: a day of writes, the record of it, and the proof
	@$(PLANE) run

record: build ## record that day's audit events and reviews into tests/recorded/
	@$(PLANE) record

texts: build ## record what each form of refusal says into tests/recorded/texts (KYVERNO=1.18: that line)
	@$(PLANE) texts

test: ## every ring that this machine can run (CLUSTER=required: skip none; KYVERNO=1.18: that line)
	@tests/rings all

offline: ## tests without network or control plane, in seconds
	@tests/rings offline

fault: ## processes killed, disks filled, writes that fail
	@tests/rings fault

tlog: ## another implementation reads our log (Go)
	@tests/rings tlog

rest: ## requests made from the REST description, against a real reporter (Python)
	@tests/rings rest

cluster: ## the real control plane
	@tests/rings cluster

cluster-1.18: ## of that ring what Kyverno 1.18 does differently, on Kyverno 1.18
	@tests/rings cluster-1.18

bench: ## figures, each a ratio to a baseline of the same run
	@$(CARGO) build --release --workspace
	@$(TARGET)/release/docket-bench witness
	@$(TARGET)/release/docket-bench audit
	@$(TARGET)/release/docket-bench lag
	@$(TARGET)/release/docket-bench watches

lint: ## formatting and lints
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --workspace --all-targets --features docket-tests/cluster,docket-tests/fault,docket-reporter/fault -- -D warnings

ci: lint ## what every change must pass: every ring, of Kyverno 1.18 what differs
	@CLUSTER=required tests/rings all
