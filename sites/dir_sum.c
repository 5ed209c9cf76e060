/*
 * One table, (inode, ctime_ns, size, crc, made): an inode has one row, the
 * newest.  It is a cache: whatever is wrong with the file, it is thrown away
 * and the sums are made again.  Rows are bounded; the oldest tenth goes when
 * there are too many.
 *
 * Summings under way are on a list.  Each has a reference of its worker and
 * one of every waiter, and the last one frees it.
 */
#include "sites/dir_sum.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/op.h"
#include "sites/aside.h"

#define ROWS_MAX 500000
#define CHUNK_BYTES (1u << 20)
#define FRESH_NS (2 * (int64_t)NS_PER_S)
#define THREADS 2
#define WAITING_MAX 256
#define BUSY_MS 2000
#define STR_(x) #x
#define STR(x) STR_(x)

struct summing {
	struct job job;
	struct dir_sums *sums;
	struct summing *next;
	struct dir_version version;
	int fd;
	struct op op; /* no deadline; cancelled at close */
	/* Guarded by sums->lock: */
	unsigned refs;
	bool done;
	int rc;
	uint32_t crc;
	struct cond landed;
};

struct guarded {
	struct summing *first;
	bool closing;
};

struct dir_sums {
	sqlite3 *db; /* serialized by SQLite; no statement is shared */
	struct crew *crew;
	atomic_uint_fast64_t n_rows;
	atomic_bool told; /* that the table fails: once in the log */
	struct mutex lock;
	struct guarded guarded;
};

static struct guarded *held(struct dir_sums *sums) REQUIRES(sums->lock)
{
	return &sums->guarded;
}

static int64_t stx_ns(const struct statx_timestamp *t)
{
	return t->tv_sec * (int64_t)NS_PER_S + t->tv_nsec;
}

int dir_version_get(int fd, struct dir_version *ret, int64_t *ret_mtime_ns)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC,
		  STATX_BASIC_STATS, &stx) < 0)
		return -errno;
	if (!S_ISREG(stx.stx_mode))
		return -ENOENT;
	ret->dev = (uint64_t)stx.stx_dev_major << 32 | stx.stx_dev_minor;
	ret->inode = stx.stx_ino;
	ret->ctime_ns = stx_ns(&stx.stx_ctime);
	ret->size = stx.stx_size;
	if (ret_mtime_ns)
		*ret_mtime_ns = stx_ns(&stx.stx_mtime);
	return 0;
}

bool dir_version_same(const struct dir_version *a, const struct dir_version *b)
{
	return a->dev == b->dev && a->inode == b->inode &&
	       a->ctime_ns == b->ctime_ns && a->size == b->size;
}

/* The table */

static int prepare_table(sqlite3 *db)
{
	static const char schema[] =
		"PRAGMA journal_mode=WAL;"
		"PRAGMA synchronous=NORMAL;"
		"CREATE TABLE IF NOT EXISTS sums(inode INTEGER PRIMARY KEY,"
		" ctime_ns INTEGER NOT NULL, size INTEGER NOT NULL,"
		" crc INTEGER NOT NULL, made INTEGER NOT NULL);"
		"SELECT inode, ctime_ns, size, crc, made FROM sums LIMIT 1;";

	sqlite3_busy_timeout(db, BUSY_MS);
	return sqlite3_exec(db, schema, NULL, NULL, NULL);
}

static int open_table(const char *path, sqlite3 **ret)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
		    SQLITE_OPEN_FULLMUTEX;
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(path, &db, flags, NULL);

	if (rc == SQLITE_OK)
		rc = prepare_table(db);
	if (rc == SQLITE_OK)
		*ret = db;
	else
		sqlite3_close(db);
	return rc;
}

static void remove_table(const char *path)
{
	static const char *const ends[] = {"", "-wal", "-shm"};

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		auto_free char *file = NULL;

		if (asprintf(&file, "%s%s", path, ends[i]) < 0)
			file = NULL;
		else
			unlink(file);
	}
}

static void tell(struct dir_sums *sums)
{
	if (!atomic_exchange(&sums->told, true))
		log_warn("remembered checksums: %s", sqlite3_errmsg(sums->db));
}

/* A statement with up to five integers bound; NULL: it failed. */
static sqlite3_stmt *prepare(struct dir_sums *sums, const char *sql,
			     const int64_t *values, int n_values)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(sums->db, sql, -1, &stmt, NULL) != SQLITE_OK) {
		tell(sums);
		return NULL;
	}
	for (int i = 0; i < n_values; i++)
		sqlite3_bind_int64(stmt, i + 1, values[i]);
	return stmt;
}

