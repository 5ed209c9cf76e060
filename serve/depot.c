/*
 * On disk: index.db (buckets, objects = live generations, old = noncurrent
 * ones), data/xx/GENERATION with xx the lowest byte of the generation, tmp/
 * for what is still coming in.  A file is renamed from tmp/ to data/ before its
 * row is committed, so a row always has its bytes; a crash in between leaves a
 * file that nobody names, which costs room only.
 */
#include "serve/depot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/op.h"
#include "serve/depot_index.h"

#define TABLE_COLUMNS                                                      \
	"bucket TEXT NOT NULL, name BLOB NOT NULL, generation INTEGER, "   \
	"metageneration INTEGER, size INTEGER, crc32c INTEGER, md5 BLOB, " \
	"created_us INTEGER, updated_us INTEGER, deleted_us INTEGER, "     \
	"components INTEGER, attrs TEXT"

static const char schema[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
	"PRAGMA cache_size=-65536; PRAGMA mmap_size=1073741824;"
	"CREATE TABLE IF NOT EXISTS buckets(name TEXT PRIMARY KEY, config TEXT,"
	" created_us INTEGER, metageneration INTEGER, versioning INTEGER,"
	" retention_s INTEGER) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS objects(" TABLE_COLUMNS
	", PRIMARY KEY(bucket, name)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS old(" TABLE_COLUMNS
	", PRIMARY KEY(bucket, name, generation)) WITHOUT ROWID;";

#define DEPOT_SQL_(sym, sql) sql,
static const char *const statements[] = {DEPOT_STATEMENTS(DEPOT_SQL_)};
#undef DEPOT_SQL_

struct depot_guarded *depot_held(struct depot *s)
{
	return &s->guarded;
}

sqlite3_stmt *depot_stmt(struct depot *s, enum depot_statement id)
{
	sqlite3_stmt **st = &depot_held(s)->prepared[id];

	if (*st) {
		sqlite3_reset(*st);
		sqlite3_clear_bindings(*st);
	} else if (sqlite3_prepare_v3(depot_held(s)->db, statements[id], -1,
				      SQLITE_PREPARE_PERSISTENT, st, NULL)) {
		*st = NULL;
	}
	return *st;
}

int depot_run(struct depot *s, sqlite3_stmt *st)
{
	int rc = st ? sqlite3_step(st) : SQLITE_ERROR;

	(void)s;
	if (st)
		sqlite3_reset(st);
	if (rc == SQLITE_FULL)
		return -ENOSPC;
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : -EIO;
}

int depot_exec(struct depot *s, enum depot_statement id)
{
	return depot_run(s, depot_stmt(s, id));
}

void depot_bind_name(sqlite3_stmt *st, const char *bucket, const void *name,
		     size_t n)
{
	sqlite3_bind_text(st, 1, bucket, -1, SQLITE_STATIC);
	/* A NULL pointer would bind NULL: the empty name needs an address. */
	sqlite3_bind_blob(st, 2, n ? name : "", (int)n, SQLITE_STATIC);
}

void depot_row(sqlite3_stmt *st, struct depot_object *o)
{
	/* Names are stored with their NUL's place free: text, not blob. */
	o->name = (char *)(uintptr_t)sqlite3_column_text(st, 0);
	o->generation = sqlite3_column_int64(st, 1);
	o->metageneration = sqlite3_column_int64(st, 2);
	o->size = (uint64_t)sqlite3_column_int64(st, 3);
	o->crc32c = (uint32_t)sqlite3_column_int64(st, 4);
	o->has_md5 = sqlite3_column_bytes(st, 5) == 16;
	if (o->has_md5)
		memcpy(o->md5, sqlite3_column_blob(st, 5), 16);
	o->created_us = sqlite3_column_int64(st, 6);
	o->updated_us = sqlite3_column_int64(st, 7);
	o->deleted_us = sqlite3_column_int64(st, 8);
	o->components = sqlite3_column_int(st, 9);
	o->attrs = (char *)(uintptr_t)sqlite3_column_text(st, 10);
}

int depot_dup(const struct depot_object *o, struct depot_object *ret_object)
{
	struct depot_object copy = *o;

	copy.name = strdup(o->name);
	copy.attrs = strdup(o->attrs);
	if (!copy.name || !copy.attrs) {
		depot_object_done(&copy);
		return -ENOMEM;
	}
	*ret_object = copy;
	return 0;
}

void depot_object_done(struct depot_object *o)
{
	free(o->name);
	free(o->attrs);
	o->name = NULL;
	o->attrs = NULL;
}

void depot_path(int64_t generation, char ret_path[32])
{
	snprintf(ret_path, 32, "%02x/%" PRId64, (unsigned)(generation & 0xff),
		 generation);
}

/* ---- opening ---- */

/* What a crash left half-written. */
static void clean_tmp(int dirfd)
{
	int fd = openat(dirfd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.')
			unlinkat(fd, e->d_name, 0);
	closedir(dir);
}

static int make_dirs(struct op *op, struct depot *s, const char *dir)
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return op_fail(op, -errno, "%s: make directory", dir);
	s->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dirfd < 0)
		return op_fail(op, -errno, "%s: open", dir);
	s->lockfd =
		openat(s->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lockfd < 0)
		return op_fail(op, -errno, "%s/lock", dir);
	if (flock(s->lockfd, LOCK_EX | LOCK_NB) < 0)
		return op_fail(op, -EBUSY, "%s: another server uses it", dir);
	mkdirat(s->dirfd, "data", 0700);
	mkdirat(s->dirfd, "tmp", 0700);
	s->datafd =
		openat(s->dirfd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->datafd < 0)
		return op_fail(op, -errno, "%s/data", dir);
	for (unsigned i = 0; i < 256; i++) {
		char name[4];

		snprintf(name, sizeof(name), "%02x", i);
		if (mkdirat(s->datafd, name, 0700) < 0 && errno != EEXIST)
			return op_fail(op, -errno, "%s/data/%s", dir, name);
	}
	clean_tmp(s->dirfd);
	return 0;
}

