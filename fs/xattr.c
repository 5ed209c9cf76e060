#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "fs/calls.h"
#include "fs/node.h"
#include "fs/request.h"
#include "fs/status.h"
#include "fs/tree.h"

/* What one extended attribute is made from. */
struct source {
	struct request *r;
	const struct node_view *node;
	struct entry entry;
	char text[256];
	char *long_text; /* freed; or NULL */
};

/* Each fills text (or long_text); -ENODATA: this file has none. */

static int get_generation(struct source *s)
{
	if (s->node->kind == ENTRY_DIR ||
	    (s->node->generation & ORPHAN_GENERATION))
		return -ENODATA;
	snprintf(s->text, sizeof(s->text), "%" PRIu64, s->node->generation);
	return 0;
}

static int get_crc32c(struct source *s)
{
	if (!(s->entry.has & HAS_CRC32C) || s->node->kind == ENTRY_DIR)
		return -ENODATA;
	snprintf(s->text, sizeof(s->text), "%08x", s->entry.crc32c);
	return 0;
}

static int get_site(struct source *s)
{
	if (s->node->site < 0)
		return -ENODATA;
	snprintf(s->text, sizeof(s->text), "%s",
		 lake_site_name(s->r->tree->lake, (unsigned)s->node->site));
	return 0;
}

static int get_proof(struct source *s)
{
	struct object_ref ref;

	if (s->node->site < 0)
		return -ENODATA;
	entry_ref(&s->entry, &ref);
	snprintf(s->text, sizeof(s->text), "%s",
		 proof_name(lake_known_proof(s->r->tree->lake, &ref,
					     (unsigned)s->node->site)));
	return 0;
}

static int get_class(struct source *s)
{
	snprintf(s->text, sizeof(s->text), "%s",
		 freshness_name(s->entry.class));
	return 0;
}

static int get_storage_class(struct source *s)
{
	if (!s->entry.storage_class[0])
		return -ENODATA;
	snprintf(s->text, sizeof(s->text), "%s", s->entry.storage_class);
	return 0;
}

static int get_stale_since(struct source *s)
{
	struct meta_status status;

	meta_status(s->r->tree->meta, &status);
	if (!s->entry.stale || !status.stale_since_ms)
		return -ENODATA;
	snprintf(s->text, sizeof(s->text), "%" PRId64 ".%03d",
		 status.stale_since_ms / 1000,
		 (int)(status.stale_since_ms % 1000));
	return 0;
}

static int get_orphan(struct source *s)
{
	if (s->entry.replica == 0)
		return -ENODATA;
	snprintf(s->text, sizeof(s->text), "%s",
		 lake_site_name(s->r->tree->lake, (unsigned)s->entry.replica));
	return 0;
}

static int get_status(struct source *s)
{
	if (s->node->id != FUSE_ROOT_ID)
		return -ENODATA;
	s->long_text = status_text(s->r->tree);
	return s->long_text ? 0 : -ENOMEM;
}

static int get_control(struct source *s)
{
	if (s->node->id != FUSE_ROOT_ID)
		return -ENODATA;
	snprintf(s->text, sizeof(s->text), "%s", s->r->tree->control_path);
	return 0;
}

static const struct {
	const char *name;
	int (*get)(struct source *s);
} attributes[] = {
	{"user.lake.generation", get_generation},
	{"user.lake.crc32c", get_crc32c},
	{"user.lake.site", get_site},
	{"user.lake.proof", get_proof},
	{"user.lake.class", get_class},
	{"user.lake.storage_class", get_storage_class},
	{"user.lake.stale_since", get_stale_since},
	{"user.lake.orphan", get_orphan},
	{"user.lake.status", get_status},
	{"user.lake.control", get_control},
};

#define N_ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

/*
 * What the entry is now; the catalogue alone would not know that the record
 * has stopped answering, so this is a lookup like any other.
 */
static int find_entry(struct request *r, const struct node_view *node,
		      struct entry *ret)
{
	int rc;

	if (node->id == FUSE_ROOT_ID)
		return meta_directory(&r->op, r->tree->meta, META_ROOT, ret);
	rc = meta_lookup(&r->op, r->tree->meta, node->parent, node->name, ret);
	/* Of another generation than the node: the kernel looks again. */
	if (rc == 0 && node->kind == ENTRY_FILE &&
	    ret->generation != node->generation)
		rc = -ESTALE;
	return rc;
}

/* The two ways to ask: how long is it (size 0), and what is it. */
static void reply_bytes(struct request *r, const char *bytes, size_t n)
{
	if (r->size > 0 && n > r->size) {
		request_end(r, -ERANGE);
		return;
	}
	request_answers(r);
	if (r->size == 0)
		fuse_reply_xattr(r->req, n);
	else
		fuse_reply_buf(r->req, bytes, n);
	request_end(r, 0);
}

static int get(struct source *s, const char *name)
{
	for (size_t i = 0; i < N_ATTRIBUTES; i++)
		if (strcmp(attributes[i].name, name) == 0)
			return attributes[i].get(s);
	return -ENODATA;
}

static void run_getxattr(struct request *r)
{
	struct node_view node;
	struct source s = {.r = r, .node = &node};
	int rc = -ESTALE;

	if (node_view(r->tree->nodes, r->node, &node))
		rc = find_entry(r, &node, &s.entry);
	if (rc == 0)
		rc = get(&s, r->name);
	if (rc < 0) {
		request_end(r, rc);
	} else {
		const char *text = s.long_text ? s.long_text : s.text;

		reply_bytes(r, text, strlen(text));
	}
	free(s.long_text);
}

void fs_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size)
{
	struct request *r;

	if (strncmp(name, "user.lake.", 10) != 0 ||
	    strlen(name) > META_NAME_MAX) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	r = request_new(req, node);
	if (!r)
		return;
	r->size = size;
	strcpy(r->name, name);
	request_start(r, run_getxattr);
}

static void run_listxattr(struct request *r)
{
	char names[N_ATTRIBUTES * 32];
	struct node_view node;
	struct source s = {.r = r, .node = &node};
	size_t n = 0;
	int rc = -ESTALE;

	if (node_view(r->tree->nodes, r->node, &node))
		rc = find_entry(r, &node, &s.entry);
	if (rc < 0) {
		request_end(r, rc);
		return;
	}
	for (size_t i = 0; i < N_ATTRIBUTES; i++) {
		size_t size = strlen(attributes[i].name) + 1;

		if (attributes[i].get(&s) == 0) {
			memcpy(names + n, attributes[i].name, size);
			n += size;
		}
		free(s.long_text);
		s.long_text = NULL;
	}
	reply_bytes(r, names, n);
}

void fs_listxattr(fuse_req_t req, fuse_ino_t node, size_t size)
{
	struct request *r = request_new(req, node);

	if (!r)
		return;
	r->size = size;
	request_start(r, run_listxattr);
}
