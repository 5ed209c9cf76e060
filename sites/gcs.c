/*
 * Google Cloud Storage, by its JSON API: names and their state.
 *
 * Source: Cloud Storage JSON API v1, Objects: get and list.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/op.h"
#include "sites/creds.h"
#include "sites/gcs.h"
#include "sites/gcs_json.h"

#define STANDARD_ENDPOINT "https://storage.googleapis.com"
#define PAGE_NAMES 1000

static void gcs_close(struct site *site)
{
	struct gcs *gcs = (struct gcs *)site;

	creds_free(gcs->creds);
	site_url_done(&gcs->url);
	free(gcs->base);
	free(gcs->stamp_key);
	free(gcs->user_project);
	free(gcs->ca_file);
	free(gcs);
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static int set_up(struct op *op, struct gcs *gcs,
		  const struct site_config *config)
{
	char *endpoint auto_free = NULL;
	int rc = site_url_parse(op, config->url, &gcs->url);

	if (!rc)
		rc = endpoint_parse(op, config->endpoint, STANDARD_ENDPOINT,
				    &endpoint);
	if (!rc)
		rc = creds_new(op, config->credentials, endpoint, &gcs->creds);
	if (rc < 0)
		return rc;
	gcs->connections = config->connections;
	gcs->stamp_key = copy(gcs_stamp_key(config->stamp));
	gcs->ca_file = copy(config->ca_file);
	if (config->user_project)
		gcs->user_project = percent_encode(config->user_project, false);
	if (asprintf(&gcs->base, "%s/storage/v1/b/%s/o", endpoint,
		     gcs->url.bucket) < 0)
		gcs->base = NULL;
	if (!gcs->base || (config->stamp && !gcs->stamp_key) ||
	    (config->ca_file && !gcs->ca_file) ||
	    (config->user_project && !gcs->user_project))
		return op_fail(op, -ENOMEM, "no memory");
	return 0;
}

static int gcs_open(struct op *op, const struct site_config *config,
		    const struct lake_config *lake, struct http *http,
		    struct site **ret)
{
	struct gcs *gcs = calloc(1, sizeof(*gcs));
	int rc;

	if (!gcs)
		return op_fail(op, -ENOMEM, "no memory");
	gcs->site.ops = &site_gcs;
	gcs->http = http;
	gcs->stall_ns = lake->stall_ns;
	rc = set_up(op, gcs, config);
	if (rc < 0) {
		gcs_close(&gcs->site);
		return rc;
	}
	*ret = &gcs->site;
	return 0;
}

/* One request for JSON: 0 with any status. */
static int ask(struct op *op, const struct gcs *gcs, const char *url,
	       struct http_response *ret)
{
	const struct gcs_call call = {.url = url};
	struct http_request request = {
		.method = "GET",
		.lane = HTTP_META,
		.stall_ns = gcs->stall_ns,
	};

	return gcs_send(op, gcs, &call, &request, ret);
}

static int not_json(struct op *op, const struct gcs *gcs, const char *name,
		    const struct http_response *response, int rc)
{
	bool page = response->body && strchr(response->body, '<');

	if (rc == -ENOMEM)
		return op_fail(op, rc, "no memory");
	return op_fail(op, rc,
		       "GET gs://%s/%s: %ld: %s, not what GCS writes; is the "
		       "endpoint right, or a proxy in the way?",
		       gcs->url.bucket, name ? name : "", response->status,
		       page ? "an HTML or XML page" : "broken JSON");
}

/*
 * The lake's name instead of the site's.  What stands in a page but not below
 * the prefix was not asked for.
 */
static int take_prefix_off(const struct gcs *gcs, char *name)
{
	const char *inner = site_url_in(&gcs->url, name);

	if (!inner)
		return -EPROTO;
	memmove(name, inner, strlen(inner) + 1);
	return 0;
}

