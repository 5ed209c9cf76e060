#include "cache/ahead.h"

#define PIECE_MIN (512u << 10)
#define HEAD_LOOK (128u << 10)
#define PIECE_MAX (4u << 20)

static bool follows(const struct ahead_run *run, uint64_t offset)
{
	if (run->last_used == 0)
		return false;
	return offset + AHEAD_REORDER >= run->next &&
	       offset <= run->next + AHEAD_REORDER;
}

/* The run this read belongs to, or the one not used for the longest time. */
static struct ahead_run *find_run(struct ahead *a, uint64_t offset, bool *found)
{
	struct ahead_run *oldest = &a->runs[0];

	for (int i = 0; i < AHEAD_RUNS; i++) {
		struct ahead_run *run = &a->runs[i];

		if (follows(run, offset)) {
			*found = true;
			return run;
		}
		if (run->last_used < oldest->last_used)
			oldest = run;
	}
	*found = false;
	return oldest;
}

/* Several fetches share a window, so that one is always about to land. */
static size_t piece_of(uint64_t window)
{
	size_t piece = PIECE_MIN;

	while (piece < PIECE_MAX && piece * 16 <= window / 2)
		piece *= 2;
	return piece;
}

static uint64_t scan_window(struct ahead_run *run, uint64_t max)
{
	/* A look at the first bytes only is not a scan yet. */
	if (run->n_bytes < HEAD_LOOK)
		return 0;
	if (run->window == 0)
		run->window = AHEAD_FIRST;
	else if (run->window < max && run->n_bytes >= run->window / 2)
		run->window *= 2;
	if (run->window > max)
		run->window = max;
	return run->window;
}

static uint64_t late_window(const struct ahead_run *run, uint64_t max)
{
	uint64_t window = run->n_bytes / 4;

	if (run->n_bytes < AHEAD_TRUST)
		return 0;
	return window < max ? window : max;
}

void ahead_note(struct ahead *a, uint64_t offset, size_t size,
		uint64_t object_size, uint64_t max, struct ahead_want *ret)
{
	struct ahead_run *run;
	uint64_t window, end = offset + size;
	bool found;

	*ret = (struct ahead_want){0};
	run = find_run(a, offset, &found);
	if (!found) {
		*run = (struct ahead_run){.next = offset, .asked = offset};
		a->scattered |= a->n_reads > 0 || offset > 0;
	}
	run->last_used = ++a->n_reads;
	run->n_bytes += size;
	if (end > run->next)
		run->next = end;
	if (run->asked < run->next)
		run->asked = run->next;

	window = a->scattered ? late_window(run, max) : scan_window(run, max);
	end = run->next + window;
	if (end > object_size)
		end = object_size;
	if (window == 0 || end <= run->asked)
		return;
	ret->piece = piece_of(window);
	/* Pieces end at multiples of their size, or with the object. */
	if (end < object_size)
		end -= end % ret->piece;
	if (end <= run->asked)
		return;
	ret->from = run->asked;
	ret->to = end;
	ret->run = run;
}
