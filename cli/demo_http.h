/*
 * How the demo talks to its servers: one request, one answer.  What the mount
 * itself does goes through sites/; this is the ingestion job, the copier and
 * the operator of a real lake.
 *
 * Threads: one.
 */
#ifndef LAKEFUSE_CLI_DEMO_HTTP_H
#define LAKEFUSE_CLI_DEMO_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "cli/demo_stage.h"

struct op;

struct demo_bytes {
	const void *data;
	size_t size;
};

/* An object of the record, by the JSON API; its generation. */
int demo_put_record(struct op *op, const struct stage *stage, const char *name,
		    struct demo_bytes bytes, int64_t *ret_generation);

/*
 * A copy at a replica, as a copier leaves it: dc1 by S3, stamped with the
 * generation it was copied from; dc2 by the JSON API, without a stamp.
 */
int demo_put_copy(struct op *op, const struct stage *stage, enum demo_site site,
		  const char *name, struct demo_bytes bytes,
		  int64_t generation);

/* Replaces the misbehaviour of a server: serve/faults.h. */
int demo_set_faults(struct op *op, const struct stage *stage,
		    enum demo_site site, const char *json);

#endif
