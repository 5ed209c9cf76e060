#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "serve/cursor.h"
#include "serve/s3d_private.h"
#include "serve/web_uri.h"

#define PAGE_MAX 1000

static void put_bucket(void *ctx, const struct depot_bucket *b)
{
	struct text *t = ctx;

	text_fmt(t, "<Bucket><Name>%s</Name><CreationDate>", b->name);
	text_time(t, b->created_us);
	text_str(t, "</CreationDate></Bucket>");
}

void s3d_buckets(struct web_request *r)
{
	struct text *t = &r->reply.body;

	s3d_begin_xml(t, "ListAllMyBucketsResult");
	text_str(t, "<Owner><ID>lakefuse</ID></Owner><Buckets>");
	depot_bucket_list(r->web->depot, put_bucket, t);
	text_str(t, "</Buckets>");
	s3d_reply_xml(r, "ListAllMyBucketsResult");
}

static bool has_bucket(struct web_request *r)
{
	struct depot_bucket b;
	int rc = depot_bucket_get(r->web->depot, r->args[0], &b);

	if (rc == 0)
		depot_bucket_done(&b);
	else
		s3d_fail_rc(r, rc);
	return rc == 0;
}

void s3d_bucket_head(struct web_request *r)
{
	if (!has_bucket(r))
		return;
	web_reply_header(r, "x-amz-bucket-region", "us-east-1");
	web_reply(r, 200, NULL);
}

void s3d_bucket_put(struct web_request *r)
{
	int rc = depot_bucket_make(r->web->depot, r->args[0], NULL);

	if (rc < 0) {
		s3d_fail_rc(r, rc);
		return;
	}
	web_reply_header(r, "Location", "/%s", r->args[0]);
	web_reply(r, 200, NULL);
}

void s3d_bucket_delete(struct web_request *r)
{
	int rc = depot_bucket_drop(r->web->depot, r->args[0]);

	if (rc < 0)
		s3d_fail_rc(r, rc);
	else
		web_reply(r, 204, NULL);
}

/* ---- ListObjectsV2 ---- */

struct page {
	struct web_request *r;
	struct text contents;
	struct text prefixes;
	bool url; /* encoding-type=url */
	int64_t n;
};

static void put_name(struct text *t, bool url, const char *name, size_t n)
{
	char *copy;

	if (url) {
		text_url(t, name, n, "/");
		return;
	}
	copy = strndup(name, n);
	if (copy)
		text_xml(t, copy);
	else
		t->failed = true;
	free(copy);
}

static void put_element(struct page *p, const char *element, const char *value)
{
	struct text *t = &p->r->reply.body;

	text_fmt(t, "<%s>", element);
	put_name(t, p->url, value, strlen(value));
	text_fmt(t, "</%s>", element);
}

static void put_item(void *ctx, const struct depot_object *o)
{
	struct page *p = ctx;
	struct text *t = &p->contents;

	p->n++;
	text_str(t, "<Contents><Key>");
	put_name(t, p->url, o->name, strlen(o->name));
	text_str(t, "</Key><LastModified>");
	text_time(t, o->updated_us);
	text_str(t, "</LastModified><ETag>&quot;");
	s3d_etag(t, o);
	text_fmt(t,
		 "&quot;</ETag><Size>%" PRIu64
		 "</Size><StorageClass>STANDARD</StorageClass></Contents>\n",
		 o->size);
}

static void put_fold(void *ctx, const char *prefix, size_t n)
{
	struct page *p = ctx;

	p->n++;
	text_str(&p->prefixes, "<CommonPrefixes><Prefix>");
	put_name(&p->prefixes, p->url, prefix, n);
	text_str(&p->prefixes, "</Prefix></CommonPrefixes>");
}

