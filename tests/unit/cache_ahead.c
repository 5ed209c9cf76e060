/* What cache/ahead.h promises, held against traces of reads. */
#include "cache/ahead.h"

#include "cache/cache.h"
#include "tests/lib/cmocka.h"

#define KIB 1024u
#define MIB (1024u * KIB)
#define PIECE (128u * KIB) /* as the kernel asks */
#define MAX_WINDOW (32u * MIB)
#define OBJECT (1024ull * MIB)

/* Blocks that were fetched, and what the trace asked for. */
struct trace {
	struct ahead ahead;
	bool fetched[OBJECT / CACHE_BLOCK];
	uint64_t n_fetched; /* bytes */
	uint64_t n_asked;
	uint64_t n_ahead; /* bytes, of these */
	uint64_t in_flight_max;
	size_t piece_min, piece_max;
};

static void fetch(struct trace *t, uint64_t from, uint64_t to)
{
	for (uint64_t b = from / CACHE_BLOCK; b * CACHE_BLOCK < to; b++) {
		assert_true(b < OBJECT / CACHE_BLOCK);
		t->n_fetched += t->fetched[b] ? 0 : CACHE_BLOCK;
		t->fetched[b] = true;
	}
}

static void read_at(struct trace *t, uint64_t offset, size_t size)
{
	struct ahead_want want;

	t->n_asked += size;
	fetch(t, offset, offset + size);
	ahead_note(&t->ahead, offset, size, OBJECT, MAX_WINDOW, &want);
	if (want.from == want.to)
		return;
	assert_true(want.to <= OBJECT);
	t->n_ahead += want.to - want.from;
	t->piece_min = t->piece_min && t->piece_min < want.piece ? t->piece_min
								 : want.piece;
	t->piece_max = want.piece > t->piece_max ? want.piece : t->piece_max;
	if ((want.to - want.run->next) / want.piece > t->in_flight_max)
		t->in_flight_max = (want.to - want.run->next) / want.piece;
	fetch(t, want.from, want.to);
	want.run->asked = want.to;
}

static void read_range(struct trace *t, uint64_t offset, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += PIECE)
		read_at(t, offset + at,
			size - at < PIECE ? (size_t)(size - at) : PIECE);
}

static struct trace t;

static void reset(void)
{
	static const struct trace none;

	t = none;
}

static void column_chunks_are_fetched_exactly(void **state UNUSED)
{
	uint64_t at = 7777;

	reset();
	read_at(&t, OBJECT - 64 * KIB, 64 * KIB);
	for (int i = 0; i < 20; i++) {
		read_range(&t, at, MIB);
		at += 13 * MIB + 4321 + (uint64_t)i * 999;
	}
	assert_int_equal(t.n_ahead, 0);
	assert_true(t.n_fetched * 10 <= t.n_asked * 11);
}

static void column_chunks_side_by_side_cost_little_more(void **state UNUSED)
{
	reset();
	read_at(&t, OBJECT - 64 * KIB, 64 * KIB);
	for (int i = 0; i < 20; i++)
		read_range(&t, (uint64_t)i * (MIB + 100 * KIB), MIB);
	/* Twenty in a row are a scan of the row group. */
	assert_true(t.n_fetched <= t.n_asked + t.n_asked / 3);
}

static void a_random_byte_costs_one_block(void **state UNUSED)
{
	uint64_t seed = 1;

	reset();
	for (int i = 0; i < 100; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		read_at(&t, (seed >> 20) % OBJECT, 1);
	}
	assert_int_equal(t.n_ahead, 0);
	assert_true(t.n_fetched <= 100 * CACHE_BLOCK);
}

static void a_scan_keeps_eight_fetches_in_flight(void **state UNUSED)
{
	reset();
	read_range(&t, 0, 256 * MIB);
	t.in_flight_max = 0;
	t.piece_min = 0;
	read_range(&t, 256 * MIB, 256 * MIB);
	assert_true(t.in_flight_max >= 8);
	assert_true(t.piece_min >= MIB);
	assert_true(t.piece_max <= 4 * MIB);
}

static void a_scan_fetches_nothing_beyond_the_end(void **state UNUSED)
{
	reset();
	read_range(&t, 0, OBJECT);
	assert_int_equal(t.n_fetched, OBJECT);
}

static void a_scan_out_of_order_is_still_a_scan(void **state UNUSED)
{
	reset();
	for (uint64_t at = 0; at < 64 * MIB; at += 4 * PIECE) {
		read_at(&t, at + 0 * PIECE, PIECE);
		read_at(&t, at + 2 * PIECE, PIECE);
		read_at(&t, at + 1 * PIECE, PIECE);
		read_at(&t, at + 3 * PIECE, PIECE);
	}
	assert_false(t.ahead.scattered);
	assert_true(t.n_ahead >= 64 * MIB);
}

static void a_look_at_the_head_is_not_a_scan(void **state UNUSED)
{
	reset();
	read_at(&t, 0, 16 * KIB);
	assert_int_equal(t.n_ahead, 0);
}

static void a_long_run_in_the_middle_becomes_a_scan(void **state UNUSED)
{
	reset();
	read_at(&t, OBJECT - 64 * KIB, 64 * KIB);
	read_range(&t, 100 * MIB, MIB + MIB / 2);
	assert_int_equal(t.n_ahead, 0);
	read_range(&t, 100 * MIB + MIB + MIB / 2, 200 * MIB);
	assert_true(t.in_flight_max >= 8);
}

static void no_window_means_nothing_ahead(void **state UNUSED)
{
	struct ahead a = {0};
	struct ahead_want want;

	for (uint64_t at = 0; at < 16 * MIB; at += PIECE) {
		ahead_note(&a, at, PIECE, OBJECT, 0, &want);
		assert_int_equal(want.from, want.to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(column_chunks_are_fetched_exactly),
		cmocka_unit_test(column_chunks_side_by_side_cost_little_more),
		cmocka_unit_test(a_random_byte_costs_one_block),
		cmocka_unit_test(a_scan_keeps_eight_fetches_in_flight),
		cmocka_unit_test(a_scan_fetches_nothing_beyond_the_end),
		cmocka_unit_test(a_scan_out_of_order_is_still_a_scan),
		cmocka_unit_test(a_look_at_the_head_is_not_a_scan),
		cmocka_unit_test(a_long_run_in_the_middle_becomes_a_scan),
		cmocka_unit_test(no_window_means_nothing_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
