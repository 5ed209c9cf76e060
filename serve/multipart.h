/*
 * The body of a multipart/related upload: metadata as JSON, then the bytes.
 * The bytes go on to an upload as they come.
 *
 * Ownership: the upload is borrowed until multipart_free().
 * Threads: one at a time.
 */
#ifndef LAKEFUSE_SERVE_MULTIPART_H
#define LAKEFUSE_SERVE_MULTIPART_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct depot_upload;
struct multipart;

/* NULL: no memory, or the Content-Type names no boundary. */
struct multipart *multipart_new(const char *content_type,
				struct depot_upload *upload);
void multipart_free(struct multipart *m);

/* The next n bytes of the body; 0, or -errno (-EINVAL: malformed). */
int multipart_take(void *multipart, const char *data, size_t n);
/* After the last; false: the closing boundary did not come. */
bool multipart_end(struct multipart *m);

/* The first part, an object, and the second's Content-Type or NULL. */
json_t *multipart_resource(const struct multipart *m);
const char *multipart_type(const struct multipart *m);

#endif
