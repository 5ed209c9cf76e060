# lakefuse
#
#   make                 build (M=debug|release|asan|tsan; release by default)
#   make test            install what is needed, build, run every test
#   make demo            install what is needed, build, show the whole idea
#   make check           unit tests only          make analyze  static checks
#   make bench           the table of ratios      make format   clang-format
#   make install         DESTDIR= PREFIX=/usr/local SBINDIR=/sbin
#   make clean           what was built           make distclean  all of it
#
# V=1 shows whole commands.
#
# A folder's .c files are its sources, and what they include is found by the
# compiler (-MMD).

M ?= release
B := build/$(M)
PREFIX ?= /usr/local
SBINDIR ?= /sbin
VERSION := 0.1.0

PKGS := fuse3 libcurl openssl sqlite3 jansson yaml-0.1 libmicrohttpd expat zlib
SRCS := $(wildcard base/*.c sites/*.c meta/*.c cache/*.c serve/*.c fs/*.c)
CLI_SRCS := $(wildcard cli/*.c)
TESTS := $(wildcard tests/unit/*.c)
TEST_LIB_SRCS := $(wildcard tests/lib/*.c)
HEADERS := $(wildcard base/*.h sites/*.h meta/*.h cache/*.h serve/*.h fs/*.h \
	cli/*.h tests/lib/*.h)
SCRIPTS := $(wildcard packaging/*.sh tests/*.sh .ci/run)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
debug := -O1 -g
release := -O2 -g -DNDEBUG $(HARDEN)
asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
tsan := -O1 -g -fsanitize=thread
release_LD := -pie -Wl,-z,relro,-z,now

# Without pkg-config yet (a fresh machine running make deps) this stays quiet.
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
LDLIBS := $(PKG_LIBS) -lisal -lm
DEFS := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
	-DFUSE_USE_VERSION=314 -DLAKEFUSE_VERSION='"$(VERSION)"' \
	-DLAKEFUSE_DATADIR='"$(PREFIX)/share/lakefuse"' -pthread -I. \
	$(PKG_CFLAGS)
ALL_CFLAGS = $(DEFS) $(WARN) $($(M)) $(CFLAGS)
ALL_LDFLAGS = $($(M)_LD) $(LDFLAGS)

OBJS := $(SRCS:%.c=$(B)/%.o)
CLI_OBJS := $(CLI_SRCS:%.c=$(B)/%.o)
TEST_LIB_OBJS := $(TEST_LIB_SRCS:%.c=$(B)/%.o)
TEST_PROGS := $(TESTS:%.c=$(B)/%)
VENV := build/venv
PYTEST ?= $(VENV)/bin/python -m pytest
PYTEST_ARGS ?=

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' $(1) $@)

all: $(B)/lakefuse

# These bring the libraries in, or do without; all others need them by now.
BEFORE_DEPS := deps test demo deb format install-files uninstall clean distclean
ifneq ($(filter-out $(BEFORE_DEPS),$(or $(MAKECMDGOALS),all)),)
ifeq ($(PKG_LIBS),)
$(error Libraries are missing; run "make deps" first, or see packaging/deps.sh: \
	$(shell pkg-config --print-errors --exists $(PKGS) 2>&1))
endif
endif

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,cc)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Objects go through an archive so that a unit test links only what it uses.
$(B)/liblakefuse.a: $(OBJS)
	@rm -f $@
	$(call say,ar)
	$(Q)$(AR) rcs $@ $^

$(B)/lakefuse: $(CLI_OBJS) $(B)/liblakefuse.a
	$(call say,link)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(TEST_PROGS): %: %.o $(TEST_LIB_OBJS) $(B)/liblakefuse.a
	$(call say,link)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

# --- what a fresh machine lacks ---

deps:
	packaging/deps.sh build test

$(VENV)/stamp: tests/requirements.txt
	rm -rf $(VENV)
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

# --- tests ---

check: $(TEST_PROGS)
	tests/units.sh $(TEST_PROGS)

# Other people's servers, for the interop tests.  A host without Go, or with one
# too old for them, goes without, and the tests name what they skip.
GO_SERVERS := github.com/fsouza/fake-gcs-server@v1.56.1 \
	github.com/versity/versitygw/cmd/versitygw@v1.8.0

build/go/stamp: Makefile
	@mkdir -p $(@D)
	@if command -v go >/dev/null; then for s in $(GO_SERVERS); do \
		GOBIN=$(CURDIR)/build/go go install $$s || \
			echo "$$s can't be built here: its tests are skipped"; \
	done; else echo "no Go here: interop tests with Go servers are skipped"; fi
	@touch $@

pytest: $(B)/lakefuse $(VENV)/stamp build/go/stamp
	GOBIN=$(CURDIR)/build/go M=$(M) LAKEFUSE=$(CURDIR)/$(B)/lakefuse $(PYTEST) $(PYTEST_ARGS) \
		tests/mount

man-options: $(B)/lakefuse
	tests/man_options.sh $(B)/lakefuse

promises:
	tests/promises.sh

# The libraries are looked for when a Makefile is read: once more after deps.
test: deps
	$(MAKE) all check man-options promises
	$(MAKE) pytest

demo: deps
	$(MAKE) M=release all
	build/release/lakefuse demo

bench: $(B)/lakefuse $(VENV)/stamp
	LAKEFUSE=$(CURDIR)/$(B)/lakefuse $(VENV)/bin/python tests/bench/bench.py

# --- static checks ---

C_FILES := $(SRCS) $(CLI_SRCS) $(TEST_LIB_SRCS) $(TESTS)
ANALYZE := analyze-clang analyze-gcc analyze-cppcheck analyze-tidy \
	analyze-format analyze-layers analyze-shell

analyze: $(ANALYZE)

# One stamp a file, so that a second run looks at what has changed only.
analyze-clang: $(C_FILES:%.c=build/analyze/%.clang)
analyze-gcc: $(SRCS:%.c=build/analyze/%.gcc) $(CLI_SRCS:%.c=build/analyze/%.gcc)
analyze-tidy: $(SRCS:%.c=build/analyze/%.tidy) $(CLI_SRCS:%.c=build/analyze/%.tidy)

build/analyze/%.clang: %.c $(HEADERS)
	@mkdir -p $(@D)
	$(call say,clang)
	$(Q)clang $(DEFS) $(WARN) -Wno-gnu-folding-constant -Wthread-safety \
		-Wthread-safety-beta -fsyntax-only $<
	@touch $@

# gcc 12 takes a variable with a cleanup attribute for unset, or for freed twice,
# when its scope is left in several places; it believes that a failed call may
# leave errno 0, and so that -errno can mean success without the outputs; and it
# loses memory that is reached through a struct.  asan watches these.
GCC_BLIND := -Wno-analyzer-use-of-uninitialized-value -Wno-analyzer-double-free \
	-Wno-analyzer-null-dereference -Wno-analyzer-malloc-leak

# The macros of uthash have more paths than it can walk.
GCC_PATIENCE := 60

build/analyze/%.gcc: %.c $(HEADERS)
	@mkdir -p $(@D)
	$(call say,gcc)
	$(Q)timeout $(GCC_PATIENCE) gcc $(DEFS) $(WARN) -O1 -fanalyzer \
		$(GCC_BLIND) -c -o $@ $< || { [ $$? = 124 ] && \
		echo "$<: gcc -fanalyzer found no end in $(GCC_PATIENCE) s" && \
		touch $@; }

build/analyze/%.tidy: %.c $(HEADERS) .clang-tidy
	@mkdir -p $(@D)
	$(call say,tidy)
	$(Q)clang-tidy --quiet $< -- $(DEFS) 2>$@.err || { cat $@.err; exit 1; }
	@touch $@

analyze-cppcheck:
	@mkdir -p build/analyze/cppcheck
	cppcheck --quiet --error-exitcode=1 --enable=warning,portability \
		--inline-suppr --suppressions-list=.cppcheck \
		--std=c11 -D_GNU_SOURCE -D__GNUC__ \
		--cppcheck-build-dir=build/analyze/cppcheck -I. \
		$(SRCS) $(CLI_SRCS)

# Later versions of the tool lay some lines out otherwise: one decides.
FORMAT_VERSION := 14
analyze-format:
	@if clang-format --version | grep -q 'version $(FORMAT_VERSION)\.'; then \
		clang-format --dry-run -Werror $(C_FILES) $(HEADERS); \
	else \
		echo "analyze-format: skipped, clang-format is not $(FORMAT_VERSION)"; \
	fi

analyze-layers:
	tests/layers.sh

analyze-shell:
	@if command -v shellcheck >/dev/null; then \
		echo shellcheck $(SCRIPTS); \
		shellcheck $(SCRIPTS); \
	else \
		echo "analyze-shell: skipped, no shellcheck"; \
	fi

format:
	clang-format -i $(C_FILES) $(HEADERS)

# --- installing ---

install: $(B)/lakefuse install-files
	install -D -m 755 $(B)/lakefuse $(DESTDIR)$(PREFIX)/bin/lakefuse

# mount -t lakefuse and -t fuse.lakefuse look for these.
install-files:
	install -d $(DESTDIR)$(SBINDIR)
	ln -sf $(PREFIX)/bin/lakefuse $(DESTDIR)$(SBINDIR)/mount.lakefuse
	ln -sf $(PREFIX)/bin/lakefuse $(DESTDIR)$(SBINDIR)/mount.fuse.lakefuse
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man5 \
		$(DESTDIR)$(PREFIX)/share/doc/lakefuse
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 docs/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 LICENSE $(wildcard *.md docs/*.md) \
		$(DESTDIR)$(PREFIX)/share/doc/lakefuse
	for f in $$(find packaging/demo -type f); do \
		install -D -m 644 $$f \
			$(DESTDIR)$(PREFIX)/share/lakefuse/$${f#packaging/}; \
	done

# A Debian package in build/, from the tree as it is.
deb:
	packaging/deps.sh build test deb
	rm -rf build/deb
	mkdir -p build/deb/lakefuse-$(VERSION)
	tar c --exclude=./build --exclude=./.git . | \
		tar x -C build/deb/lakefuse-$(VERSION)
	cp -r packaging/debian build/deb/lakefuse-$(VERSION)/debian
	cd build/deb/lakefuse-$(VERSION) && dpkg-buildpackage -b -us -uc

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/lakefuse \
		$(DESTDIR)$(SBINDIR)/mount.lakefuse \
		$(DESTDIR)$(SBINDIR)/mount.fuse.lakefuse \
		$(DESTDIR)$(PREFIX)/share/man/man1/lakefuse.1 \
		$(DESTDIR)$(PREFIX)/share/man/man5/lake.yaml.5
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/lakefuse \
		$(DESTDIR)$(PREFIX)/share/lakefuse

# The Python packages take a while to bring in; clean leaves them.
clean:
	rm -rf $(foreach d,debug release asan tsan analyze deb,build/$(d))

distclean:
	rm -rf build

.PHONY: all deps check pytest man-options promises test demo bench analyze $(ANALYZE) \
	format deb install install-files uninstall clean distclean
.SECONDARY:
-include $(OBJS:.o=.d) $(CLI_OBJS:.o=.d) $(TEST_LIB_OBJS:.o=.d) $(TEST_PROGS:=.d)
