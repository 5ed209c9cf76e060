#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/cursor.h"
#include "serve/gcsd_private.h"
#include "serve/media.h"
#include "serve/web_uri.h"

#define PAGE_MAX 1000

void gcsd_stat(struct web_request *r)
{
	struct depot_ref ref;
	struct depot_object o;
	int rc;

	if (!gcsd_ref(r, &ref))
		return;
	rc = depot_get(r->web->depot, &ref, &o, NULL);
	if (rc < 0) {
		gcsd_fail_rc(r, rc);
		return;
	}
	gcsd_reply_object(r, ref.bucket, &o);
	depot_object_done(&o);
}

/* ---- media ---- */

static const struct {
	const char *attr;
	const char *header;
} attr_headers[] = {
	{"contentType", "Content-Type"},
	{"contentLanguage", "Content-Language"},
	{"contentDisposition", "Content-Disposition"},
	{"cacheControl", "Cache-Control"},
	{"storageClass", "x-goog-storage-class"},
};

static void hash_header(struct web_request *r, const struct depot_object *o)
{
	struct text t = {0};

	text_str(&t, "crc32c=");
	gcsd_crc32c(&t, o->crc32c);
	if (o->has_md5) {
		text_str(&t, ",md5=");
		text_base64(&t, o->md5, 16);
	}
	if (t.at)
		web_reply_header(r, "x-goog-hash", "%s", t.at);
	text_done(&t);
}

static void media_headers(struct web_request *r, const struct depot_object *o,
			  json_t *attrs)
{
	int64_t lie = r->plan.wrong_generation ? 1 : 0;
	struct text etag = {0};

	for (size_t i = 0; i < sizeof(attr_headers) / sizeof(attr_headers[0]);
	     i++) {
		const char *value = json_string_value(
			json_object_get(attrs, attr_headers[i].attr));

		if (value)
			web_reply_header(r, attr_headers[i].header, "%s",
					 value);
	}
	web_reply_header(r, "x-goog-generation", "%" PRId64,
			 o->generation + lie);
	web_reply_header(r, "x-goog-metageneration", "%" PRId64,
			 o->metageneration);
	web_reply_header(r, "x-goog-stored-content-length", "%" PRIu64,
			 o->size);
	gcsd_etag(&etag, o);
	if (etag.at)
		web_reply_header(r, "ETag", "%s", etag.at);
	text_done(&etag);
	media_modified(r, o->updated_us);
}

/* Whether GCS would decompress the object on its way to this client. */
static bool transcodes(const struct web_request *r, json_t *attrs)
{
	const char *encoding =
		json_string_value(json_object_get(attrs, "contentEncoding"));
	const char *cache =
		json_string_value(json_object_get(attrs, "cacheControl"));
	const char *accept = web_header(r, "Accept-Encoding");

	return encoding && strcmp(encoding, "gzip") == 0 &&
	       !(cache && strstr(cache, "no-transform")) &&
	       !(accept && strstr(accept, "gzip"));
}

static void send_inflated(struct web_request *r, const struct depot_object *o,
			  int fd)
{
	uint64_t size = o->size;
	int plain = media_inflate(fd, &size);

	if (plain < 0) {
		web_fail(r, 503, "backendError", "The object is not gzip.");
		return;
	}
	web_reply_header(r, "Warning", "214 UploadServer gunzipped");
	web_reply_header(r, "x-goog-stored-content-encoding", "gzip");
	media_reply(r, plain, size, NULL);
}

static void send_stored(struct web_request *r, const struct depot_object *o,
			json_t *attrs, int fd)
{
	const char *encoding =
		json_string_value(json_object_get(attrs, "contentEncoding"));

	if (encoding)
		web_reply_header(r, "Content-Encoding", "%s", encoding);
	web_reply_header(r, "x-goog-stored-content-encoding", "%s",
			 encoding ? encoding : "identity");
	hash_header(r, o);
	media_reply(r, fd, o->size, web_header(r, "Range"));
}

