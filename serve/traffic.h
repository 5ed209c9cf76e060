/*
 * What was asked of the server: counters by kind and the last requests.  They
 * are the oracle of tests ("a warm cat sends nothing").
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_SERVE_TRAFFIC_H
#define LAKEFUSE_SERVE_TRAFFIC_H

#include <stdint.h>

struct text;
struct traffic;

/* X(symbol, name in JSON) */
#define TRAFFIC_KINDS(X)          \
	X(OTHER, "other")         \
	X(LIST, "list")           \
	X(STAT, "stat")           \
	X(MEDIA, "media")         \
	X(PUT, "put")             \
	X(RESUMABLE, "resumable") \
	X(PATCH, "patch")         \
	X(DELETE, "delete")       \
	X(COPY, "copy")           \
	X(COMPOSE, "compose")     \
	X(MOVE, "move")           \
	X(BUCKET, "bucket")

#define TRAFFIC_ENUM_(sym, name) TRAFFIC_##sym,
enum traffic_kind { TRAFFIC_KINDS(TRAFFIC_ENUM_) N_TRAFFIC_KINDS };
#undef TRAFFIC_ENUM_

struct traffic *traffic_new(void);
void traffic_free(struct traffic *t);

/* One answered (or abandoned: status 0) request.  Strings are copied. */
struct traffic_entry {
	enum traffic_kind kind;
	const char *method;
	const char *target;
	const char *range; /* or NULL */
	unsigned status;
	uint64_t begin_ns; /* monotonic */
	uint64_t media_bytes;
};

/* When a request begins: so that one which hangs is counted, too. */
void traffic_begin(struct traffic *t, enum traffic_kind kind);
void traffic_end(struct traffic *t, const struct traffic_entry *e);

void traffic_reset(struct traffic *t);
void traffic_show(struct traffic *t, struct text *to);
void traffic_show_log(struct traffic *t, struct text *to);

#endif
