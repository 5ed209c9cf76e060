/*
 * What lake_read() promises (design: P2, P3, P4, P6), against sites that fail
 * on request.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/op.h"
#include "sites/lake.h"
#include "tests/lib/cmocka.h"

#define SIZE 1000

/* A site that does what it is told. */
struct fake {
	struct site site;
	struct object_info info; /* of its copy; size 0: absent */
	const char *etag;
	size_t cut_after; /* 0: never; else the read fails after so many */
	int fail_rc;	  /* 0, or what a read comes to without a byte */
	int n_fails;	  /* how often; -1: always */
	bool ignores_conditions; /* takes no notice of If-Match */
	bool bare_headers;	 /* reads tell neither stamp nor checksum */
	unsigned char fill;	 /* the byte it serves */
	int n_reads, n_stats;
	char last_validator[64];
};

static int fake_read(struct op *op, struct site *site, struct site_read *read)
{
	struct fake *f = (struct fake *)site;
	struct object_info info = f->info;
	size_t n = read->len;
	int rc;

	f->n_reads++;
	snprintf(f->last_validator, sizeof(f->last_validator), "%s",
		 read->validator ? read->validator : "");
	if (f->fail_rc && f->n_fails != 0) {
		f->n_fails--;
		return op_fail(op, f->fail_rc, "fake trouble");
	}
	if (f->info.size == 0)
		return op_fail(op, -ENOENT, "absent");
	if (read->validator && !f->ignores_conditions &&
	    strcmp(read->validator, f->etag) != 0)
		return op_fail(op, -ESTALE, "412");
	if (f->bare_headers)
		info.has = info.stamp = 0;
	info.validator = (char *)(uintptr_t)f->etag;
	rc = read->accept(read->arg, &info);
	if (rc < 0)
		return op_fail(op, rc, "refused");
	if (f->cut_after && f->cut_after < n)
		n = f->cut_after;
	memset(read->buf, f->fill, n);
	read->n_done = n;
	read->latency_ns = 1000;
	if (read->progress)
		read->progress(read->arg, n);
	return n == read->len ? 0 : op_fail(op, -EAGAIN, "cut");
}

static int fake_stat(struct op *op, struct site *site, const char *name,
		     uint64_t not_generation, struct object_info *ret)
{
	struct fake *f = (struct fake *)site;

	(void)name, (void)not_generation;
	f->n_stats++;
	if (f->info.size == 0)
		return op_fail(op, -ENOENT, "absent");
	*ret = f->info;
	ret->validator = strdup(f->etag);
	return 0;
}

static const struct site_ops fake_ops = {.read = fake_read, .stat = fake_stat};

static struct fake fakes[3];
static struct lake lake;
static const struct object_ref ref = {.name = "a",
				      .generation = 5,
				      .size = SIZE,
				      .has = HAS_CRC32C,
				      .crc32c = 77};

/* The record, and two replicas nearer than it: dc1 before dc2. */
static int set_up(void **state UNUSED)
{
	static const char *const names[] = {"record", "dc1", "dc2"};

	memset(fakes, 0, sizeof(fakes));
	memset(&lake, 0, sizeof(lake));
	lake.n_sites = 3;
	lake.stall_ns = lake.first_byte_ns = NS_PER_S;
	for (unsigned i = 0; i < 3; i++) {
		struct fake *f = &fakes[i];

		f->site.ops = &fake_ops;
		f->info.size = SIZE;
		f->info.has = HAS_CRC32C;
		f->info.crc32c = 77;
		f->etag = "e1";
		f->fill = (unsigned char)('0' + i);
		lake.sites[i].site = &f->site;
		lake.sites[i].name = (char *)(uintptr_t)names[i];
		health_init(&lake.sites[i].health, i == 0 ? 1000000 : i * 1000);
	}
	fakes[0].info.generation = 5;
	return copies_new(&lake.copies);
}

static int tear_down(void **state UNUSED)
{
	copies_free(lake.copies);
	return 0;
}

static char buf[SIZE];
static struct read_part part;
static struct op op;

