#include "fs/open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "fs/calls.h"
#include "fs/node.h"
#include "fs/notify.h"
#include "fs/options.h"
#include "fs/request.h"
#include "fs/ticket.h"
#include "fs/tree.h"

/*
 * Where meta and cache meet: meta says which generation a name means now,
 * cache is told to hold that one.
 *
 * The kernel opens a node, and a node is one generation.  When the record has
 * a newer one by now, open answers ESTALE; the kernel then walks the path once
 * more with fresh lookups, gets the new generation's node, and opens that, all
 * inside the same open(2).  Tickets carry the record's answers from one of
 * these calls to the next: see fs/ticket.h.
 */

/* The entry this open means, or -ESTALE: it is another node by now. */
static int pin_entry(struct request *r, const struct node_view *node,
		     struct entry *ret)
{
	struct tree *tree = r->tree;
	pid_t thread = fuse_req_ctx(r->req)->pid;
	int rc;

	if (ticket_take(tree->tickets, thread, node->ino, node->generation,
			ret))
		return 0;
	rc = meta_pin(&r->op, tree->meta, node->parent, node->name, ret);
	if (rc == -ENOENT)
		notify_name(tree->notifier, node->parent, node->name);
	if (rc < 0)
		return rc;
	if (ret->ino == node->ino && ret->generation == node->generation)
		return 0;
	ticket_give(tree->tickets, thread, TICKET_OF_OPEN, ret);
	return -ESTALE;
}

static void drop_file(struct handle *handle)
{
	struct open_file *file = (struct open_file *)handle;

	cache_unpin(file->cached);
	free(file);
}

static int make_file(struct request *r, const struct entry *entry,
		     struct open_file **ret)
{
	struct open_file *file = calloc(1, sizeof(*file));
	struct object_ref ref;
	int rc;

	if (!file)
		return -ENOMEM;
	entry_copy(&file->entry, entry);
	entry_ref(&file->entry, &ref);
	rc = cache_pin(&r->op, r->tree->cache, &ref, &file->cached);
	if (rc < 0) {
		free(file);
		return rc;
	}
	handles_add(r->tree->handles, &file->handle, drop_file);
	*ret = file;
	return 0;
}

static void free_file(struct tree *tree, struct open_file *file)
{
	handles_remove(tree->handles, &file->handle);
	drop_file(&file->handle);
}

static void reply_open(struct request *r, struct open_file *file)
{
	r->fi.fh = (uintptr_t)file;
	/* A node is one generation: its pages are good whoever read them. */
	r->fi.keep_cache = 1;
	r->fi.noflush = 1;
	if (r->tree->unsafe & UNSAFE_NO_PIN) {
		r->fi.keep_cache = 0;
		r->fi.direct_io = 1;
	}
	request_answers(r);
	if (fuse_reply_open(r->req, &r->fi) < 0)
		free_file(r->tree, file);
	request_end(r, 0);
}

static void run_open(struct request *r)
{
	struct node_view node;
	struct entry entry;
	struct open_file *file = NULL;
	int rc = -ESTALE;

	if (node_view(r->tree->nodes, r->node, &node))
		rc = pin_entry(r, &node, &entry);
	if (rc == 0)
		rc = make_file(r, &entry, &file);
	if (rc < 0)
		request_end(r, rc);
	else
		reply_open(r, file);
}

void fs_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct request *r;

	if ((fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC)) {
		fuse_reply_err(req, EROFS);
		return;
	}
	r = request_new(req, node);
	if (!r)
		return;
	r->fi = *fi;
	request_start(r, run_open);
}

void fs_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	(void)node;
	free_file(fuse_req_userdata(req), open_file(fi));
	fuse_reply_err(req, 0);
}
