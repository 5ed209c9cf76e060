#include "serve/traffic.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "serve/text.h"

#define LOG_ROWS 1000

#define TRAFFIC_NAME_(sym, name) name,
static const char *const names[] = {TRAFFIC_KINDS(TRAFFIC_NAME_)};
#undef TRAFFIC_NAME_

struct row {
	char method[8];
	char range[64];
	char target[400]; /* longer ones are cut */
	unsigned status;
	double t_ms; /* since the server began */
	double took_ms;
};

struct guarded {
	struct row rows[LOG_ROWS];
	uint64_t n_rows; /* ever written since the reset */
};

struct traffic {
	atomic_uint_fast64_t counts[N_TRAFFIC_KINDS];
	atomic_uint_fast64_t media_bytes;
	atomic_uint_fast64_t errors;
	uint64_t begin_ns;
	struct mutex lock; /* a leaf */
	struct guarded guarded;
};

static struct guarded *held(struct traffic *t) REQUIRES(t->lock)
{
	return &t->guarded;
}

struct traffic *traffic_new(void)
{
	struct traffic *t = calloc(1, sizeof(*t));

	if (t) {
		mutex_init(&t->lock, RANK_BASE);
		t->begin_ns = clock_mono_ns();
	}
	return t;
}

void traffic_free(struct traffic *t)
{
	if (!t)
		return;
	mutex_done(&t->lock);
	free(t);
}

void traffic_begin(struct traffic *t, enum traffic_kind kind)
{
	atomic_fetch_add(&t->counts[kind], 1);
}

void traffic_end(struct traffic *t, const struct traffic_entry *e)
{
	struct row *row;

	atomic_fetch_add(&t->media_bytes, e->media_bytes);
	if (e->status >= 400 || e->status == 0)
		atomic_fetch_add(&t->errors, 1);
	mutex_lock(&t->lock);
	row = &held(t)->rows[held(t)->n_rows++ % LOG_ROWS];
	snprintf(row->method, sizeof(row->method), "%s", e->method);
	snprintf(row->range, sizeof(row->range), "%s",
		 e->range ? e->range : "");
	snprintf(row->target, sizeof(row->target), "%s", e->target);
	row->status = e->status;
	row->t_ms = (double)(e->begin_ns - t->begin_ns) / 1e6;
	row->took_ms = (double)(clock_mono_ns() - e->begin_ns) / 1e6;
	mutex_unlock(&t->lock);
}

void traffic_reset(struct traffic *t)
{
	for (size_t i = 0; i < N_TRAFFIC_KINDS; i++)
		atomic_store(&t->counts[i], 0);
	atomic_store(&t->media_bytes, 0);
	atomic_store(&t->errors, 0);
	mutex_lock(&t->lock);
	held(t)->n_rows = 0;
	mutex_unlock(&t->lock);
}

void traffic_show(struct traffic *t, struct text *to)
{
	uint64_t total = 0;

	text_str(to, "{");
	for (size_t i = 0; i < N_TRAFFIC_KINDS; i++) {
		uint64_t n = atomic_load(&t->counts[i]);

		total += n;
		text_fmt(to, "\"%s\":%" PRIu64 ",", names[i], n);
	}
	text_fmt(to,
		 "\"media_bytes\":%" PRIu64 ",\"errors\":%" PRIu64
		 ",\"total\":%" PRIu64 "}\n",
		 (uint64_t)atomic_load(&t->media_bytes),
		 (uint64_t)atomic_load(&t->errors), total);
}

static void show_row(const struct row *row, struct text *to)
{
	text_str(to, "{\"method\":");
	text_json(to, row->method, strlen(row->method));
	text_str(to, ",\"target\":");
	text_json(to, row->target, strlen(row->target));
	text_str(to, ",\"range\":");
	text_json(to, row->range, strlen(row->range));
	text_fmt(to, ",\"status\":%u,\"t_ms\":%.3f,\"took_ms\":%.3f}",
		 row->status, row->t_ms, row->took_ms);
}

void traffic_show_log(struct traffic *t, struct text *to)
{
	uint64_t i = 0;

	text_str(to, "[");
	mutex_lock(&t->lock);
	if (held(t)->n_rows > LOG_ROWS)
		i = held(t)->n_rows - LOG_ROWS;
	for (; i < held(t)->n_rows; i++) {
		show_row(&held(t)->rows[i % LOG_ROWS], to);
		if (i + 1 < held(t)->n_rows)
			text_str(to, ",\n");
	}
	mutex_unlock(&t->lock);
	text_str(to, "]\n");
}
