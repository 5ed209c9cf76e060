/*
 * One connection writes, under a lock that is held for the whole transaction;
 * a few others read, each used by one thread at a time.
 *
 * Inode numbers are a counter in memory.  The file holds the end of the chunk
 * that is reserved, so that a number is never given twice, and a crash wastes
 * a chunk at most.
 *
 * Damage: a connection that meets it says so, and the thread that was using it
 * rebuilds the file once no other connection is in use.  The counter of inode
 * numbers goes on then: the kernel still knows the old ones.
 */
#include "meta/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/op.h"
#include "meta/schema.h"

enum { N_READERS = 4, INO_CHUNK = 1024, BUSY_MS = 5000 };

struct conn {
	sqlite3 *db;
	sqlite3_stmt *stmts[CONN_STATEMENTS_MAX];
	bool damaged;
	struct store *store; /* the writer's only; NULL in readers */
	struct conn *next_free;
	int64_t add_entries; /* in the transaction that is open */
	int64_t add_dirs;
};

/* Under the writer's lock. */
struct writing {
	struct conn conn;
	uint64_t next_ino;
	uint64_t reserved_ino; /* in the file: nothing from here on is used */
};

/* Under the pool's lock. */
struct reading {
	struct conn conns[N_READERS];
	struct conn *free;
	unsigned n_out;
	bool rebuilding;
};

struct store {
	char *path;
	char *lake_id;
	struct mutex writer; /* RANK_META; writing_held() */
	struct writing writing;
	struct mutex pool; /* RANK_META + 1; reading_held() */
	struct cond returned;
	struct reading reading;
	atomic_uint_fast64_t n_entries;
	atomic_uint_fast64_t n_dirs;
};

static struct writing *writing_held(struct store *s) REQUIRES(s->writer)
{
	return &s->writing;
}

static struct reading *reading_held(struct store *s) REQUIRES(s->pool)
{
	return &s->reading;
}

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

static int conn_exec(struct op *op, struct conn *conn, const char *sql)
{
	int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : conn_fail(op, conn, rc);
}

/* The first column of the first row, 0 when there is none. */
static int conn_number(struct op *op, struct conn *conn, const char *sql,
		       int64_t *ret)
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

static void conn_done(struct conn *conn)
{
	for (unsigned i = 0; i < CONN_STATEMENTS_MAX; i++)
		sqlite3_finalize(conn->stmts[i]);
	sqlite3_close(conn->db);
	memset(conn, 0, sizeof(*conn));
}

static int conn_init(struct op *op, struct conn *conn, const char *path)
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

