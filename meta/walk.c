/*
 * A walk shows a directory in the order of its keys, which is the order in which
 * the record lists it: files by name, directories by name and '/'.  So "a!" and
 * "a.txt" come before the directory "a", and "a0" after it.  A key, unlike a
 * name, says for ever where the walk stood, even when a file has become a
 * directory since; walk_key() makes it, and who gives only a name back is
 * understood by what the walk showed last, or else by what the name is now.
 *
 * The walk shows rows of the catalogue, from which pages are missing at first:
 *
 *	shown ... | merged, not shown yet ... | horizon ... | not asked for yet
 *
 * Rows below the horizon are shown.  After a page is merged the horizon is
 * behind its last key, with one exception: a file x is not shown as long as a
 * directory x/ may follow, because the directory would hide it.  That can only
 * be a file whose name begins the page's last key, and then the horizon stays
 * before the first of these.  Pages go to disk, not to memory, so even a million
 * names between x and x/ do no harm.
 *
 * A directory is marked complete when the last page of one walk is merged, with
 * the time at which that walk's first page was sent.  A walk that is abandoned
 * marks nothing, and walks beside each other merge each page by the same rules
 * (meta/page.h): none can undo what a later answer said.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/op.h"
#include "meta/names.h"
#include "meta/page.h"
#include "meta/place.h"

enum { SHOW_ROWS = 64, PAGE_NAMES = 1000 };

#define REPLICA_NS (5 * NS_PER_S)
#define LOST_ASK_NS NS_PER_S

struct meta_walk {
	struct meta *meta;
	struct place place;
	bool complete; /* all there is to ask for is merged */
	bool stale;    /* the record is silent: last-known is shown */
	char *token;   /* of the next page */
	int64_t began_us;
	bool any;
	char merged[OBJECT_NAME_MAX + 2];  /* the last page's last key */
	char horizon[OBJECT_NAME_MAX + 3]; /* until complete; exclusive */
	char shown[KEY_SIZE];		   /* the last key shown */
};

void walk_key(const struct entry *entry, char key[META_NAME_MAX + 2])
{
	snprintf(key, META_NAME_MAX + 2, "%s%s", entry->name,
		 entry->kind == ENTRY_DIR ? "/" : "");
}

/* The least file whose directory may still come. */
static int set_horizon(struct op *op, struct conn *conn, void *arg)
{
	struct meta_walk *walk = arg;
	size_t len = strlen(walk->merged);
	char key[KEY_SIZE];
	struct row row;

	for (size_t i = 1; i <= len && i <= META_NAME_MAX; i++) {
		int rc;

		if (i < len && (unsigned char)walk->merged[i] >= '/')
			continue;
		if (walk->merged[i - 1] == '/')
			break;
		memcpy(key, walk->merged, i);
		key[i] = '\0';
		rc = rows_find(op, conn, walk->place.dir, key, SITE_RECORD,
			       &row);
		if (rc < 0)
			return rc;
		if (rc > 0) {
			strcpy(walk->horizon, key);
			return 0;
		}
	}
	/* Just behind the last key: no key is between it and this. */
	snprintf(walk->horizon, sizeof(walk->horizon), "%s\x01", walk->merged);
	return 0;
}

/* Names that only replicas have, of the whole directory; silence is no error */
static void list_replica(struct op *op, struct meta_walk *walk, unsigned site)
{
	char from[OBJECT_NAME_MAX + 2] = "";
	char *token = NULL;
	int rc;

	do {
		struct page_query query = {.site = site,
					   .dir_object = walk->place.dir_object,
					   .token = token,
					   .max = PAGE_NAMES};
		struct page_merge merge = {.dir = walk->place.dir,
					   .from = from,
					   .after = from[0] != '\0'};
		struct page page;

		rc = page_ask(op, walk->meta, &query, &page);
		free(token);
		token = NULL;
		if (rc < 0)
			break;
		merge.to = page_to(&page);
		rc = page_merge(op, walk->meta, &page, &merge);
		walk->any |= page.any;
		if (page.any)
			strcpy(from, page.last);
		token = page.token;
		page.token = NULL;
		page_done(&page);
	} while (rc == 0 && token);
	free(token);
	if (rc < 0)
		log_info("list of '%s' at %s: %s", walk->place.dir_object,
			 lake_site_name(walk->meta->lake, site), op->why);
}

static void list_replicas(struct op *op, struct meta_walk *walk)
{
	unsigned n_sites = lake_n_sites(walk->meta->lake);

	for (unsigned site = 1; site < n_sites; site++) {
		struct op own;

		op_child(&own, op, REPLICA_NS);
		list_replica(&own, walk, site);
	}
}

static int merge_next(struct op *op, struct meta_walk *walk,
		      const struct page *page)
{
	struct page_merge merge = {.dir = walk->place.dir,
				   .from = walk->merged,
				   .after = walk->merged[0] != '\0',
				   .to = page_to(page)};
	int rc;

	if (!page->token)
		merge.complete_us = walk->began_us;
	rc = page_merge(op, walk->meta, page, &merge);
	if (rc < 0 || !page->token)
		return rc;
	if (strcmp(page->last, walk->merged) > 0)
		strcpy(walk->merged, page->last);
	return store_read(op, walk->meta->store, set_horizon, walk);
}

