/*
 * A page becomes rows in one transaction, or in several when it does away with
 * more names than a transaction should: each of them is right by itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/op.h"
#include "meta/names.h"
#include "meta/page.h"

enum { RANGE_ROWS = 32, DELETES_MAX = 5000 };

struct merging {
	struct meta *meta;
	const struct page *page;
	const struct page_merge *merge;
	bool items_done;
	char from[OBJECT_NAME_MAX + 2]; /* deleting has come so far */
	bool after;
	/* Names whose meaning changed, in the transaction under way. */
	char (*changes)[META_NAME_MAX + 1];
	unsigned n_changes;
	unsigned room;
	/* Rows that this transaction writes and a listing told. */
	uint64_t *written;
	unsigned n_written;
};

static int note_change(struct merging *m, const char *key)
{
	size_t len = strlen(key);

	if (m->n_changes == m->room) {
		unsigned room = m->room ? m->room * 2 : 16;
		void *bigger =
			reallocarray(m->changes, room, sizeof(*m->changes));

		if (!bigger)
			return -ENOMEM;
		m->changes = bigger;
		m->room = room;
	}
	len -= len > 0 && key[len - 1] == '/';
	memcpy(m->changes[m->n_changes], key, len);
	m->changes[m->n_changes++][len] = '\0';
	return 0;
}

static bool same_meaning(const struct row *a, const struct row *b)
{
	return a->kind == b->kind && a->generation == b->generation &&
	       a->size == b->size && a->mtime_ns == b->mtime_ns &&
	       a->has == b->has &&
	       (!(a->has & HAS_CRC32C) || a->crc32c == b->crc32c) &&
	       (!(a->has & HAS_MD5) || !memcmp(a->md5, b->md5, MD5_SIZE));
}

/* A directory is one, whichever sites have it. */
static int directory_ino(struct op *op, struct conn *conn, struct row *row)
{
	struct row others[SITES_MAX];
	struct row_range range = {
		.parent = row->parent, .from = row->key, .to = row->key};
	struct dir dir = {.parent = row->parent};
	int rc = rows_range(op, conn, &range, others, SITES_MAX);

	if (rc < 0)
		return rc;
	if (rc > 0) {
		row->ino = others[0].ino;
		return 0;
	}
	rc = conn_new_ino(op, conn, &row->ino);
	if (rc < 0)
		return rc;
	dir.id = row->ino;
	memcpy(dir.name, row->key, strlen(row->key) - 1);
	return dirs_put(op, conn, &dir);
}

/* A name new as a file or as a directory: 1 when it is the other one, too. */
static int check_hidden(struct op *op, struct conn *conn, struct merging *m,
			const struct row *row)
{
	char object[OBJECT_NAME_MAX + META_NAME_MAX + 2];
	char other[KEY_SIZE + 1];
	size_t len = strlen(row->key);
	struct row found;
	int rc;

	if (row->site != SITE_RECORD)
		return 0;
	snprintf(other, sizeof(other), "%s/", row->key);
	if (row->kind == ENTRY_DIR)
		other[len - 1] = '\0';
	rc = rows_find(op, conn, row->parent, other, SITE_RECORD, &found);
	if (rc <= 0)
		return rc;
	if (row->kind != ENTRY_DIR)
		other[len] = '\0';
	name_join(m->page->dir_object, other, object, sizeof(object));
	rc = odd_put(op, conn, object, "hidden by a directory of its name");
	return rc < 0 ? rc : 1;
}

/* Files that tell an Iceberg table mark the directory that holds them. */
static int check_iceberg(struct op *op, struct conn *conn,
			 const struct row *row)
{
	static const char tail[] = ".metadata.json";
	size_t len = strlen(row->key);
	struct dir dir;
	int rc;

	if (strcmp(row->key, "version-hint.text") != 0 &&
	    (len < sizeof(tail) ||
	     strcmp(row->key + len - sizeof(tail) + 1, tail) != 0))
		return 0;
	rc = dirs_find(op, conn, row->parent, &dir);
	if (rc <= 0 || (dir.flags & DIR_ICEBERG))
		return rc;
	dir.flags |= DIR_ICEBERG;
	return dirs_put(op, conn, &dir);
}