static int take_object(struct op *op, const struct gcs *gcs, const char *name,
		       const struct http_response *response,
		       struct object_info *ret)
{
	struct object_info info;
	int rc = gcs_object_parse(response->body ? response->body : "",
				  response->n_body, gcs->stamp_key, &info);

	if (rc < 0)
		return not_json(op, gcs, name, response, rc);
	rc = take_prefix_off(gcs, info.name);
	if (rc < 0 || strcmp(info.name, name)) {
		object_info_done(&info);
		return op_fail(op, -EPROTO,
			       "GET gs://%s/%s: another object came",
			       gcs->url.bucket, name);
	}
	*ret = info;
	return 0;
}

static int gcs_stat(struct op *op, struct site *site, const char *name,
		    uint64_t not_generation, struct object_info *ret)
{
	const struct gcs *gcs = (const struct gcs *)site;
	struct http_response response;
	char *text auto_free = NULL;
	struct gcs_url url;
	int rc;

	gcs_url_start(&url, gcs, name);
	gcs_url_add(&url, "fields", GCS_OBJECT_FIELDS);
	if (not_generation)
		gcs_url_add_number(&url, "ifGenerationNotMatch",
				   not_generation);
	rc = gcs_url_end(op, &url, gcs, &text);
	if (rc < 0)
		return rc;
	rc = ask(op, gcs, text, &response);
	if (!rc && response.status == 304 && not_generation)
		rc = 1;
	else if (!rc && http_status_errno(response.status))
		rc = gcs_refused(op, gcs, name, &response,
				 http_status_errno(response.status));
	else if (!rc)
		rc = take_object(op, gcs, name, &response, ret);
	http_response_done(&response);
	return rc;
}

/* value with the site's prefix before it, as a parameter; NULL: left out. */
static void add_name(struct gcs_url *url, const struct gcs *gcs,
		     const char *key, const char *value)
{
	char *name auto_free = NULL;

	if (!value)
		return;
	name = site_url_out(&gcs->url, value);
	if (!name)
		fputc(0, url->file);
	else if (name[0])
		gcs_url_add(url, key, name);
}

static int list_url(struct op *op, const struct gcs *gcs,
		    const struct list_query *query, char **ret)
{
	struct gcs_url url;

	gcs_url_start(&url, gcs, NULL);
	if (!url.file)
		return op_fail(op, -ENOMEM, "no memory");
	add_name(&url, gcs, "prefix", query->prefix);
	gcs_url_add(&url, "delimiter", query->delimited ? "/" : NULL);
	add_name(&url, gcs, "startOffset", query->start);
	add_name(&url, gcs, "endOffset", query->end);
	gcs_url_add(&url, "pageToken", query->token);
	gcs_url_add_number(&url, "maxResults",
			   query->max ? query->max : PAGE_NAMES);
	gcs_url_add(&url, "fields",
		    query->delimited ? "nextPageToken,prefixes,items(" //
			    GCS_OBJECT_FIELDS ")"
				     : "nextPageToken,items(" //
			    GCS_OBJECT_FIELDS ")");
	return gcs_url_end(op, &url, gcs, ret);
}

/* The lake's names in the whole page; only what was asked for may be in it. */
static int localise(const struct gcs *gcs, const struct list_query *query,
		    struct gcs_page *page)
{
	size_t n = strlen(query->prefix);
	int rc = 0;

	for (size_t i = 0; !rc && i < page->n_items; i++) {
		char *name = page->items[i].name;

		rc = take_prefix_off(gcs, name);
		if (!rc && strncmp(name, query->prefix, n))
			rc = -EPROTO;
	}
	for (size_t i = 0; !rc && i < page->n_prefixes; i++) {
		char *name = page->prefixes[i].name;
		size_t n_name;

		rc = take_prefix_off(gcs, name);
		n_name = strlen(name);
		if (!rc && (n_name <= n || strncmp(name, query->prefix, n) ||
			    name[n_name - 1] != '/'))
			rc = -EPROTO;
	}
	return rc;
}

