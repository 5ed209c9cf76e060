/*
 * Sending an object's bytes, the same way for both faces: ranges, and the
 * faults that concern them.
 *
 * Threads: as for the request.
 */
#ifndef LAKEFUSE_SERVE_MEDIA_H
#define LAKEFUSE_SERVE_MEDIA_H

#include <stdint.h>

struct web_request;

/*
 * Replies with the object's bytes, takes fd: 200, 206 or 416, with their
 * headers.  range: the header or NULL.  Other headers are the face's.
 */
void media_reply(struct web_request *r, int fd, uint64_t size,
		 const char *range);

/* The header Last-Modified. */
void media_modified(struct web_request *r, int64_t us);

/*
 * The file's content inflated into an unnamed file; takes fd.  Returns its
 * descriptor and size, or -errno.
 */
int media_inflate(int fd, uint64_t *ret_size);

#endif