static int read_all(void)
{
	op_init(&op, 2 * NS_PER_S);
	memset(buf, 0, sizeof(buf));
	part = (struct read_part){.len = SIZE, .buf = buf};
	return lake_read(&op, &lake, &ref, &part);
}

static void the_nearest_proven_copy_serves(void **state UNUSED)
{
	assert_int_equal(read_all(), 0);
	assert_int_equal(part.last_site, 1);
	assert_int_equal(part.proof, PROOF_CHECKSUM);
	assert_int_equal(buf[SIZE - 1], '1');
	assert_int_equal(fakes[0].n_reads + fakes[2].n_reads, 0);
	assert_int_equal(fakes[1].n_stats, 0);
}

static void later_ranges_go_under_the_validator(void **state UNUSED)
{
	assert_int_equal(read_all(), 0);
	assert_string_equal(fakes[1].last_validator, "");
	assert_int_equal(read_all(), 0);
	assert_string_equal(fakes[1].last_validator, "e1");
}

static void a_stale_copy_is_passed_over_and_counted(void **state UNUSED)
{
	struct site_status status;

	fakes[1].info.crc32c = 78;
	assert_int_equal(read_all(), 0);
	assert_int_equal(part.last_site, 2);
	lake_site_status(&lake, 1, &status);
	assert_int_equal(status.refused[REFUSED_STALE], 1);
	assert_int_equal(read_all(), 0);
	assert_int_equal(fakes[1].n_reads, 1); /* it is not asked each time */
}

static void a_copy_changed_after_its_proof_is_proven_again(void **state UNUSED)
{
	assert_int_equal(read_all(), 0);
	fakes[1].etag = "e2"; /* written again, the same bytes */
	assert_int_equal(read_all(), 0);
	assert_int_equal(part.last_site, 1);
	fakes[1].etag = "e3";
	fakes[1].info.crc32c = 1; /* and now others */
	assert_int_equal(read_all(), 0);
	assert_int_equal(part.last_site, 2);
}

static void without_proof_in_the_headers_the_site_is_asked(void **state UNUSED)
{
	fakes[1].bare_headers = true;
	assert_int_equal(read_all(), 0);
	assert_int_equal(part.last_site, 1);
	assert_int_equal(fakes[1].n_stats, 1);
	assert_int_equal(read_all(), 0);
	assert_int_equal(fakes[1].n_stats, 1);
}

static void
a_server_that_ignores_conditions_is_not_believed(void **state UNUSED)
{
	fakes[1].bare_headers = true;
	assert_int_equal(read_all(), 0);
	assert_int_equal(part.last_site, 1);
	fakes[1].ignores_conditions = true;
	fakes[1].etag = "e2"; /* the same size, and other bytes */
	fakes[1].info.crc32c = 1;
	assert_int_equal(read_all(), 0);
	assert_int_equal(part.last_site, 2);
	assert_int_equal(buf[0], '2');
}

static void a_gone_generation_is_not_waited_for(void **state UNUSED)
{
	fakes[0].fail_rc = -ESTALE;
	fakes[1].fail_rc = fakes[2].fail_rc = -EAGAIN;
	fakes[0].n_fails = fakes[1].n_fails = fakes[2].n_fails = -1;
	op_init(&op, 60 * NS_PER_S);
	part = (struct read_part){.len = SIZE, .buf = buf};
	assert_int_equal(lake_read(&op, &lake, &ref, &part), -ESTALE);
	assert_true(fakes[1].n_reads <= 4);
}

static void who_is_denied_at_a_replica_goes_on_elsewhere(void **state UNUSED)
{
	fakes[1].fail_rc = -EACCES;
	fakes[1].n_fails = -1;
	for (int i = 0; i < 5; i++)
		assert_int_equal(read_all(), 0);
	assert_int_equal(part.last_site, 2);
	assert_false(health_is_broken(&lake.sites[1].health));
}

