/* What cache/cache.h promises, with a source that does what the test wants. */
#include "cache/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/op.h"
#include "sites/sites.h"
#include "tests/lib/cmocka.h"

#define KIB 1024ull
#define MIB (1024ull * KIB)
#define TIMEOUT (30 * NS_PER_S)

/* The faults of a source; all may be set while it is in use. */
static struct fake {
	atomic_uint n_calls;
	atomic_ullong n_bytes;
	atomic_uint n_wrong;
	atomic_uint wrong_sites;
	atomic_bool gate;	  /* fetches wait until it is opened */
	atomic_uint n_waiting;	  /* at the gate */
	atomic_ullong gate_after; /* bytes a gated fetch brings first */
	atomic_ullong gate_from;  /* it is for fetches from here on only */
	atomic_int fail_rc;	  /* so many calls fail, with this */
	atomic_int n_fail;
	atomic_int lie_site;	/* this site flips a bit; -1: none */
	atomic_bool lie_always; /* all do */
	atomic_bool short_body;
} fake;

static char dir[64];

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ull;
	return x ^ x >> 29;
}

static unsigned char byte_at(uint64_t generation, uint64_t offset)
{
	return (unsigned char)(mix(generation * 1000003 + offset / 8) >>
			       (offset % 8 * 8));
}

static void fill(unsigned char *buf, uint64_t generation, uint64_t offset,
		 size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = byte_at(generation, offset + i);
}

/* Site 1 is the nearest, then 2, then the record. */
static unsigned pick_site(unsigned avoid)
{
	for (unsigned s = 1; s < 3; s++) {
		if (!(avoid & 1u << s))
			return s;
	}
	return SITE_RECORD;
}

static int wait_at_gate(struct op *op, uint64_t offset)
{
	int rc = 0;

	atomic_fetch_add(&fake.n_waiting, 1);
	while (atomic_load(&fake.gate) &&
	       offset >= atomic_load(&fake.gate_from) &&
	       (rc = op_expired(op)) == 0)
		usleep(500);
	atomic_fetch_sub(&fake.n_waiting, 1);
	return rc < 0 ? op_fail(op, rc, "gate") : 0;
}

static int fake_fetch(struct op *op, void *arg, const struct object_ref *ref,
		      struct read_part *part)
{
	unsigned site = pick_site(part->avoid);
	uint64_t first;
	int rc;

	(void)arg;
	assert_true(part->len > 0);
	assert_true(part->offset + part->len <= ref->size);
	atomic_fetch_add(&fake.n_calls, 1);
	part->n_done = 0;
	if (atomic_fetch_sub(&fake.n_fail, 1) > 0)
		return op_fail(op, atomic_load(&fake.fail_rc), "fake: down");
	first = atomic_load(&fake.gate_after);
	first = first < part->len ? first : part->len;
	fill(part->buf, ref->generation, part->offset, part->len);
	part->sites = 1u << site;
	part->last_site = site;
	if (atomic_load(&fake.lie_always) ||
	    atomic_load(&fake.lie_site) == (int)site)
		((unsigned char *)part->buf)[part->len / 2] ^= 4;
	if (first > 0 && part->progress)
		part->progress(part->arg, part->n_done = first);
	rc = wait_at_gate(op, part->offset);
	if (rc < 0)
		return rc;
	part->n_done = part->len;
	if (atomic_load(&fake.short_body))
		part->n_done /= 2;
	atomic_fetch_add(&fake.n_bytes, part->n_done);
	if (part->progress)
		part->progress(part->arg, part->n_done);
	return 0;
}

static void fake_wrong(void *arg, const struct object_ref *ref, unsigned sites)
{
	(void)arg;
	(void)ref;
	atomic_fetch_add(&fake.n_wrong, 1);
	atomic_fetch_or(&fake.wrong_sites, sites);
}

static const struct cache_source source = {.fetch = fake_fetch,
					   .wrong = fake_wrong};

static struct cache_config config_of(void)
{
	return (struct cache_config){
		.dir = dir,
		.lake_id = "gs://lake",
		.size_bytes = 1024 * MIB,
		.memory_bytes = 16 * MIB,
		.verify_whole = MIB,
		.check_crc = true,
		.n_fetchers = 8,
		.fetch_timeout_ns = 20 * NS_PER_S,
	};
}

static struct object_ref ref_of(uint64_t generation, uint64_t size)
{
	struct object_ref ref = {.name = "t/part-0.parquet",
				 .generation = generation,
				 .size = size,
				 .has = HAS_CRC32C};
	unsigned char *buf = malloc(MIB);

