/*
 * A kernel request while we work on it: its op, and which thread it is on.
 *
 * A request runs on the libfuse thread that read it while enough of those are
 * free, else on a pool: there is always a libfuse thread left to read the
 * kernel's INTERRUPT, so that a killed caller comes back whatever its site
 * does.  Every request is cancelled when the tree is unmounted.
 *
 * Ownership: request_start() makes a request and hands it to run(), which
 * replies exactly once and calls request_end().
 *
 * Threads: run() on any thread; two requests at once on two.
 */
#ifndef LAKEFUSE_FS_REQUEST_H
#define LAKEFUSE_FS_REQUEST_H

#include <fuse_lowlevel.h>

#include "base/op.h"
#include "base/pool.h"
#include "meta/meta.h"

struct requests;
struct tree;

struct request {
	struct job job;
	struct op op;
	struct tree *tree;
	fuse_req_t req;
	struct request *prev, *next; /* of those under way */
	void (*run)(struct request *r);
	/* What the call asks, as far as it is used: */
	fuse_ino_t node;
	struct fuse_file_info fi;
	size_t size;
	off_t offset;
	bool plus; /* readdirplus */
	char name[META_NAME_MAX + 1];
};

int requests_new(struct tree *tree, struct requests **ret);

/* Cancels all that are under way, and waits for them. */
void requests_free(struct requests *requests);
void requests_cancel_all(struct requests *requests);

/* The same, and comes back when all have been answered. */
void requests_drain(struct requests *requests);

/* A request ready to be filled in; NULL: answered already with ENOMEM. */
struct request *request_new(fuse_req_t req, fuse_ino_t node);

/* Runs it here or on the pool.  It may be gone on return. */
void request_start(struct request *r, void (*run)(struct request *r));

/* Before every reply but an error's: no interrupt reaches r after this. */
void request_answers(struct request *r);

/*
 * Ends a request: answers with an errno (rc < 0: logged with its reason once,
 * where it is not an everyday answer), or has been answered (rc == 0).
 */
void request_end(struct request *r, int rc);

#endif
