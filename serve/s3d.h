/*
 * The S3 face over a depot: what a reader needs, and simple puts.
 *
 * Ownership: s3d_free() after the port that uses the face is closed, before
 * the depot is.
 * Threads: any.
 */
#ifndef LAKEFUSE_SERVE_S3D_H
#define LAKEFUSE_SERVE_S3D_H

struct s3d;
struct web_face;

/* access_key NULL: nobody has to sign.  Strings are copied. */
struct s3d *s3d_new(const char *access_key, const char *secret);
void s3d_free(struct s3d *s);
const struct web_face *s3d_face(struct s3d *s);

#endif
