#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "serve/media.h"
#include "serve/s3d_private.h"
#include "serve/web_uri.h"

#define META "x-amz-meta-"

static const struct {
	const char *attr;
	const char *header;
} attr_headers[] = {
	{"contentType", "Content-Type"},
	{"contentEncoding", "Content-Encoding"},
	{"contentLanguage", "Content-Language"},
	{"contentDisposition", "Content-Disposition"},
	{"cacheControl", "Cache-Control"},
};
#define N_ATTR_HEADERS (sizeof(attr_headers) / sizeof(attr_headers[0]))

/* ---- reading ---- */

/* Whether a list of quoted ETags names this one; "*" names all. */
static bool names_etag(const char *list, const struct depot_object *o)
{
	struct text etag = {0};
	bool named;

	s3d_etag(&etag, o);
	named = strcmp(list, "*") == 0 || (etag.at && strstr(list, etag.at));
	text_done(&etag);
	return named;
}

static int check_etags(struct web_request *r, const struct depot_object *o)
{
	const char *match = web_header(r, "If-Match");
	const char *none = web_header(r, "If-None-Match");

	if (match && !names_etag(match, o))
		return -ESTALE;
	if (none && names_etag(none, o))
		return -EALREADY;
	return 0;
}

static void meta_headers(struct web_request *r, json_t *attrs)
{
	json_t *value, *map = json_object_get(attrs, "metadata");
	const char *key;

	for (size_t i = 0; i < N_ATTR_HEADERS; i++) {
		const char *text = json_string_value(
			json_object_get(attrs, attr_headers[i].attr));

		if (text)
			web_reply_header(r, attr_headers[i].header, "%s", text);
	}
	json_object_foreach(map, key, value)
	{
		auto_free char *name = NULL;

		if (asprintf(&name, META "%s", key) > 0)
			web_reply_header(r, name, "%s",
					 json_string_value(value));
	}
}

static void checksum_header(struct web_request *r, const struct depot_object *o)
{
	const char *mode = web_header(r, "x-amz-checksum-mode");
	uint32_t crc = htonl(o->crc32c);
	struct text t = {0};

	if (!mode || strcasecmp(mode, "ENABLED") != 0 || web_header(r, "Range"))
		return;
	text_base64(&t, &crc, sizeof(crc));
	if (t.at)
		web_reply_header(r, "x-amz-checksum-crc32c", "%s", t.at);
	web_reply_header(r, "x-amz-checksum-type", "FULL_OBJECT");
	text_done(&t);
}

static void etag_header(struct web_request *r, const struct depot_object *o)
{
	struct text etag = {0};

	s3d_etag(&etag, o);
	if (etag.at)
		web_reply_header(r, "ETag", "\"%s\"", etag.at);
	text_done(&etag);
}

static void object_headers(struct web_request *r, const struct depot_object *o)
{
	json_t *attrs = json_loads(o->attrs, 0, NULL);

	etag_header(r, o);
	media_modified(r, o->updated_us);
	checksum_header(r, o);
	meta_headers(r, attrs);
	json_decref(attrs);
}

void s3d_get(struct web_request *r)
{
	const struct depot_ref ref = {.bucket = r->args[0], .name = r->args[1]};
	struct depot_object o;
	int fd, rc;

	rc = depot_get(r->web->depot, &ref, &o, &fd);
	if (rc < 0) {
		s3d_fail_rc(r, rc);
		return;
	}
	rc = check_etags(r, &o);
	if (rc < 0) {
		close(fd);
		s3d_fail_rc(r, rc);
	} else {
		object_headers(r, &o);
		media_reply(r, fd, o.size, web_header(r, "Range"));
	}
	depot_object_done(&o);
}

/* MHD leaves the body out by itself; the length is the body's. */
void s3d_head(struct web_request *r)
{
	s3d_get(r);
}

/* ---- writing ---- */

static int take(void *ctx, const char *data, size_t n)
{
	return depot_upload_add(ctx, data, n);
}

static void free_upload(void *ctx)
{
	depot_upload_free(ctx);
}

void s3d_put_begin(struct web_request *r)
{
	const char *sha = web_header(r, "x-amz-content-sha256");
	struct depot_upload *u;

	if ((sha && strncmp(sha, "STREAMING-", 10) == 0) ||
	    web_param(r, "uploadId") || web_param(r, "partNumber")) {
		web_fail(r, 501, "NotImplemented",
			 "Chunked signing and multipart uploads are not "
			 "supported.");
		return;
	}
	if (depot_upload_new(r->web->depot, &u) < 0) {
		web_fail(r, 500, "InternalError", "No room for an upload.");
		return;
	}
	web_on_done(r, free_upload, u);
	web_set_sink(r, take, u);
}

static void collect_meta(void *ctx, const char *name, const char *value)
{
	char lower[256];
	size_t i;

	if (strncasecmp(name, META, strlen(META)) != 0)
		return;
	name += strlen(META);
	for (i = 0; name[i] && i + 1 < sizeof(lower); i++)
		lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20
							    : name[i];
	lower[i] = '\0';
	json_object_set_new(ctx, lower, json_string(value));
}

