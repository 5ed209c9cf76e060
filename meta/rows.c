#include "meta/rows.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"
#include "base/op.h"

enum { ODD_MAX = 10000, SWEEP_ROWS = 200 };

#define COLUMNS                                                       \
	"parent, name, site, ino, bits, generation, size, mtime_ns, " \
	"told_us, crc32c, md5"

/* X(symbol, SQL) */
#define STATEMENTS(X)                                                         \
	X(FIND, "SELECT " COLUMNS " FROM entries"                             \
		" WHERE parent=? AND name=? AND site=?")                      \
	X(MEANING, "SELECT " COLUMNS " FROM entries"                          \
		   " WHERE parent=? AND name IN (?, ?)"                       \
		   " ORDER BY site, name DESC LIMIT 1")                       \
	X(PUT, "INSERT OR REPLACE INTO entries(" COLUMNS ")"                  \
	       " VALUES(?,?,?,?,?,?,?,?,?,?,?)")                              \
	X(DELETE, "DELETE FROM entries WHERE parent=? AND name=? AND site=?") \
	X(RANGE, "SELECT " COLUMNS " FROM entries"                            \
		 " WHERE parent=? AND name>=? ORDER BY name, site LIMIT ?")   \
	X(RANGE_TO, "SELECT " COLUMNS " FROM entries"                         \
		    " WHERE parent=? AND name>=? AND name<=?"                 \
		    " ORDER BY name, site LIMIT ?")                           \
	X(DIR_FIND, "SELECT parent, name, listed_us, flags FROM dirs"         \
		    " WHERE id=?")                                            \
	X(DIR_PUT, "INSERT OR REPLACE INTO dirs(id, parent, name, listed_us," \
		   " flags) VALUES(?,?,?,?,?)")                               \
	X(DIR_DELETE, "DELETE FROM dirs WHERE id=?")                          \
	X(GONE_PUT, "INSERT OR IGNORE INTO gone(id) VALUES(?)")               \
	X(GONE_FIRST, "SELECT id FROM gone LIMIT 1")                          \
	X(GONE_DELETE, "DELETE FROM gone WHERE id=?")                         \
	X(SYMLINK_PUT, "INSERT OR REPLACE INTO symlinks VALUES(?,?,?)")       \
	X(SYMLINK_FIND, "SELECT target FROM symlinks"                         \
			" WHERE ino=? AND generation=?")                      \
	X(SYMLINK_DELETE, "DELETE FROM symlinks WHERE ino=?")                 \
	X(ODD_FIND, "SELECT 1 FROM odd WHERE object=?")                       \
	X(ODD_PUT, "INSERT INTO odd VALUES(?,?)")                             \
	X(ODD_DELETE, "DELETE FROM odd WHERE object=?")                       \
	X(ODD_NEXT, "SELECT object, why FROM odd WHERE object>?"              \
		    " ORDER BY object LIMIT 1")                               \
	X(ODD_COUNT, "SELECT count(*) FROM odd")

#define STATEMENT_ENUM_(sym, sql) STMT_##sym,
enum statement { STATEMENTS(STATEMENT_ENUM_) N_STATEMENTS };
#define STATEMENT_SQL_(sym, sql) [STMT_##sym] = sql,
static const char *const statements[] = {STATEMENTS(STATEMENT_SQL_)};

_Static_assert((int)N_STATEMENTS <= (int)CONN_STATEMENTS_MAX,
	       "a slot a statement");

/* bits: kind in 0-1, has in 2-3, the index of the class below from 4 on. */
static const char *const storage_classes[] = {
	"",	   "STANDARD",	     "NEARLINE", "COLDLINE",
	"ARCHIVE", "MULTI_REGIONAL", "REGIONAL", "RAPID",
};

enum { N_STORAGE_CLASSES = sizeof(storage_classes) / sizeof(char *) };

static unsigned pack_bits(const struct row *row)
{
	unsigned class = N_STORAGE_CLASSES;

	while (class > 1 &&
	       strcmp(storage_classes[class - 1], row->storage_class) != 0)
		class --;
	return (unsigned)row->kind | row->has << 2 | (class - 1) << 4;
}

