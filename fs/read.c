#include <errno.h>
#include <string.h>

#include "base/metrics.h"
#include "cache/cache.h"
#include "fs/calls.h"
#include "fs/node.h"
#include "fs/open.h"
#include "fs/options.h"
#include "fs/request.h"
#include "fs/tree.h"

#define COPY_BELOW (128u << 10) /* a splice is not worth it */
#define DISK_TRIES 4

/*
 * libfuse answers EIO itself when the cache's file can't be read, and says
 * nothing.  errno is a hint of it and the load the proof, after which the
 * kernel's next try brings the bytes from a site.
 */
static void reply_file_piece(struct request *r, struct cache_span *span)
{
	struct fuse_bufvec bufs = FUSE_BUFVEC_INIT(span->len);

	bufs.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	bufs.buf[0].fd = span->fd;
	bufs.buf[0].pos = span->fd_offset;
	errno = 0;
	fuse_reply_data(r->req, &bufs, 0);
	if (errno == EIO)
		cache_span_load(span);
}

/*
 * Takes little from the cache's file at once, while there is another way when
 * that can't be read.  Ends the span when it fails.
 */
static int load_little(struct cache_span *span)
{
	int rc;

	if (span->len >= COPY_BELOW)
		return 0;
	rc = cache_span_load(span);
	/* Without memory there is the splice. */
	if (rc == 0 || rc == -ENOMEM)
		return 0;
	cache_span_done(span);
	return rc;
}

static void reply_span(struct request *r, struct cache_span *span)
{
	request_answers(r);
	metric_add(METRIC_READS, 1);
	metric_add(METRIC_READ_BYTES, span->len);
	if (span->len == 0)
		fuse_reply_buf(r->req, NULL, 0);
	else if (span->fd >= 0)
		reply_file_piece(r, span);
	else
		fuse_reply_iov(r->req, span->iov, span->n_iov);
	cache_span_done(span);
}

/* A test's twin: what a mount without pinned generations would do. */
static int repin(struct request *r, struct open_file *file)
{
	struct object_ref ref;
	struct cache_handle *now;
	struct entry entry;
	int rc = meta_pin(&r->op, r->tree->meta, file->entry.parent,
			  file->entry.name, &entry);

	if (rc < 0 || entry.generation == file->entry.generation)
		return rc;
	entry_ref(&entry, &ref);
	rc = cache_pin(&r->op, r->tree->cache, &ref, &now);
	if (rc < 0)
		return rc;
	cache_unpin(file->cached);
	file->cached = now;
	entry_copy(&file->entry, &entry);
	return 0;
}

static void note_site(struct tree *tree, const struct open_file *file)
{
	int site = cache_last_site(file->cached);

	if (site >= 0)
		node_served_by(tree->nodes, file->entry.generation, site);
}

static int read_span(struct request *r, struct open_file *file,
		     struct cache_span *ret)
{
	int rc = 0;

	for (unsigned i = 0; i < DISK_TRIES; i++) {
		rc = cache_read(&r->op, file->cached, (uint64_t)r->offset,
				r->size, ret);
		if (rc < 0)
			return rc;
		rc = load_little(ret);
		if (rc == 0)
			return 0;
	}
	return op_fail(&r->op, -EIO, "cache file: %s", strerror(-rc));
}

static void run_read(struct request *r)
{
	struct open_file *file = open_file(&r->fi);
	struct cache_span span;
	int rc = 0;

	if (r->tree->unsafe & UNSAFE_NO_PIN)
		rc = repin(r, file);
	if (rc == 0)
		rc = read_span(r, file, &span);
	if (rc < 0) {
		request_end(r, rc);
		return;
	}
	note_site(r->tree, file);
	reply_span(r, &span);
	request_end(r, 0);
}

/* What is here already needs no request of its own, and no thread. */
static bool read_at_once(fuse_req_t req, struct tree *tree,
			 struct open_file *file, size_t size, off_t offset)
{
	struct request r = {.req = req, .tree = tree};
	struct cache_span span;

	if (tree->unsafe & UNSAFE_NO_PIN)
		return false;
	if (cache_try_read(file->cached, (uint64_t)offset, size, &span) < 0 ||
	    load_little(&span) < 0)
		return false;
	reply_span(&r, &span);
	return true;
}

void fs_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset,
	     struct fuse_file_info *fi)
{
	struct tree *tree = fuse_req_userdata(req);
	struct request *r;

	if (read_at_once(req, tree, open_file(fi), size, offset))
		return;
	r = request_new(req, node);
	if (!r)
		return;
	r->fi = *fi;
	r->size = size;
	r->offset = offset;
	request_start(r, run_read);
}