static int put_item(struct op *op, struct conn *conn, struct merging *m,
		    struct row *row, const struct item *item)
{
	bool is_new = row->ino == 0;
	bool is_news = !is_new; /* nobody was told anything of a new name */
	int rc = 0;

	if (is_new && row->kind == ENTRY_DIR)
		rc = directory_ino(op, conn, row);
	else if (is_new)
		rc = conn_new_ino(op, conn, &row->ino);
	if (rc >= 0)
		rc = rows_put(op, conn, row, is_new);
	if (rc >= 0 && item->symlink)
		rc = symlinks_put(op, conn, row, item->symlink);
	if (rc >= 0 && is_new)
		rc = check_hidden(op, conn, m, row);
	is_news |= rc > 0;
	if (rc >= 0 && is_new && row->kind != ENTRY_DIR)
		rc = check_iceberg(op, conn, row);
	if (rc < 0 || !is_news)
		return rc < 0 ? rc : 0;
	return note_change(m, row->key);
}

static int merge_item(struct op *op, struct conn *conn, struct merging *m,
		      const struct item *item)
{
	struct row row = item->row;
	struct row old;
	struct told_times at = {.told_us = row.told_us};
	bool written = false;
	int rc;

	row.parent = m->merge->dir;
	rc = rows_find(op, conn, row.parent, row.key, row.site, &old);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		row.ino = old.ino;
		if (meta_told_us(m->meta, &old) > row.told_us &&
		    row.generation <= old.generation)
			return 0; /* newer news came first */
	}
	if (rc == 0 || !same_meaning(&row, &old)) {
		rc = put_item(op, conn, m, &row, item);
		written = true;
	}
	if (rc < 0)
		return rc;
	if (m->merge->from)
		at.listed_us = at.told_us;
	if (written) {
		/* It has the time itself; and it may be undone yet. */
		m->written[m->n_written++] = row.ino;
		return 0;
	}
	told_touch(m->meta->told, row.ino, &at);
	return 0;
}

static int delete_row(struct op *op, struct conn *conn, struct merging *m,
		      const struct row *row)
{
	char object[OBJECT_NAME_MAX + META_NAME_MAX + 2];
	struct row_range others = {
		.parent = row->parent, .from = row->key, .to = row->key};
	struct row other;
	char name[KEY_SIZE];
	int rc = rows_delete(op, conn, row);

	if (rc == 0 && row->kind == ENTRY_DIR)
		rc = rows_range(op, conn, &others, &other, 1);
	if (rc == 0 && row->kind == ENTRY_DIR)
		rc = dirs_delete(op, conn, row->ino);
	if (rc < 0)
		return rc;
	if (row->site == SITE_RECORD) {
		strcpy(name, row->key);
		name[strcspn(name, "/")] = '\0';
		name_join(m->page->dir_object, name, object, sizeof(object));
		rc = odd_delete(op, conn, object);
		if (rc < 0)
			return rc;
	}
	return note_change(m, row->key);
}

/* Returns 1 when there is more to delete than one transaction should. */
static int delete_absent(struct op *op, struct conn *conn, struct merging *m)
{
	const struct page *page = m->page;
	struct row rows[RANGE_ROWS];
	unsigned n_deleted = 0;
	int rc, n;

	do {
		struct row_range range = {.parent = m->merge->dir,
					  .from = m->from,
					  .after = m->after,
					  .to = m->merge->to};

		n = rows_range(op, conn, &range, rows, RANGE_ROWS);
		for (int i = 0; i < n; i++) {
			struct row *row = &rows[i];

			if (row->site != page->site ||
			    page_find(page, row->key) ||
			    meta_told_us(m->meta, row) > page->sent_us)
				continue;
			rc = delete_row(op, conn, m, row);
			if (rc < 0)
				return rc;
			n_deleted++;
		}
		if (n == RANGE_ROWS) {
			/* The last key again: more sites may have it. */
			m->after = false;
			strcpy(m->from, rows[n - 1].key);
		}
	} while (n == RANGE_ROWS && n_deleted < DELETES_MAX);
	return n < 0 ? n : n == RANGE_ROWS;
}

