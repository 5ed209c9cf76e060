/*
 * One setting's value: from text into its place.  Shared by the readers of
 * files and options (base/config*.c) and by nobody else.
 *
 * Threads: none.
 */
#ifndef LAKEFUSE_BASE_CONFIG_VALUE_H
#define LAKEFUSE_BASE_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"

/* What is wrong and what to do, as one phrase. */
#define PHRASE_MAX 160

/*
 * Puts text into s's place in the struct at into.  Relative paths count from
 * the directory dir (NULL: the working directory).  Returns 0, -EINVAL with
 * the phrase in why, or -ENOMEM.
 */
int setting_assign(const struct setting *s, const char *text, const char *dir,
		   void *into, char why[PHRASE_MAX]);

/* May the type be written between quotes?  A quoted number is a mistake. */
bool setting_may_be_quoted(const struct setting *s);

/* What a value of this type looks like: "SIZE", "true|false". */
const char *setting_placeholder(const struct setting *s);

/* Frees what a list holds and makes it empty. */
void setting_clear_list(const struct setting *s, void *into);

#endif
