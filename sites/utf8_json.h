/*
 * JSON that is not quite: strings with bytes that are no UTF-8, or halves of
 * surrogate pairs.  Parsers refuse the whole text for one such byte, and one
 * odd object name would make a listing of a thousand unreadable.
 *
 * Ownership: results are the caller's.  Threads: any.
 */
#ifndef LAKEFUSE_SITES_UTF8_JSON_H
#define LAKEFUSE_SITES_UTF8_JSON_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A copy of the *n bytes at json that a parser takes, with *n set to its
 * length; *ret stays NULL when nothing was to be mended.  0 or -ENOMEM.
 */
int json_mend(const char *json, size_t *n, char **ret);

/*
 * A string from mended JSON, as a C string: U+FFFD where bytes were mended or
 * NUL, *ret_odd true if there were any.  NULL: no memory.
 */
char *json_plain_name(const char *text, size_t n, bool *ret_odd);

#endif
