/*
 * Reading the daemon's answers: a field that is missing or of another type is
 * "", 0 or false, so that tool and daemon may be of different versions.
 *
 * Ownership: borrowed from the json; json_safe() gives the string away.
 *
 * Threads: one.
 */
#ifndef LAKEFUSE_CLI_JSON_H
#define LAKEFUSE_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

const char *json_text(const json_t *object, const char *key);
int64_t json_number(const json_t *object, const char *key);
bool json_flag(const json_t *object, const char *key);

/* json_text() made safe for a terminal. */
char *json_safe(const json_t *object, const char *key);

/*
 * Parses an answer.  An {"error": ...} in it or no JSON at all is complained
 * about under the name what, and gives NULL.
 */
json_t *json_answer(const char *answer, const char *what);

#endif
