/*
 * Names below a directory in the order GCS lists them: bytewise over whole
 * names, in which a directory counts with its slash ("a-b" < "a/x" < "a0").
 *
 * Ownership: dir_page_done() frees what dir_list_page() filled in.
 *
 * Threads: any.  May hang on a dead file system: call it aside.
 */
#ifndef LAKEFUSE_SITES_DIR_LIST_H
#define LAKEFUSE_SITES_DIR_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sites/dir_sum.h"

struct op;

struct dir_entry {
	char *name; /* of a directory: with its slash */
	bool is_prefix;
	struct dir_version version; /* of a file */
	int64_t mtime_ns;
};

struct dir_query {
	const char *prefix;
	bool delimited;
	const char *start; /* inclusive; "" for all */
	const char *end;   /* exclusive; NULL: none */
	size_t max;
};

struct dir_page {
	struct dir_entry *entries;
	size_t n_entries;
	char *next; /* the first name that did not fit; NULL: it was all */
};

/*
 * Symlinks, special files, and names longer than an object's are left out.  A
 * directory is listed whether or not it holds a file.
 */
int dir_list_page(struct op *op, int root_fd, const struct dir_query *query,
		  struct dir_page *ret);
void dir_page_done(struct dir_page *page);

#endif
