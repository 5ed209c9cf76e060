#include "meta/ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/op.h"
#include "meta/page.h"

enum { SIBLINGS = 100, PAGE_NAMES = 1000 };

enum { UNSAVED_SAY_MS = 60000 };

/* A replica's silence must not cost a lookup its deadline. */
#define REPLICA_NS (2 * NS_PER_S)

/* Every failure of a site comes through here, and none of the catalogue's. */
static int silent(struct answer *answer, int rc)
{
	if (meta_unreachable(rc))
		answer->unanswered = true;
	return rc;
}

/*
 * A catalogue that can't be written, as when the disk is full, keeps nobody from
 * an answer in hand.
 */
static int saved(struct op *op, struct meta *meta, struct answer *answer,
		 int rc)
{
	int_fast64_t said_ms = atomic_load(&meta->unsaved_said_ms);
	int_fast64_t now_ms = (int_fast64_t)(clock_mono_ns() / 1000000);

	if (rc != -ENOSPC && rc != -EIO && rc != -EROFS)
		return rc;
	if ((said_ms == 0 || now_ms - said_ms >= UNSAVED_SAY_MS) &&
	    atomic_compare_exchange_strong(&meta->unsaved_said_ms, &said_ms,
					   now_ms))
		log_warn("what the record says is told but not remembered: %s",
			 op->why);
	op_forgive(op);
	answer->unsaved = true;
	return 0;
}

/* The row that is told when it can't be saved. */
static void in_hand(const struct place *place, const struct row *row,
		    struct answer *ret)
{
	uint64_t hash;

	if (row != &ret->row)
		ret->row = *row;
	ret->row.parent = place->dir;
	if (place->has_row && place->row.site == row->site &&
	    strcmp(place->row.key, row->key) == 0) {
		ret->row.ino = place->row.ino;
		return;
	}
	hash = hash_text(hash_number(1, place->dir), row->key);
	ret->row.ino = (hash >> 2) | UNSAVED_INO;
}

/* Takes a key's row away, as of the request for that page. */
static int forget(struct op *op, struct meta *meta, const struct place *place,
		  const char *key, const struct page *from, struct answer *ret)
{
	struct page page = {.site = from->site,
			    .sent_us = from->sent_us,
			    .dir_object = place->dir_object};
	struct page_merge merge = {.dir = place->dir, .from = key, .to = key};

	return saved(op, meta, ret, page_merge(op, meta, &page, &merge));
}

/* What one object is now becomes a row; info NULL: a directory. */
static int learn_one(struct op *op, struct meta *meta,
		     const struct place *place, struct object_info *info,
		     const struct page *from, struct answer *ret)
{
	struct page page = {.site = from->site, .sent_us = from->sent_us};
	struct page_merge merge = {.dir = place->dir};
	char key[KEY_SIZE + 1];
	int rc;

	snprintf(key, sizeof(key), "%s%s", place->name, info ? "" : "/");
	rc = page_of_one(op, place->dir_object, key, info, &page);
	if (rc < 0)
		return rc;
	page.any = true;
	in_hand(place, &page.items[0].row, ret);
	rc = saved(op, meta, ret, page_merge(op, meta, &page, &merge));
	page_done(&page);
	return rc;
}

/* Is there anything below the name?  1 and it is a row; 0 and it is none. */
static int ask_below(struct op *op, struct meta *meta,
		     const struct place *place, unsigned site,
		     struct answer *ret)
{
	struct page_query query = {
		.site = site, .dir_object = place->object, .max = 1};
	char key[KEY_SIZE + 1];
	struct page page;
	bool any;
	int rc = silent(ret, page_ask(op, meta, &query, &page));

	if (rc < 0)
		return rc;
	any = page.any;
	snprintf(key, sizeof(key), "%s/", place->name);
	if (any)
		rc = learn_one(op, meta, place, NULL, &page, ret);
	else
		rc = forget(op, meta, place, key, &page, ret);
	page_done(&page);
	return rc < 0 ? rc : any;
}

/*
 * Is a known directory still there?  Who looks it up is likely to list it next,
 * so the question is its first page: where that is all of it, the listing needs
 * no request of its own.
 */