	for (uint64_t at = 0; at < size; at += MIB) {
		size_t n = size - at < MIB ? (size_t)(size - at) : MIB;

		fill(buf, generation, at, n);
		ref.crc32c = crc32c(ref.crc32c, buf, n);
	}
	free(buf);
	return ref;
}

static struct cache *open_with(const struct cache_config *config)
{
	struct cache *c = NULL;
	struct op op;

	op_init(&op, TIMEOUT);
	assert_int_equal(cache_open(&op, config, &source, &c), 0);
	return c;
}

static struct cache *open_plain(void)
{
	struct cache_config config = config_of();

	return open_with(&config);
}

static struct cache_handle *pin(struct cache *c, const struct object_ref *ref)
{
	struct cache_handle *h = NULL;
	struct op op;

	op_init(&op, TIMEOUT);
	assert_int_equal(cache_pin(&op, c, ref, &h), 0);
	return h;
}

/* The span's bytes are the generation's. */
static bool span_fits(const struct cache_span *span, uint64_t generation,
		      uint64_t offset)
{
	unsigned char *got = malloc(span->len + 1);
	size_t n = 0;
	bool fits = true;

	if (span->fd >= 0)
		n = (size_t)pread(span->fd, got, span->len, span->fd_offset);
	for (int i = 0; i < span->n_iov; i++) {
		memcpy(got + n, span->iov[i].iov_base, span->iov[i].iov_len);
		n += span->iov[i].iov_len;
	}
	if (n != span->len)
		fits = false;
	for (size_t i = 0; fits && i < n; i++)
		fits = got[i] == byte_at(generation, offset + i);
	free(got);
	return fits;
}

/* 0, -errno, or 1 when the bytes are not the generation's. */
static int read_once(struct cache_handle *h, uint64_t generation,
		     uint64_t offset, size_t size, size_t expected)
{
	struct cache_span span;
	struct op op;
	bool fits;
	int rc;

	op_init(&op, TIMEOUT);
	rc = cache_try_read(h, offset, size, &span);
	if (rc == -EAGAIN)
		rc = cache_read(&op, h, offset, size, &span);
	if (rc < 0)
		return rc;
	fits = span.len == expected && span_fits(&span, generation, offset);
	cache_span_done(&span);
	return fits ? 0 : 1;
}

