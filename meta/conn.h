/*
 * One connection to the catalogue's file, and what the file must be to be ours.
 *
 * Only store.c makes connections; rows.c uses what meta/store.h tells of them.
 *
 * Ownership: conn_init() opens, conn_done() closes; statements go with it.
 *
 * Threads: a connection is used by one thread at a time.
 */
#ifndef LAKEFUSE_META_CONN_H
#define LAKEFUSE_META_CONN_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "meta/store.h"

struct conn {
	sqlite3 *db;
	sqlite3_stmt *stmts[CONN_STATEMENTS_MAX];
	bool damaged;
	unsigned built;	     /* the file's number: reading.n_built */
	struct store *store; /* the writer's only; NULL in readers */
	struct conn *next_free;
	int64_t add_entries; /* in the transaction that is open */
	int64_t add_dirs;
};

int conn_init(struct op *op, struct conn *conn, const char *path);
/* Leaves all zero; a conn that was never opened is fine. */
void conn_done(struct conn *conn);

int conn_exec(struct op *op, struct conn *conn, const char *sql);

/* The first column of the first row, 0 when there is none. */
int conn_number(struct op *op, struct conn *conn, const char *sql,
		int64_t *ret);

/* Returns 0; 1 and *ret_why when this file is not ours to use; or -errno. */
int conn_check_file(struct op *op, struct conn *conn, const char *lake_id,
		    const char **ret_why);

#endif
