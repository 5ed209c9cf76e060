#include "serve/s3d.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "serve/s3d_private.h"

static const struct web_route routes[] = {
	{"HEAD", "/{}/{*}", TRAFFIC_STAT, s3d_head, NULL},
	{"GET", "/{}/{*}", TRAFFIC_MEDIA, s3d_get, NULL},
	{"PUT", "/{}/{*}", TRAFFIC_PUT, s3d_put, s3d_put_begin},
	{"DELETE", "/{}/{*}", TRAFFIC_DELETE, s3d_delete, NULL},
	{"HEAD", "/{}", TRAFFIC_BUCKET, s3d_bucket_head, NULL},
	{"GET", "/{}", TRAFFIC_LIST, s3d_bucket_get, NULL},
	{"PUT", "/{}", TRAFFIC_BUCKET, s3d_bucket_put, NULL},
	{"DELETE", "/{}", TRAFFIC_BUCKET, s3d_bucket_delete, NULL},
	{"GET", "/", TRAFFIC_BUCKET, s3d_buckets, NULL},
};

struct s3d {
	struct web_face face;
	char *access_key;
	char *secret;
};

/* ---- errors ---- */

static void fail(struct web_request *r, unsigned status, const char *reason,
		 const char *message)
{
	struct text *t = &r->reply.body;

	text_str(t,
		 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>");
	text_xml(t, reason);
	text_str(t, "</Code><Message>");
	text_xml(t, message);
	text_str(t, "</Message><Resource>");
	text_xml(t, r->path);
	text_str(t, "</Resource></Error>\n");
	web_reply(r, status, "application/xml");
}

static const struct outcome {
	int rc;
	unsigned status;
	const char *reason;
	const char *message;
} outcomes[] = {
	{-ENXIO, 404, "NoSuchBucket", "The specified bucket does not exist"},
	{-ENOENT, 404, "NoSuchKey", "The specified key does not exist."},
	{-ESTALE, 412, "PreconditionFailed",
	 "At least one of the pre-conditions you specified did not hold"},
	{-EPERM, 403, "AccessDenied", "The object is under hold or retention."},
	{-EEXIST, 409, "BucketAlreadyOwnedByYou", "You own it already."},
	{-ENOTEMPTY, 409, "BucketNotEmpty", "The bucket is not empty."},
	{-EINVAL, 400, "InvalidArgument", "Invalid Argument"},
	{-EBADMSG, 400, "BadDigest",
	 "The checksum you specified did not match what we received."},
};

void s3d_fail_rc(struct web_request *r, int rc)
{
	if (rc == -EALREADY) {
		web_reply(r, 304, NULL);
		return;
	}
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		const struct outcome *o = &outcomes[i];

		if (o->rc != rc)
			continue;
		web_fail(r, o->status, o->reason, o->message);
		return;
	}
	web_fail(r, 500, "InternalError", strerror(-rc));
}

/* ---- what handlers share ---- */

void s3d_etag(struct text *t, const struct depot_object *o)
{
	if (!o->has_md5) {
		text_fmt(t, "%016llx%016x-%d", (unsigned long long)o->size,
			 o->crc32c, o->components);
		return;
	}
	for (size_t i = 0; i < sizeof(o->md5); i++)
		text_fmt(t, "%02x", o->md5[i]);
}

void s3d_begin_xml(struct text *t, const char *element)
{
	text_fmt(t,
		 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		 "<%s xmlns=\"" S3D_XMLNS "\">",
		 element);
}

void s3d_reply_xml(struct web_request *r, const char *element)
{
	text_fmt(&r->reply.body, "</%s>\n", element);
	web_reply(r, 200, "application/xml");
}

/* ---- the face ---- */

/*
 * The bucket that a virtual-host style request names, allocated, or NULL: the
 * host's first label, if there is a bucket of that name and the host has more
 * labels than that.
 */
static char *host_bucket(struct web_request *r)
{
	const char *host = web_header(r, "Host");
	size_t n = host ? strcspn(host, ".:") : 0;
	struct depot_bucket b;
	char *name;

	if (n == 0 || host[n] != '.' || isdigit((unsigned char)*host))
		return NULL;
	name = strndup(host, n);
	if (name && depot_bucket_get(r->web->depot, name, &b) == 0) {
		depot_bucket_done(&b);
		return name;
	}
	free(name);
	return NULL;
}

/* /BUCKET/KEY, whichever style the request has; allocated. */
static char *full_path(struct web_request *r)
{
	auto_free char *bucket = host_bucket(r);
	char *path = NULL;
	size_t n;

	if (asprintf(&path, "%s%s%s", bucket ? "/" : "", bucket ? bucket : "",
		     r->path) < 0)
		return NULL;
	/* "/bucket/" is the bucket. */
	n = strlen(path);
	if (n > 1 && strchr(path + 1, '/') == path + n - 1)
		path[n - 1] = '\0';
	return path;
}

static void route(struct web_request *r)
{
	const struct s3d *s = r->face->ctx;
	auto_free char *path = full_path(r);
	const char *wrong = NULL;

	web_reply_header(r, "x-amz-request-id", "%016llX",
			 (unsigned long long)r->begin_ns);
	if (!path ||
	    !web_match(r, path, routes, sizeof(routes) / sizeof(routes[0])))
		web_fail(r, 405, "MethodNotAllowed",
			 "The specified method is not allowed.");
	else if (s->access_key)
		wrong = s3d_auth(r, s->access_key, s->secret);
	if (wrong)
		web_fail(r, 403, wrong, "The request is not signed properly.");
}

struct s3d *s3d_new(const char *access_key, const char *secret)
{
	struct s3d *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->face = (struct web_face){"s3", route, fail, s};
	if (!access_key)
		return s;
	s->access_key = strdup(access_key);
	s->secret = strdup(secret);
	if (!s->access_key || !s->secret) {
		s3d_free(s);
		return NULL;
	}
	return s;
}

void s3d_free(struct s3d *s)
{
	if (!s)
		return;
	free(s->access_key);
	free(s->secret);
	free(s);
}

const struct web_face *s3d_face(struct s3d *s)
{
	return &s->face;
}
