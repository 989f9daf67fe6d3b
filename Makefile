# SPDX-License-Identifier: MIT
#
# lariat's Makefile. `make` builds ./lariat, `make help` lists the rest.
#
#   src/**/*.c        one object each under build/<variant>/; the variants are release, asan and lint
#   lua/**/*.lua      embedded: build/embed, made of src/embed.c, turns them into build/embedded.c
#   .ci/floors.lua    checks that no file of src/ includes or calls a file of a higher floor
#   .ci/deps.sh       which Debian packages each target needs; checks for them, installs them
#   spec/support/run.sh   runs the specs and ends with the line "N passed, N failed"
#
# Nothing here calls make again. Every target that compiles or runs something depends on `ready`, which checks for the
# packages that the targets on the command line need. `make demo`, `make test` and the like install missing packages;
# plain `make` only names them. Before `ready` is done pkg-config and the compiler may not exist, so every variable that
# calls them is expanded late, inside recipes.

VERSION = 0.1.0

PREFIX   = /usr/local
CFLAGS  ?= -O3 -g
LUA_PC  ?= lua5.4
ifeq ($(origin CC),default)
CC = gcc
endif

# Narrow or scale a run of the specs: make test SPEC=spec/tcp_bind_spec.lua FILTER="in use" SCALE=4
SPEC      ?= spec/
FILTER    ?=
TESTFLAGS ?=
CASE      ?=

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.PHONY: all ready deps deps-peers demo test asan valgrind lint format bench-build bench bench-peers
.PHONY: install install-docs uninstall clean help lint-lua lint-format lint-cppcheck lint-compile lint-floors luasocket-tests

all: lariat  ## build ./lariat

## ---- packages -------------------------------------------------------------------------------------------------------

wants   = $(filter $(1),$(MAKECMDGOALS))
NEEDS   = build $(if $(call wants,deps test asan valgrind luasocket-tests),test) $(if $(call wants,deps lint format),lint) \
          $(if $(call wants,deps valgrind),valgrind) $(if $(call wants,deps-peers),peers)
INSTALL = $(call wants,deps deps-peers demo test asan valgrind luasocket-tests lint format bench bench-build)

ready:
	@.ci/deps.sh $(if $(INSTALL),install,check) $(NEEDS)

deps: ready  ## install what building, testing and linting need (Debian; says so, uses sudo if not root)
	@echo "deps: everything is installed"

deps-peers: ready  ## install the other runtimes that benchmarks compare with
	@echo "deps-peers: everything is installed"

## ---- the program ----------------------------------------------------------------------------------------------------

SOURCES   := $(filter-out src/embed.c,$(sort $(wildcard src/*.c src/*/*.c)))
LUA_TREE  := $(sort $(shell find lua -type d -o -type f -name '*.lua'))
LUA_FILES := $(filter %.lua,$(LUA_TREE))
objects    = $(SOURCES:src/%.c=build/$(1)/%.o) build/$(1)/embedded.o

# pkg-config is called once for each, at first use. Lua's headers count as system headers, so that its macros cause no
# warnings.
late       = $(eval $(1) := $$(shell $(2)))$($(1))
LUA_CFLAGS = $(call late,LUA_CFLAGS,pkg-config --cflags $(LUA_PC) libuv | sed 's/-I */-isystem /g')
LUA_LIBS   = $(call late,LUA_LIBS,pkg-config --libs $(LUA_PC))
UV_STATIC  = $(call late,UV_STATIC,pkg-config --libs libuv-static)
UV_LIBS    = $(call late,UV_LIBS,pkg-config --libs libuv)

# Lua and libuv are linked in statically: calls of their functions are cheaper, and a program with fewer libraries starts
# sooner (readline is loaded by the prompt only). C modules for Lua must find Lua's names in the program (-Wl,-E), and
# never ours or libuv's by accident: those stay hidden. The program is linked to a fixed address, because Lua's seed for
# hashing depends on it (src/exact/exact.c).
LANGUAGE = -std=c11 -D_GNU_SOURCE -DLARIAT_VERSION='"$(VERSION)"' -Isrc -pthread -fvisibility=hidden -fno-pie
WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=undefined
COMPILE  = $(CC) $(LANGUAGE) $(WARNINGS) $(LUA_CFLAGS) $(CPPFLAGS) $(MODE) -MMD -MP
LINK     = $(CC) $(MODE) -no-pie -pthread -Wl,-E,--exclude-libs,libuv_a.a $(LDFLAGS)
LIBS     = -Wl,-Bstatic $(LUA_LIBS) $(UV_STATIC) -Wl,-Bdynamic -lm -lpthread -ldl