void gcsd_media(struct web_request *r)
{
	struct depot_ref ref;
	struct depot_object o;
	json_t *attrs;
	int fd, rc;

	if (!gcsd_ref(r, &ref))
		return;
	rc = depot_get(r->web->depot, &ref, &o, &fd);
	if (rc < 0) {
		gcsd_fail_rc(r, rc);
		return;
	}
	attrs = json_loads(o.attrs, 0, NULL);
	media_headers(r, &o, attrs);
	if (transcodes(r, attrs))
		send_inflated(r, &o, fd);
	else
		send_stored(r, &o, attrs, fd);
	json_decref(attrs);
	depot_object_done(&o);
}

/* ---- listing ---- */

struct page {
	struct web_request *r;
	const char *bucket;
	struct text items;
	struct text prefixes;
	size_t n_items;
	size_t n_prefixes;
};

static void put_item(void *ctx, const struct depot_object *o)
{
	struct page *p = ctx;

	text_str(&p->items, p->n_items++ ? ",\n" : "");
	gcsd_put_object(&p->items, p->r, p->bucket, o);
}

static void put_prefix(void *ctx, const char *prefix, size_t n)
{
	struct page *p = ctx;

	text_str(&p->prefixes, p->n_prefixes++ ? "," : "");
	text_json(&p->prefixes, prefix, n);
}

static void reply_page(struct page *p, const char *token_mark,
		       const struct depot_place *next)
{
	struct text *t = &p->r->reply.body;

	text_str(t, "{\"kind\":\"storage#objects\"");
	if (next) {
		text_fmt(t, ",\"nextPageToken\":\"%s", token_mark);
		cursor_put(t, next);
		text_str(t, "\"");
	}
	if (p->n_prefixes) {
		text_str(t, ",\"prefixes\":[");
		text_add(t, p->prefixes.at, p->prefixes.n);
		text_str(t, "]");
	}
	if (p->n_items) {
		text_str(t, ",\"items\":[");
		text_add(t, p->items.at, p->items.n);
		text_str(t, "]");
	}
	text_str(t, "}\n");
	if (text_failed(&p->items) || text_failed(&p->prefixes))
		t->failed = true;
	web_reply(p->r, 200, "application/json; charset=UTF-8");
}

static size_t page_size(const struct web_request *r)
{
	const char *text = web_param(r, "maxResults");
	int64_t n;

	if (!text || web_number(text, &n) < 0 || n < 1 || n > PAGE_MAX)
		return PAGE_MAX;
	return (size_t)n;
}

static void list(struct page *p, const struct depot_place *from)
{
	struct web_request *r = p->r;
	const struct depot_list l = {
		.bucket = p->bucket,
		.prefix = web_param_or(r, "prefix"),
		.delimiter = web_param_or(r, "delimiter"),
		.start = web_param_or(r, "startOffset"),
		.end = web_param_or(r, "endOffset"),
		.max = page_size(r),
		.versions = web_param_true(r, "versions"),
		.trailing = web_param_true(r, "includeTrailingDelimiter"),
		.from = from,
		.item = put_item,
		.fold = put_prefix,
		.ctx = p,
	};
	struct depot_place next;
	int rc = depot_list(r->web->depot, &l, &next);

	if (rc < 0)
		gcsd_fail_rc(r, rc);
	else
		reply_page(p, "", rc > 0 ? &next : NULL);
}

/*
 * With the fault "empty_pages", every page with something on it comes after
 * one with nothing but a token; such a token begins with a '~'.
 */
void gcsd_list(struct web_request *r)
{
	struct page p = {.r = r, .bucket = r->args[0]};
	struct depot_place from = {.n = 0};
	const char *token = web_param_or(r, "pageToken");
	bool after_empty = *token == '~';

	token += after_empty;
	if (*token && cursor_parse(token, &from) < 0) {
		web_fail(r, 400, "invalid", "Invalid page token.");
		return;
	}
	if (web_param(r, "matchGlob")) {
		web_fail(r, 400, "invalid", "matchGlob is not supported.");
		return;
	}
	if (r->plan.empty_pages && !after_empty)
		reply_page(&p, "~", &from);
	else
		list(&p, *token ? &from : NULL);
	text_done(&p.items);
	text_done(&p.prefixes);
}
