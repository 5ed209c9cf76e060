#include "meta/conn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/op.h"
#include "meta/schema.h"

enum { BUSY_MS = 5000 };

static int conn_fail(struct op *op, struct conn *conn, int rc)
{
	int err = -EIO;

	switch (rc & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		conn->damaged = true;
		break;
	case SQLITE_FULL:
		err = -ENOSPC;
		break;
	case SQLITE_NOMEM:
		err = -ENOMEM;
		break;
	case SQLITE_READONLY:
		err = -EROFS;
		break;
	}
	return op_fail(op, err, "catalogue: %s",
		       conn->db ? sqlite3_errmsg(conn->db)
				: sqlite3_errstr(rc));
}

int conn_prepare(struct op *op, struct conn *conn, unsigned slot,
		 const char *sql, sqlite3_stmt **ret)
{
	sqlite3_stmt **stmt = &conn->stmts[slot];
	int rc;

	if (!*stmt) {
		rc = sqlite3_prepare_v3(conn->db, sql, -1,
					SQLITE_PREPARE_PERSISTENT, stmt, NULL);
		if (rc != SQLITE_OK)
			return conn_fail(op, conn, rc);
	}
	sqlite3_reset(*stmt);
	*ret = *stmt;
	return 0;
}

int conn_step(struct op *op, struct conn *conn, sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return 1;
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? 0 : conn_fail(op, conn, rc);
}

int conn_exec(struct op *op, struct conn *conn, const char *sql)
{
	int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : conn_fail(op, conn, rc);
}

int conn_number(struct op *op, struct conn *conn, const char *sql, int64_t *ret)
{
	sqlite3_stmt *stmt;
	int rc = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);

	if (rc != SQLITE_OK)
		return conn_fail(op, conn, rc);
	rc = conn_step(op, conn, stmt);
	if (rc >= 0)
		*ret = rc > 0 ? sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_finalize(stmt);
	return rc < 0 ? rc : 0;
}

void conn_done(struct conn *conn)
{
	for (unsigned i = 0; i < CONN_STATEMENTS_MAX; i++)
		sqlite3_finalize(conn->stmts[i]);
	sqlite3_close(conn->db);
	memset(conn, 0, sizeof(*conn));
}

int conn_init(struct op *op, struct conn *conn, const char *path)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
		    SQLITE_OPEN_NOMUTEX;
	int rc;

	memset(conn, 0, sizeof(*conn));
	rc = sqlite3_open_v2(path, &conn->db, flags, NULL);
	if (rc != SQLITE_OK)
		return conn_fail(op, conn, rc);
	sqlite3_busy_timeout(conn->db, BUSY_MS);
	return conn_exec(op, conn,
			 "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
			 "PRAGMA journal_size_limit=67108864;"
			 "PRAGMA cache_size=-8000;");
}

/* One statement with the lake's id as its parameter; *ret_found: a row. */
static int with_lake_id(struct op *op, struct conn *conn, const char *sql,
			const char *lake_id, bool *ret_found)
{
	sqlite3_stmt *stmt;
	int rc = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);

	if (rc != SQLITE_OK)
		return conn_fail(op, conn, rc);
	sqlite3_bind_text(stmt, 1, lake_id, -1, SQLITE_STATIC);
	rc = conn_step(op, conn, stmt);
	*ret_found = rc > 0;
	sqlite3_finalize(stmt);
	return rc < 0 ? rc : 0;
}

static int migrate(struct op *op, struct conn *conn, int from,
		   const char *lake_id)
{
	char pragma[40];
	bool found;
	int rc = conn_exec(op, conn, "BEGIN IMMEDIATE");

	for (int i = from; rc == 0 && i < schema_version; i++)
		rc = conn_exec(op, conn, schema_steps[i]);
	if (rc == 0 && from == 0)
		rc = with_lake_id(op, conn,
				  "INSERT INTO meta VALUES('lake_id', ?)",
				  lake_id, &found);
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d",
		 schema_version);
	if (rc == 0)
		rc = conn_exec(op, conn, pragma);
	if (rc == 0)
		rc = conn_exec(op, conn, "COMMIT");
	return rc;
}

int conn_check_file(struct op *op, struct conn *conn, const char *lake_id,
		    const char **ret_why)
{
	int64_t version;
	bool same;
	int rc = conn_number(op, conn, "PRAGMA user_version", &version);

	if (rc < 0)
		return rc;
	if (version > schema_version || version < 0) {
		*ret_why = "a newer version wrote it";
		return 1;
	}
	if (version < schema_version) {
		rc = migrate(op, conn, (int)version, lake_id);
		if (rc < 0)
			return rc;
	}
	rc = with_lake_id(op, conn,
			  "SELECT 1 FROM meta WHERE key='lake_id'"
			  " AND value=?",
			  lake_id, &same);
	if (rc == 0 && !same) {
		*ret_why = "it belongs to another lake";
		return 1;
	}
	return rc;
}