/* Returns 0; 1 and *ret_why when this file is not ours to use; or -errno. */
static int check_file(struct op *op, struct conn *conn, const char *lake_id,
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

static int load_counters(struct op *op, struct store *s) REQUIRES(s->writer)
{
	struct writing *w = writing_held(s);
	int64_t ino, n_entries, n_dirs;
	int rc = conn_number(op, &w->conn,
			     "SELECT value FROM meta WHERE key='next_ino'",
			     &ino);

	if (rc == 0)
		rc = conn_number(op, &w->conn,
				 "SELECT value FROM meta WHERE key='n_entries'",
				 &n_entries);
	if (rc == 0)
		rc = conn_number(op, &w->conn,
				 "SELECT value FROM meta WHERE key='n_dirs'",
				 &n_dirs);
	if (rc < 0)
		return rc;
	if (w->next_ino < (uint64_t)ino)
		w->next_ino = (uint64_t)ino;
	w->reserved_ino = (uint64_t)ino;
	atomic_store(&s->n_entries, (uint64_t)n_entries);
	atomic_store(&s->n_dirs, (uint64_t)n_dirs);
	return 0;
}

/* The file and its two companions get the name PATH.damaged-N. */
static int set_aside(struct op *op, struct store *s, const char *why)
{
	static const char *const tails[] = {"", "-wal", "-shm"};
	auto_free char *from = NULL;
	auto_free char *to = NULL;
	int n = 0;

	do {
		free(to);
		to = NULL;
		if (asprintf(&to, "%s.damaged-%d", s->path, ++n) < 0)
			return op_fail(op, -ENOMEM, "catalogue: set aside");
	} while (access(to, F_OK) == 0);
	log_warn("catalogue %s: %s; set aside as %s, and built anew", s->path,
		 why, to);
	for (unsigned i = 0; i < 3; i++) {
		free(from);
		free(to);
		from = to = NULL;
		if (asprintf(&from, "%s%s", s->path, tails[i]) < 0 ||
		    asprintf(&to, "%s.damaged-%d%s", s->path, n, tails[i]) < 0)
			return op_fail(op, -ENOMEM, "catalogue: set aside");
		if (rename(from, to) < 0 && errno != ENOENT)
			return op_fail(op, -errno, "catalogue: rename %s to %s",
				       from, to);
	}
	return 0;
}

static void close_all(struct store *s) REQUIRES(s->writer) REQUIRES(s->pool)
{
	struct reading *r = reading_held(s);

	for (unsigned i = 0; i < N_READERS; i++)
		conn_done(&r->conns[i]);
	r->free = NULL;
	conn_done(&writing_held(s)->conn);
}

static int open_readers(struct op *op, struct store *s) REQUIRES(s->pool)
{
	struct reading *r = reading_held(s);
	int rc = 0;

	r->free = NULL;
	for (unsigned i = 0; rc == 0 && i < N_READERS; i++) {
		rc = conn_init(op, &r->conns[i], s->path);
		r->conns[i].next_free = r->free;
		r->free = &r->conns[i];
	}
	return rc;
}

/* Opens the file as it is.  Returns 0; 1 when it can't be used; -errno. */
static int open_once(struct op *op, struct store *s, const char **ret_why)
	REQUIRES(s->writer)
{
	struct conn *conn = &writing_held(s)->conn;
	int rc = conn_init(op, conn, s->path);

	if (rc == 0)
		rc = check_file(op, conn, s->lake_id, ret_why);
	if (rc == 0)
		rc = load_counters(op, s);
	if (rc < 0 && conn->damaged) {
		*ret_why = "it is damaged";
		op_forgive(op);
		rc = 1;
	} else if (rc == 0) {
		conn->store = s;
	}
	return rc;
}

static int open_all(struct op *op, struct store *s) REQUIRES(s->writer)
	REQUIRES(s->pool)
{
	const char *why = NULL;
	int rc = open_once(op, s, &why);

	if (rc > 0) {
		close_all(s);
		rc = set_aside(op, s, why);
		if (rc == 0)
			rc = open_once(op, s, &why);
		if (rc > 0)
			rc = op_fail(op, -EIO, "catalogue %s: %s", s->path,
				     why);
	}
	if (rc == 0)
		rc = open_readers(op, s);
	if (rc < 0)
		close_all(s);
	return rc;
}

int catalogue_open(struct op *op, const char *path, const char *lake_id,
		   struct store **ret)
{
	struct store *s = calloc(1, sizeof(*s));
	int fd, rc;

	if (!s)
		return op_fail(op, -ENOMEM, "catalogue");
	mutex_init(&s->writer, RANK_META);
	mutex_init(&s->pool, RANK_META + 1);
	cond_init(&s->returned);
	s->path = strdup(path);
	s->lake_id = strdup(lake_id);
	/* SQLite would make it readable for all. */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	rc = fd < 0 ? op_fail(op, -errno, "catalogue %s", path) : 0;
	if (fd >= 0)
		close(fd);
	if (!s->path || !s->lake_id)
		rc = op_fail(op, -ENOMEM, "catalogue");
	mutex_lock(&s->writer);
	mutex_lock(&s->pool);
	if (rc == 0)
		rc = open_all(op, s);
	mutex_unlock(&s->pool);
	mutex_unlock(&s->writer);
	if (rc < 0)
		catalogue_close(s);
	else
		*ret = s;
	return rc;
}

void catalogue_close(struct store *s)
{
	if (!s)
		return;
	mutex_lock(&s->writer);
	mutex_lock(&s->pool);
	close_all(s);
	mutex_unlock(&s->pool);
	mutex_unlock(&s->writer);
	cond_done(&s->returned);
	mutex_done(&s->pool);
	mutex_done(&s->writer);
	free(s->path);
	free(s->lake_id);
	free(s);
}

/* Everything is closed, put aside and opened again, as long as nobody reads. */
static void rebuild(struct op *op, struct store *s) REQUIRES(s->writer)
{
	struct op own;
	int rc;

	op_child(&own, op, 0);
	mutex_lock(&s->pool);
	reading_held(s)->rebuilding = true;
	while (reading_held(s)->n_out > 0)
		cond_wait(&s->returned, &s->pool, 0);
	close_all(s);
	rc = set_aside(&own, s, "found damaged while in use");
	if (rc == 0)
		rc = open_all(&own, s);
	if (rc < 0)
		log_error("catalogue %s: %s", s->path, own.why);
	reading_held(s)->rebuilding = false;
	cond_wake_all(&s->returned);
	mutex_unlock(&s->pool);
}

static int take_reader(struct op *op, struct store *s, struct conn **ret)
{
	struct conn *conn;
	int rc = 0;

	mutex_lock(&s->pool);
	while ((reading_held(s)->rebuilding || !reading_held(s)->free) &&
	       (reading_held(s)->rebuilding || reading_held(s)->n_out > 0))
		cond_wait(&s->returned, &s->pool, 0);
	conn = reading_held(s)->free;
	if (conn) {
		reading_held(s)->free = conn->next_free;
		reading_held(s)->n_out++;
		*ret = conn;
	} else {
		rc = op_fail(op, -EIO, "catalogue %s is closed", s->path);
	}
	mutex_unlock(&s->pool);
	return rc;
}

static void give_reader(struct store *s, struct conn *conn)
{
	mutex_lock(&s->pool);
	conn->damaged = false;
	conn->next_free = reading_held(s)->free;
	reading_held(s)->free = conn;
	reading_held(s)->n_out--;
	cond_wake_all(&s->returned);
	mutex_unlock(&s->pool);
}

/* An open read statement would keep its snapshot, and the log from ending. */
static void reset_all(struct conn *conn)
{
	for (unsigned i = 0; i < CONN_STATEMENTS_MAX; i++)
		if (conn->stmts[i])
			sqlite3_reset(conn->stmts[i]);
}

int store_read(struct op *op, struct store *s, store_fn *fn, void *arg)
{
	struct conn *conn = NULL;
	bool damaged;
	int rc = take_reader(op, s, &conn);

	if (rc < 0)
		return rc;
	rc = fn(op, conn, arg);
	reset_all(conn);
	damaged = conn->damaged;
	give_reader(s, conn);
	if (damaged) {
		mutex_lock(&s->writer);
		rebuild(op, s);
		mutex_unlock(&s->writer);
	}
	return rc;
}

/* Counters in the file move with the rows they count. */
static int save_counts(struct op *op, struct store *s, struct conn *conn)
{
	char sql[200];

	if (conn->add_entries == 0 && conn->add_dirs == 0)
		return 0;
	snprintf(sql, sizeof(sql),
		 "UPDATE meta SET value=%lld WHERE key='n_entries';"
		 "UPDATE meta SET value=%lld WHERE key='n_dirs'",
		 (long long)atomic_load(&s->n_entries) +
			 (long long)conn->add_entries,
		 (long long)atomic_load(&s->n_dirs) +
			 (long long)conn->add_dirs);
	return conn_exec(op, conn, sql);
}

static int transaction(struct op *op, struct store *s, store_fn *fn, void *arg)
	REQUIRES(s->writer)
{
	struct writing *w = writing_held(s);
	struct conn *conn = &w->conn;
	int rc, end;

	conn->add_entries = conn->add_dirs = 0;
	rc = conn_exec(op, conn, "BEGIN IMMEDIATE");
	if (rc < 0)
		return rc;
	rc = fn(op, conn, arg);
	reset_all(conn);
	end = rc < 0 ? rc : save_counts(op, s, conn);
	if (end >= 0)
		end = conn_exec(op, conn, "COMMIT");
	if (end < 0) {
		sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
		w->reserved_ino = w->next_ino; /* reserve again */
		return end;
	}
	atomic_fetch_add(&s->n_entries, (uint64_t)conn->add_entries);
	atomic_fetch_add(&s->n_dirs, (uint64_t)conn->add_dirs);
	return rc;
}

int store_write(struct op *op, struct store *s, store_fn *fn, void *arg)
{
	int rc;

	mutex_lock(&s->writer);
	if (writing_held(s)->conn.db)
		rc = transaction(op, s, fn, arg);
	else
		rc = op_fail(op, -EIO, "catalogue %s is closed", s->path);
	if (writing_held(s)->conn.damaged)
		rebuild(op, s);
	mutex_unlock(&s->writer);
	return rc;
}

static int new_ino(struct op *op, struct conn *conn, uint64_t *ret)
	REQUIRES(conn->store->writer)
{
	struct writing *w = writing_held(conn->store);
	char sql[80];
	int rc = 0;

	if (w->next_ino >= w->reserved_ino) {
		snprintf(sql, sizeof(sql),
			 "UPDATE meta SET value=%llu WHERE key='next_ino'",
			 (unsigned long long)w->next_ino + INO_CHUNK);
		rc = conn_exec(op, conn, sql);
		if (rc == 0)
			w->reserved_ino = w->next_ino + INO_CHUNK;
	}
	if (rc == 0)
		*ret = w->next_ino++;
	return rc;
}

/* The transaction that calls this holds the lock; a callback hides that. */
int conn_new_ino(struct op *op, struct conn *conn, uint64_t *ret) UNCHECKED
{
	return new_ino(op, conn, ret);
}

void conn_count(struct conn *conn, int add_entries, int add_dirs)
{
	conn->add_entries += add_entries;
	conn->add_dirs += add_dirs;
}

void store_counts(struct store *s, struct store_counts *ret)
{
	struct stat st;

	*ret = (struct store_counts){
		.n_entries = atomic_load(&s->n_entries),
		.n_dirs = atomic_load(&s->n_dirs),
		.bytes = stat(s->path, &st) == 0 ? (uint64_t)st.st_size : 0,
	};
}