/* The request's headers as attrs, allocated. */
static char *make_attrs(struct web_request *r)
{
	json_t *attrs = json_object(), *map = json_object();
	char *text;

	for (size_t i = 0; i < N_ATTR_HEADERS; i++) {
		const char *value = web_header(r, attr_headers[i].header);

		if (value)
			json_object_set_new(attrs, attr_headers[i].attr,
					    json_string(value));
	}
	json_object_set_new(attrs, "storageClass", json_string("STANDARD"));
	web_each_header(r, collect_meta, map);
	if (json_object_size(map) > 0)
		json_object_set(attrs, "metadata", map);
	text = json_dumps(attrs, JSON_COMPACT);
	json_decref(map);
	json_decref(attrs);
	return text;
}

static bool header_is(const struct web_request *r, const char *name,
		      const void *bytes, size_t n)
{
	const char *given = web_header(r, name);
	struct text right = {0};
	bool same;

	if (!given)
		return true;
	text_base64(&right, bytes, n);
	same = right.at && strcmp(right.at, given) == 0;
	text_done(&right);
	return same;
}

static int check_sums(struct web_request *r, struct depot_upload *u)
{
	uint32_t crc = htonl(depot_upload_crc32c(u));
	uint8_t md5[16];
	int rc = depot_upload_md5(u, md5);

	if (rc < 0)
		return rc;
	return header_is(r, "Content-MD5", md5, sizeof(md5)) &&
			       header_is(r, "x-amz-checksum-crc32c", &crc,
					 sizeof(crc))
		       ? 0
		       : -EBADMSG;
}

/* If-Match names an ETag: the generation that has it is the condition. */
static int put_condition(struct web_request *r, struct depot_ref *ref)
{
	const char *match = web_header(r, "If-Match");
	const char *none = web_header(r, "If-None-Match");
	struct depot_object o;
	int rc;

	if (none && strcmp(none, "*") == 0) {
		ref->cond.has = DEPOT_IF_GEN;
		ref->cond.gen = 0;
	}
	if (!match)
		return 0;
	rc = depot_get(r->web->depot, ref, &o, NULL);
	if (rc < 0)
		return rc;
	rc = names_etag(match, &o) ? 0 : -ESTALE;
	ref->cond.has = DEPOT_IF_GEN;
	ref->cond.gen = o.generation;
	depot_object_done(&o);
	return rc;
}

/* x-amz-copy-source: [/]bucket/key, percent-encoded. */
static void copy(struct web_request *r, const char *source)
{
	struct depot_copy c = {
		.to = {.bucket = r->args[0], .name = r->args[1]}};
	struct text *t = &r->reply.body;
	auto_free char *plain = NULL;
	struct depot_object o;
	char *key;
	int rc;

	source += *source == '/';
	rc = web_decode(source, strcspn(source, "?"), false, &plain);
	key = rc < 0 ? NULL : strchr(plain, '/');
	if (!key) {
		s3d_fail_rc(r, -EINVAL);
		return;
	}
	*key = '\0';
	c.from.bucket = plain;
	c.from.name = key + 1;
	rc = depot_copy(r->web->depot, &c, &o);
	if (rc < 0) {
		s3d_fail_rc(r, rc);
		return;
	}
	s3d_begin_xml(t, "CopyObjectResult");
	text_str(t, "<LastModified>");
	text_time(t, o.updated_us);
	text_str(t, "</LastModified><ETag>&quot;");
	s3d_etag(t, &o);
	text_str(t, "&quot;</ETag>");
	s3d_reply_xml(r, "CopyObjectResult");
	depot_object_done(&o);
}

void s3d_put(struct web_request *r)
{
	struct depot_ref ref = {.bucket = r->args[0], .name = r->args[1]};
	struct depot_upload *u = r->on_done_ctx;
	const char *source = web_header(r, "x-amz-copy-source");
	auto_free char *attrs = NULL;
	struct depot_object o;
	int rc;

	if (source) {
		copy(r, source);
		return;
	}
	attrs = make_attrs(r);
	rc = attrs ? check_sums(r, u) : -EINVAL;
	if (rc == 0)
		rc = put_condition(r, &ref);
	if (rc == 0)
		rc = depot_put(r->web->depot, u, &ref, attrs, &o);
	if (rc < 0) {
		s3d_fail_rc(r, rc);
		return;
	}
	etag_header(r, &o);
	web_reply(r, 200, NULL);
	depot_object_done(&o);
}

void s3d_delete(struct web_request *r)
{
	const struct depot_ref ref = {.bucket = r->args[0], .name = r->args[1]};
	int rc = depot_delete(r->web->depot, &ref);

	/* S3 knows no missing object here. */
	if (rc < 0 && rc != -ENOENT)
		s3d_fail_rc(r, rc);
	else
		web_reply(r, 204, NULL);
}
