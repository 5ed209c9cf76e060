/*
 * What the cache's files are called, and where they are: nothing else may be
 * in its directory.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_CACHE_NAME_H
#define LAKEFUSE_CACHE_NAME_H

#include <stdbool.h>

#include "cache/file.h"

#define NAME_SIZE 80

enum { NAME_WHOLE, NAME_DATA, NAME_MAP, N_NAMES };

extern const char *const name_suffixes[N_NAMES];

void name_make(char name[NAME_SIZE], const struct gen_key *key,
	       const char *suffix);

/* Reads a name as name_make() writes it, in the directory first. */
bool name_parse(const char *name, unsigned first, struct gen_key *key);

/*
 * The directory of keys whose first byte it is; made when missing and make
 * says so.  A descriptor or -errno.
 */
int name_open_subdir(int dirfd, unsigned first, bool make);

#endif
