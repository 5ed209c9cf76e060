#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/attr.h"
#include "fs/calls.h"
#include "fs/handles.h"
#include "fs/node.h"
#include "fs/request.h"
#include "fs/ticket.h"
#include "fs/tree.h"

/*
 * The kernel goes on in a directory by an offset, the catalogue by a name.
 * Offset 0 is ".", 1 is "..", and n + 2 the n-th name that this handle gave.
 * Where each reply ended is kept as a mark, so that the next reply, or a
 * seekdir() back to some reply's end, starts there; in between, names are
 * passed over.  The kernel sends one readdir at a time for an open directory
 * (getdents holds the file's position lock), so a handle needs no lock.
 */
struct mark {
	off_t offset;
	char *after; /* the walk_key() of the last name before it */
};

struct dir_handle {
	struct handle handle;
	struct meta_walk *walk;
	struct mark *marks; /* by rising offset */
	size_t n_marks;
};

static struct dir_handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct dir_handle *)(uintptr_t)fi->fh;
}

static void drop_dir(struct handle *handle)
{
	struct dir_handle *h = (struct dir_handle *)handle;

	meta_walk_end(h->walk);
	for (size_t i = 0; i < h->n_marks; i++)
		free(h->marks[i].after);
	free(h->marks);
	free(h);
}

static void free_handle(struct tree *tree, struct dir_handle *h)
{
	handles_remove(tree->handles, &h->handle);
	drop_dir(&h->handle);
}

static void run_opendir(struct request *r)
{
	uint64_t dir = node_dir(r->tree->nodes, r->node);
	struct dir_handle *h = calloc(1, sizeof(*h));
	int rc = dir ? 0 : -ESTALE;

	if (!h) {
		request_end(r, -ENOMEM);
		return;
	}
	if (rc == 0)
		rc = meta_walk_begin(&r->op, r->tree->meta, dir, &h->walk);
	if (rc < 0) {
		drop_dir(&h->handle);
		request_end(r, rc);
		return;
	}
	handles_add(r->tree->handles, &h->handle, drop_dir);
	r->fi.fh = (uintptr_t)h;
	request_answers(r);
	if (fuse_reply_open(r->req, &r->fi) < 0)
		free_handle(r->tree, h);
	request_end(r, 0);
}

void fs_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct request *r = request_new(req, node);

	if (!r)
		return;
	r->fi = *fi;
	request_start(r, run_opendir);
}

void fs_releasedir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	(void)node;
	free_handle(fuse_req_userdata(req), handle_of(fi));
	fuse_reply_err(req, 0);
}

/* A reply being filled. */
struct fill {
	struct request *r;
	char *buf;
	size_t n;
	off_t offset;  /* of the next entry */
	off_t skip_to; /* entries below this offset are passed over */
	int rc;
	char last[META_NAME_MAX + 2]; /* a walk_key() */
};

/* false: no room left. */
static bool add(struct fill *f, const char *name,
		const struct fuse_entry_param *param)
{
	struct request *r = f->r;
	char *at = f->buf + f->n;
	size_t room = r->size - f->n;
	size_t n;

	if (r->plus)
		n = fuse_add_direntry_plus(r->req, at, room, name, param,
					   f->offset + 1);
	else
		n = fuse_add_direntry(r->req, at, room, name, &param->attr,
				      f->offset + 1);
	if (n > room)
		return false;
	f->n += n;
	f->offset++;
	return true;
}

static bool add_dots(struct fill *f, uint64_t ino)
{
	static const char *const dots[] = {".", ".."};
	struct fuse_entry_param param = {
		.attr = {.st_mode = S_IFDIR, .st_ino = ino}};

	while (f->offset < 2)
		if (!add(f, dots[f->offset], &param))
			return false;
	return true;
}