static int mark_complete(struct op *op, struct conn *conn, struct merging *m)
{
	struct dir dir;
	int rc = dirs_find(op, conn, m->merge->dir, &dir);

	if (rc <= 0 || dir.listed_us == m->merge->complete_us)
		return rc;
	dir.listed_us = m->merge->complete_us;
	return dirs_put(op, conn, &dir);
}

/* What is in a directory proves the directory and all above it. */
static int prove_above(struct op *op, struct conn *conn, struct merging *m)
{
	struct told_times at = {.told_us = m->page->sent_us};
	struct dir dir = {.parent = m->merge->dir};
	int rc;

	do {
		rc = dirs_find(op, conn, dir.parent, &dir);
		if (rc > 0)
			told_touch(m->meta->told, dir.id, &at);
	} while (rc > 0 && dir.id != META_ROOT);
	return rc;
}

static int merge_once(struct op *op, struct conn *conn, void *arg)
{
	struct merging *m = arg;
	struct dir dir;
	int more = 0;
	int rc = dirs_find(op, conn, m->merge->dir, &dir);

	m->n_changes = m->n_written = 0;
	if (rc <= 0)
		return rc < 0 ? rc
			      : op_fail(op, -ENOENT, "the directory is gone");
	for (unsigned i = 0; rc >= 0 && i < m->page->n_items; i++)
		if (!m->items_done)
			rc = merge_item(op, conn, m, &m->page->items[i]);
	for (unsigned i = 0; rc >= 0 && i < m->page->n_odds; i++)
		if (!m->items_done && m->page->site == SITE_RECORD)
			rc = odd_put(op, conn, m->page->odds[i].object,
				     m->page->odds[i].why);
	if (rc >= 0 && m->merge->from)
		rc = more = delete_absent(op, conn, m);
	if (rc >= 0 && !more && m->merge->complete_us)
		rc = mark_complete(op, conn, m);
	if (rc >= 0 && m->page->any && m->page->site == SITE_RECORD)
		rc = prove_above(op, conn, m);
	if (rc >= 0)
		rc = rows_sweep(op, conn);
	return rc < 0 ? rc : more;
}

static void touch_written(const struct merging *m)
{
	struct told_times at = {.told_us = m->page->sent_us};

	if (m->merge->from)
		at.listed_us = at.told_us;
	for (unsigned i = 0; i < m->n_written; i++)
		told_touch(m->meta->told, m->written[i], &at);
}

static void start(struct merging *m, const struct page_merge *merge)
{
	m->merge = merge;
	if (merge->from)
		snprintf(m->from, sizeof(m->from), "%s", merge->from);
	m->after = merge->after;
}

/*
 * One transaction.  Most listings bring no news, and on a disk that is full they
 * need not fail for the mark that they were complete.
 */
static int write_once(struct op *op, struct merging *m,
		      struct page_merge *merge)
{
	int rc = store_write(op, m->meta->store, merge_once, m);

	if ((rc != -ENOSPC && rc != -EIO && rc != -EROFS) || m->items_done ||
	    !merge->complete_us)
		return rc;
	op_forgive(op);
	merge->complete_us = 0;
	start(m, merge);
	return store_write(op, m->meta->store, merge_once, m);
}

int page_merge(struct op *op, struct meta *meta, const struct page *page,
	       const struct page_merge *merge)
{
	struct merging m = {.meta = meta, .page = page};
	struct page_merge own = *merge;
	int rc;

	m.written = calloc(page->n_items + 1, sizeof(*m.written));
	if (!m.written)
		return op_fail(op, -ENOMEM, "merge");
	start(&m, &own);
	do {
		rc = write_once(op, &m, &own);
		if (rc < 0)
			break;
		m.items_done = true;
		touch_written(&m);
		for (unsigned i = 0; meta->config.changed && i < m.n_changes;
		     i++)
			meta->config.changed(meta->config.arg, merge->dir,
					     m.changes[i]);
	} while (rc > 0);
	free(m.changes);
	free(m.written);
	return rc < 0 ? rc : 0;
}
