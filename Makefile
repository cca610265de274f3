# guardrail: PGXS build.
#
#   make                 build (PG_CONFIG=... for another server)
#   make install         install into that server
#   make installcheck    regress and isolation tests against a running server
#   make WERROR=1        warnings are errors
#   make bench           measure, on a cluster of its own (SCALE=10, RUNS=5)

EXTENSION = guardrail
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(EXTENSION).control)
MODULE_big = guardrail

SRCS = $(sort $(wildcard src/*.c src/*/*.c))
OBJS = $(SRCS:.c=.o)
ALL_HEADERS = $(wildcard src/*.h src/*/*.h)

# scripts of released versions, and those that make puts together, the templates of upgrades among them
SQL_PARTS = $(sort $(wildcard sql/columns/*) $(wildcard sql/parts/*.sql))
DATA = $(sort $(wildcard sql/$(EXTENSION)--*.sql))
DATA_built = $(EXTENSION)--$(EXTVERSION).sql $(patsubst sql/%.in,%,$(sort $(wildcard sql/$(EXTENSION)--*.sql.in)))
EXTRA_CLEAN = $(DATA_built) results regression.diffs regression.out output_iso build

REGRESS = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --dbname=guardrail_regress
ISOLATION = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=. --dbname=guardrail_isolation

PG_CONFIG ?= pg_config
PG_CPPFLAGS = -DGUARDRAIL_VERSION='"$(EXTVERSION)"' -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server)
PG_CFLAGS = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-declaration-after-statement \
	-Wno-missing-field-initializers -ffp-contract=off
ifdef WERROR
PG_CFLAGS += -Werror
endif
SHLIB_LINK = -lgsl -lgslcblas -lm
# calls of our own functions go straight to them
ifeq ($(shell uname -s),Linux)
SHLIB_LINK += -Wl,-Bsymbolic-functions
endif

# the bitcode of the inliner would need clang and gains nothing here
override with_llvm = no

# clang is told of warnings and flags that the server was built with by gcc
ifneq (,$(findstring clang,$(shell $(CC) --version 2>/dev/null)))
PG_CFLAGS += -Wno-unknown-warning-option -Wno-ignored-optimization-argument
endif

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# one hand-written set of parts, two generated scripts; a part that is wrong leaves none
.DELETE_ON_ERROR:
$(EXTENSION)--$(EXTVERSION).sql: sql/assemble.awk $(SQL_PARTS) $(EXTENSION).control
	awk -f sql/assemble.awk $(SQL_PARTS) > $@

$(EXTENSION)--%.sql: sql/$(EXTENSION)--%.sql.in sql/assemble.awk $(SQL_PARTS)
	awk -f sql/assemble.awk $(SQL_PARTS) $< > $@

$(OBJS): $(ALL_HEADERS) Makefile

# how long a check takes, beside other ways to get its numbers; see test/bench/run
.PHONY: bench
bench:
	test/bench/run
