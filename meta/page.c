#include "meta/page.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/metrics.h"
#include "base/op.h"
#include "meta/names.h"

enum { EMPTY_PAGES_MAX = 10000 };

/* A page while it is filled. */
struct filling {
	struct page *page;
	size_t prefix_len;
	unsigned room;
	unsigned odd_room;
};

static int grow(void *array, unsigned n, unsigned *room, size_t size)
{
	void **p = array;
	void *bigger;

	if (n < *room)
		return 0;
	bigger = reallocarray(*p, *room ? *room * 2 : 16, size);
	if (!bigger)
		return -ENOMEM;
	*room = *room ? *room * 2 : 16;
	*p = bigger;
	return 0;
}

static int add_odd(struct filling *f, const char *object, const char *why)
{
	struct page *page = f->page;
	int rc = grow(&page->odds, page->n_odds, &f->odd_room,
		      sizeof(*page->odds));

	if (rc < 0)
		return rc;
	page->odds[page->n_odds].why = why;
	page->odds[page->n_odds].object = strdup(object);
	return page->odds[page->n_odds++].object ? 0 : -ENOMEM;
}

static void fill_row(struct row *row, const struct object_info *info)
{
	row->kind = ENTRY_DIR;
	if (!info)
		return;
	row->kind = info->kind == OBJECT_SYMLINK ? ENTRY_SYMLINK : ENTRY_FILE;
	row->generation = row->site == SITE_RECORD ? info->generation : 0;
	row->size = info->size;
	row->mtime_ns = info->mtime_ns;
	row->has = info->has;
	row->crc32c = info->crc32c;
	memcpy(row->md5, info->md5, MD5_SIZE);
	snprintf(row->storage_class, sizeof(row->storage_class), "%s",
		 info->storage_class);
}

static int add_item(struct filling *f, const char *key,
		    const struct object_info *info)
{
	struct page *page = f->page;
	int rc = grow(&page->items, page->n_items, &f->room,
		      sizeof(*page->items));
	struct item *item;

	if (rc < 0)
		return rc;
	item = &page->items[page->n_items++];
	memset(item, 0, sizeof(*item));
	snprintf(item->row.key, sizeof(item->row.key), "%s", key);
	item->row.site = page->site;
	item->row.told_us = page->sent_us;
	fill_row(&item->row, info);
	if (info && info->symlink) {
		/* POSIX: the size of a symlink is its target's length. */
		item->row.size = strlen(info->symlink);
		item->symlink = strdup(info->symlink);
		if (!item->symlink)
			return -ENOMEM;
	}
	return 0;
}

static int take_name(void *arg, const char *name,
		     const struct object_info *info)
{
	struct filling *f = arg;
	struct page *page = f->page;
	const char *key = name + f->prefix_len;
	size_t len = strnlen(name, OBJECT_NAME_MAX + 1);
	const char *why;

	if (len < f->prefix_len || len > OBJECT_NAME_MAX ||
	    strncmp(name, page->dir_object, strlen(page->dir_object)) != 0)
		return -EIO; /* not what we asked for */
	page->any = true;
	if (strcmp(key, page->last) > 0)
		strcpy(page->last, key);
	len -= f->prefix_len;
	if (len == 0 && info && info->size > 0)
		return add_odd(f, name, "a directory's placeholder with bytes");
	if (len == 0 && info)
		return 0;
	if (!info && len > 0 && key[len - 1] == '/')
		len--;
	if (name_hidden(page->dir_object, key, len))
		return 0;
	why = info && info->odd_name ? "bytes that are not UTF-8"
				     : name_odd(key, len);
	return why ? add_odd(f, name, why) : add_item(f, key, info);
}

static int compare_items(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->row.key,
		      ((const struct item *)b)->row.key);
}