static int open_index(struct op *op, struct depot *s, const char *dir)
	REQUIRES(s->lock)
{
	static const char newest[] =
		"SELECT max(coalesce((SELECT max(generation) FROM objects),0),"
		"coalesce((SELECT max(generation) FROM old), 0))";
	struct depot_guarded *g = depot_held(s);
	auto_free char *path = NULL;
	sqlite3_stmt *st = NULL;

	if (asprintf(&path, "%s/index.db", dir) < 0)
		return op_fail(op, -ENOMEM, "%s", dir);
	if (sqlite3_open_v2(path, &g->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
				    SQLITE_OPEN_NOMUTEX,
			    NULL) ||
	    sqlite3_exec(g->db, schema, NULL, NULL, NULL) ||
	    sqlite3_prepare_v2(g->db, newest, -1, &st, NULL) ||
	    sqlite3_step(st) != SQLITE_ROW) {
		sqlite3_finalize(st);
		return op_fail(op, -EIO, "%s: %s", path, sqlite3_errmsg(g->db));
	}
	g->last_generation = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	if (s->sync)
		sqlite3_exec(g->db, "PRAGMA synchronous=FULL", NULL, NULL,
			     NULL);
	return 0;
}

int depot_open(struct op *op, const char *dir, bool sync,
	       struct depot **ret_depot)
{
	struct depot *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return op_fail(op, -ENOMEM, "depot");
	mutex_init(&s->lock, RANK_BASE);
	s->dirfd = s->datafd = s->lockfd = -1;
	s->sync = sync;
	rc = make_dirs(op, s, dir);
	if (rc == 0) {
		mutex_lock(&s->lock);
		rc = open_index(op, s, dir);
		mutex_unlock(&s->lock);
	}
	if (rc < 0) {
		depot_close(s);
		return rc;
	}
	*ret_depot = s;
	return 0;
}

void depot_close(struct depot *s)
{
	int *const fds[] = {&s->dirfd, &s->datafd, &s->lockfd};

	mutex_lock(&s->lock);
	for (size_t i = 0; i < N_DEPOT_STATEMENTS; i++)
		sqlite3_finalize(depot_held(s)->prepared[i]);
	sqlite3_close(depot_held(s)->db);
	mutex_unlock(&s->lock);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	mutex_done(&s->lock);
	free(s);
}

/* ---- buckets ---- */