static int ask_directory(struct op *op, struct meta *meta,
			 const struct place *place, struct answer *ret)
{
	struct page_query query = {.dir_object = place->object,
				   .max = PAGE_NAMES};
	struct page_merge merge = {.dir = place->row.ino, .from = ""};
	char key[KEY_SIZE + 1];
	struct page page;
	bool any;
	int rc = silent(ret, page_ask(op, meta, &query, &page));

	if (rc < 0)
		return rc;
	any = page.any;
	merge.to = page_to(&page);
	/* A union's listing is complete with the replicas' names only. */
	if (!page.token && !meta->config.namespace_union)
		merge.complete_us = page.sent_us;
	snprintf(key, sizeof(key), "%s/", place->name);
	if (any)
		rc = saved(op, meta, ret, page_merge(op, meta, &page, &merge));
	else
		rc = forget(op, meta, place, key, &page, ret);
	if (any && rc >= 0)
		rc = learn_one(op, meta, place, NULL, &page, ret);
	page_done(&page);
	return rc < 0 ? rc : any;
}

/* One conditional request: 1, it is a file, and a row; 0, it is none. */
static int ask_object(struct op *op, struct meta *meta,
		      const struct place *place, uint64_t not_generation,
		      struct answer *ret)
{
	struct page from = {.site = SITE_RECORD, .sent_us = meta_stamp(meta)};
	struct told_times at = {.told_us = from.sent_us};
	struct object_info info;
	int rc = silent(ret, lake_stat(op, meta->lake, place->object,
				       not_generation, &info));

	if (rc >= 0 || rc == -ENOENT)
		meta_answered(meta);
	if (rc == 0) {
		rc = learn_one(op, meta, place, &info, &from, ret);
		object_info_done(&info);
		return rc < 0 ? rc : 1;
	}
	if (rc > 0) {
		metric_add(METRIC_META_NOT_MODIFIED, 1);
		told_touch(meta->told, place->row.ino, &at);
		in_hand(place, &place->row, ret);
		return 1;
	}
	if (rc != -ENOENT)
		return rc;
	op_forgive(op);
	rc = forget(op, meta, place, place->name, &from, ret);
	return rc < 0 ? rc : 0;
}

static int has_rows(struct op *op, struct conn *conn, void *arg)
{
	struct row_range range = {.parent = *(const uint64_t *)arg, .from = ""};
	struct row row;

	return rows_range(op, conn, &range, &row, 1);
}

/*
 * Nothing is known of the directory: its first page is asked for, from the
 * start.  Most directories are no larger, and then all of it is known with one
 * request, whether it is a table as well.
 */
static int is_untouched(struct op *op, struct meta *meta,
			const struct place *place, unsigned site)
{
	uint64_t dir = place->dir;
	int rc;

	if (site != SITE_RECORD || place->listed_us ||
	    meta->config.namespace_union)
		return 0;
	rc = store_read(op, meta->store, has_rows, &dir);
	return rc < 0 ? rc : rc == 0;
}

/* A page from start on (NULL: all); 1 found, 0 not, -EAGAIN not in it. */
static int ask_page(struct op *op, struct meta *meta, const struct place *place,
		    unsigned site, const char *start, struct answer *ret)
{
	struct page_query query = {.site = site,
				   .dir_object = place->dir_object,
				   .start = start,
				   .max = start ? SIBLINGS : PAGE_NAMES};
	struct page_merge merge = {.dir = place->dir,
				   .from = start ? start : ""};
	char dir_key[KEY_SIZE + 1];
	const struct item *item;
	struct page page;
	bool found, covered;
	int rc = silent(ret, page_ask(op, meta, &query, &page));

	if (rc < 0)
		return rc;
	snprintf(dir_key, sizeof(dir_key), "%s/", place->name);
	merge.to = page_to(&page);
	if (!start && !page.token)
		merge.complete_us = page.sent_us;
	rc = saved(op, meta, ret, page_merge(op, meta, &page, &merge));
	item = page_find(&page, dir_key);
	if (!item)
		item = page_find(&page, place->name);
	found = item != NULL;
	if (found)
		in_hand(place, &item->row, ret);
	covered = !page.token || strcmp(page.last, dir_key) >= 0;
	page_done(&page);
	if (rc < 0)
		return rc;
	return found ? 1 : covered ? 0 : -EAGAIN;
}

