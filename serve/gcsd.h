/*
 * The GCS JSON face over a depot, as the API's reference describes it
 * (cloud.google.com/storage/docs/json_api).
 *
 * Ownership: gcsd_free() after the port that uses the face is closed, before
 * the depot is.
 * Threads: any.
 */
#ifndef LAKEFUSE_SERVE_GCSD_H
#define LAKEFUSE_SERVE_GCSD_H

struct gcsd;
struct web_face;

/* token: the bearer token that every request must carry; NULL: none. */
struct gcsd *gcsd_new(const char *token);
void gcsd_free(struct gcsd *g);
const struct web_face *gcsd_face(struct gcsd *g);

#endif
