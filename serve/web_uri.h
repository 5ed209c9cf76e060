/*
 * Targets, ranges and encodings: parsers of bytes from outside, which touch
 * nothing but the memory they are given.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_SERVE_WEB_URI_H
#define LAKEFUSE_SERVE_WEB_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Decodes n bytes at s into a string, allocated.  plus: '+' is a space, as in
 * queries.  -EINVAL: a broken escape, or %00, which no name can have.
 */
int web_decode(const char *s, size_t n, bool plus, char **ret_text);

enum web_range {
	WEB_RANGE_NONE,		 /* no range, or one to be ignored: all */
	WEB_RANGE_OK,		 /* *offset and *length are set */
	WEB_RANGE_UNSATISFIABLE, /* 416 */
};

/*
 * A Range header (NULL: none) against an object of size bytes.  Several ranges
 * and other units are ignored, as RFC 9110 14.2 allows.
 */
enum web_range web_range(const char *header, uint64_t size,
			 uint64_t *ret_offset, uint64_t *ret_length);

/* A whole decimal number; -EINVAL for anything else. */
int web_number(const char *s, int64_t *ret_number);

#endif