static void unpack_bits(unsigned bits, struct row *ret)
{
	unsigned class = bits >> 4;

	ret->kind = (enum entry_kind)(bits & 3);
	ret->has = bits >> 2 & 3;
	if (class < N_STORAGE_CLASSES)
		strcpy(ret->storage_class, storage_classes[class]);
}

static int prepare(struct op *op, struct conn *conn, enum statement which,
		   sqlite3_stmt **ret)
{
	return conn_prepare(op, conn, which, statements[which], ret);
}

static void bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
	sqlite3_bind_blob(stmt, i, text, (int)strlen(text), SQLITE_STATIC);
}

static void bind_number(sqlite3_stmt *stmt, int i, uint64_t n)
{
	sqlite3_bind_int64(stmt, i, (int64_t)n);
}

static uint64_t column_number(sqlite3_stmt *stmt, int i)
{
	return (uint64_t)sqlite3_column_int64(stmt, i);
}

static void column_text(sqlite3_stmt *stmt, int i, char *ret, size_t room)
{
	const void *text = sqlite3_column_blob(stmt, i);
	size_t len = (size_t)sqlite3_column_bytes(stmt, i);

	if (len >= room)
		len = room - 1;
	if (len > 0)
		memcpy(ret, text, len);
	ret[len] = '\0';
}

static void column_row(sqlite3_stmt *stmt, struct row *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->parent = column_number(stmt, 0);
	column_text(stmt, 1, ret->key, sizeof(ret->key));
	ret->site = (unsigned)sqlite3_column_int(stmt, 2);
	ret->ino = column_number(stmt, 3);
	unpack_bits((unsigned)sqlite3_column_int(stmt, 4), ret);
	ret->generation = column_number(stmt, 5);
	ret->size = column_number(stmt, 6);
	ret->mtime_ns = sqlite3_column_int64(stmt, 7);
	ret->told_us = sqlite3_column_int64(stmt, 8);
	ret->crc32c = (uint32_t)sqlite3_column_int(stmt, 9);
	if (sqlite3_column_bytes(stmt, 10) == MD5_SIZE)
		memcpy(ret->md5, sqlite3_column_blob(stmt, 10), MD5_SIZE);
}

/* For statements that bring nothing. */
static int run(struct op *op, struct conn *conn, sqlite3_stmt *stmt)
{
	int rc = conn_step(op, conn, stmt);

	return rc < 0 ? rc : 0;
}

static int one_row(struct op *op, struct conn *conn, sqlite3_stmt *stmt,
		   struct row *ret)
{
	int rc = conn_step(op, conn, stmt);

	if (rc > 0)
		column_row(stmt, ret);
	sqlite3_reset(stmt);
	return rc;
}

int rows_find(struct op *op, struct conn *conn, uint64_t parent,
	      const char *key, unsigned site, struct row *ret)
{
	sqlite3_stmt *stmt;
	int rc = prepare(op, conn, STMT_FIND, &stmt);

	if (rc < 0)
		return rc;
	bind_number(stmt, 1, parent);
	bind_text(stmt, 2, key);
	bind_number(stmt, 3, site);
	return one_row(op, conn, stmt, ret);
}

int rows_meaning(struct op *op, struct conn *conn, uint64_t parent,
		 const char *name, struct row *ret)
{
	sqlite3_stmt *stmt;
	char dir_key[KEY_SIZE];
	int rc = prepare(op, conn, STMT_MEANING, &stmt);

	if (rc < 0)
		return rc;
	snprintf(dir_key, sizeof(dir_key), "%s/", name);
	bind_number(stmt, 1, parent);
	bind_text(stmt, 2, name);
	bind_text(stmt, 3, dir_key);
	return one_row(op, conn, stmt, ret);
}

int rows_put(struct op *op, struct conn *conn, const struct row *row,
	     bool is_new)
{
	sqlite3_stmt *stmt;
	int rc = prepare(op, conn, STMT_PUT, &stmt);

	if (rc < 0)
		return rc;
	bind_number(stmt, 1, row->parent);
	bind_text(stmt, 2, row->key);
	bind_number(stmt, 3, row->site);
	bind_number(stmt, 4, row->ino);
	bind_number(stmt, 5, pack_bits(row));
	bind_number(stmt, 6, row->generation);
	bind_number(stmt, 7, row->size);
	sqlite3_bind_int64(stmt, 8, row->mtime_ns);
	sqlite3_bind_int64(stmt, 9, row->told_us);
	if (row->has & HAS_CRC32C)
		sqlite3_bind_int(stmt, 10, (int)row->crc32c);
	else
		sqlite3_bind_null(stmt, 10);
	if (row->has & HAS_MD5)
		sqlite3_bind_blob(stmt, 11, row->md5, MD5_SIZE, SQLITE_STATIC);
	else
		sqlite3_bind_null(stmt, 11);
	conn_count(conn, is_new, 0);
	return run(op, conn, stmt);
}

