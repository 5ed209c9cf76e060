/* What the gcsd_*.c files share.  Nobody else includes this. */
#ifndef LAKEFUSE_SERVE_GCSD_PRIVATE_H
#define LAKEFUSE_SERVE_GCSD_PRIVATE_H

#include <jansson.h>

#include "serve/depot.h"
#include "serve/gcsd.h"
#include "serve/web.h"

struct gcsd_sessions;

/* gcsd.c */
struct gcsd_sessions *gcsd_sessions(const struct web_request *r);
void gcsd_fail_rc(struct web_request *r, int rc);

/* Which names of parameters make a condition: plain, source or `objectPre...` */
enum gcsd_cond_kind { GCSD_COND, GCSD_COND_SOURCE };

/* False: a parameter is not a number, and the request was failed. */
bool gcsd_cond(struct web_request *r, enum gcsd_cond_kind kind,
	       struct depot_cond *ret_cond);
/* bucket and name are args[0] and args[1]. */
bool gcsd_ref(struct web_request *r, struct depot_ref *ret_ref);
/* The body as JSON, {} if empty.  NULL: failed, and replied. */
json_t *gcsd_body(struct web_request *r);

/* gcsd_json.c */
void gcsd_put_object(struct text *t, const struct web_request *r,
		     const char *bucket, const struct depot_object *o);
void gcsd_reply_object(struct web_request *r, const char *bucket,
		       const struct depot_object *o);
void gcsd_put_bucket(struct text *t, const struct depot_bucket *b);
void gcsd_etag(struct text *t, const struct depot_object *o);
void gcsd_crc32c(struct text *t, uint32_t crc);
/* The writable fields of an objects resource, compact; NULL: malformed. */
char *gcsd_attrs(json_t *resource, const char *content_type);
/* The same, over those there are.  replace: PUT; otherwise PATCH. */
char *gcsd_merge(const char *attrs, json_t *resource, bool replace);
/* 0 or -EBADMSG: crc32c or md5Hash in resource contradict the upload. */
int gcsd_check_hashes(json_t *resource, struct depot_upload *u);
int gcsd_check_hash_header(const char *header, struct depot_upload *u);

/* Handlers. */
web_handler_fn gcsd_stat, gcsd_media, gcsd_list;
web_handler_fn gcsd_patch, gcsd_update, gcsd_delete, gcsd_rewrite, gcsd_copy,
	gcsd_move, gcsd_compose;
web_handler_fn gcsd_upload_begin, gcsd_upload, gcsd_chunk_begin, gcsd_chunk,
	gcsd_cancel;
web_handler_fn gcsd_bucket_get, gcsd_bucket_list, gcsd_bucket_insert,
	gcsd_bucket_delete, gcsd_bucket_patch;

/* gcsd_upload.c */
struct gcsd_sessions *gcsd_sessions_new(void);
void gcsd_sessions_free(struct gcsd_sessions *s);

#endif
