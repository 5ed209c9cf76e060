#include "meta/schema.h"

/*
 * entries: what a name means at one site.  name is the key of the listing's
 * order: the plain name, with '/' at the end for a directory (meta/rows.h).
 * site is 0 for the record, else a replica's index: a name that only replicas
 * have has no row of site 0.  bits packs kind, has and the storage class.
 * ino of a directory is its id in dirs.
 *
 * dirs: from an id to its path; listed_us is when the newest complete listing
 * began, 0: never; flags as in rows.h.
 *
 * gone: directories whose entries are still to be deleted, bit by bit.
 */
const char *const schema_steps[] = {
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE dirs(id INTEGER PRIMARY KEY, parent INTEGER NOT NULL,"
	" name BLOB NOT NULL, listed_us INTEGER NOT NULL DEFAULT 0,"
	" flags INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE entries(parent INTEGER NOT NULL, name BLOB NOT NULL,"
	" site INTEGER NOT NULL, ino INTEGER NOT NULL, bits INTEGER NOT NULL,"
	" generation INTEGER NOT NULL, size INTEGER NOT NULL,"
	" mtime_ns INTEGER NOT NULL, told_us INTEGER NOT NULL,"
	" crc32c INTEGER, md5 BLOB, PRIMARY KEY(parent, name, site))"
	" WITHOUT ROWID;"
	"CREATE TABLE symlinks(ino INTEGER PRIMARY KEY,"
	" generation INTEGER NOT NULL, target BLOB NOT NULL);"
	"CREATE TABLE odd(object BLOB PRIMARY KEY, why TEXT NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE gone(id INTEGER PRIMARY KEY);"
	"INSERT INTO dirs(id, parent, name) VALUES(1, 1, x'');"
	"INSERT INTO meta VALUES('next_ino', 2), ('n_entries', 0),"
	" ('n_dirs', 1);",
};

const int schema_version = sizeof(schema_steps) / sizeof(*schema_steps);
