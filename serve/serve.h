/*
 * A server of objects from a directory: a GCS JSON face and an S3 face over
 * the same buckets.  The folder's face: others include this only.
 *
 * Ownership: serve_stop() ends and frees what serve_start() made.
 * Threads: start and stop from one thread; the server has its own.
 */
#ifndef LAKEFUSE_SERVE_SERVE_H
#define LAKEFUSE_SERVE_SERVE_H

#include <stdbool.h>

struct op;
struct serve;

#define SERVE_PORT_OFF (-1)

struct serve_config {
	const char *dir;
	const char *bind; /* an IPv4 address */
	int gcs_port;	  /* 0: any; SERVE_PORT_OFF: no such face */
	int s3_port;
	bool sync;		/* an acknowledged put is on the disk */
	const char *bucket;	/* made at the start if missing; or NULL */
	const char *token;	/* GCS: required of every request; or NULL */
	const char *access_key; /* S3: signatures are checked; or NULL */
	const char *secret;
};

/* config is borrowed until it returns. */
int serve_start(struct op *op, const struct serve_config *config,
		struct serve **ret_serve);

/* The ports listened on; SERVE_PORT_OFF where there is none. */
int serve_gcs_port(const struct serve *s);
int serve_s3_port(const struct serve *s);

/* Ends what is under way, also what hangs, and closes all. */
void serve_stop(struct serve *s);

#endif