/* Objects and prefixes come as two sorted lists and go on as one. */
static int hand_over(const struct gcs_page *page, list_fn *each, void *arg)
{
	size_t i = 0;
	size_t p = 0;
	int rc = 0;

	while (!rc && (i < page->n_items || p < page->n_prefixes)) {
		const struct object_info *info = &page->items[i];
		const char *name;

		if (i == page->n_items)
			info = NULL;
		name = p < page->n_prefixes ? page->prefixes[p].name : NULL;
		if (info && (!name || strcmp(info->name, name) <= 0)) {
			/* The mount's own directory is nobody's name. */
			rc = info->name[0] ? each(arg, info->name, info) : 0;
			i++;
		} else {
			rc = each(arg, name, NULL);
			p++;
		}
	}
	return rc;
}

static int take_page(struct op *op, const struct gcs *gcs,
		     const struct list_query *query,
		     const struct http_response *response, struct gcs_page *ret)
{
	struct gcs_page page;
	int rc = gcs_page_parse(response->body ? response->body : "",
				response->n_body, gcs->stamp_key, &page);

	if (rc < 0)
		return not_json(op, gcs, query->prefix, response, rc);
	rc = localise(gcs, query, &page);
	if (rc < 0) {
		gcs_page_done(&page);
		return op_fail(op, rc,
			       "list gs://%s/%.*s%s: names came that were not "
			       "asked for",
			       gcs->url.bucket, 40, gcs->url.prefix,
			       query->prefix);
	}
	*ret = page;
	return 0;
}

static int gcs_list(struct op *op, struct site *site,
		    const struct list_query *query, list_fn *each, void *arg,
		    char **ret_token)
{
	const struct gcs *gcs = (const struct gcs *)site;
	struct http_response response;
	struct gcs_page page = {0};
	char *url auto_free = NULL;
	int rc = list_url(op, gcs, query, &url);

	if (rc < 0)
		return rc;
	rc = ask(op, gcs, url, &response);
	if (!rc && http_status_errno(response.status))
		rc = gcs_refused(op, gcs, query->prefix, &response,
				 http_status_errno(response.status));
	else if (!rc)
		rc = take_page(op, gcs, query, &response, &page);
	http_response_done(&response);
	if (!rc)
		rc = hand_over(&page, each, arg);
	if (!rc) {
		*ret_token = page.token;
		page.token = NULL;
	}
	gcs_page_done(&page);
	return rc;
}

static int ignore(void *arg, const char *name, const struct object_info *info)
{
	(void)arg;
	(void)name;
	(void)info;
	return 0;
}

/* What an operator can do about a bucket that can't be listed. */
static const char *advice(int rc)
{
	switch (rc) {
	case -ENOENT:
		return "check the bucket's name in the url, and the endpoint";
	case -EACCES:
		return "check credentials (they need storage.objects.list "
		       "and .get) or ca_file";
	case -EAGAIN:
	case -ETIMEDOUT:
		return "check the endpoint, the network and DNS";
	case -EPROTO:
		return "check the endpoint: no GCS API answers there";
	default:
		return NULL;
	}
}

static int gcs_check(struct op *op, struct site *site)
{
	const struct list_query query = {.prefix = "", .max = 1};
	const struct gcs *gcs = (const struct gcs *)site;
	char *token = NULL;
	char why[sizeof(op->why)];
	int rc = gcs_list(op, site, &query, ignore, NULL, &token);

	free(token);
	if (rc >= 0 || !advice(rc))
		return rc;
	/* First what to do: a long reason would push it out of the line. */
	snprintf(why, sizeof(why), "%s", op->why);
	op_forgive(op);
	return op_fail(op, rc, "gs://%s: %s (%s)", gcs->url.bucket, advice(rc),
		       why);
}

const struct site_ops site_gcs = {
	.scheme = "gs",
	.open = gcs_open,
	.close = gcs_close,
	.check = gcs_check,
	.stat = gcs_stat,
	.list = gcs_list,
	.read = gcs_read,
};
