/*
 * The catalogue's rows.
 *
 * A row is keyed by its parent's id and a key: the plain name of a file or
 * symlink, a directory's name with '/' at the end.  Keys sort bytewise as the
 * record lists them, so that a page of a listing is one range of keys, and a
 * file beside a directory of the same name has a row of its own.
 *
 * Threads: as meta/store.h says of functions inside it.
 */
#ifndef LAKEFUSE_META_ROWS_H
#define LAKEFUSE_META_ROWS_H

#include "meta/meta.h"
#include "meta/store.h"

#define KEY_SIZE (META_NAME_MAX + 2)

struct row {
	uint64_t parent;
	char key[KEY_SIZE];
	unsigned site; /* who has it: SITE_RECORD, or a replica */
	uint64_t ino;
	enum entry_kind kind;
	uint64_t generation;
	uint64_t size;
	int64_t mtime_ns;
	int64_t told_us;
	unsigned has;
	uint32_t crc32c;
	uint8_t md5[MD5_SIZE];
	char storage_class[24]; /* "" for one that is not in our list */
};

/* dir.flags: it holds an Iceberg table's metadata files. */
enum { DIR_ICEBERG = 1 };

struct dir {
	uint64_t id;
	uint64_t parent;
	char name[META_NAME_MAX + 1];
	int64_t listed_us; /* when its newest complete listing began, or 0 */
	unsigned flags;
};

/* Returns 1 and fills *ret, 0: none, or -errno. */
int rows_find(struct op *op, struct conn *conn, uint64_t parent,
	      const char *key, unsigned site, struct row *ret);

/*
 * What a name means: the record's word before any replica's, and a directory
 * before a file.
 */
int rows_meaning(struct op *op, struct conn *conn, uint64_t parent,
		 const char *name, struct row *ret);

int rows_put(struct op *op, struct conn *conn, const struct row *row,
	     bool is_new);
int rows_delete(struct op *op, struct conn *conn, const struct row *row);

/* A part of a directory's keys. */
struct row_range {
	uint64_t parent;
	const char *from;
	bool after;	/* from itself is not in it */
	const char *to; /* inclusive; NULL: to the end */
};

/* Returns how many rows of the range it put in rows, lowest key first. */
int rows_range(struct op *op, struct conn *conn, const struct row_range *range,
	       struct row *rows, unsigned room);

int dirs_find(struct op *op, struct conn *conn, uint64_t id, struct dir *ret);
int dirs_put(struct op *op, struct conn *conn, const struct dir *dir);
/* Its entries go too, later: rows_sweep(). */
int dirs_delete(struct op *op, struct conn *conn, uint64_t id);

/*
 * Deletes some of what directories that are gone have left.  Returns 1 as long
 * as there may be more.
 */
int rows_sweep(struct op *op, struct conn *conn);

int symlinks_put(struct op *op, struct conn *conn, const struct row *row,
		 const char *target);
/* Returns 1 and the target, cut at room - 1 bytes; 0: not known. */
int symlinks_find(struct op *op, struct conn *conn, const struct row *row,
		  char *target, size_t room);

/* Counted once each, as long as the table has room. */
int odd_put(struct op *op, struct conn *conn, const char *object,
	    const char *why);
int odd_delete(struct op *op, struct conn *conn, const char *object);
/* The first after an object, 1; 0 at the end. */
int odd_next(struct op *op, struct conn *conn, const char *after,
	     char object[OBJECT_NAME_MAX + 2], char *why, size_t room);
int odd_count(struct op *op, struct conn *conn, uint64_t *ret);

#endif