static int read_all_of(struct cache_handle *h, const struct object_ref *ref)
{
	for (uint64_t at = 0; at < ref->size; at += 128 * KIB) {
		uint64_t left = ref->size - at;
		size_t n = left < 128 * KIB ? (size_t)left : 128 * KIB;
		int rc = read_once(h, ref->generation, at, n, n);

		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Until no fetch is under way, so that all that landed is on disk. */
static void settle(struct cache *c)
{
	struct cache_status status;

	do {
		usleep(1000);
		cache_status(c, &status);
	} while (status.n_flights > 0);
}

static int setup(void **state UNUSED)
{
	memset(&fake, 0, sizeof(fake));
	atomic_store(&fake.lie_site, -1);
	strcpy(dir, "/tmp/cache.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state UNUSED)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* Calls fn with each file of the cache whose name ends so. */
static unsigned each_file(const char *suffix, void (*fn)(const char *path))
{
	char command[160], path[300];
	unsigned n = 0;
	FILE *f;

	snprintf(command, sizeof(command), "find %s -name '*%s' -type f", dir,
		 suffix);
	f = popen(command, "r");
	while (fgets(path, sizeof(path), f)) {
		path[strcspn(path, "\n")] = '\0';
		n++;
		if (fn)
			fn(path);
	}
	pclose(f);
	return n;
}

static void reads_are_cut_at_the_end(void **state UNUSED)
{
	struct object_ref ref = ref_of(5, 3 * MIB + 777);
	struct cache *c = open_plain();
	struct cache_handle *h = pin(c, &ref);

	assert_int_equal(read_once(h, 5, 3 * MIB, MIB, 777), 0);
	assert_int_equal(read_once(h, 5, 3 * MIB + 777, 5, 0), 0);
	assert_int_equal(read_once(h, 5, 1 << 30, 5, 0), 0);
	assert_int_equal(read_once(h, 5, 100000, 1, 1), 0);
	assert_int_equal(cache_last_site(h), 1);
	cache_unpin(h);
	cache_close(c);
}

static void a_byte_brings_one_block(void **state UNUSED)
{
	struct object_ref ref = ref_of(5, 8 * MIB);
	struct cache *c = open_plain();
	struct cache_handle *h = pin(c, &ref);

	assert_int_equal(read_once(h, 5, 5 * MIB + 3, 1, 1), 0);
	assert_int_equal(atomic_load(&fake.n_bytes), CACHE_BLOCK);
	assert_int_equal(read_once(h, 5, 5 * MIB + 9, 1, 1), 0);
	assert_int_equal(atomic_load(&fake.n_calls), 1);
	cache_unpin(h);
	cache_close(c);
}

struct reader {
	pthread_t thread;
	struct cache_handle *h;
	const struct object_ref *ref;
	uint64_t seed;
	uint64_t timeout_ns;
	unsigned n_reads;
	int rc;
};

static void *read_block(void *arg)
{
	struct reader *r = arg;
	struct cache_span span;
	struct op op;

	op_init(&op, r->timeout_ns);
	r->rc = cache_read(&op, r->h, 3 * MIB, 4096, &span);
	if (r->rc < 0)
		return NULL;
	r->rc = !span_fits(&span, r->ref->generation, 3 * MIB);
	cache_span_done(&span);
	return NULL;
}

static void start(struct reader *r, void *(*fn)(void *))
{
	assert_int_equal(pthread_create(&r->thread, NULL, fn, r), 0);
}

static void readers_of_one_block_share_one_fetch(void **state UNUSED)
{
	struct object_ref ref = ref_of(6, 8 * MIB);
	struct cache *c = open_plain();
	struct cache_handle *h = pin(c, &ref);
	struct reader readers[100];

	atomic_store(&fake.gate, true);
	for (int i = 0; i < 100; i++) {
		readers[i] = (struct reader){
			.h = h, .ref = &ref, .timeout_ns = TIMEOUT};
		start(&readers[i], read_block);
	}
	usleep(50000);
	atomic_store(&fake.gate, false);
	for (int i = 0; i < 100; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].rc, 0);
	}
	assert_int_equal(atomic_load(&fake.n_calls), 1);
	cache_unpin(h);
	cache_close(c);
}

static void landed_blocks_are_served_before_the_rest(void **state UNUSED)
{
	struct object_ref ref = ref_of(6, 8 * MIB);
	struct cache *c = open_plain();
	struct cache_handle *h = pin(c, &ref);
	struct reader r = {.h = h, .ref = &ref, .timeout_ns = TIMEOUT};
	struct cache_span span;
	struct op op;

	atomic_store(&fake.gate, true);
	atomic_store(&fake.gate_after, 64 * KIB);
	start(&r, read_block);
	pthread_join(r.thread, NULL);
	assert_int_equal(r.rc, 0);

	/* Of a longer fetch the first blocks are to be had, the last not. */
	op_init(&op, 100 * NS_PER_MS);
	assert_int_equal(cache_read(&op, h, 5 * MIB, 256 * KIB, &span),
			 -ETIMEDOUT);
	op_init(&op, TIMEOUT);
	assert_int_equal(cache_try_read(h, 5 * MIB, 64 * KIB, &span), 0);
	assert_true(span_fits(&span, 6, 5 * MIB));
	cache_span_done(&span);
	assert_int_equal(cache_try_read(h, 5 * MIB, 96 * KIB, &span), -EAGAIN);
	atomic_store(&fake.gate, false);
	cache_unpin(h);
	cache_close(c);
}

static void a_killed_reader_hurts_nobody(void **state UNUSED)
{
	struct object_ref ref = ref_of(7, 8 * MIB);
	struct cache *c = open_plain();
	struct cache_handle *h = pin(c, &ref);
	struct reader dies = {
		.h = h, .ref = &ref, .timeout_ns = 50 * NS_PER_MS};
	struct reader lives = {.h = h, .ref = &ref, .timeout_ns = TIMEOUT};

	atomic_store(&fake.gate, true);
	start(&dies, read_block);
	start(&lives, read_block);
	pthread_join(dies.thread, NULL);
	assert_int_equal(dies.rc, -ETIMEDOUT);
	atomic_store(&fake.gate, false);
	pthread_join(lives.thread, NULL);
	assert_int_equal(lives.rc, 0);
	cache_unpin(h);
	cache_close(c);
}

static void an_unwanted_fetch_is_cancelled(void **state UNUSED)
{
	struct object_ref ref = ref_of(7, 8 * MIB);
	struct cache *c = open_plain();
	struct cache_handle *h = pin(c, &ref);
	struct reader r = {.h = h, .ref = &ref, .timeout_ns = 20 * NS_PER_MS};
	uint64_t begun = clock_mono_ns();

	atomic_store(&fake.gate, true);
	start(&r, read_block);
	pthread_join(r.thread, NULL);
	assert_int_equal(r.rc, -ETIMEDOUT);
	settle(c);
	assert_true(clock_mono_ns() - begun < 5 * NS_PER_S);
	cache_unpin(h);
	cache_close(c);
}

static void a_failure_is_told_and_the_next_read_tries_anew(void **state UNUSED)
{
	struct object_ref ref = ref_of(8, 8 * MIB);
	struct cache *c = open_plain();
	struct cache_handle *h = pin(c, &ref);
	struct cache_span span;
	struct op op;

	atomic_store(&fake.fail_rc, -ESTALE);
	atomic_store(&fake.n_fail, 1);
	op_init(&op, TIMEOUT);
	assert_int_equal(cache_read(&op, h, 0, 4096, &span), -ESTALE);
	assert_string_equal(op.why, "fake: down");
	assert_int_equal(read_once(h, 8, 0, 4096, 4096), 0);
	cache_unpin(h);
	cache_close(c);
}

static void a_short_body_is_a_failure(void **state UNUSED)
{
	struct object_ref ref = ref_of(8, 8 * MIB);
	struct cache *c = open_plain();
	struct cache_handle *h = pin(c, &ref);

	atomic_store(&fake.short_body, true);
	assert_int_equal(read_once(h, 8, 0, 64 * KIB, 64 * KIB), -EIO);
	atomic_store(&fake.short_body, false);
	assert_int_equal(read_once(h, 8, 0, 64 * KIB, 64 * KIB), 0);
	cache_unpin(h);
	cache_close(c);
}

static void what_was_read_survives_a_restart(void **state UNUSED)
{
	struct object_ref big = ref_of(9, 5 * MIB + 1);
	struct object_ref small = ref_of(10, 300 * KIB);
	uint64_t verified = metric_get(METRIC_OBJECTS_VERIFIED);

	for (int run = 0; run < 2; run++) {
		struct cache *c = open_plain();
		struct cache_handle *h = pin(c, &big);
		struct cache_handle *s = pin(c, &small);

		assert_int_equal(read_all_of(h, &big), 0);
		assert_int_equal(read_all_of(s, &small), 0);
		settle(c);
		cache_unpin(h);
		cache_unpin(s);
		cache_close(c);
		if (run == 0)
			atomic_store(&fake.n_calls, 0);
	}
	assert_int_equal(atomic_load(&fake.n_calls), 0);
	assert_int_equal(metric_get(METRIC_OBJECTS_VERIFIED), verified + 2);
}

static void flip_a_bit(const char *path)
{
	int fd = open(path, O_RDWR);
	char byte = 0;

	assert_int_equal(pread(fd, &byte, 1, 100000), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 100000), 1);
	close(fd);
}

static void a_torn_block_is_fetched_again(void **state UNUSED)
{
	struct object_ref big = ref_of(9, 5 * MIB + 1);
	struct object_ref small = ref_of(10, 300 * KIB);
	uint64_t torn = metric_get(METRIC_CACHE_TORN_BLOCKS);

	for (int run = 0; run < 2; run++) {
		struct cache *c = open_plain();
		struct cache_handle *h = pin(c, &big);
		struct cache_handle *s = pin(c, &small);

		atomic_store(&fake.n_bytes, 0);
		assert_int_equal(read_all_of(h, &big), 0);
		assert_int_equal(read_all_of(s, &small), 0);
		settle(c);
		cache_unpin(h);
		cache_unpin(s);
		cache_close(c);
		if (run == 0) {
			assert_int_equal(each_file(".data", flip_a_bit), 1);
			assert_int_equal(each_file(".whole", flip_a_bit), 1);
		}
	}
	assert_int_equal(metric_get(METRIC_CACHE_TORN_BLOCKS), torn + 2);
	assert_int_equal(atomic_load(&fake.n_bytes), CACHE_BLOCK + 300 * KIB);
}

static unsigned garbage_seed;

static void fill_with_garbage(const char *path)
{
	int fd = open(path, O_WRONLY);
	struct stat st;

	srand(garbage_seed);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t at = garbage_seed % 3 == 0 ? 0 : 2048; at < st.st_size;
	     at++) {
		char byte = (char)rand();

		if (rand() % 4 == 0)
			assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	if (garbage_seed % 4 == 1)
		assert_int_equal(ftruncate(fd, rand() % 4096), 0);
	close(fd);
}

static void garbage_in_the_directory_is_not_trusted(void **state UNUSED)
{
	struct object_ref ref = ref_of(9, 3 * MIB + 1);
	char command[400];

	for (garbage_seed = 0; garbage_seed < 8; garbage_seed++) {
		struct cache *c = open_plain();
		struct cache_handle *h = pin(c, &ref);

		assert_int_equal(read_all_of(h, &ref), 0);
		settle(c);
		cache_unpin(h);
		cache_close(c);
		each_file(garbage_seed % 2 ? ".map" : ".data",
			  fill_with_garbage);
		snprintf(command, sizeof(command),
			 "mkdir -p %s/00/sub; echo x > %s/00/junk; "
			 "ln -sf /etc/passwd %s/00/link; mkfifo %s/01 2>&-",
			 dir, dir, dir, dir);
		assert_true(system(command) >= 0);
	}
	assert_int_equal(each_file("junk", NULL), 1);
}

static void wrong_small_bytes_never_reach_a_reader(void **state UNUSED)
{
	struct object_ref ref = ref_of(11, 500 * KIB);
	struct cache *c = open_plain();
	struct cache_handle *h = pin(c, &ref);
	uint64_t wrong = metric_get(METRIC_CRC_MISMATCH);

	atomic_store(&fake.lie_site, 1);
	assert_int_equal(read_all_of(h, &ref), 0);
	assert_int_equal(metric_get(METRIC_CRC_MISMATCH), wrong + 1);
	assert_int_equal(atomic_load(&fake.wrong_sites), 1u << 1);
	assert_int_equal(cache_last_site(h), 2);
	cache_unpin(h);
	cache_close(c);
}

static void wrong_everywhere_is_an_error(void **state UNUSED)
{
	struct object_ref ref = ref_of(11, 500 * KIB);
	struct cache *c = open_plain();
	struct cache_handle *h = pin(c, &ref);

	atomic_store(&fake.lie_always, true);
	assert_int_equal(read_once(h, 11, 0, 4096, 4096), -EIO);
	/* Both replicas once, the record twice. */
	assert_int_equal(atomic_load(&fake.n_calls), 4);
	atomic_store(&fake.lie_always, false);
	assert_int_equal(read_once(h, 11, 0, 4096, 4096), 0);
	cache_unpin(h);
	cache_close(c);
}

static void full_integrity_checks_before_the_first_byte(void **state UNUSED)
{
	struct cache_config config = config_of();
	struct object_ref ref = ref_of(12, 40 * MIB + 5);
	struct cache_handle *h;
	struct cache *c;

	config.integrity_full = true;
	c = open_with(&config);
	h = pin(c, &ref);
	atomic_store(&fake.lie_site, 1);
	assert_int_equal(read_once(h, 12, 7 * MIB, 4096, 4096), 0);
	assert_int_equal(atomic_load(&fake.n_wrong), 1);
	assert_int_equal(read_all_of(h, &ref), 0);
	cache_unpin(h);
	cache_close(c);
}

static void a_late_mismatch_poisons_all_who_may_have_read(void **state UNUSED)
{
	struct object_ref ref = ref_of(13, 6 * MIB);
	struct cache *c = open_plain();
	struct cache_handle *h = pin(c, &ref);
	/* The kernel may have given this one what the other one read. */
	struct cache_handle *beside = pin(c, &ref);
	struct cache_span span;
	int last = 0;

	/* The bit is flipped beyond what is compared here. */
	atomic_store(&fake.lie_site, 1);
	assert_int_equal(read_once(h, 13, 0, 4096, 4096), 0);
	settle(c);
	atomic_store(&fake.lie_site, -1);
	for (uint64_t at = 0; at < ref.size; at += MIB)
		last = read_once(h, 13, at, MIB, MIB);
	/* Not even the last read of a whole pass succeeds. */
	assert_int_equal(last, -EIO);
	settle(c);
	assert_int_equal(atomic_load(&fake.n_wrong), 1);
	assert_int_equal(atomic_load(&fake.wrong_sites), 1u << 1);
	assert_int_equal(cache_try_read(h, 0, 1, &span), -EIO);
	assert_int_equal(read_once(h, 13, 0, 4096, 4096), -EIO);
	assert_int_equal(read_once(beside, 13, 0, 4096, 4096), -EIO);
	cache_unpin(h);
	h = pin(c, &ref);
	assert_int_equal(read_all_of(h, &ref), 0);
	cache_unpin(h);
	cache_unpin(beside);
	cache_close(c);
}

/* Reads a block whose second half is wrong, and lets it fall from memory. */
static void read_a_wrong_block(struct cache *c, struct cache_handle *h)
{
	struct object_ref other = ref_of(99, 20 * MIB);
	struct cache_handle *o = pin(c, &other);

	atomic_store(&fake.lie_site, 1);
	assert_int_equal(read_once(h, 50, 0, 4096, 4096), 0);
	settle(c);
	atomic_store(&fake.lie_site, -1);
	assert_int_equal(read_all_of(o, &other), 0);
	cache_unpin(o);
}

static void other_bytes_for_a_known_block_are_not_accepted(void **state UNUSED)
{
	struct cache_config config = config_of();
	struct object_ref ref = ref_of(50, 4 * MIB);
	struct cache_handle *h;
	struct cache *c;

	config.size_bytes = 0;
	c = open_with(&config);
	h = pin(c, &ref);
	read_a_wrong_block(c, h);
	assert_int_equal(read_once(h, 50, 0, 4096, 4096), -EIO);
	settle(c);
	assert_int_equal(atomic_load(&fake.n_wrong), 1);
	cache_unpin(h);
	h = pin(c, &ref);
	assert_int_equal(read_all_of(h, &ref), 0);
	cache_unpin(h);
	cache_close(c);
}

static void what_flies_of_a_forgotten_object_is_cancelled(void **state UNUSED)
{
	struct cache_config config = config_of();
	struct object_ref ref = ref_of(50, 64 * MIB);
	struct cache_handle *h, *ahead;
	struct cache *c;

	config.size_bytes = 0;
	config.read_ahead_bytes = 8 * MIB;
	c = open_with(&config);
	h = pin(c, &ref);
	ahead = pin(c, &ref);
	read_a_wrong_block(c, h);
	atomic_store(&fake.gate_from, 4 * MIB);
	atomic_store(&fake.gate, true);
	for (uint64_t at = 64 * KIB;
	     at < 4 * MIB && atomic_load(&fake.n_waiting) == 0;
	     at += 64 * KIB) {
		assert_int_equal(read_once(ahead, 50, at, 64 * KIB, 64 * KIB),
				 0);
		usleep(5000);
	}
	assert_true(atomic_load(&fake.n_waiting) > 0);
	assert_int_equal(read_once(h, 50, 0, 4096, 4096), -EIO);
	cache_unpin(ahead);
	settle(c);
	atomic_store(&fake.gate, false);
	cache_unpin(h);
	cache_close(c);
}

static void cut_off(const char *path)
{
	assert_int_equal(truncate(path, 0), 0);
}

/* As a mount reads: through memory, and anew when the file can't be read. */
static int read_loaded(struct cache_handle *h, uint64_t generation,
		       uint64_t offset, size_t size)
{
	struct cache_span span;
	struct op op;
	bool fits;
	int rc;

	op_init(&op, TIMEOUT);
	for (int i = 0; i < 3; i++) {
		rc = cache_read(&op, h, offset, size, &span);
		if (rc < 0)
			return rc;
		rc = cache_span_load(&span);
		fits = rc == 0 && span_fits(&span, generation, offset);
		cache_span_done(&span);
		if (rc == 0)
			return !fits;
	}
	return rc;
}

static void an_unreadable_file_is_fetched_again(void **state UNUSED)
{
	struct object_ref ref = ref_of(51, 5 * MIB + 1);
	struct object_ref small = ref_of(52, 300 * KIB);
	struct cache_status status;
	struct cache_handle *h, *s;
	struct cache *c;

	for (int run = 0; run < 2; run++) {
		c = open_plain();
		h = pin(c, &ref);
		s = pin(c, &small);
		assert_int_equal(read_all_of(h, &ref), 0);
		assert_int_equal(read_all_of(s, &small), 0);
		if (run == 1)
			break;
		settle(c);
		cache_unpin(h);
		cache_unpin(s);
		cache_close(c);
		atomic_store(&fake.n_calls, 0);
	}
	assert_int_equal(atomic_load(&fake.n_calls), 0);
	assert_int_equal(each_file(".data", cut_off), 1);
	assert_int_equal(each_file(".whole", cut_off), 1);
	assert_int_equal(read_loaded(s, 52, 5, 100 * KIB), 0);
	/* From the file alone, and partly from memory. */
	assert_int_equal(read_loaded(h, 51, MIB, 4096), 0);
	assert_int_equal(read_loaded(h, 51, MIB, MIB), 0);
	cache_status(c, &status);
	assert_true(status.disk_failing);
	clock_skew_for_test(3 * (int64_t)NS_PER_S);
	for (uint64_t at = 0; at < 5 * MIB; at += 64 * KIB)
		assert_int_equal(read_loaded(h, 51, at, 64 * KIB), 0);
	cache_unpin(h);
	cache_unpin(s);
	cache_close(c);
}

static void room_is_kept_for_the_catalogue(void **state UNUSED)
{
	struct cache_config config = config_of();
	struct object_ref ref = ref_of(53, 5 * MIB);
	struct cache_status status;

	for (int run = 0; run < 2; run++) {
		struct cache *c = open_with(&config);
		struct cache_handle *h = pin(c, &ref);

		assert_int_equal(read_all_of(h, &ref), 0);
		settle(c);
		cache_status(c, &status);
		assert_string_equal(status.disk_error,
				    run == 0 ? ""
					     : "no space but what is kept for "
					       "the catalogue");
		cache_unpin(h);
		cache_close(c);
		/* The scan may have found the first run's too late. */
		assert_true(each_file(".data", NULL) <= 1);
		config.keep_free_bytes = 1ull << 60;
		ref = ref_of(54, 5 * MIB);
	}
}

static void the_disk_stays_within_its_limit(void **state UNUSED)
{
	struct cache_config config = config_of();
	struct cache_status status;
	struct cache *c;
	uint64_t evicted = metric_get(METRIC_CACHE_EVICTED_BYTES);

	config.size_bytes = 10 * MIB;
	c = open_with(&config);
	for (uint64_t generation = 1; generation <= 12; generation++) {
		struct object_ref ref = ref_of(generation, 3 * MIB);
		struct cache_handle *h = pin(c, &ref);

		assert_int_equal(read_all_of(h, &ref), 0);
		assert_int_equal(read_all_of(h, &ref), 0);
		settle(c);
		cache_unpin(h);
		cache_status(c, &status);
		assert_true(status.disk_bytes <= 10 * MIB);
	}
	assert_true(metric_get(METRIC_CACHE_EVICTED_BYTES) > evicted);
	assert_true(each_file(".data", NULL) <= 3);
	cache_close(c);
}

static void a_pinned_object_may_be_larger_than_the_disk(void **state UNUSED)
{
	struct cache_config config = config_of();
	struct object_ref ref = ref_of(14, 30 * MIB);
	struct cache_handle *h;
	struct cache *c;

	config.size_bytes = 5 * MIB;
	c = open_with(&config);
	h = pin(c, &ref);
	assert_int_equal(read_all_of(h, &ref), 0);
	assert_int_equal(read_all_of(h, &ref), 0);
	cache_unpin(h);
	cache_close(c);
}

static void a_full_disk_costs_the_cache_only(void **state UNUSED)
{
	struct object_ref ref = ref_of(15, 24 * MIB);
	struct object_ref small = ref_of(16, 300 * KIB);
	struct rlimit old, none = {.rlim_cur = 100000};
	struct cache *c = open_plain();
	struct cache_status status;
	struct cache_handle *h, *s;
	uint64_t failures = metric_get(METRIC_CACHE_WRITE_FAILURES);

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	h = pin(c, &ref);
	s = pin(c, &small);
	assert_int_equal(read_all_of(h, &ref), 0);
	assert_int_equal(read_all_of(h, &ref), 0);
	assert_int_equal(read_all_of(s, &small), 0);
	settle(c);
	cache_status(c, &status);
	assert_true(status.disk_failing);
	assert_true(metric_get(METRIC_CACHE_WRITE_FAILURES) > failures);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	clock_skew_for_test(3 * (int64_t)NS_PER_S);
	assert_int_equal(read_all_of(h, &ref), 0);
	settle(c);
	cache_status(c, &status);
	assert_false(status.disk_failing);
	cache_unpin(h);
	cache_unpin(s);
	cache_close(c);
}

static void *read_randomly(void *arg)
{
	struct reader *r = arg;
	uint64_t x = r->seed;

	for (unsigned i = 0; i < r->n_reads && r->rc == 0; i++) {
		uint64_t offset = mix(x += 77) % r->ref->size;
		size_t size = 1 + mix(x + 5) % (i % 10 ? 40000 : 2 * MIB);
		uint64_t left = r->ref->size - offset;

		r->rc = read_once(r->h, r->ref->generation, offset, size,
				  size < left ? size : (size_t)left);
	}
	return NULL;
}

static void random_reads(const struct cache_config *config, unsigned n_threads,
			 unsigned n_reads)
{
	struct object_ref refs[4] = {ref_of(20, 9 * MIB + 17),
				     ref_of(21, 70 * MIB), ref_of(22, 100000),
				     ref_of(23, MIB + 1)};
	struct reader *readers = calloc(n_threads, sizeof(*readers));
	struct cache *c = open_with(config);
	struct cache_status status;

	for (unsigned i = 0; i < n_threads; i++) {
		readers[i].ref = &refs[i % 4];
		readers[i].h = pin(c, readers[i].ref);
		readers[i].seed = i * 1000003;
		readers[i].n_reads = n_reads;
		start(&readers[i], read_randomly);
	}
	for (unsigned i = 0; i < n_threads; i++) {
		cache_status(c, &status);
		assert_true(status.memory_bytes <= config->memory_bytes);
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].rc, 0);
		cache_unpin(readers[i].h);
	}
	cache_close(c);
	free(readers);
}