/* A site that repeats a name or mixes the order up harms only itself. */
static void sort_items(struct page *page)
{
	unsigned n = 0;

	if (page->n_items > 0)
		qsort(page->items, page->n_items, sizeof(*page->items),
		      compare_items);
	for (unsigned i = 0; i < page->n_items; i++) {
		if (n > 0 &&
		    compare_items(&page->items[n - 1], &page->items[i]) == 0)
			free(page->items[i].symlink);
		else
			page->items[n++] = page->items[i];
	}
	page->n_items = n;
}

void page_done(struct page *page)
{
	for (unsigned i = 0; i < page->n_items; i++)
		free(page->items[i].symlink);
	for (unsigned i = 0; i < page->n_odds; i++)
		free(page->odds[i].object);
	free(page->items);
	free(page->odds);
	free(page->token);
	memset(page, 0, sizeof(*page));
}

/* "DIR/" and key, or NULL for no key. */
static char *full_name(const char *dir_object, const char *key)
{
	char *name;

	if (!key || asprintf(&name, "%s%s%s", dir_object,
			     dir_object[0] ? "/" : "", key) < 0)
		return NULL;
	return name;
}

static int ask_pages(struct op *op, struct meta *meta, struct list_query *query,
		     struct filling *f)
{
	struct page *page = f->page;
	auto_free char *token = NULL;
	int rc;

	for (int i = 0; i < EMPTY_PAGES_MAX; i++) {
		rc = op_expired(op);
		if (rc < 0)
			return op_fail(op, rc, "list %s", query->prefix);
		metric_add(METRIC_LIST_PAGES, page->site == SITE_RECORD);
		rc = lake_list(op, meta->lake, page->site, query, take_name, f,
			       &page->token);
		if (rc < 0)
			return op_fail(op, rc, "list %s", query->prefix);
		if (page->site == SITE_RECORD)
			meta_answered(meta);
		if (page->any || !page->token)
			return 0;
		free(token);
		token = page->token;
		page->token = NULL;
		query->token = token;
	}
	return op_fail(op, -EIO, "list %s: empty pages without end",
		       query->prefix);
}

int page_ask(struct op *op, struct meta *meta, const struct page_query *query,
	     struct page *ret)
{
	auto_free char *prefix = full_name(query->dir_object, "");
	auto_free char *start = full_name(query->dir_object, query->start);
	auto_free char *end = full_name(query->dir_object, query->end);
	struct list_query list = {
		.prefix = prefix,
		.delimited = true,
		.start = start,
		.end = end,
		.token = query->token,
		.max = query->max,
	};
	struct page page = {
		.site = query->site,
		.sent_us = meta_stamp(meta),
		.dir_object = query->dir_object,
	};
	struct filling f = {.page = &page};
	int rc;

	if (!prefix || (query->start && !start) || (query->end && !end))
		return op_fail(op, -ENOMEM, "list %s", query->dir_object);
	f.prefix_len = strlen(prefix);
	rc = ask_pages(op, meta, &list, &f);
	if (rc < 0) {
		page_done(&page);
		return rc;
	}
	sort_items(&page);
	*ret = page;
	return 0;
}

int page_of_one(struct op *op, const char *dir_object, const char *key,
		struct object_info *info, struct page *ret)
{
	struct page page = {.sent_us = ret->sent_us,
			    .site = ret->site,
			    .dir_object = dir_object};
	struct filling f = {.page = &page};

	if (key && add_item(&f, key, info) < 0) {
		page_done(&page);
		return op_fail(op, -ENOMEM, "entry %s", key);
	}
	*ret = page;
	return 0;
}

const struct item *page_find(const struct page *page, const char *key)
{
	struct item wanted;

	if (page->n_items == 0 || strlen(key) >= sizeof(wanted.row.key))
		return NULL;
	strcpy(wanted.row.key, key);
	return bsearch(&wanted, page->items, page->n_items,
		       sizeof(*page->items), compare_items);
}

const char *page_to(const struct page *page)
{
	return page->token ? page->last : NULL;
}