static int run_id(struct op *op, struct conn *conn, enum statement which,
		  uint64_t id)
{
	sqlite3_stmt *stmt;
	int rc = prepare(op, conn, which, &stmt);

	if (rc < 0)
		return rc;
	bind_number(stmt, 1, id);
	return run(op, conn, stmt);
}

int rows_delete(struct op *op, struct conn *conn, const struct row *row)
{
	sqlite3_stmt *stmt;
	int rc = prepare(op, conn, STMT_DELETE, &stmt);

	if (rc < 0)
		return rc;
	bind_number(stmt, 1, row->parent);
	bind_text(stmt, 2, row->key);
	bind_number(stmt, 3, row->site);
	conn_count(conn, -1, 0);
	rc = run(op, conn, stmt);
	if (rc == 0 && row->kind == ENTRY_SYMLINK)
		rc = run_id(op, conn, STMT_SYMLINK_DELETE, row->ino);
	return rc;
}

int rows_range(struct op *op, struct conn *conn, const struct row_range *range,
	       struct row *rows, unsigned room)
{
	/* The least key after a key is the key and a zero byte. */
	int from_len = (int)strlen(range->from) + range->after;
	sqlite3_stmt *stmt;
	int n = 0;
	int rc = prepare(op, conn, range->to ? STMT_RANGE_TO : STMT_RANGE,
			 &stmt);

	if (rc < 0)
		return rc;
	bind_number(stmt, 1, range->parent);
	sqlite3_bind_blob(stmt, 2, range->from, from_len, SQLITE_STATIC);
	if (range->to)
		bind_text(stmt, 3, range->to);
	bind_number(stmt, range->to ? 4 : 3, room);
	while ((rc = conn_step(op, conn, stmt)) > 0)
		column_row(stmt, &rows[n++]);
	return rc < 0 ? rc : n;
}

int dirs_find(struct op *op, struct conn *conn, uint64_t id, struct dir *ret)
{
	sqlite3_stmt *stmt;
	int rc = prepare(op, conn, STMT_DIR_FIND, &stmt);

	if (rc < 0)
		return rc;
	bind_number(stmt, 1, id);
	rc = conn_step(op, conn, stmt);
	if (rc > 0) {
		ret->id = id;
		ret->parent = column_number(stmt, 0);
		column_text(stmt, 1, ret->name, sizeof(ret->name));
		ret->listed_us = sqlite3_column_int64(stmt, 2);
		ret->flags = (unsigned)sqlite3_column_int(stmt, 3);
	}
	sqlite3_reset(stmt);
	return rc;
}

int dirs_put(struct op *op, struct conn *conn, const struct dir *dir)
{
	struct dir old;
	sqlite3_stmt *stmt;
	int rc = dirs_find(op, conn, dir->id, &old);

	if (rc < 0)
		return rc;
	conn_count(conn, 0, rc == 0);
	rc = prepare(op, conn, STMT_DIR_PUT, &stmt);
	if (rc < 0)
		return rc;
	bind_number(stmt, 1, dir->id);
	bind_number(stmt, 2, dir->parent);
	bind_text(stmt, 3, dir->name);
	sqlite3_bind_int64(stmt, 4, dir->listed_us);
	bind_number(stmt, 5, dir->flags);
	return run(op, conn, stmt);
}

int dirs_delete(struct op *op, struct conn *conn, uint64_t id)
{
	struct dir old;
	int rc = dirs_find(op, conn, id, &old);

	if (rc <= 0)
		return rc;
	conn_count(conn, 0, -1);
	rc = run_id(op, conn, STMT_DIR_DELETE, id);
	return rc < 0 ? rc : run_id(op, conn, STMT_GONE_PUT, id);
}

