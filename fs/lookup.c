#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/statvfs.h>

#include "fs/attr.h"
#include "fs/calls.h"
#include "fs/node.h"
#include "fs/request.h"
#include "fs/ticket.h"
#include "fs/tree.h"

/* open() would ask the record for it: a ticket spares it that. */
static bool is_asked_at_open(const struct entry *entry)
{
	return entry->kind == ENTRY_FILE &&
	       (entry->class == FRESH_STRICT || entry->class == FRESH_OPEN);
}

static void leave_ticket(struct request *r, const struct entry *entry,
			 struct fuse_entry_param *param)
{
	pid_t thread = fuse_req_ctx(r->req)->pid;

	if (!is_asked_at_open(entry))
		return;
	if (!entry->asked) {
		ticket_void(r->tree->tickets, thread, entry->ino);
		return;
	}
	ticket_give(r->tree->tickets, thread, TICKET_OF_LOOKUP, entry);
	param->entry_timeout = 0;
}

static void reply_entry(struct request *r, const struct entry *entry)
{
	struct fuse_entry_param param;
	int rc = attr_reply(r->tree, entry, &param);

	if (rc < 0) {
		request_end(r, rc);
		return;
	}
	leave_ticket(r, entry, &param);
	request_answers(r);
	if (fuse_reply_entry(r->req, &param) < 0)
		node_forget(r->tree->nodes, param.ino, 1);
	request_end(r, 0);
}

static int find(struct request *r, uint64_t dir, struct entry *ret)
{
	struct tickets *tickets = r->tree->tickets;
	pid_t thread = fuse_req_ctx(r->req)->pid;
	int rc;

	if (ticket_was_lost(tickets, thread, dir, r->name))
		return op_fail(&r->op, -ETIMEDOUT,
			       "%s: the record does not answer", r->name);
	rc = meta_lookup(&r->op, r->tree->meta, dir, r->name, ret);
	if (rc == -ETIMEDOUT)
		ticket_lost(tickets, thread, dir, r->name);
	return rc;
}

static void run_lookup(struct request *r)
{
	uint64_t dir = node_dir(r->tree->nodes, r->node);
	struct entry entry;
	int rc = dir ? find(r, dir, &entry) : -ESTALE;

	if (rc < 0)
		request_end(r, rc);
	else
		reply_entry(r, &entry);
}

void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct request *r;

	if (strlen(name) > META_NAME_MAX) {
		fuse_reply_err(req, ENAMETOOLONG);
		return;
	}
	r = request_new(req, parent);
	if (!r)
		return;
	strcpy(r->name, name);
	request_start(r, run_lookup);
}

void fs_forget(fuse_req_t req, fuse_ino_t node, uint64_t n)
{
	struct tree *tree = fuse_req_userdata(req);

	node_forget(tree->nodes, node, n);
	fuse_reply_none(req);
}

void fs_forget_multi(fuse_req_t req, size_t count,
		     struct fuse_forget_data *forgets)
{
	struct tree *tree = fuse_req_userdata(req);

	for (size_t i = 0; i < count; i++)
		node_forget(tree->nodes, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

void fs_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct tree *tree = fuse_req_userdata(req);
	struct node_view view;
	struct stat st;

	(void)fi;
	if (!node_view(tree->nodes, node, &view)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	attr_of_node(tree, &view, &st);
	fuse_reply_attr(req, &st, ATTR_SECONDS);
}

static void run_readlink(struct request *r)
{
	struct node_view view;
	char target[PATH_MAX];
	int rc = -ESTALE;

	if (node_view(r->tree->nodes, r->node, &view))
		rc = meta_readlink(&r->op, r->tree->meta, view.parent,
				   view.name, target, sizeof(target));
	if (rc == 0) {
		request_answers(r);
		fuse_reply_readlink(r->req, target);
	}
	request_end(r, rc < 0 ? rc : 0);
}

void fs_readlink(fuse_req_t req, fuse_ino_t node)
{
	struct request *r = request_new(req, node);

	if (r)
		request_start(r, run_readlink);
}

/* A bucket has no end: sizes that no tool takes for a full disk. */
void fs_statfs(fuse_req_t req, fuse_ino_t node)
{
	struct statvfs st = {
		.f_bsize = 1 << 20,
		.f_frsize = 4096,
		.f_blocks = 1ULL << 48,
		.f_bfree = 1ULL << 48,
		.f_bavail = 1ULL << 48,
		.f_files = 1ULL << 40,
		.f_ffree = 1ULL << 40,
		.f_favail = 1ULL << 40,
		.f_namemax = META_NAME_MAX,
	};

	(void)node;
	fuse_reply_statfs(req, &st);
}
