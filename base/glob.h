/*
 * Path patterns of the configuration (classes, guards).
 *
 * A pattern is held against a whole path without a leading slash.  `*`, `?`
 * and `[a-z]` stay within one component, `**` crosses '/', and "**" + "/" at
 * the start of a component also stands for no component at all: a pattern
 * that begins so matches at the top of the tree too.  `[!a]` and `[^a]` negate,
 * `\` takes the special meaning away, a '[' that never closes is itself.
 * Bytes are compared, not characters.
 *
 * Takes time in the order of pattern * path * path at worst, and no memory, so
 * that neither a careless rule nor a hostile name can hold a lookup up.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_BASE_GLOB_H
#define LAKEFUSE_BASE_GLOB_H

#include <stdbool.h>

bool glob_match(const char *pattern, const char *path);

#endif