MODE          = $(CFLAGS)
build/asan/%: MODE = -O1 -g -fno-omit-frame-pointer $(SANITIZE)
build/lint/%: MODE = -O2 -Werror

lariat: $(call objects,release)
	$(LINK) -o $@ $^ $(LIBS)

build/asan/lariat: $(call objects,asan)
	$(LINK) -o $@ $^ $(LIBS)

define compile
@mkdir -p $(@D)
$(COMPILE) -c -o $@ $<
endef

build/release/%.o: src/%.c Makefile | ready
	$(compile)

build/asan/%.o: src/%.c Makefile | ready
	$(compile)

build/lint/%.o: src/%.c Makefile | ready
	$(compile)

build/%/embedded.o: build/embedded.c Makefile | ready
	$(compile)

# LUA_TREE includes the folders, whose times change when a file is added or removed.
build/embedded.c: build/embed $(LUA_TREE)
	build/embed $(LUA_FILES) >$@

build/embed: build/release/embed.o
	$(CC) $(MODE) -no-pie $(LDFLAGS) -o $@ $^ -Wl,-Bstatic $(LUA_LIBS) -Wl,-Bdynamic -lm -ldl

-include $(wildcard build/*/*.d build/*/*/*.d)

## ---- running it -----------------------------------------------------------------------------------------------------

demo: lariat  ## build, then show a server and a client talking over TCP and UDP
	./lariat examples/demo.lua

# LARIAT is the program for specs that start another one; SCALE divides the sizes of the big specs and multiplies their
# time limits. Each test may take a minute, so that none fails because the machine is busy.
RUN_SPECS = --test --timeout=60 $(SPEC) $(if $(FILTER),"--filter=$$FILTER") $(TESTFLAGS)
MEMCHECK  = valgrind --quiet --leak-check=full --num-callers=30 --error-exitcode=99 --trace-children=no \
            --child-silent-after-fork=yes $(addprefix --suppressions=,$(wildcard .valgrind.supp))

test: lariat  ## run the specs; SPEC=file FILTER=pattern TESTFLAGS="..." narrow the run
	@LARIAT=$(abspath lariat) SCALE=$(or $(SCALE),1) spec/support/run.sh ./lariat $(RUN_SPECS)

asan: build/asan/lariat  ## run the specs with the address, leak and undefined-behaviour sanitizers
	@LARIAT=$(abspath $<) SCALE=$(or $(SCALE),4) \
	ASAN_OPTIONS=detect_leaks=1:exitcode=99:$$ASAN_OPTIONS UBSAN_OPTIONS=print_stacktrace=1:$$UBSAN_OPTIONS \
	spec/support/run.sh $< $(RUN_SPECS)

valgrind: lariat  ## run the specs under valgrind
	@LARIAT=$(abspath lariat) SCALE=$(or $(SCALE),20) spec/support/run.sh $(MEMCHECK) ./lariat $(RUN_SPECS)

luasocket-tests: lariat  ## run LuaSocket's own tests from Debian's source package (needs a deb-src line)
	.ci/luasocket-tests.sh ./lariat build/luasocket

## ---- style ----------------------------------------------------------------------------------------------------------

LUA_DIRS   = $(wildcard lua examples spec bench)
C_FILES    = $(wildcard src/*.[ch] src/*/*.[ch] bench/*.[ch])
BENCH      = $(wildcard bench/*.c)

lint: lint-lua lint-format lint-cppcheck lint-compile lint-floors  ## luacheck, clang-format, cppcheck, warnings as errors, floors
	@echo "lint: clean"

lint-lua: | ready
	luacheck --quiet --no-color $(LUA_DIRS) .ci

lint-format: | ready
	clang-format --dry-run --Werror $(C_FILES)

lint-cppcheck: | ready
	@mkdir -p build/cppcheck
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	  --suppress=missingIncludeSystem --cppcheck-build-dir=build/cppcheck -D_GNU_SOURCE -D__linux__ \
	  -DLARIAT_VERSION='"$(VERSION)"' -Isrc $(filter %.c,$(C_FILES))

lint-compile: $(call objects,lint) build/lint/embed.o $(BENCH:%.c=build/lint/%.o)

# Each file of src/ includes and calls only files of its own floor and of lower ones.
lint-floors: lariat lint-compile
	./lariat .ci/floors.lua build/lint

build/lint/bench/%.o: bench/%.c Makefile | ready
	$(compile)

format: | ready  ## let clang-format rewrite the C files
	clang-format -i $(C_FILES)

## ---- benchmarks -----------------------------------------------------------------------------------------------------

# bench/load.c and the files bench/load_*.c make one program; a file without such a head is a program by itself.
bench_head  = $(firstword $(subst _, ,$(1:%.c=%))).c
BENCH_PARTS = $(foreach c,$(BENCH),$(if $(filter-out $(c),$(filter $(call bench_head,$(c)),$(BENCH))),$(c)))
PROGRAMS    = $(patsubst %.c,build/%,$(filter-out $(BENCH_PARTS),$(BENCH)))
parts_of    = $(patsubst %.c,build/%.o,$(filter bench/$(1)_%,$(BENCH_PARTS)))

bench-build: lariat $(PROGRAMS)  ## build the reference servers and the load generator
bench: bench-build  ## compare with the references, and write bench/RESULTS.md; CASE=name picks one
	bench/run.sh $(or $(CASE),all growth --write)

bench-peers: bench-build  ## compare with other runtimes (make deps-peers)
	bench/run.sh peers --write

test asan valgrind: $(PROGRAMS) # spec/bench_spec.lua runs them

build/bench/%.o: bench/%.c Makefile | ready
	$(compile)

.SECONDEXPANSION:
$(PROGRAMS): build/bench/%: build/bench/%.o $$(call parts_of,$$*)
	$(CC) $(MODE) -no-pie -pthread -Wl,--as-needed $(LDFLAGS) -o $@ $^ $(UV_LIBS) -lm

## ---- installing -----------------------------------------------------------------------------------------------------

BIN   = $(DESTDIR)$(PREFIX)/bin
MAN   = $(DESTDIR)$(PREFIX)/share/man/man1
DOC   = $(DESTDIR)$(PREFIX)/share/doc/lariat
SHARE = $(DESTDIR)$(PREFIX)/share/lariat

# In installed documents a link to a file that is not installed becomes plain text.
NOT_INSTALLED = src|lua|spec|bench|Makefile
UNLINK        = sed -E 's!\[([^]]+)\]\((\.\./)?($(NOT_INSTALLED))[^)]*\)!\1!g'
PAGES         = README.md CHANGELOG.md $(wildcard docs/*.md)
EXAMPLES      = $(shell find examples -name '*.lua')

install: lariat install-docs  ## install under PREFIX=/usr/local (DESTDIR= is put in front)
	install -d $(BIN)
	install -m 755 lariat $(BIN)/lariat

install-docs:
	install -d $(MAN) $(DOC)/docs/types $(SHARE)/types $(sort $(dir $(EXAMPLES:%=$(DOC)/%)))
	install -m 644 docs/lariat.1 $(MAN)/lariat.1
	install -m 644 docs/lariat.1 $(wildcard docs/*.svg) $(DOC)/docs
	install -m 644 LICENSE $(DOC)
	install -m 644 $(wildcard docs/types/*.lua) $(SHARE)/types
	install -m 644 $(wildcard docs/types/*.lua) $(DOC)/docs/types
	for file in $(EXAMPLES); do install -m 644 $$file $(DOC)/$$file || exit; done
	for page in $(PAGES); do $(UNLINK) $$page >$(DOC)/$$page && chmod 644 $(DOC)/$$page || exit; done

uninstall:  ## remove what install put there
	rm -f $(BIN)/lariat $(MAN)/lariat.1
	rm -rf $(DOC) $(SHARE)

clean:  ## remove everything that was built
	rm -rf build lariat

help:  ## this list
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