static void random_readers_get_the_right_bytes(void **state UNUSED)
{
	struct cache_config config = config_of();

	config.read_ahead_bytes = 8 * MIB;
	config.size_bytes = 40 * MIB; /* so that it evicts, too */
	random_reads(&config, 8, 200);
}

static void a_hundred_readers_fit_in_little_memory(void **state UNUSED)
{
	struct cache_config config = config_of();

	random_reads(&config, 100, 10);
}

static void a_hundred_readers_fit_without_a_disk(void **state UNUSED)
{
	struct cache_config config = config_of();

	config.size_bytes = 0;
	random_reads(&config, 100, 6);
}

static void a_scan_reads_ahead_and_each_byte_once(void **state UNUSED)
{
	struct cache_config config = config_of();
	struct object_ref ref = ref_of(30, 64 * MIB + 5);
	struct cache_handle *h;
	struct cache *c;

	config.read_ahead_bytes = 8 * MIB;
	c = open_with(&config);
	h = pin(c, &ref);
	assert_int_equal(read_all_of(h, &ref), 0);
	settle(c);
	assert_int_equal(atomic_load(&fake.n_bytes), ref.size);
	assert_true(atomic_load(&fake.n_calls) < 200);
	cache_unpin(h);
	cache_close(c);
}

static void closing_ends_read_ahead(void **state UNUSED)
{
	struct cache_config config = config_of();
	struct object_ref ref = ref_of(30, 64 * MIB);
	struct cache_handle *h;
	struct cache *c;

	config.read_ahead_bytes = 8 * MIB;
	c = open_with(&config);
	h = pin(c, &ref);
	assert_int_equal(read_once(h, 30, 0, 128 * KIB, 128 * KIB), 0);
	assert_int_equal(read_once(h, 30, 128 * KIB, 64 * KIB, 64 * KIB), 0);
	settle(c);
	atomic_store(&fake.gate, true);
	assert_int_equal(read_once(h, 30, 192 * KIB, 64 * KIB, 64 * KIB), 0);
	assert_int_equal(read_once(h, 30, 256 * KIB, 128 * KIB, 128 * KIB), 0);
	assert_int_equal(read_once(h, 30, 384 * KIB, 128 * KIB, 128 * KIB), 0);
	cache_unpin(h);
	settle(c);
	cache_close(c);
}

