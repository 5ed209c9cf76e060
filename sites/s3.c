/*
 * The S3 driver: AWS, and what storage vendors built after it.
 *
 * S3 knows no generations.  The copier's stamp is in a metadata header, and
 * what an object is now is told by its ETag, under which further ranges are
 * asked for.  A HEAD and a GET bring the same headers, so a read proves itself.
 */
#include "sites/site.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/op.h"
#include "sites/s3_keys.h"
#include "sites/s3_send.h"
#include "sites/s3_xml.h"

#define PAGE_NAMES 1000
#define PAGE_BYTES_MAX (16u << 20)
#define CONNECTIONS 16
/* U+10FFFF in UTF-8: no character sorts above it. */
#define LAST_CHARACTER "\xf4\x8f\xbf\xbf"

static struct s3_site *s3_site(struct site *site)
{
	assert(site->ops == &site_s3);
	return (struct s3_site *)site;
}

/* Opening and closing */

static void site_close(struct site *site)
{
	struct s3_site *s = s3_site(site);

	s3_keys_close(s->keys);
	site_url_done(&s->url);
	free(s->base);
	free(s->host);
	free(s->path);
	free(s->region);
	free(s->stamp);
	free(s->ca_file);
	free(s);
}

static char *copy_or_null(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* curl leaves the scheme's own port out of Host; so does the signature. */
static void drop_default_port(char *endpoint)
{
	static const struct {
		const char *scheme;
		const char *port;
	} standard[] = {{"https://", ":443"}, {"http://", ":80"}};
	size_t n = strlen(endpoint);

	for (size_t i = 0; i < 2; i++) {
		size_t n_port = strlen(standard[i].port);

		if (strncmp(endpoint, standard[i].scheme,
			    strlen(standard[i].scheme)) == 0 &&
		    n > n_port &&
		    strcmp(endpoint + n - n_port, standard[i].port) == 0)
			endpoint[n - n_port] = '\0';
	}
}

/* Where requests go: base, host and path of the bucket. */
static int locate(struct op *op, struct s3_site *s,
		  const struct site_config *config)
{
	auto_free char *standard = NULL;
	auto_free char *endpoint = NULL;
	const char *host;
	int scheme_n;
	int rc;

	if (asprintf(&standard, "https://s3.%s.amazonaws.com", s->region) < 0)
		return op_fail(op, -ENOMEM, "%s: no memory", config->url);
	rc = endpoint_parse(op, config->endpoint, standard, &endpoint);
	if (rc < 0)
		return rc;
	drop_default_port(endpoint);
	host = strstr(endpoint, "://") + 3;
	scheme_n = (int)(host - endpoint);
	if (config->path_style) {
		s->host = strdup(host);
		rc = asprintf(&s->path, "/%s", s->url.bucket);
	} else {
		rc = asprintf(&s->host, "%s.%s", s->url.bucket, host);
		s->path = strdup("");
	}
	if (rc < 0 || !s->host || !s->path ||
	    asprintf(&s->base, "%.*s%s", scheme_n, endpoint, s->host) < 0)
		return op_fail(op, -ENOMEM, "%s: no memory", config->url);
	return 0;
}

static int configure(struct op *op, struct s3_site *s,
		     const struct site_config *config)
{
	int rc = site_url_parse(op, config->url, &s->url);

	if (rc < 0)
		return rc;
	s->region = strdup(config->region ? config->region : "us-east-1");
	s->stamp = copy_or_null(config->stamp);
	s->ca_file = copy_or_null(config->ca_file);
	s->connections =
		config->connections ? config->connections : CONNECTIONS;
	if (!s->region || (config->stamp && !s->stamp) ||
	    (config->ca_file && !s->ca_file))
		return op_fail(op, -ENOMEM, "%s: no memory", config->url);
	rc = locate(op, s, config);
	return rc < 0 ? rc : s3_keys_open(op, config->credentials, &s->keys);
}

static int site_open(struct op *op, const struct site_config *config,
		     const struct lake_config *lake, struct http *http,
		     struct site **ret)
{
	struct s3_site *s = calloc(1, sizeof(*s));
	int rc;

	(void)lake;
	if (!s)
		return op_fail(op, -ENOMEM, "%s: no memory", config->url);
	s->site.ops = &site_s3;
	s->http = http;
	rc = configure(op, s, config);
	if (rc < 0)
		site_close(&s->site);
	else
		*ret = &s->site;
	return rc;
}

/* stat */

static int site_stat(struct op *op, struct site *site, const char *name,
		     uint64_t not_generation, struct object_info *ret)
{
	struct s3_site *s = s3_site(site);
	struct s3_ask ask = {
		.method = "HEAD",
		.name = name,
		.query = "",
		.checksum = true,
		.http = {.lane = HTTP_META},
	};
	struct http_response response;
	int rc;

	(void)not_generation;
	rc = s3_send(op, s, &ask, &response);
	if (rc == 0) {
		rc = s3_info(s, name, &response, true, ret);
		if (rc < 0)
			op_fail(op, rc, "HEAD %s: no size in the answer", name);
	}
	http_response_done(&response);
	return rc;
}

/* read */

struct reading {
	const struct s3_site *site;
	struct site_read *read;
	const char *problem; /* what was wrong with the headers; or NULL */
};

static int protest(struct reading *r, const char *problem)
{
	r->problem = problem;
	return -EPROTO;
}

/*
 * The body is what was asked for, to the byte.  Checked after the caller has
 * seen what object this is: of one that has become shorter it should be told
 * that, and not that the range is wrong.
 */
static int check_extent(struct reading *r, const struct http_response *response,
			uint64_t size)
{
	const struct site_read *read = r->read;
	struct http_range range;

	if (response->status == 200) {
		if (read->offset != 0 || read->len != size)
			return protest(r, "the whole object where a range was "
					  "asked for");
		return 0;
	}
	if (response->status != 206)
		return protest(r, "a status that is none for a range");
	if (!http_content_range(response, &range) ||
	    range.first != read->offset ||
	    range.last != read->offset + read->len - 1)
		return protest(r, "another range than was asked for");
	return 0;
}

/* A range of all of it is as good as a plain answer. */
static bool is_whole(const struct http_response *response)
{
	struct http_range range;

	if (response->status != 206)
		return response->status == 200;
	return http_content_range(response, &range) && range.first == 0 &&
	       range.last + 1 == range.total;
}

static int on_headers(void *arg, const struct http_response *response)
{
	struct reading *r = arg;
	struct site_read *read = r->read;
	struct object_info info;
	int rc;

	if (response->status < 200 || response->status > 299)
		return 0; /* its body says why */
	rc = s3_info(r->site, read->name, response, is_whole(response), &info);
	if (rc < 0) {
		r->problem = "headers without a size or range";
		return rc;
	}
	rc = read->accept ? read->accept(read->arg, &info) : 0;
	if (rc == 0)
		rc = check_extent(r, response, info.size);
	object_info_done(&info);
	return rc;
}

static void on_progress(void *arg, size_t n_done)
{
	struct reading *r = arg;

	if (r->read->progress)
		r->read->progress(r->read->arg, n_done);
}

static int site_read(struct op *op, struct site *site, struct site_read *read)
{
	struct s3_site *s = s3_site(site);
	struct reading reading = {.site = s, .read = read};
	struct http_response response;
	char range[64];
	struct s3_ask ask = {
		.method = "GET",
		.name = read->name,
		.query = "",
		.range = range,
		.if_match = read->validator,
		.checksum = true,
		.http = {.lane = HTTP_DATA,
			 .buf = read->buf,
			 .room = read->len,
			 .accept = on_headers,
			 .progress = on_progress,
			 .arg = &reading,
			 .first_byte_ns = read->first_byte_ns,
			 .stall_ns = read->stall_ns},
	};
	int rc;

	assert(read->len > 0);
	snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64,
		 read->offset, read->offset + read->len - 1);
	rc = s3_send(op, s, &ask, &response);
	if (rc == 0 && ask.http.n_done != read->len)
		rc = op_fail(op, -EAGAIN, "GET %s: the body was cut short",
			     read->name);
	if (reading.problem) {
		op_forgive(op);
		op_fail(op, rc, "GET %s: HTTP %ld with %s", read->name,
			response.status, reading.problem);
	} else if (rc < 0) {
		op_fail(op, rc, "GET %s: this copy is not wanted", read->name);
	}
	/* What came with an error status went elsewhere. */
	read->n_done = ask.http.n_done;
	read->latency_ns = response.latency_ns;
	http_response_done(&response);
	return rc;
}