int rows_sweep(struct op *op, struct conn *conn)
{
	struct row rows[32];
	sqlite3_stmt *stmt;
	uint64_t id;
	int rc, n;

	rc = prepare(op, conn, STMT_GONE_FIRST, &stmt);
	if (rc < 0)
		return rc;
	rc = conn_step(op, conn, stmt);
	if (rc <= 0)
		return rc;
	id = column_number(stmt, 0);
	sqlite3_reset(stmt);
	for (int done = 0; done < SWEEP_ROWS; done += n) {
		n = rows_range(op, conn,
			       &(struct row_range){.parent = id, .from = ""},
			       rows, 32);
		if (n < 0)
			return n;
		if (n == 0) {
			rc = run_id(op, conn, STMT_GONE_DELETE, id);
			return rc < 0 ? rc : 1;
		}
		for (int i = 0; i < n; i++) {
			rc = rows_delete(op, conn, &rows[i]);
			if (rc == 0 && rows[i].kind == ENTRY_DIR)
				rc = dirs_delete(op, conn, rows[i].ino);
			if (rc < 0)
				return rc;
		}
	}
	return 1;
}

int symlinks_put(struct op *op, struct conn *conn, const struct row *row,
		 const char *target)
{
	sqlite3_stmt *stmt;
	int rc = prepare(op, conn, STMT_SYMLINK_PUT, &stmt);

	if (rc < 0)
		return rc;
	bind_number(stmt, 1, row->ino);
	bind_number(stmt, 2, row->generation);
	bind_text(stmt, 3, target);
	return run(op, conn, stmt);
}

int symlinks_find(struct op *op, struct conn *conn, const struct row *row,
		  char *target, size_t room)
{
	sqlite3_stmt *stmt;
	int rc = prepare(op, conn, STMT_SYMLINK_FIND, &stmt);

	if (rc < 0)
		return rc;
	bind_number(stmt, 1, row->ino);
	bind_number(stmt, 2, row->generation);
	rc = conn_step(op, conn, stmt);
	if (rc > 0)
		column_text(stmt, 0, target, room);
	sqlite3_reset(stmt);
	return rc;
}

int odd_count(struct op *op, struct conn *conn, uint64_t *ret)
{
	sqlite3_stmt *stmt;
	int rc = prepare(op, conn, STMT_ODD_COUNT, &stmt);

	if (rc < 0)
		return rc;
	rc = conn_step(op, conn, stmt);
	if (rc < 0)
		return rc;
	*ret = rc > 0 ? column_number(stmt, 0) : 0;
	sqlite3_reset(stmt);
	return 0;
}

int odd_put(struct op *op, struct conn *conn, const char *object,
	    const char *why)
{
	sqlite3_stmt *stmt;
	uint64_t n;
	int rc = prepare(op, conn, STMT_ODD_FIND, &stmt);

	if (rc < 0)
		return rc;
	bind_text(stmt, 1, object);
	rc = conn_step(op, conn, stmt);
	sqlite3_reset(stmt);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = odd_count(op, conn, &n);
	if (rc < 0 || n >= ODD_MAX)
		return rc;
	metric_add(METRIC_ODD_NAMES, 1);
	rc = prepare(op, conn, STMT_ODD_PUT, &stmt);
	if (rc < 0)
		return rc;
	bind_text(stmt, 1, object);
	sqlite3_bind_text(stmt, 2, why, -1, SQLITE_STATIC);
	return run(op, conn, stmt);
}

int odd_delete(struct op *op, struct conn *conn, const char *object)
{
	sqlite3_stmt *stmt;
	int rc = prepare(op, conn, STMT_ODD_DELETE, &stmt);

	if (rc < 0)
		return rc;
	bind_text(stmt, 1, object);
	return run(op, conn, stmt);
}

int odd_next(struct op *op, struct conn *conn, const char *after,
	     char object[OBJECT_NAME_MAX + 2], char *why, size_t room)
{
	sqlite3_stmt *stmt;
	int rc = prepare(op, conn, STMT_ODD_NEXT, &stmt);

	if (rc < 0)
		return rc;
	bind_text(stmt, 1, after);
	rc = conn_step(op, conn, stmt);
	if (rc > 0) {
		column_text(stmt, 0, object, OBJECT_NAME_MAX + 2);
		column_text(stmt, 1, why, room);
	}
	sqlite3_reset(stmt);
	return rc;
}
