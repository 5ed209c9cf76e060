/*
 * The catalogue's file: connections, transactions, schema, and what happens to
 * a file that can't be used.
 *
 * What runs against the catalogue runs as a function inside store_read() or
 * store_write(), so that no lock, connection or transaction can be left over.
 * The file is never worth more than the mount: one that is damaged, newer than
 * we are, or another lake's is set aside and built anew, at the start or in
 * the middle of the work; only the operation that met the damage fails.
 *
 * Ownership: catalogue_open() gives.  A struct conn is borrowed until the function
 * returns.
 *
 * Threads: any, with no lock held.  Writers follow each other, readers run
 * beside them.  The functions run under a lock or with a connection that others
 * wait for: they must not call a site, changed(), or the store.
 */
#ifndef LAKEFUSE_META_STORE_H
#define LAKEFUSE_META_STORE_H

#include <sqlite3.h>
#include <stdint.h>

struct conn;
struct op;
struct store;

int catalogue_open(struct op *op, const char *path, const char *lake_id,
		   struct store **ret);
void catalogue_close(struct store *store);

/* Returns what comes of it: >= 0, or -errno, which undoes a write. */
typedef int store_fn(struct op *op, struct conn *conn, void *arg);

int store_read(struct op *op, struct store *store, store_fn *fn, void *arg);
int store_write(struct op *op, struct store *store, store_fn *fn, void *arg);

struct store_counts {
	uint64_t n_entries;
	uint64_t n_dirs;
	uint64_t bytes;
};

void store_counts(struct store *store, struct store_counts *ret);

/* For rows.c. */

enum { CONN_STATEMENTS_MAX = 40 };

/* A prepared statement, reset; sql is prepared once for each slot. */
int conn_prepare(struct op *op, struct conn *conn, unsigned slot,
		 const char *sql, sqlite3_stmt **ret);

/* 1: a row is there; 0: the statement is done (and reset); or -errno. */
int conn_step(struct op *op, struct conn *conn, sqlite3_stmt *stmt);

/* In store_write() only: a fresh inode number; counters of the file. */
int conn_new_ino(struct op *op, struct conn *conn, uint64_t *ret);
void conn_count(struct conn *conn, int add_entries, int add_dirs);

#endif