static int add_entry(void *arg, const struct entry *entry)
{
	struct fill *f = arg;
	struct tree *tree = f->r->tree;
	struct fuse_entry_param param = {0};

	if (f->offset < f->skip_to) {
		f->offset++;
		return 0;
	}
	if (f->r->plus) {
		f->rc = attr_reply(tree, entry, &param);
		if (f->rc < 0)
			return 1;
		/* The name is good for a while: no LOOKUP comes before OPEN. */
		ticket_void(tree->tickets, fuse_req_ctx(f->r->req)->pid,
			    entry->ino);
	} else {
		attr_of_entry(tree, entry, &param.attr);
	}
	if (!add(f, entry->name, &param)) {
		if (f->r->plus)
			node_forget(tree->nodes, param.ino, 1);
		return 1;
	}
	walk_key(entry, f->last);
	return 0;
}

static const struct mark *mark_before(const struct dir_handle *h, off_t offset)
{
	const struct mark *best = NULL;

	for (size_t i = h->n_marks; i > 0 && !best; i--)
		if (h->marks[i - 1].offset <= offset)
			best = &h->marks[i - 1];
	return best;
}

/* Without memory for a mark, coming back means passing over more names. */
static void set_mark(struct dir_handle *h, off_t offset, const char *after)
{
	struct mark *marks;

	if (h->n_marks && h->marks[h->n_marks - 1].offset >= offset)
		return;
	marks = realloc(h->marks, (h->n_marks + 1) * sizeof(*marks));
	if (!marks)
		return;
	h->marks = marks;
	marks[h->n_marks].offset = offset;
	marks[h->n_marks].after = strdup(after);
	if (marks[h->n_marks].after)
		h->n_marks++;
}

static int restart(struct fill *f, struct dir_handle *h, uint64_t dir)
{
	struct meta_walk *walk;
	int rc = meta_walk_begin(&f->r->op, f->r->tree->meta, dir, &walk);

	if (rc < 0)
		return rc;
	meta_walk_end(h->walk);
	h->walk = walk;
	for (size_t i = 0; i < h->n_marks; i++)
		free(h->marks[i].after);
	h->n_marks = 0;
	return 0;
}

static int fill_reply(struct fill *f, struct dir_handle *h)
{
	struct request *r = f->r;
	uint64_t dir = node_dir(r->tree->nodes, r->node);
	const struct mark *mark;
	int rc = 0;

	if (!dir)
		return -ESTALE;
	if (r->offset == 0 && h->n_marks) /* rewinddir() */
		rc = restart(f, h, dir);
	f->offset = r->offset;
	if (rc < 0 || !add_dots(f, dir))
		return rc;
	mark = mark_before(h, f->offset);
	f->skip_to = f->offset;
	f->offset = mark ? mark->offset : 2;
	rc = meta_walk_from(&r->op, h->walk, mark ? mark->after : NULL,
			    add_entry, f);
	if (f->last[0])
		set_mark(h, f->offset, f->last);
	return rc < 0 ? rc : f->rc;
}

/*
 * What a reply holds is given even when the page after it failed: the kernel
 * comes again for that, and is told then.
 */
static void run_readdir(struct request *r)
{
	struct dir_handle *h = handle_of(&r->fi);
	struct fill f = {.r = r, .buf = malloc(r->size)};
	int rc = f.buf ? 0 : -ENOMEM;

	if (rc == 0) {
		rc = fill_reply(&f, h);
		if (f.n > 0)
			rc = 0;
	}
	if (rc == 0) {
		request_answers(r);
		fuse_reply_buf(r->req, f.buf, f.n);
	}
	free(f.buf);
	request_end(r, rc);
}

static void start_readdir(fuse_req_t req, fuse_ino_t node, size_t size,
			  off_t offset, struct fuse_file_info *fi, bool plus)
{
	struct request *r = request_new(req, node);

	if (!r)
		return;
	r->fi = *fi;
	r->size = size;
	r->offset = offset;
	r->plus = plus;
	request_start(r, run_readdir);
}

void fs_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset,
		struct fuse_file_info *fi)
{
	start_readdir(req, node, size, offset, fi, false);
}

void fs_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	start_readdir(req, node, size, offset, fi, true);
}
