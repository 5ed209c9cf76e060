/*
 * What a path means now.
 *
 * A catalogue (SQLite, state/meta.db) of entries as the record told them, each
 * with the time it was told, and the freshness rules (design, section 3) that
 * decide whether that is recent enough or the record has to be asked.  The tree
 * is the record's; with `namespace: union` names that only replicas have are
 * shown beside it, marked.
 *
 * Nothing is listed before somebody looks at it, listings are merged page by
 * page, and nothing here grows in memory with the size of the lake.
 *
 * Ownership: meta_open() gives; entries are plain values the caller holds.
 *
 * Threads: all from any thread, with no lock held.  Functions with an op may
 * wait for the record, up to op's deadline.  changed() (meta_config) is called
 * with no lock held, from whichever thread learned the news; it must not call
 * back into meta nor wait for the kernel.
 *
 * Errors: -ENOENT; -ENOTDIR; -ENAMETOOLONG; -ETIMEDOUT when the record does
 * not answer by the deadline (P7); otherwise as sites/sites.h.
 */
#ifndef LAKEFUSE_META_META_H
#define LAKEFUSE_META_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sites/sites.h"

struct meta;

#define META_ROOT 1 /* the root's inode number */
#define META_NAME_MAX 255

enum entry_kind { ENTRY_FILE, ENTRY_DIR, ENTRY_SYMLINK };

enum freshness { FRESH_STRICT, FRESH_OPEN, FRESH_IMMUTABLE, FRESH_BOUNDED };

const char *freshness_name(enum freshness class);

/* The class of a path, and T of `bounded` (or names_ttl of `open`). */
struct class_rule {
	const char *match; /* glob, ** crosses directories */
	enum freshness class;
	uint64_t seconds; /* bounded only */
};

/* What a name means. */
struct entry {
	uint64_t ino;	 /* stable over remounts; a directory's id as well */
	uint64_t parent; /* the directory's ino; the root is its own parent */
	enum entry_kind kind;
	/*
	 * 0 for an implicit directory.  What only a replica has gets a number
	 * of our own, made from all that its listing says of its content, with
	 * ORPHAN_GENERATION set: it changes when that does.
	 */
	uint64_t generation;
	uint64_t size;
	int64_t mtime_ns;
	unsigned has; /* HAS_CRC32C, HAS_MD5 */
	uint32_t crc32c;
	uint8_t md5[MD5_SIZE];
	char storage_class[24];
	enum freshness class;
	/* How long this answer may be repeated without asking; 0: not at all. */
	uint64_t valid_ns;
	int64_t told_ms; /* when the record said so, wall clock */
	bool asked;	 /* the record was asked for this very call */
	bool stale;	 /* last known; the record did not answer (P7) */
	int replica;	 /* site index when only a replica has it, else 0 */
	/* The object's name, without a directory's '/' at the end; "" the root */
	char object[OBJECT_NAME_MAX + 2];
	const char *name; /* the last part, in object */
};

/* Copies an entry, which points into itself. */
void entry_copy(struct entry *to, const struct entry *from);

/* Fills a ref for cache and sites; it borrows entry->object. */
void entry_ref(const struct entry *entry, struct object_ref *ret);

struct meta_config {
	const char *path; /* of meta.db */
	/* User's rules, first match wins; the presets come after them. */
	const struct class_rule *classes;
	unsigned n_classes;
	uint64_t names_ttl_ns;
	bool serve_last_known; /* on_record_loss */
	bool namespace_union;
	/*
	 * A name means something else than meta said before (another
	 * generation, another kind, gone).  Absence is never told on: who
	 * was told -ENOENT asks again.
	 */
	void (*changed)(void *arg, uint64_t parent, const char *name);
	void *arg;
};

/*
 * Opens the catalogue, or makes it.  A damaged, newer or another lake's file
 * (lake_id differs) is set aside as PATH.damaged-N, named in the log, and
 * built anew.
 */
int meta_open(struct op *op, const struct meta_config *config,
	      const char *lake_id, struct lake *lake, struct meta **ret);
void meta_close(struct meta *meta);

/* lookup and stat: as fresh as the class of the path wants it. */
int meta_lookup(struct op *op, struct meta *meta, uint64_t dir,
		const char *name, struct entry *ret);

/*
 * open: like meta_lookup, but classes `strict` and `open` always ask the record
 * (one conditional request; strict may use a listing up to 100 ms old).  When
 * the record has another generation, *ret is that one.
 */
int meta_pin(struct op *op, struct meta *meta, uint64_t dir, const char *name,
	     struct entry *ret);

/* A directory's own entry, by its id, without asking.  -ENOENT. */
int meta_directory(struct op *op, struct meta *meta, uint64_t dir,
		   struct entry *ret);

/* The target, 0-terminated.  Fetched when the object's content holds it. */
int meta_readlink(struct op *op, struct meta *meta, uint64_t dir,
		  const char *name, char *target, size_t room);

/*
 * A walk through one directory, in the order of its keys: bytewise by name,
 * where a directory's name counts with a '/' at its end.  That is the order in
 * which the record lists ("a.txt" comes before the directory "a").  A walk
 * belongs to one thread at a time.
 */
struct meta_walk;

/* Where an entry stands in a walk, for meta_walk_from(): name, '/' if a dir. */
void walk_key(const struct entry *entry, char key[META_NAME_MAX + 2]);

/*
 * Begins a walk; the listing is made as fresh as the class wants it, page by
 * page as the walk goes on.  -ENOENT when the record has no such directory any
 * more (the root is always there).
 */
int meta_walk_begin(struct op *op, struct meta *meta, uint64_t dir,
		    struct meta_walk **ret);

/* Return 0 to go on, 1 to stop before this entry (it comes again). */
typedef int walk_fn(void *arg, const struct entry *entry);

/*
 * Calls each for entries behind after, until it stops or the directory ends.  0
 * at the end, 1 when stopped.  after is a walk_key(), which holds whatever
 * becomes of that entry, or NULL: from the start.  The plain name of the entry
 * that was shown last does as well.
 */
int meta_walk_from(struct op *op, struct meta_walk *walk, const char *after,
		   walk_fn *each, void *arg);
void meta_walk_end(struct meta_walk *walk);

/* The entry of a path below the root as the catalogue has it; asks nobody. */
int meta_known(struct op *op, struct meta *meta, const char *path,
	       struct entry *ret);

/* Names that no path can spell, or that a directory hides: for where/doctor. */
typedef int odd_fn(void *arg, const char *object, const char *why);
int meta_each_odd(struct op *op, struct meta *meta, odd_fn *each, void *arg);

struct meta_status {
	uint64_t n_entries;
	uint64_t n_dirs;
	uint64_t n_odd;
	uint64_t db_bytes;
	bool record_lost;	/* last-known is being served now */
	int64_t stale_since_ms; /* wall clock; 0: not stale */
};

void meta_status(struct meta *meta, struct meta_status *ret);

#endif
