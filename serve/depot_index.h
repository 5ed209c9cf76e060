/*
 * The depot's insides, shared by store.c, depot_write.c and depot_list.c:
 * the SQLite index and its statements.  Nobody else includes this.
 *
 * Threads: everything here wants the depot's lock.  Unlike other locks of the
 * project it is held across the index's writes and the rename of a file: that
 * is the commit, which has to be one step.  It is never held while bytes of an
 * object are read, written or summed.
 */
#ifndef LAKEFUSE_SERVE_DEPOT_INDEX_H
#define LAKEFUSE_SERVE_DEPOT_INDEX_H

#include <sqlite3.h>

#include "base/lock.h"
#include "serve/depot.h"

#define DEPOT_COLUMNS                                                       \
	"name, generation, metageneration, size, crc32c, md5, created_us, " \
	"updated_us, deleted_us, components, attrs"

/* X(symbol, SQL) */
#define DEPOT_STATEMENTS(X)                                                    \
	X(BEGIN, "BEGIN IMMEDIATE")                                            \
	X(COMMIT, "COMMIT")                                                    \
	X(ROLLBACK, "ROLLBACK")                                                \
	X(BUCKET_ADD, "INSERT INTO buckets VALUES (?1, ?2, ?3, 1, ?4, ?5)")    \
	X(BUCKET_GET, "SELECT name, config, created_us, metageneration, "      \
		      "versioning, retention_s FROM buckets WHERE name = ?1")  \
	X(BUCKET_SET, "UPDATE buckets SET config = ?2, versioning = ?3, "      \
		      "retention_s = ?4, metageneration = metageneration + 1 " \
		      "WHERE name = ?1")                                       \
	X(BUCKET_DROP, "DELETE FROM buckets WHERE name = ?1")                  \
	X(BUCKET_LIST, "SELECT name, config, created_us, metageneration, "     \
		       "versioning, retention_s FROM buckets ORDER BY name")   \
	X(BUCKET_USED, "SELECT 1 FROM objects WHERE bucket = ?1 UNION ALL "    \
		       "SELECT 1 FROM old WHERE bucket = ?1 LIMIT 1")          \
	X(GET, "SELECT " DEPOT_COLUMNS                                         \
	       " FROM objects WHERE bucket = ?1 AND name = ?2")                \
	X(GET_OLD,                                                             \
	  "SELECT " DEPOT_COLUMNS " FROM old WHERE bucket = ?1 AND name = ?2 " \
	  "AND generation = ?3")                                               \
	X(PUT, "INSERT OR REPLACE INTO objects VALUES "                        \
	       "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")          \
	X(PUT_OLD, "INSERT OR REPLACE INTO old VALUES "                        \
		   "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")      \
	X(DROP, "DELETE FROM objects WHERE bucket = ?1 AND name = ?2")         \
	X(DROP_OLD, "DELETE FROM old WHERE bucket = ?1 AND name = ?2 "         \
		    "AND generation = ?3")                                     \
	X(LIST, "SELECT " DEPOT_COLUMNS " FROM objects WHERE bucket = ?1 "     \
		"AND name >= ?2 AND name < ?3 ORDER BY name")                  \
	X(LIST_ALL, "SELECT " DEPOT_COLUMNS " FROM objects WHERE bucket = ?1 " \
		    "AND name >= ?2 AND name < ?3 UNION ALL "                  \
		    "SELECT " DEPOT_COLUMNS " FROM old WHERE bucket = ?1 "     \
		    "AND name >= ?2 AND name < ?3 ORDER BY name, generation")

#define DEPOT_ENUM_(sym, sql) DEPOT_##sym,
enum depot_statement { DEPOT_STATEMENTS(DEPOT_ENUM_) N_DEPOT_STATEMENTS };
#undef DEPOT_ENUM_

struct depot_guarded {
	sqlite3 *db;
	sqlite3_stmt *prepared[N_DEPOT_STATEMENTS];
	int64_t last_generation;
	uint64_t last_temp;
};

struct depot {
	struct mutex lock;	      /* a leaf: nothing is taken under it */
	struct depot_guarded guarded; /* through depot_held() only */
	int dirfd;		      /* DIR; the rest is fixed, too */
	int datafd;		      /* DIR/data */
	int lockfd;
	bool sync;
};

struct depot_upload {
	struct depot *depot;
	int fd;
	char temp[40]; /* below DIR; "" once it became a generation */
	uint64_t size;
	uint32_t crc32c;
	void *md5; /* EVP_MD_CTX; NULL once finished */
	uint8_t md5_value[16];
	int components;
	bool is_composed;
};

/* What a bucket says about writing to it. */
struct depot_rules {
	bool versioning;
	int64_t retention_s;
};

struct depot_guarded *depot_held(struct depot *s) REQUIRES(s->lock);

/* Prepared once, reset, without bindings.  NULL: the index is broken. */
sqlite3_stmt *depot_stmt(struct depot *s, enum depot_statement id)
	REQUIRES(s->lock);
/* Runs one without rows, and resets it. */
int depot_run(struct depot *s, sqlite3_stmt *st) REQUIRES(s->lock);
int depot_exec(struct depot *s, enum depot_statement id) REQUIRES(s->lock);

void depot_bind_name(sqlite3_stmt *st, const char *bucket, const void *name,
		     size_t n);
/* The row's object; its strings live until the statement moves on. */
void depot_row(sqlite3_stmt *st, struct depot_object *ret_object);
int depot_dup(const struct depot_object *o, struct depot_object *ret_object);

int depot_rules(struct depot *s, const char *bucket,
		struct depot_rules *ret_rules) REQUIRES(s->lock);
/* The object ref names, without its preconditions. */
int depot_find(struct depot *s, const struct depot_ref *ref,
	       struct depot_object *ret_object) REQUIRES(s->lock);
/* o NULL: there is no such object.  0, -ESTALE or -EALREADY. */
int depot_check(const struct depot_cond *c, const struct depot_object *o);
void depot_path(int64_t generation, char ret_path[32]);

#endif
