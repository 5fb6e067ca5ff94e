# Two commands are enough: `make run` starts a shop, `make test` proves it.
.PHONY: help run up down build test test-swift test-simulation test-processes test-faults test-mixed test-public test-deploy simulate mutants overload soak \
	bench bench-docs bench-guard bench-services lint format clean

BINARY := .build/release/kontor
# The tests in Python are modules below the repository (Tests/kontor_testing says why), and take the binary from here.
export KONTOR_BINARY := $(CURDIR)/$(BINARY)
# One file to copy, and a sixth faster: no calls through the linker's table, and no exclusivity checks, which the tests run with.
RELEASE := -c release --static-swift-stdlib -Xswiftc -enforce-exclusivity=unchecked -Xlinker -ljemalloc

help:
	@echo "make run              build in release mode and serve on http://127.0.0.1:8000"
	@echo "make up               the same as three services over Redis behind nginx, on this machine (REPLICAS=2: two of each)"
	@echo "make down             end what make up started; the data stay"
	@echo "make test             install what the tests need, and run all of them"
	@echo "make test-swift       the Swift tests only: rules, saga, services, stores, HTTP, tidiness"
	@echo "make test-processes   the tests that start, kill and starve the real binary"
	@echo "make test-public      the suites in test/, at length: correctness, stress, 20 consistency runs each way, both stores (5 min)"
	@echo "make test-simulation  2,000 simulated worlds, the same each time, and a minute of new ones"
	@echo "make simulate         10,000 simulated worlds: crashes, lost messages, wrong clocks, a store that fails over"
	@echo "make mutants          one-line bugs in a copy of the sources, woken one at a time: the simulator must catch each (an hour)"
	@echo "make overload         30 s at 3 times the peak: what is done, what is refused, what is left behind (3 min)"
	@echo "make test-faults      10 of each fault of the three services: 540 kills and pauses, failovers, partitions; 140 kills of shops that reserve (45 min)"
	@echo "make test-mixed       processes of the last release and of this one over one store, forth and back, under load (1 min)"
	@echo "make bench            the comparison: Kontor embedded and over Redis, nginx, PostgreSQL, Redis alone, as ratios (5 min)"
	@echo "make bench-docs       puts what the last make bench measured into docs/performance.md, to be looked at and committed"
	@echo "make bench-guard      instructions of the hot paths, counted by callgrind: fails if they rise by 5 %"
	@echo "make test-deploy      image, docker-compose, Kubernetes' manifests and scripts, tried with podman (needs root and kubectl)"
	@echo "make bench-services   checkouts per second of three services over Redis, and who needs the processor (2 min)"
	@echo "make soak             10 min at half of the peak: memory, journal and p99 must stay flat"
	@echo "make lint             what the formatter would change, times outside of Swift that do not follow the deadlines, stale mutants"
	@echo "make format           change it"
	@echo "make clean            remove what was built"

run: build
	$(BINARY) serve

REPLICAS ?= 1

up: build
	@scripts/need python3 redis-server nginx
	deploy/local/up --replicas $(REPLICAS)

down:
	deploy/local/down

build:
	@scripts/need libsqlite3-dev libjemalloc-dev
	swift build $(RELEASE) --product kontor

test: lint build test-swift test-simulation bench-guard test-processes
	@echo "All tests passed."

# These wait for sockets and servers, by the clock: not beside tests that fill the processors.
TIMED := ^(HTTPTests|LinkTests|RedisClientTests|RedisTests|StoreContractTests)\.

test-swift:
	@scripts/need libsqlite3-dev openssl redis-server
	swift test --skip '$(TIMED)'
	swift test --filter '$(TIMED)'

# A seed that failed once is in the first part for ever; new worlds are for what nobody has thought of.
test-simulation: build
	$(BINARY) simulate --first 1 --seeds 2000
	$(BINARY) simulate --minutes 1

simulate: build
	$(BINARY) simulate --seeds 10000

mutants:
	@scripts/need libsqlite3-dev python3
	python3 Tests/Mutants/mutants.py

test-processes: build
	@scripts/need python3 python3-venv openssl strace e2fsprogs mount prometheus redis-server nginx iproute2 iptables chromium chromium-driver
	python3 -m unittest discover -v -t . -s Tests/Processes

test-faults: build
	@scripts/need python3 redis-server nginx iproute2 iptables strace
	KONTOR_FAULTS=10 python3 -m unittest -v $(addprefix Tests.Processes.services.,test_service_kills test_cluster test_partitions)
	KONTOR_RESERVATION_KILLS=100 python3 -m unittest -v Tests.Processes.crashes.test_reservations

# The release before this one: KONTOR_OLD_BINARY, else what its commit gives.
OLD_COMMIT := a3307ad
KONTOR_OLD_BINARY ?= $(CURDIR)/.build/old/$(BINARY)

test-mixed: build
	@scripts/need python3 redis-server nginx
	test -x $(KONTOR_OLD_BINARY) || { mkdir -p .build/old && git archive $(OLD_COMMIT) | tar -x -C .build/old && \
		cd .build/old && swift build $(RELEASE) --product kontor; }
	KONTOR_OLD_BINARY=$(KONTOR_OLD_BINARY) python3 -m unittest -v Tests.Processes.services.test_mixed

# Freshly started shops: embedded, and three services over Redis behind the gateway. First, that the suites can fail.
test-public: build
	@scripts/need python3 python3-venv redis-server nginx
	KONTOR_CONSISTENCY_RUNS=20 KONTOR_STRESS_SECONDS=20 \
		python3 -m unittest -v $(addprefix Tests.Processes.suites.,test_suites_judge test_suites)

# Where the table, the pictures and the text of docs/performance.md go.
RESULTS ?= .build/bench

bench: build
	@scripts/need python3 redis-server nginx postgresql
	python3 -m Tests.Bench.compare --to $(RESULTS)

# What the last `make bench` measured.
bench-docs:
	python3 -m Tests.Bench.compare --to $(RESULTS) --docs

bench-guard:
	@scripts/need libsqlite3-dev libjemalloc-dev python3 valgrind binutils
	swift build $(RELEASE) --product kontor-guard
	python3 Tests/Guard/guard.py

# kubectl comes from wherever you have it; Debian's is too old to render what it should.
test-deploy: build
	@scripts/need python3 python3-venv binutils podman runc netavark aardvark-dns catatonit iptables debootstrap shellcheck
	@command -v kubectl >/dev/null || { echo "kubectl is needed, for kubectl kustomize"; exit 1; }
	Tests/Deploy/environment
	timeout -k 60 1800 .build/deploy/venv/bin/python -m unittest discover -v -t . -s Tests/Deploy

bench-services: build
	@scripts/need python3 redis-server nginx wrk
	python3 -m Tests.Processes.load.services_bench

overload: build
	@scripts/need python3 util-linux
	python3 -m Tests.Processes.load.overload

soak: build
	@scripts/need python3 util-linux
	python3 -m Tests.Processes.load.soak

lint:
	@scripts/need python3
	swift format lint --strict --recursive Sources Tests Package.swift
	scripts/derive-times --check
	python3 Tests/Mutants/mutants.py --check

format:
	swift format --in-place --recursive Sources Tests Package.swift
	scripts/derive-times

clean:
	swift package clean