/* The parts of a bucket's config that the depot itself obeys. */
static void bind_config(sqlite3_stmt *st, int first, const char *config)
{
	json_t *root = json_loads(config, 0, NULL);
	json_t *on =
		json_object_get(json_object_get(root, "versioning"), "enabled");
	json_t *keep = json_object_get(json_object_get(root, "retentionPolicy"),
				       "retentionPeriod");
	long long seconds = json_integer_value(keep);

	if (json_is_string(keep))
		seconds = strtoll(json_string_value(keep), NULL, 10);
	sqlite3_bind_int(st, first, json_is_true(on));
	sqlite3_bind_int64(st, first + 1, seconds);
	json_decref(root);
}

int depot_bucket_make(struct depot *s, const char *bucket, const char *config)
{
	const char *text = config ? config : "{}";
	sqlite3_stmt *st;
	int rc = -EIO;

	mutex_lock(&s->lock);
	st = depot_stmt(s, DEPOT_BUCKET_ADD);
	if (st) {
		sqlite3_bind_text(st, 1, bucket, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, text, -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, 3, clock_wall_ns() / 1000);
		bind_config(st, 4, text);
		rc = sqlite3_step(st);
		sqlite3_reset(st);
		if (rc == SQLITE_CONSTRAINT)
			rc = -EEXIST;
		else
			rc = rc == SQLITE_DONE ? 0 : -EIO;
	}
	mutex_unlock(&s->lock);
	return rc;
}

int depot_rules(struct depot *s, const char *bucket,
		struct depot_rules *ret_rules)
{
	sqlite3_stmt *st = depot_stmt(s, DEPOT_BUCKET_GET);
	int rc = -ENXIO;

	if (!st)
		return -EIO;
	sqlite3_bind_text(st, 1, bucket, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_ROW) {
		ret_rules->versioning = sqlite3_column_int(st, 4) != 0;
		ret_rules->retention_s = sqlite3_column_int64(st, 5);
		rc = 0;
	}
	sqlite3_reset(st);
	return rc;
}

static int drop_bucket(struct depot *s, const char *bucket) REQUIRES(s->lock)
{
	struct depot_rules rules;
	sqlite3_stmt *st;
	int rc = depot_rules(s, bucket, &rules);

	if (rc < 0)
		return rc;
	st = depot_stmt(s, DEPOT_BUCKET_USED);
	if (!st)
		return -EIO;
	sqlite3_bind_text(st, 1, bucket, -1, SQLITE_STATIC);
	rc = sqlite3_step(st);
	sqlite3_reset(st);
	if (rc == SQLITE_ROW)
		return -ENOTEMPTY;
	st = depot_stmt(s, DEPOT_BUCKET_DROP);
	if (!st)
		return -EIO;
	sqlite3_bind_text(st, 1, bucket, -1, SQLITE_STATIC);
	return depot_run(s, st);
}

int depot_bucket_drop(struct depot *s, const char *bucket)
{
	int rc;

	mutex_lock(&s->lock);
	rc = drop_bucket(s, bucket);
	mutex_unlock(&s->lock);
	return rc;
}

static void bucket_row(sqlite3_stmt *st, struct depot_bucket *b)
{
	b->name = (char *)(uintptr_t)sqlite3_column_text(st, 0);
	b->config = (char *)(uintptr_t)sqlite3_column_text(st, 1);
	b->created_us = sqlite3_column_int64(st, 2);
	b->metageneration = sqlite3_column_int64(st, 3);
}

static int get_bucket(struct depot *s, const char *bucket,
		      struct depot_bucket *ret_bucket) REQUIRES(s->lock)
{
	sqlite3_stmt *st = depot_stmt(s, DEPOT_BUCKET_GET);
	struct depot_bucket b;
	int rc = -ENXIO;

	if (!st)
		return -EIO;
	sqlite3_bind_text(st, 1, bucket, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_ROW) {
		bucket_row(st, &b);
		b.name = strdup(b.name);
		b.config = strdup(b.config);
		rc = b.name && b.config ? 0 : -ENOMEM;
		if (rc == 0)
			*ret_bucket = b;
		else
			depot_bucket_done(&b);
	}
	sqlite3_reset(st);
	return rc;
}

int depot_bucket_get(struct depot *s, const char *bucket,
		     struct depot_bucket *ret_bucket)
{
	int rc;

	mutex_lock(&s->lock);
	rc = get_bucket(s, bucket, ret_bucket);
	mutex_unlock(&s->lock);
	return rc;
}