static void reply_page(struct page *p, const char *token_mark, int64_t max,
		       const struct depot_place *next)
{
	struct web_request *r = p->r;
	struct text *t = &r->reply.body;

	s3d_begin_xml(t, "ListBucketResult");
	text_fmt(t, "<Name>%s</Name>", r->args[0]);
	put_element(p, "Prefix", web_param_or(r, "prefix"));
	if (web_param(r, "delimiter"))
		put_element(p, "Delimiter", web_param(r, "delimiter"));
	if (web_param(r, "start-after"))
		put_element(p, "StartAfter", web_param(r, "start-after"));
	if (p->url)
		text_str(t, "<EncodingType>url</EncodingType>");
	text_fmt(t,
		 "<KeyCount>%" PRId64 "</KeyCount><MaxKeys>%" PRId64
		 "</MaxKeys><IsTruncated>%s</IsTruncated>",
		 p->n, max, next ? "true" : "false");
	if (next) {
		text_fmt(t, "<NextContinuationToken>%s", token_mark);
		cursor_put(t, next);
		text_str(t, "</NextContinuationToken>");
	}
	text_add(t, p->contents.at, p->contents.n);
	text_add(t, p->prefixes.at, p->prefixes.n);
	if (text_failed(&p->contents) || text_failed(&p->prefixes))
		t->failed = true;
	s3d_reply_xml(r, "ListBucketResult");
}

/* Right behind start-after, which itself is not wanted. */
static void place_after(struct depot_place *place, const char *name)
{
	size_t n = strlen(name);

	if (n > DEPOT_NAME_MAX)
		n = DEPOT_NAME_MAX;
	memcpy(place->name, name, n);
	place->name[n] = '\0';
	place->n = n + 1;
	place->generation = 0;
}

static void list(struct page *p, int64_t max, const struct depot_place *from)
{
	const struct depot_list l = {
		.bucket = p->r->args[0],
		.prefix = web_param_or(p->r, "prefix"),
		.delimiter = web_param_or(p->r, "delimiter"),
		.start = "",
		.end = "",
		.max = (size_t)max,
		.from = from,
		.item = put_item,
		.fold = put_fold,
		.ctx = p,
	};
	struct depot_place next;
	int rc = depot_list(p->r->web->depot, &l, &next);

	if (rc < 0)
		s3d_fail_rc(p->r, rc);
	else
		reply_page(p, "", max, rc > 0 ? &next : NULL);
}

static void list_page(struct web_request *r, int64_t max)
{
	struct page p = {.r = r};
	const char *token = web_param_or(r, "continuation-token");
	const char *after = web_param(r, "start-after");
	struct depot_place from = {.n = 0};
	bool after_empty = *token == '~';

	token += after_empty;
	p.url = strcmp(web_param_or(r, "encoding-type"), "url") == 0;
	if (*token && cursor_parse(token, &from) < 0) {
		web_fail(r, 400, "InvalidArgument",
			 "The continuation token provided is incorrect");
		return;
	}
	if (!*token && after)
		place_after(&from, after);
	if (r->plan.empty_pages && !after_empty)
		reply_page(&p, "~", max, &from);
	else if (max == 0)
		reply_page(&p, "", 0, NULL);
	else
		list(&p, max, &from);
	text_done(&p.contents);
	text_done(&p.prefixes);
}

void s3d_bucket_get(struct web_request *r)
{
	int64_t max = PAGE_MAX;

	if (web_param(r, "location")) {
		if (has_bucket(r)) {
			s3d_begin_xml(&r->reply.body, "LocationConstraint");
			s3d_reply_xml(r, "LocationConstraint");
		}
		return;
	}
	if (strcmp(web_param_or(r, "list-type"), "2") != 0) {
		web_fail(r, 501, "NotImplemented",
			 "Only ListObjectsV2 and GetBucketLocation.");
		return;
	}
	if (web_param(r, "max-keys") &&
	    (web_number(web_param(r, "max-keys"), &max) < 0 || max < 0)) {
		web_fail(r, 400, "InvalidArgument", "max-keys");
		return;
	}
	list_page(r, max > PAGE_MAX ? PAGE_MAX : max);
}
