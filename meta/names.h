/*
 * Names of objects and names in the tree.
 *
 * An object is shown where its name, cut at each '/', can be walked to.  Names
 * that no path can spell are odd: they are reported, and never shown (N1).
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_META_NAMES_H
#define LAKEFUSE_META_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* Why a component of len bytes is odd; NULL: it is not. */
const char *name_odd(const char *name, size_t len);

/* 0, or the errno that a path with this component deserves. */
int name_check(const char *name);

/* Our own objects' prefix, in the top directory (W8). */
bool name_hidden(const char *dir_object, const char *name, size_t len);

/*
 * Joins a directory's object name and a name.  -ENAMETOOLONG when the record
 * could not have such an object.
 */
int name_join(const char *dir_object, const char *name, char *ret, size_t room);

#endif