int depot_bucket_patch(struct depot *s, const char *bucket, const char *config)
{
	struct depot_rules rules;
	sqlite3_stmt *st;
	int rc;

	mutex_lock(&s->lock);
	rc = depot_rules(s, bucket, &rules);
	st = depot_stmt(s, DEPOT_BUCKET_SET);
	if (rc == 0 && st) {
		sqlite3_bind_text(st, 1, bucket, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, config, -1, SQLITE_STATIC);
		bind_config(st, 3, config);
		rc = depot_run(s, st);
	}
	mutex_unlock(&s->lock);
	return rc;
}

void depot_bucket_done(struct depot_bucket *b)
{
	free(b->name);
	free(b->config);
	b->name = NULL;
	b->config = NULL;
}

int depot_bucket_list(struct depot *s, depot_bucket_fn *fn, void *ctx)
{
	struct depot_bucket b;
	sqlite3_stmt *st;

	mutex_lock(&s->lock);
	st = depot_stmt(s, DEPOT_BUCKET_LIST);
	while (st && sqlite3_step(st) == SQLITE_ROW) {
		bucket_row(st, &b);
		fn(ctx, &b);
	}
	if (st)
		sqlite3_reset(st);
	mutex_unlock(&s->lock);
	return st ? 0 : -EIO;
}

/* ---- looking up ---- */

static int find_in(struct depot *s, enum depot_statement id,
		   const struct depot_ref *ref, struct depot_object *ret_object)
	REQUIRES(s->lock)
{
	sqlite3_stmt *st = depot_stmt(s, id);
	struct depot_object o;
	int rc;

	if (!st)
		return -EIO;
	depot_bind_name(st, ref->bucket, ref->name, strlen(ref->name));
	if (id == DEPOT_GET_OLD)
		sqlite3_bind_int64(st, 3, ref->generation);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		depot_row(st, &o);
		rc = depot_dup(&o, ret_object);
	} else {
		rc = rc == SQLITE_DONE ? -ENOENT : -EIO;
	}
	sqlite3_reset(st);
	return rc;
}

int depot_find(struct depot *s, const struct depot_ref *ref,
	       struct depot_object *ret_object)
{
	struct depot_object o = {0};
	int rc = find_in(s, DEPOT_GET, ref, &o);

	if (rc == 0 && ref->generation && ref->generation != o.generation) {
		depot_object_done(&o);
		rc = -ENOENT;
	}
	if (rc == -ENOENT && ref->generation)
		rc = find_in(s, DEPOT_GET_OLD, ref, &o);
	if (rc == 0)
		*ret_object = o;
	return rc;
}

int depot_check(const struct depot_cond *c, const struct depot_object *o)
{
	int64_t gen = o ? o->generation : 0;
	int64_t meta = o ? o->metageneration : 0;

	if ((c->has & DEPOT_IF_GEN) && c->gen != gen)
		return -ESTALE;
	if ((c->has & DEPOT_IF_META) && c->meta != meta)
		return -ESTALE;
	if ((c->has & DEPOT_IF_NOT_GEN) && c->not_gen == gen)
		return -EALREADY;
	if ((c->has & DEPOT_IF_NOT_META) && c->not_meta == meta)
		return -EALREADY;
	return 0;
}

/* The file is opened under the lock: afterwards it may be gone. */
static int get(struct depot *s, const struct depot_ref *ref,
	       struct depot_object *o, int *ret_fd) REQUIRES(s->lock)
{
	struct depot_rules rules;
	char path[32];
	int rc = depot_find(s, ref, o);

	if (rc == -ENOENT && depot_rules(s, ref->bucket, &rules) == -ENXIO)
		return -ENXIO;
	if (rc < 0)
		return rc;
	rc = depot_check(&ref->cond, o);
	if (rc == 0 && ret_fd) {
		depot_path(o->generation, path);
		*ret_fd = openat(s->datafd, path, O_RDONLY | O_CLOEXEC);
		if (*ret_fd < 0)
			rc = -EIO;
	}
	if (rc < 0)
		depot_object_done(o);
	return rc;
}

int depot_get(struct depot *s, const struct depot_ref *ref,
	      struct depot_object *ret_object, int *ret_fd)
{
	struct depot_object o;
	int rc;

	mutex_lock(&s->lock);
	rc = get(s, ref, &o, ret_fd);
	mutex_unlock(&s->lock);
	if (rc == 0)
		*ret_object = o;
	return rc;
}
