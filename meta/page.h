/*
 * A page of a listing, and how it becomes rows.
 *
 * A page says two things: these names are there, and no others between its
 * first and its last.  Merging takes both to the catalogue, in the listing's
 * order of keys (meta/rows.h), with one rule for what was learned in the
 * meantime: a row that was asked for after the page was sent is not undone.
 *
 * Ownership: page_ask() fills a page, which the caller ends with page_done().
 *
 * Threads: a page belongs to one thread.  With no lock held: page_ask() waits
 * for a site, page_merge() calls changed().
 */
#ifndef LAKEFUSE_META_PAGE_H
#define LAKEFUSE_META_PAGE_H

#include "meta/inside.h"

struct item {
	struct row row; /* without parent and ino */
	char *symlink;	/* or NULL */
};

struct odd_item {
	char *object;
	const char *why;
};

struct page {
	unsigned site;
	int64_t sent_us;
	bool any;			/* at least one name, whatever it was */
	char *token;			/* of the next page; NULL at the end */
	char last[OBJECT_NAME_MAX + 2]; /* the greatest key */
	struct item *items;		/* sorted by key, each once */
	unsigned n_items;
	struct odd_item *odds;
	unsigned n_odds;
	const char *dir_object; /* borrowed from the query */
};

struct page_query {
	unsigned site;
	const char *dir_object;
	const char *start; /* a key, inclusive; NULL */
	const char *end;   /* a key, exclusive; NULL */
	const char *token; /* NULL: from the start */
	unsigned max;
};

/*
 * Asks for a page of a directory; pages that are empty but not the last are
 * passed over.  On success the caller ends the page.
 */
int page_ask(struct op *op, struct meta *meta, const struct page_query *query,
	     struct page *ret);

/* A page of one object, as a site told of it; takes info's symlink. */
int page_of_one(struct op *op, const char *dir_object, const char *key,
		struct object_info *info, struct page *ret);
void page_done(struct page *page);

/* The item with this key, or NULL. */
const struct item *page_find(const struct page *page, const char *key);

struct page_merge {
	uint64_t dir;
	/* The range it speaks for; from NULL: only for its own items. */
	const char *from;
	bool after;	     /* from itself is not in it */
	const char *to;	     /* inclusive; NULL: to the end */
	int64_t complete_us; /* the listing it ends began then; 0: it does not */
};

int page_merge(struct op *op, struct meta *meta, const struct page *page,
	       const struct page_merge *merge);

/* Where the page's range ends: for page_merge.to. */
const char *page_to(const struct page *page);

#endif