/* What a listing says of a name; 1, it is there; 0, it is not. */
static int ask_listing(struct op *op, struct meta *meta,
		       const struct place *place, unsigned site,
		       struct answer *ret)
{
	int rc = is_untouched(op, meta, place, site);

	if (rc > 0)
		rc = ask_page(op, meta, place, site, NULL, ret);
	else if (rc == 0)
		rc = -EAGAIN;
	if (rc == -EAGAIN && !ret->unanswered)
		rc = ask_page(op, meta, place, site, place->name, ret);
	if (rc == -EAGAIN && !ret->unanswered)
		rc = ask_below(op, meta, place, site, ret);
	return rc;
}

static int ask_record(struct op *op, struct meta *meta,
		      const struct place *place, struct answer *ret)
{
	const struct row *row = &place->row;
	int rc;

	if (!place->has_row || row->site != SITE_RECORD)
		return ask_listing(op, meta, place, SITE_RECORD, ret);
	if (row->kind == ENTRY_DIR) {
		rc = ask_directory(op, meta, place, ret);
		return rc != 0 ? rc : ask_object(op, meta, place, 0, ret);
	}
	rc = ask_object(op, meta, place, row->generation, ret);
	return rc != 0 ? rc : ask_below(op, meta, place, SITE_RECORD, ret);
}

/* Which replica has a name that the record does not have?  1: one has. */
static int ask_replicas(struct op *op, struct meta *meta,
			const struct place *place, struct answer *ret)
{
	unsigned n_sites = lake_n_sites(meta->lake);

	for (unsigned site = 1; site < n_sites; site++) {
		struct answer answer = {.unsaved = ret->unsaved};
		struct op own;
		int rc;

		op_child(&own, op, REPLICA_NS);
		rc = ask_listing(&own, meta, place, site, &answer);
		if (rc > 0) {
			*ret = answer;
			return 1;
		}
	}
	return 0;
}

/* What could not be saved is news as well, and changed() tells it. */
static int unsaved(struct meta *meta, const struct place *place, bool found,
		   const struct answer *answer)
{
	const struct row *row = &place->row;

	if (place->has_row && meta->config.changed &&
	    (!found || row->kind != answer->row.kind ||
	     row->generation != answer->row.generation))
		meta->config.changed(meta->config.arg, place->dir, place->name);
	return found ? 0 : -ENOENT;
}

struct find_row {
	uint64_t dir;
	const char *name;
	struct row *row;
};

static int find_row(struct op *op, struct conn *conn, void *arg)
{
	struct find_row *f = arg;

	return rows_meaning(op, conn, f->dir, f->name, f->row);
}

struct asking {
	struct meta *meta;
	uint64_t dir;
	const char *name;
};

/* Leads a round; what is known is read afresh, as others have asked since. */
static int ask_now(struct op *op, void *arg, struct answer *ret)
{
	struct asking *a = arg;
	struct meta *meta = a->meta;
	struct find_row find = {
		.dir = a->dir, .name = a->name, .row = &ret->row};
	int64_t sent_us = meta_stamp(meta);
	struct place place;
	int rc = place_find(op, meta, a->dir, a->name, &place);

	if (rc < 0)
		return rc;
	metric_add(METRIC_META_ASKS, 1);
	rc = ask_record(op, meta, &place, ret);
	if (rc < 0)
		return rc;
	if (rc == 0 && meta->config.namespace_union)
		rc = ask_replicas(op, meta, &place, ret);
	if (ret->unsaved)
		return unsaved(meta, &place, rc > 0, ret);
	rc = store_read(op, meta->store, find_row, &find);
	if (rc < 0)
		return rc;
	if (rc == 0 ||
	    (ret->row.site != SITE_RECORD && !meta->config.namespace_union)) {
		told_absent(meta->told, a->dir, a->name, sent_us);
		return -ENOENT;
	}
	return 0;
}

int ask_name(struct op *op, struct meta *meta, uint64_t dir, const char *name,
	     struct answer *ret)
{
	struct asking asking = {.meta = meta, .dir = dir, .name = name};

	return rounds_ask(op, meta->rounds, dir, name, ask_now, &asking, ret);
}
