/* What the s3d_*.c files share.  Nobody else includes this. */
#ifndef LAKEFUSE_SERVE_S3D_PRIVATE_H
#define LAKEFUSE_SERVE_S3D_PRIVATE_H

#include "serve/depot.h"
#include "serve/s3d.h"
#include "serve/web.h"

#define S3D_XMLNS "http://s3.amazonaws.com/doc/2006-03-01/"

/* s3d.c */
void s3d_fail_rc(struct web_request *r, int rc);
/* Without its quotes: md5 in hex, or a sum and "-N" for composed objects. */
void s3d_etag(struct text *t, const struct depot_object *o);
void s3d_begin_xml(struct text *t, const char *element);
void s3d_reply_xml(struct web_request *r, const char *element);

/* s3d_auth.c: NULL, or the S3 error code of what is wrong. */
const char *s3d_auth(struct web_request *r, const char *access_key,
		     const char *secret);

/* Handlers. */
web_handler_fn s3d_buckets, s3d_bucket_get, s3d_bucket_head, s3d_bucket_put,
	s3d_bucket_delete;
web_handler_fn s3d_get, s3d_head, s3d_put_begin, s3d_put, s3d_delete;

#endif
