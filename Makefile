# Two commands do all the set-up on a fresh machine:
#
#   make demo    the main job on real recordings, in a scratch folder (needs Go, git, make)
#   make test    everything; installs the engines it tests against into .tools/
#
# KEEP=DIR keeps the demo's installation, JSON=1 prints its steps as records.

SHELL := /bin/bash
export CGO_ENABLED ?= 0
BUILD := go build -trimpath -ldflags='-s -w'

.PHONY: all build demo test lint tools bench campaign package openapi clean

all: build

build:
	$(BUILD) -o bin/arca ./cmd/arca
	$(BUILD) -o bin/arca-verify ./cmd/arca-verify

demo: build
	bin/arca demo $(if $(KEEP),--keep "$(KEEP)") $(if $(JSON),--json)

tools:
	tools/install

test: tools
	tools/test

lint:
	tools/lint

# Prints ratios against limits and peers measured in the same run. BENCH=seal|packs|open|log|start|release|mirror|scrub|law|oversight|destroy picks some.
bench: build
	tools/bench $(BENCH)

# The long campaigns in full; SEED=n repeats one, CAMPAIGN=Audit picks those with that in their name.
campaign:
	ARCA_CAMPAIGN=full ARCA_SEED=$(SEED) go test -count=1 -timeout 12h -run '$(CAMPAIGN).*Campaign' -v ./...

package:
	go run ./tools/package -o dist/arca.zip

# After a change of an operation: writes docs/openapi.json anew.
openapi:
	go test ./functions -run Description -update

clean:
	rm -rf bin dist