/* Listing */

/*
 * The page begins after a name, the query with one.  The name right below
 * start can't be written down; one close below it can, and what comes between
 * the two is filtered out.  Where the last byte can't be made smaller, start
 * without its last character is below it, too.  "": from the very beginning.
 */
static char *name_below(const char *start)
{
	size_t n = strlen(start);
	unsigned char last;
	char *below;

	if (n == 0)
		return strdup("");
	last = (unsigned char)start[n - 1];
	if (last > ' ' && last < 0x80) {
		if (asprintf(&below, "%.*s%c" LAST_CHARACTER, (int)n - 1, start,
			     last - 1) < 0)
			return NULL;
		return below;
	}
	while (n > 1 && ((unsigned char)start[n - 1] & 0xc0) == 0x80)
		n--;
	return strndup(start, n - 1);
}

static int add_parameter(FILE *to, const char *name, const char *value)
{
	auto_free char *encoded = percent_encode(value, false);

	if (!encoded)
		return -ENOMEM;
	return fprintf(to, "&%s=%s", name, encoded) < 0 ? -ENOMEM : 0;
}

/*
 * Within a directory that a delimited query shows as one prefix, servers differ
 * on whether it is still to be shown; from before it, they agree.
 */
static int add_start(FILE *to, const struct s3_site *s,
		     const struct list_query *query)
{
	auto_free char *full = site_url_out(&s->url, query->start);
	auto_free char *below = NULL;
	size_t n = query->prefix ? strlen(query->prefix) : 0;

	if (full && query->delimited && strlen(query->start) > n) {
		char *slash = strchr(full + strlen(s->url.prefix) + n, '/');

		if (slash)
			slash[1] = '\0';
	}
	below = full ? name_below(full) : NULL;
	if (!below)
		return -ENOMEM;
	return *below ? add_parameter(to, "start-after", below) : 0;
}