/* One page more.  *ret_silent: the record did not answer. */
static int next_page(struct op *op, struct meta_walk *walk, bool *ret_silent)
{
	struct page_query query = {.dir_object = walk->place.dir_object,
				   .token = walk->token,
				   .max = PAGE_NAMES};
	struct page page;
	int rc = page_ask(op, walk->meta, &query, &page);

	*ret_silent = rc < 0 && meta_unreachable(rc);
	if (rc < 0)
		return rc;
	if (!walk->began_us)
		walk->began_us = page.sent_us;
	walk->any |= page.any;
	rc = merge_next(op, walk, &page);
	if (rc == 0) {
		free(walk->token);
		walk->token = page.token;
		page.token = NULL;
		walk->complete = !walk->token;
		if (walk->complete && walk->meta->config.namespace_union)
			list_replicas(op, walk);
	}
	page_done(&page);
	return rc;
}

/* A page, or the end of asking when last-known has to do (P7). */
static int go_on(struct op *op, struct meta_walk *walk)
{
	struct meta *meta = walk->meta;
	bool hasty = meta->config.serve_last_known &&
		     lake_record_is_down(meta->lake);
	int_fast64_t never = 0;
	struct op own;
	bool silent;
	int rc;

	op_child(&own, op, hasty ? LOST_ASK_NS : 0);
	rc = next_page(&own, walk, &silent);
	if (rc == 0)
		return 0;
	/* Of a directory never listed to its end too much may be missing. */
	if (!silent || !meta->config.serve_last_known ||
	    !walk->place.listed_us) {
		op_fail(op, rc, "%s", own.why);
		return silent && rc != -EIO ? -ETIMEDOUT : rc;
	}
	if (atomic_compare_exchange_strong(&meta->stale_since_ms, &never,
					   clock_wall_ms()))
		log_warn("the record does not answer: last-known is served");
	walk->stale = walk->complete = true;
	return 0;
}

/* The directory turned out to be none: its parent forgets it. */
static int forget_dir(struct op *op, struct meta_walk *walk)
{
	const char *object = walk->place.dir_object;
	struct place *place = &walk->place;
	char key[OBJECT_NAME_MAX + 3], parent[OBJECT_NAME_MAX + 2];
	const char *slash = strrchr(object, '/');
	struct page page = {.sent_us = walk->began_us, .dir_object = parent};
	struct page_merge merge = {.from = key, .to = key};
	struct entry entry;
	int rc = meta_directory(op, walk->meta, place->dir, &entry);

	if (rc < 0)
		return rc;
	snprintf(parent, sizeof(parent), "%.*s",
		 slash ? (int)(slash - object) : 0, object);
	snprintf(key, sizeof(key), "%s/", slash ? slash + 1 : object);
	merge.dir = entry.parent;
	rc = page_merge(op, walk->meta, &page, &merge);
	return rc < 0 ? rc : -ENOENT;
}

/* May the last complete listing be shown as it is? */
static bool fresh(struct meta_walk *walk)
{
	char object[OBJECT_NAME_MAX + 2];
	struct class class;
	uint64_t age_ns = meta_age_ns(walk->place.listed_us);

	/* Rules for what is in the directory are rules for its listing. */
	if (name_join(walk->place.dir_object, ".", object, sizeof(object)) < 0)
		return false;
	class = place_class(walk->meta, &walk->place, object, true);
	/* Its STRICT_LISTED_NS are for the lookups behind a listing only. */
	if (class.freshness == FRESH_STRICT)
		return false;
	return age_ns < class.limit_ns;
}

static int begin(struct op *op, struct meta_walk *walk)
{
	int rc =
		place_find(op, walk->meta, walk->place.dir, NULL, &walk->place);

	if (rc < 0)
		return rc;
	if (fresh(walk)) {
		metric_add(METRIC_META_HITS, 1);
		walk->complete = true;
		return 0;
	}
	metric_add(METRIC_META_ASKS, 1);
	rc = go_on(op, walk);
	if (rc < 0)
		return rc;
	if (walk->complete && !walk->any && !walk->stale &&
	    walk->place.dir != META_ROOT)
		return forget_dir(op, walk);
	return 0;
}

int meta_walk_begin(struct op *op, struct meta *meta, uint64_t dir,
		    struct meta_walk **ret)
{
	struct meta_walk *walk = calloc(1, sizeof(*walk));
	int rc;

	if (!walk)
		return op_fail(op, -ENOMEM, "list");
	walk->meta = meta;
	walk->place.dir = dir;
	rc = begin(op, walk);
	if (rc < 0)
		meta_walk_end(walk);
	else
		*ret = walk;
	return rc;
}

