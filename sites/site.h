/*
 * One place objects can be: what each driver (GCS JSON, S3, directory) gives.
 *
 * Inside sites/ only.  A driver makes one attempt and says how it went; trying
 * again, going to another site, and believing a copy are its callers' affair
 * (sites/lake.c, sites/route.c).
 *
 * Ownership: site_ops.open gives a site to the lake, which closes it.
 *
 * Threads: every op of a site from any thread, many at once.
 *
 * Errors every op may return: -ENOENT; -EACCES (401/403); -EAGAIN: try again
 * or elsewhere (408, 429, 5xx, reset, refused, DNS, stall), op->retry_after_ns
 * set when the site said so; -EPROTO: the answer made no sense (HTML for JSON,
 * a 200 to a range, another range); -EINVAL: a request that can never work;
 * -ETIMEDOUT and -EINTR: op's own deadline or end.  Each notes its reason with
 * op_fail(): method, what was asked (no query secrets), the HTTP status and
 * the server's message, so that one line tells an operator what happened.
 */
#ifndef LAKEFUSE_SITES_SITE_H
#define LAKEFUSE_SITES_SITE_H

#include "sites/sites.h"

struct http;
struct site;

/* A range to be read, in one attempt. */
struct site_read {
	const char *name;
	uint64_t offset;
	size_t len;
	void *buf;
	/*
	 * What the bytes must be.  The record sends generation=, a replica
	 * sends its validator as If-Match / ifGenerationMatch once there is
	 * one (a failed condition: -ESTALE).
	 */
	uint64_t generation;   /* of the record; 0: any */
	const char *validator; /* NULL: not proven yet */
	/*
	 * What the response's headers tell about the object, before a byte of
	 * the body is taken; 0 lets the body in, -errno ends the request with
	 * it.  May run on the HTTP engine's thread: memory only, no waiting.
	 */
	int (*accept)(void *arg, const struct object_info *info);
	/* On the calling thread, as bytes arrive; may be NULL. */
	void (*progress)(void *arg, size_t n_done);
	void *arg;		/* of both */
	uint64_t first_byte_ns; /* give up without an answer after; 0: never */
	uint64_t stall_ns;	/* give up standing still after; 0: never */
	/* Set by the driver, also on failure: */
	size_t n_done;
	uint64_t latency_ns; /* from the request to the first byte; 0: none */
};

struct site_ops {
	const char *scheme; /* "gs", "s3", "file" */

	int (*open)(struct op *op, const struct site_config *config,
		    const struct lake_config *lake, struct http *http,
		    struct site **ret);
	void (*close)(struct site *site);

	/* Is the bucket there, and may we list it? */
	int (*check)(struct op *op, struct site *site);

	/* 0, 1 (not_generation is current), or -errno.  See lake_stat(). */
	int (*stat)(struct op *op, struct site *site, const char *name,
		    uint64_t not_generation, struct object_info *ret);

	/* One page.  See lake_list(). */
	int (*list)(struct op *op, struct site *site,
		    const struct list_query *query, list_fn *each, void *arg,
		    char **ret_token);

	int (*read)(struct op *op, struct site *site, struct site_read *read);
};

/* Every driver's site begins with this. */
struct site {
	const struct site_ops *ops;
};

extern const struct site_ops site_gcs;
extern const struct site_ops site_s3;
extern const struct site_ops site_dir;

#endif