static void an_unproven_copy_never_serves(void **state UNUSED)
{
	fakes[1].info.has = 0;
	fakes[2].info.has = 0;
	assert_int_equal(read_all(), 0);
	assert_int_equal(part.last_site, 0);
	assert_int_equal(part.proof, PROOF_NATIVE);
}

static void a_cut_goes_on_at_the_next_copy_behind_its_bytes(void **state UNUSED)
{
	fakes[1].cut_after = 300;
	assert_int_equal(read_all(), 0);
	assert_int_equal(buf[299], '1');
	assert_int_equal(buf[300], '2');
	assert_int_equal(part.sites, 1u << 1 | 1u << 2);
	assert_int_equal(part.n_done, SIZE);
}

static void trouble_at_every_site_is_tried_again(void **state UNUSED)
{
	for (int i = 0; i < 3; i++) {
		fakes[i].fail_rc = -EAGAIN;
		fakes[i].n_fails = 2;
	}
	assert_int_equal(read_all(), 0);
}

static void trouble_without_end_ends_with_the_deadline(void **state UNUSED)
{
	for (int i = 0; i < 3; i++) {
		fakes[i].fail_rc = -EAGAIN;
		fakes[i].n_fails = -1;
	}
	assert_int_equal(read_all(), -ETIMEDOUT);
	assert_non_null(strstr(op.why, "fake trouble"));
}

static void a_generation_that_is_gone_is_estale(void **state UNUSED)
{
	fakes[0].fail_rc = -ESTALE;
	fakes[0].n_fails = -1;
	fakes[1].info.size = fakes[2].info.size = 0;
	assert_int_equal(read_all(), -ESTALE);
}

static void
a_gone_generation_is_served_while_a_copy_is_left(void **state UNUSED)
{
	fakes[0].fail_rc = -ESTALE;
	fakes[0].n_fails = -1;
	fakes[1].info.size = 0;
	assert_int_equal(read_all(), 0);
	assert_int_equal(part.last_site, 2);
}

static void the_record_must_say_this_generation(void **state UNUSED)
{
	fakes[0].info.generation = 6;
	fakes[1].info.size = fakes[2].info.size = 0;
	assert_true(read_all() < 0);
	assert_int_equal(part.n_done, 0);
}

static void a_quarantined_copy_never_serves_again(void **state UNUSED)
{
	lake_quarantine(&lake, &ref, 1u << 1);
	assert_int_equal(read_all(), 0);
	assert_int_equal(part.last_site, 2);
	assert_int_equal(fakes[1].n_reads, 0);
}

static void a_cancelled_read_comes_back(void **state UNUSED)
{
	op_init(&op, 0);
	op_cancel(&op);
	part = (struct read_part){.len = SIZE, .buf = buf};
	assert_int_equal(lake_read(&op, &lake, &ref, &part), -EINTR);
}

#define ROUTE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROUTE_TEST(the_nearest_proven_copy_serves),
		ROUTE_TEST(later_ranges_go_under_the_validator),
		ROUTE_TEST(a_stale_copy_is_passed_over_and_counted),
		ROUTE_TEST(a_copy_changed_after_its_proof_is_proven_again),
		ROUTE_TEST(without_proof_in_the_headers_the_site_is_asked),
		ROUTE_TEST(a_server_that_ignores_conditions_is_not_believed),
		ROUTE_TEST(a_gone_generation_is_not_waited_for),
		ROUTE_TEST(who_is_denied_at_a_replica_goes_on_elsewhere),
		ROUTE_TEST(an_unproven_copy_never_serves),
		ROUTE_TEST(a_cut_goes_on_at_the_next_copy_behind_its_bytes),
		ROUTE_TEST(trouble_at_every_site_is_tried_again),
		ROUTE_TEST(trouble_without_end_ends_with_the_deadline),
		ROUTE_TEST(a_generation_that_is_gone_is_estale),
		ROUTE_TEST(a_gone_generation_is_served_while_a_copy_is_left),
		ROUTE_TEST(the_record_must_say_this_generation),
		ROUTE_TEST(a_quarantined_copy_never_serves_again),
		ROUTE_TEST(a_cancelled_read_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