/* Sorted by name, as the signature wants it. */
static int write_query(FILE *to, const struct s3_site *s,
		       const struct list_query *query)
{
	auto_free char *prefix =
		site_url_out(&s->url, query->prefix ? query->prefix : "");
	unsigned max =
		query->max && query->max < PAGE_NAMES ? query->max : PAGE_NAMES;
	int rc = prefix ? 0 : -ENOMEM;

	if (rc == 0 && query->token)
		rc = add_parameter(to, "continuation-token", query->token);
	if (rc == 0 && query->delimited)
		rc = add_parameter(to, "delimiter", "/");
	fprintf(to, "&encoding-type=url&list-type=2&max-keys=%u", max);
	if (rc == 0 && *prefix)
		rc = add_parameter(to, "prefix", prefix);
	if (rc == 0 && query->start && !query->token)
		rc = add_start(to, s, query);
	return rc;
}

static int make_query(struct op *op, const struct s3_site *s,
		      const struct list_query *query, char **ret)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);
	int rc = to ? write_query(to, s, query) : -ENOMEM;

	if (to && fclose(to) != 0)
		rc = -ENOMEM;
	if (rc == 0) {
		memmove(text, text + 1, n); /* without the first '&' */
		*ret = text;
		return 0;
	}
	free(text);
	return op_fail(op, rc, "list s3://%s: no memory", s->url.bucket);
}