struct showing {
	struct meta_walk *walk;
	char from[KEY_SIZE]; /* exclusive */
	struct row rows[SHOW_ROWS];
	bool hidden[SHOW_ROWS];
	unsigned n_rows;
};

/* Is this row what its name means, to this mount? */
static int is_hidden(struct op *op, struct conn *conn, struct meta_walk *walk,
		     const struct row *row)
{
	char name[KEY_SIZE];
	struct row meaning;
	int rc;

	if (row->site != SITE_RECORD && !walk->meta->config.namespace_union)
		return 1;
	if (row->site == SITE_RECORD && row->kind == ENTRY_DIR)
		return 0;
	strcpy(name, row->key);
	name[strcspn(name, "/")] = '\0';
	rc = rows_meaning(op, conn, row->parent, name, &meaning);
	if (rc < 0)
		return rc;
	return rc == 0 || meaning.site != row->site ||
	       strcmp(meaning.key, row->key) != 0;
}

static int read_rows(struct op *op, struct conn *conn, void *arg)
{
	struct showing *s = arg;
	struct row_range range = {.parent = s->walk->place.dir,
				  .from = s->from,
				  .after = s->from[0] != '\0'};
	int n = rows_range(op, conn, &range, s->rows, SHOW_ROWS);

	s->n_rows = n < 0 ? 0 : (unsigned)n;
	for (int i = 0; i < n; i++) {
		int rc = is_hidden(op, conn, s->walk, &s->rows[i]);

		if (rc < 0)
			return rc;
		s->hidden[i] = rc;
	}
	return n;
}

static int show_row(struct meta_walk *walk, const struct row *row,
		    walk_fn *each, void *arg)
{
	bool is_dir = row->kind == ENTRY_DIR;
	char object[OBJECT_NAME_MAX + 2];
	struct class class;
	struct entry entry;
	char name[KEY_SIZE];

	strcpy(name, row->key);
	name[strcspn(name, "/")] = '\0';
	if (name_join(walk->place.dir_object, name, object, sizeof(object)) < 0)
		return 0;
	class = place_class(walk->meta, &walk->place, object, is_dir);
	place_entry(walk->meta, row, object, &class, &entry);
	entry.stale = walk->stale && class.freshness != FRESH_IMMUTABLE;
	if (entry.stale)
		entry.valid_ns = 0;
	if (each(arg, &entry) != 0)
		return 1;
	strcpy(walk->shown, row->key);
	return 0;
}

/* Shows what is merged, from after s->from on; 1 when stopped. */
static int show(struct op *op, struct showing *s, walk_fn *each, void *arg)
{
	struct meta_walk *walk = s->walk;
	int rc;

	do {
		rc = store_read(op, walk->meta->store, read_rows, s);
		if (rc < 0)
			return rc;
		for (unsigned i = 0; i < s->n_rows; i++) {
			const struct row *row = &s->rows[i];

			if (!walk->complete &&
			    strcmp(row->key, walk->horizon) >= 0)
				return 0;
			if (!s->hidden[i] && show_row(walk, row, each, arg))
				return 1;
			strcpy(s->from, row->key);
		}
	} while (s->n_rows == SHOW_ROWS);
	return 0;
}

struct find_kind {
	uint64_t dir;
	const char *name;
	struct row row;
};

static int find_kind(struct op *op, struct conn *conn, void *arg)
{
	struct find_kind *f = arg;

	return rows_meaning(op, conn, f->dir, f->name, &f->row);
}

/* The key that the caller means: a key, or the name of what he was shown. */
static int position(struct op *op, struct meta_walk *walk, const char *after,
		    char *ret)
{
	struct find_kind f = {.dir = walk->place.dir, .name = after};
	size_t len = strlen(after);
	int rc;

	if (len >= KEY_SIZE)
		return op_fail(op, -EINVAL, "list: no such position");
	strcpy(ret, after);
	if (len == 0 || after[len - 1] == '/')
		return 0;
	if (strncmp(walk->shown, after, len) == 0 &&
	    (walk->shown[len] == '\0' || walk->shown[len] == '/')) {
		strcpy(ret, walk->shown);
		return 0;
	}
	rc = store_read(op, walk->meta->store, find_kind, &f);
	if (rc > 0 && f.row.kind == ENTRY_DIR)
		strcat(ret, "/");
	return rc < 0 ? rc : 0;
}

int meta_walk_from(struct op *op, struct meta_walk *walk, const char *after,
		   walk_fn *each, void *arg)
{
	struct showing *s = malloc(sizeof(*s));
	int rc;

	if (!s)
		return op_fail(op, -ENOMEM, "list");
	s->walk = walk;
	rc = position(op, walk, after ? after : "", s->from);
	while (rc == 0) {
		bool complete = walk->complete;

		rc = show(op, s, each, arg);
		if (rc != 0 || complete)
			break;
		rc = go_on(op, walk);
	}
	free(s);
	return rc;
}

void meta_walk_end(struct meta_walk *walk)
{
	if (!walk)
		return;
	free(walk->token);
	free(walk);
}
