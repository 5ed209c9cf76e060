/*
 * One connection writes, under a lock that is held for the whole transaction;
 * a few others read, each used by one thread at a time.
 *
 * Inode numbers are a counter in memory.  The file holds the end of the chunk
 * that is reserved, so that a number is never given twice, and a crash wastes
 * a chunk at most.
 *
 * Damage: a connection that meets it says so, and the thread that was using it
 * rebuilds the file once no other connection is in use, unless another thread
 * has rebuilt it since.  The counter of inode numbers goes on then: the kernel
 * still knows the old ones.  When even that fails the store stays closed, and
 * who comes later tries again, once a second.
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
#include "meta/conn.h"

enum { N_READERS = 4, INO_CHUNK = 1024 };

/* Under the writer's lock. */
struct writing {
	struct conn conn;
	uint64_t next_ino;
	uint64_t reserved_ino; /* in the file: nothing from here on is used */
	uint64_t retry_ns;     /* closed: not opened again before */
};

/* Under the pool's lock. */
struct reading {
	struct conn conns[N_READERS];
	struct conn *free;
	unsigned n_out;
	bool rebuilding;
	unsigned n_built; /* how often the file was closed and made anew */
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
	/* The log first: a new file must never meet an old one's. */
	static const char *const tails[] = {"-wal", "-shm", ""};
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
		r->conns[i].built = r->n_built;
		r->conns[i].next_free = r->free;
		r->free = &r->conns[i];
	}
	return rc;
}

/* SQLite would make it readable for all. */
static int make_private(struct op *op, struct store *s)
{
	int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return op_fail(op, -errno, "catalogue %s", s->path);
	close(fd);
	return 0;
}

/* Opens the file as it is.  Returns 0; 1 when it can't be used; -errno. */
static int open_once(struct op *op, struct store *s, const char **ret_why)
	REQUIRES(s->writer)
{
	struct conn *conn = &writing_held(s)->conn;
	int rc = make_private(op, s);

	if (rc == 0)
		rc = conn_init(op, conn, s->path);
	if (rc == 0)
		rc = conn_check_file(op, conn, s->lake_id, ret_why);
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
	writing_held(s)->conn.built = reading_held(s)->n_built;
	if (rc < 0)
		close_all(s);
	return rc;
}

int catalogue_open(struct op *op, const char *path, const char *lake_id,
		   struct store **ret)
{
	struct store *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (!s)
		return op_fail(op, -ENOMEM, "catalogue");
	mutex_init(&s->writer, RANK_META);
	mutex_init(&s->pool, RANK_META + 1);
	cond_init(&s->returned);
	s->path = strdup(path);
	s->lake_id = strdup(lake_id);
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

static void stay_closed(const struct op *op, struct store *s)
	REQUIRES(s->writer)
{
	writing_held(s)->retry_ns = clock_mono_ns() + NS_PER_S;
	log_error("catalogue %s: %s", s->path, op->why);
}

/* Everything is closed, put aside and opened again, as long as nobody reads. */
static void rebuild(struct op *op, struct store *s, unsigned built)
	REQUIRES(s->writer)
{
	struct op own;
	int rc;

	op_child(&own, op, 0);
	mutex_lock(&s->pool);
	if (reading_held(s)->n_built != built) {
		mutex_unlock(&s->pool);
		return; /* that file is aside already */
	}
	reading_held(s)->n_built++;
	reading_held(s)->rebuilding = true;
	while (reading_held(s)->n_out > 0)
		cond_wait(&s->returned, &s->pool, 0);
	close_all(s);
	rc = set_aside(&own, s, "found damaged while in use");
	if (rc == 0)
		rc = open_all(&own, s);
	if (rc < 0)
		stay_closed(&own, s);
	reading_held(s)->rebuilding = false;
	cond_wake_all(&s->returned);
	mutex_unlock(&s->pool);
}

/* After a rebuild that failed: another try to open it, now and then. */
static int reopen(struct op *op, struct store *s) REQUIRES(s->writer)
{
	struct op own;
	int rc = 0;

	if (writing_held(s)->conn.db)
		return 0;
	if (clock_mono_ns() < writing_held(s)->retry_ns)
		return op_fail(op, -EIO, "catalogue %s is closed", s->path);
	op_child(&own, op, 0);
	mutex_lock(&s->pool);
	rc = open_all(&own, s);
	if (rc < 0)
		stay_closed(&own, s);
	else
		log_info("catalogue %s: open again", s->path);
	mutex_unlock(&s->pool);
	return rc < 0 ? op_fail(op, -EIO, "%s", own.why) : 0;
}

/* A reader, or NULL when the store is closed. */
static struct conn *take_reader(struct store *s)
{
	struct conn *conn;

	mutex_lock(&s->pool);
	while ((reading_held(s)->rebuilding || !reading_held(s)->free) &&
	       (reading_held(s)->rebuilding || reading_held(s)->n_out > 0))
		cond_wait(&s->returned, &s->pool, 0);
	conn = reading_held(s)->free;
	if (conn) {
		reading_held(s)->free = conn->next_free;
		reading_held(s)->n_out++;
	}
	mutex_unlock(&s->pool);
	return conn;
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
	struct conn *conn = take_reader(s);
	unsigned built;
	bool damaged;
	int rc;

	if (!conn) {
		mutex_lock(&s->writer);
		rc = reopen(op, s);
		mutex_unlock(&s->writer);
		if (rc < 0)
			return rc;
		conn = take_reader(s);
	}
	if (!conn)
		return op_fail(op, -EIO, "catalogue %s is closed", s->path);
	built = conn->built;
	rc = fn(op, conn, arg);
	reset_all(conn);
	damaged = conn->damaged;
	give_reader(s, conn);
	if (damaged) {
		mutex_lock(&s->writer);
		rebuild(op, s, built);
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
	rc = reopen(op, s);
	if (rc == 0)
		rc = transaction(op, s, fn, arg);
	if (writing_held(s)->conn.damaged)
		rebuild(op, s, writing_held(s)->conn.built);
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