static int give_object(const struct s3_entry *entry, const char *name,
		       list_fn *each, void *arg)
{
	/* Borrowed by info for the call, and not freed through it. */
	struct object_info info = {
		.name = (char *)(uintptr_t)name,
		.size = entry->size,
		.mtime_ns = entry->mtime_ns,
		.validator = entry->etag,
		.odd_name = entry->odd_name,
	};

	if (entry->storage_class)
		snprintf(info.storage_class, sizeof(info.storage_class), "%s",
			 entry->storage_class);
	return each(arg, name, &info);
}

/* A prefix goes on above its own name: what begins with it may be wanted. */
static bool is_below(const struct s3_entry *entry, const char *name,
		     const char *start)
{
	if (strcmp(name, start) >= 0)
		return false;
	return !entry->is_prefix || strncmp(start, name, strlen(name)) != 0;
}

/* 0, 1 when the query's end is reached, or -errno. */
static int give_page(struct op *op, const struct s3_site *s,
		     const struct list_query *query, const struct s3_page *page,
		     list_fn *each, void *arg)
{
	int rc = 0;

	for (size_t i = 0; i < page->n_entries && rc == 0; i++) {
		const struct s3_entry *entry = &page->entries[i];
		const char *name = site_url_in(&s->url, entry->name);

		if (!name && !entry->odd_name)
			return op_fail(op, -EPROTO,
				       "list s3://%s/%s: the answer has a name "
				       "without this prefix",
				       s->url.bucket, s->url.prefix);
		/* "": the prefix itself, which some tools make an object. */
		if (!name || !*name ||
		    (query->start && is_below(entry, name, query->start)))
			continue;
		if (query->end && strcmp(name, query->end) >= 0)
			return 1;
		rc = entry->is_prefix ? each(arg, name, NULL)
				      : give_object(entry, name, each, arg);
	}
	return rc < 0 ? rc : 0;
}

static int fetch_page(struct op *op, struct s3_site *s,
		      const struct list_query *query, struct s3_page *ret)
{
	auto_free char *text = NULL;
	struct s3_ask ask = {
		.method = "GET",
		.http = {.lane = HTTP_META, .max_body = PAGE_BYTES_MAX},
	};
	struct http_response response;
	int rc = make_query(op, s, query, &text);

	if (rc < 0)
		return rc;
	ask.query = text;
	rc = s3_send(op, s, &ask, &response);
	if (rc == 0) {
		rc = s3_page_parse(response.body ? response.body : "",
				   response.n_body, ret);
		if (rc < 0)
			op_fail(op, rc,
				"list s3://%s/%s: HTTP %ld, but the answer is "
				"no S3 listing",
				s->url.bucket, s->url.prefix, response.status);
	}
	http_response_done(&response);
	return rc;
}

static int site_list(struct op *op, struct site *site,
		     const struct list_query *query, list_fn *each, void *arg,
		     char **ret_token)
{
	struct s3_site *s = s3_site(site);
	struct s3_page page;
	int rc = fetch_page(op, s, query, &page);

	if (rc < 0)
		return rc;
	rc = give_page(op, s, query, &page, each, arg);
	if (rc >= 0) {
		bool more = rc == 0 && page.truncated;

		*ret_token = more ? page.next_token : NULL;
		if (more)
			page.next_token = NULL;
		rc = 0;
	}
	s3_page_done(&page);
	return rc;
}

/* Checking */

static int see_name(void *arg, const char *name, const struct object_info *info)
{
	(void)arg;
	(void)name;
	(void)info;
	return 0;
}

static int site_check(struct op *op, struct site *site)
{
	const struct list_query query = {.prefix = "", .max = 1};
	char *token = NULL;
	int rc = site_list(op, site, &query, see_name, NULL, &token);

	free(token);
	return rc;
}

const struct site_ops site_s3 = {
	.scheme = "s3",
	.open = site_open,
	.close = site_close,
	.check = site_check,
	.stat = site_stat,
	.list = site_list,
	.read = site_read,
};