static void count_rows(struct dir_sums *sums)
{
	sqlite3_stmt *stmt =
		prepare(sums, "SELECT count(*) FROM sums", NULL, 0);

	if (stmt && sqlite3_step(stmt) == SQLITE_ROW)
		atomic_store(&sums->n_rows,
			     (uint64_t)sqlite3_column_int64(stmt, 0));
	sqlite3_finalize(stmt);
}

static void make_room(struct dir_sums *sums)
{
	static const char sql[] =
		"DELETE FROM sums WHERE inode IN (SELECT inode FROM sums"
		" ORDER BY made LIMIT " STR(ROWS_MAX) " / 10)";

	if (sqlite3_exec(sums->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		tell(sums);
	count_rows(sums);
}

bool dir_sums_find(struct dir_sums *sums, const struct dir_version *version,
		   uint32_t *ret_crc)
{
	const int64_t values[] = {(int64_t)version->inode, version->ctime_ns,
				  (int64_t)version->size};
	sqlite3_stmt *stmt = prepare(sums,
				     "SELECT crc FROM sums WHERE inode = ?"
				     " AND ctime_ns = ? AND size = ?",
				     values, 3);
	bool found = stmt && sqlite3_step(stmt) == SQLITE_ROW;

	if (found)
		*ret_crc = (uint32_t)sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return found;
}

void dir_sums_add(struct dir_sums *sums, const struct dir_version *version,
		  uint32_t crc)
{
	const int64_t values[] = {(int64_t)version->inode, version->ctime_ns,
				  (int64_t)version->size, crc, clock_wall_ns()};
	sqlite3_stmt *stmt;

	if (clock_wall_ns() - version->ctime_ns < FRESH_NS)
		return;
	stmt = prepare(sums, "INSERT OR REPLACE INTO sums VALUES(?,?,?,?,?)",
		       values, 5);
	if (stmt && sqlite3_step(stmt) != SQLITE_DONE)
		tell(sums);
	sqlite3_finalize(stmt);
	if (atomic_fetch_add(&sums->n_rows, 1) > ROWS_MAX)
		make_room(sums);
}

int dir_sums_open(struct op *op, const char *path, struct dir_sums **ret)
{
	struct dir_sums *sums = calloc(1, sizeof(*sums));
	int rc;

	if (!sums)
		return op_fail(op, -ENOMEM, "remembered checksums: no memory");
	rc = open_table(path ? path : ":memory:", &sums->db);
	if (path && (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB ||
		     rc == SQLITE_ERROR)) {
		log_warn("%s is damaged: made anew", path);
		remove_table(path);
		rc = open_table(path, &sums->db);
	}
	if (path && rc != SQLITE_OK) {
		log_warn("%s: %s; checksums are not kept over a restart", path,
			 sqlite3_errstr(rc));
		rc = open_table(":memory:", &sums->db);
	}
	if (rc != SQLITE_OK || crew_new("checksums", THREADS, &sums->crew)) {
		sqlite3_close(sums->db);
		free(sums);
		return op_fail(op, -ENOMEM, "remembered checksums: %s",
			       sqlite3_errstr(rc));
	}
	mutex_init(&sums->lock, RANK_SITES);
	count_rows(sums);
	*ret = sums;
	return 0;
}

bool dir_sums_close(struct dir_sums *sums)
{
	if (!sums)
		return true;
	mutex_lock(&sums->lock);
	held(sums)->closing = true;
	for (struct summing *s = held(sums)->first; s; s = s->next)
		op_cancel(&s->op);
	mutex_unlock(&sums->lock);
	if (!crew_free(sums->crew))
		return false;
	sqlite3_close(sums->db);
	mutex_done(&sums->lock);
	free(sums);
	return true;
}

/* Summing */

int dir_sum_file(struct op *op, int fd, uint64_t size, uint32_t *ret_crc)
{
	size_t room = size < CHUNK_BYTES ? (size_t)size + 1 : CHUNK_BYTES;
	auto_free char *buf = malloc(room);
	uint64_t offset = 0;
	uint32_t crc = 0;

	if (!buf)
		return op_fail(op, -ENOMEM, "checksum: no memory");
	while (offset < size) {
		size_t want =
			size - offset < room ? (size_t)(size - offset) : room;
		ssize_t n = pread(fd, buf, want, (off_t)offset);
		int rc = op_expired(op);

		if (rc < 0)
			return op_fail(op, rc, "checksum of a copy: not done");
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return op_fail(op, -EAGAIN, "checksum of a copy: %s",
				       n < 0 ? strerror(errno)
					     : "it became shorter");
		crc = crc32c(crc, buf, (size_t)n);
		offset += (uint64_t)n;
	}
	*ret_crc = crc;
	return 0;
}

static void unref(struct dir_sums *sums, struct summing *s) REQUIRES(sums->lock)
{
	if (--s->refs > 0)
		return;
	(void)sums;
	cond_done(&s->landed);
	free(s);
}

static void land(struct dir_sums *sums, struct summing *s, int rc, uint32_t crc)
{
	struct summing **link;

	mutex_lock(&sums->lock);
	link = &held(sums)->first;
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	s->rc = rc;
	s->crc = crc;
	s->done = true;
	cond_wake_all(&s->landed);
	unref(sums, s);
	mutex_unlock(&sums->lock);
}

static void run(struct job *job)
{
	struct summing *s = (struct summing *)job;
	struct dir_sums *sums = s->sums;
	struct crew *crew = sums->crew;
	struct dir_version after;
	uint32_t crc = 0;
	int rc = op_expired(&s->op);

	if (rc == 0)
		rc = dir_sum_file(&s->op, s->fd, s->version.size, &crc);
	if (rc == 0 && (dir_version_get(s->fd, &after, NULL) < 0 ||
			!dir_version_same(&after, &s->version)))
		rc = op_fail(&s->op, -EAGAIN,
			     "checksum of a copy: it changed meanwhile");
	if (rc == 0)
		dir_sums_add(sums, &s->version, crc);
	close(s->fd);
	land(sums, s, rc, crc);
	crew_end(crew);
}

static struct summing *find(struct dir_sums *sums,
			    const struct dir_version *version)
	REQUIRES(sums->lock)
{
	struct summing *s = held(sums)->first;

	while (s && !dir_version_same(&s->version, version))
		s = s->next;
	return s;
}

/* A summing with a reference for its worker; the caller takes its own. */
static int start(struct op *op, struct dir_sums *sums, int fd,
		 const struct dir_version *version, struct summing **ret)
	REQUIRES(sums->lock)
{
	struct summing *s;

	if (held(sums)->closing)
		return op_fail(op, -EINTR, "checksum of a copy: closing");
	if (crew_queued(sums->crew) > WAITING_MAX)
		return op_fail(op, -EAGAIN,
			       "checksum of a copy: too many wait already");
	s = calloc(1, sizeof(*s));
	if (!s)
		return op_fail(op, -ENOMEM, "checksum of a copy: no memory");
	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0) {
		free(s);
		return op_fail(op, -EAGAIN, "checksum of a copy: %s",
			       strerror(errno));
	}
	op_init(&s->op, 0);
	cond_init(&s->landed);
	s->sums = sums;
	s->version = *version;
	s->job.run = run;
	s->refs = 1;
	s->next = held(sums)->first;
	held(sums)->first = s;
	*ret = s;
	return 0;
}

/* With the lock let go, as a job may run at once on this thread. */
static void set_off(struct dir_sums *sums, struct summing *s)
	REQUIRES(sums->lock)
{
	mutex_unlock(&sums->lock);
	crew_run(sums->crew, &s->job);
	mutex_lock(&sums->lock);
}

int dir_sums_make(struct op *op, struct dir_sums *sums, int fd,
		  const struct dir_version *version, uint32_t *ret_crc)
{
	struct summing *s;
	bool mine;
	int rc = 0;

	if (dir_sums_find(sums, version, ret_crc))
		return 0;
	mutex_lock(&sums->lock);
	s = find(sums, version);
	mine = !s;
	if (mine)
		rc = start(op, sums, fd, version, &s);
	if (rc < 0) {
		mutex_unlock(&sums->lock);
		return rc;
	}
	s->refs++;
	if (mine)
		set_off(sums, s);
	while (!s->done && rc == 0) {
		cond_wait(&s->landed, &sums->lock, op_wake_ns(op));
		rc = op_expired(op);
	}
	if (s->done) {
		rc = s->rc;
		if (rc < 0)
			op_fail(op, rc, "%s", s->op.why);
		else
			*ret_crc = s->crc;
	} else {
		op_fail(op, rc, "checksum of a copy: still being made");
	}
	unref(sums, s);
	mutex_unlock(&sums->lock);
	return rc;
}