static void generations_do_not_mix(void **state UNUSED)
{
	struct object_ref old = ref_of(40, 2 * MIB);
	struct object_ref new = ref_of(41, 2 * MIB);
	struct cache *c = open_plain();
	struct cache_handle *h = pin(c, &old);
	struct cache_handle *n = pin(c, &new);

	assert_int_equal(read_all_of(n, &new), 0);
	assert_int_equal(read_all_of(h, &old), 0);
	assert_int_equal(read_all_of(n, &new), 0);
	cache_unpin(h);
	cache_unpin(n);
	cache_close(c);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(reads_are_cut_at_the_end),
		T(a_byte_brings_one_block),
		T(readers_of_one_block_share_one_fetch),
		T(landed_blocks_are_served_before_the_rest),
		T(a_killed_reader_hurts_nobody),
		T(an_unwanted_fetch_is_cancelled),
		T(a_failure_is_told_and_the_next_read_tries_anew),
		T(a_short_body_is_a_failure),
		T(what_was_read_survives_a_restart),
		T(a_torn_block_is_fetched_again),
		T(garbage_in_the_directory_is_not_trusted),
		T(wrong_small_bytes_never_reach_a_reader),
		T(wrong_everywhere_is_an_error),
		T(full_integrity_checks_before_the_first_byte),
		T(a_late_mismatch_poisons_all_who_may_have_read),
		T(other_bytes_for_a_known_block_are_not_accepted),
		T(what_flies_of_a_forgotten_object_is_cancelled),
		T(an_unreadable_file_is_fetched_again),
		T(room_is_kept_for_the_catalogue),
		T(the_disk_stays_within_its_limit),
		T(a_pinned_object_may_be_larger_than_the_disk),
		T(a_full_disk_costs_the_cache_only),
		T(random_readers_get_the_right_bytes),
		T(a_hundred_readers_fit_in_little_memory),
		T(a_hundred_readers_fit_without_a_disk),
		T(a_scan_reads_ahead_and_each_byte_once),
		T(closing_ends_read_ahead),
		T(generations_do_not_mix),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
