#include "sites/s3_send.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/op.h"
#include "sites/s3_keys.h"
#include "sites/s3_xml.h"
#include "sites/sigv4.h"

#define ERROR_BODY_MAX (1u << 20)
/* S3 itself allows for so much. */
#define SKEW_MAX_S (15 * 60)

/* Building */

struct headers {
	struct sigv4_header signed_ones[SIGV4_HEADERS_MAX];
	size_t n_signed;
	struct curl_slist *list;
};

/* Everything of headers that went out is gone over with a free, secrets too. */
static int add_header(struct headers *headers, const char *name,
		      const char *value)
{
	auto_free char *line = NULL;
	struct curl_slist *longer;

	if (asprintf(&line, "%s: %s", name, value) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	longer = curl_slist_append(headers->list, line);
	if (!longer)
		return -ENOMEM;
	headers->list = longer;
	return 0;
}

static int add_signed(struct headers *headers, const char *name,
		      const char *value)
{
	headers->signed_ones[headers->n_signed++] =
		(struct sigv4_header){name, value};
	return add_header(headers, name, value);
}

/* Signs with key; a proxy may change any header that is not x-amz or host. */
static int sign(const struct s3_site *site, const struct s3_ask *ask,
		const char *path, const struct s3_key *key,
		struct headers *headers)
{
	bool tls = strncmp(site->base, "https:", 6) == 0;
	struct sigv4_scope scope = {
		.key_id = key->id,
		.secret = key->secret,
		.region = site->region,
		.service = "s3",
	};
	struct sigv4_request request = {
		.method = ask->method,
		.path = path,
		.query = ask->query,
		.headers = headers->signed_ones,
		.body_sha256 = tls ? SIGV4_UNSIGNED : SIGV4_EMPTY_BODY,
	};
	auto_free char *authorization = NULL;
	int rc;

	sigv4_time(scope.time, clock_wall_ns());
	headers->signed_ones[headers->n_signed++] =
		(struct sigv4_header){"host", site->host};
	rc = add_signed(headers, "x-amz-date", scope.time);
	if (rc == 0)
		rc = add_signed(headers, "x-amz-content-sha256",
				request.body_sha256);
	if (rc == 0 && key->token[0])
		rc = add_signed(headers, "x-amz-security-token", key->token);
	request.n_headers = headers->n_signed;
	if (rc == 0)
		rc = sigv4_sign(&request, &scope, &authorization);
	if (rc == 0)
		rc = add_header(headers, "Authorization", authorization);
	return rc;
}

static int all_headers(struct op *op, const struct s3_site *site,
		       const struct s3_ask *ask, const char *path,
		       struct headers *headers)
{
	struct s3_key key;
	int rc = s3_keys_get(op, site->keys, &key);

	if (rc < 0)
		return rc;
	if (ask->checksum)
		rc = add_signed(headers, "x-amz-checksum-mode", "ENABLED");
	if (rc == 0 && ask->range)
		rc = add_header(headers, "Range", ask->range);
	if (rc == 0 && ask->if_match)
		rc = add_header(headers, "If-Match", ask->if_match);
	if (rc == 0 && !key.anonymous)
		rc = sign(site, ask, path, &key, headers);
	s3_key_done(&key);
	if (rc < 0)
		op_fail(op, rc, "%s: the request could not be made",
			ask->method);
	return rc;
}

/* "/bucket/prefix/name", encoded: what goes out and what is signed. */
static int make_path(struct op *op, const struct s3_site *site,
		     const char *name, char **ret)
{
	auto_free char *full =
		name ? site_url_out(&site->url, name) : strdup("");
	auto_free char *encoded = full ? percent_encode(full, true) : NULL;

	if (encoded && name && !*full)
		return op_fail(op, -ENOENT, "an object has a name");
	if (!encoded || asprintf(ret, "%s%s%s", site->path,
				 name || !*site->path ? "/" : "", encoded) < 0)
		return op_fail(op, -ENOMEM, "S3 request: no memory");
	return 0;
}

/* Judging */

struct meaning {
	const char *code;
	int rc;
	const char *hint;
};

static const struct meaning meanings[] = {
	{"RequestTimeTooSkewed", -EACCES, "set this host's clock"},
	{"SignatureDoesNotMatch", -EACCES,
	 "is the secret key right? does a proxy change requests?"},
	{"InvalidAccessKeyId", -EACCES, "the site does not know this key id"},
	{"ExpiredToken", -EACCES, "renew the session token"},
	{"InvalidToken", -EACCES, "renew the session token"},
	{"TokenRefreshRequired", -EACCES, "renew the session token"},
	{"AuthorizationHeaderMalformed", -EACCES, "is the region right?"},
	{"PermanentRedirect", -EACCES, "is the region right?"},
	{"TemporaryRedirect", -EAGAIN, NULL},
	{"AccessDenied", -EACCES, NULL},
	{"InvalidObjectState", -EACCES, "it is archived: restore it"},
	{"NoSuchBucket", -ENOENT, "correct the bucket in the url"},
	{"RequestTimeout", -EAGAIN, NULL},
	{"SlowDown", -EAGAIN, NULL},
	{"ServiceUnavailable", -EAGAIN, NULL},
	{"InternalError", -EAGAIN, NULL},
	{"OperationAborted", -EAGAIN, NULL},
};

static const struct meaning *meaning_of(const char *code)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++)
		if (strcmp(meanings[i].code, code) == 0)
			return &meanings[i];
	return NULL;
}

/* The site's clock against ours, in words; "" while they agree. */
static void describe_skew(const struct http_response *response, char *text,
			  size_t room)
{
	char date[64];
	long long skew;
	time_t theirs;

	text[0] = '\0';
	if (!http_header(response, "Date", date, sizeof(date)))
		return;
	theirs = curl_getdate(date, NULL);
	if (theirs == (time_t)-1)
		return;
	skew = clock_wall_ns() / (int64_t)NS_PER_S - (int64_t)theirs;
	if (skew > SKEW_MAX_S || skew < -SKEW_MAX_S)
		snprintf(text, room, "; this host's clock is %lld s %s",
			 skew < 0 ? -skew : skew, skew < 0 ? "slow" : "fast");
}

/* An answer to HEAD has no body: the region may still be in a header. */
static void find_region(const struct http_response *response,
			struct s3_error *error)
{
	if (!error->region[0])
		http_header(response, "x-amz-bucket-region", error->region,
			    sizeof(error->region));
}

int s3_judge(struct op *op, const char *what,
	     const struct http_response *response)
{
	int rc = http_status_errno(response->status);
	const struct meaning *meaning;
	struct s3_error error = {0};
	char region[64] = "";
	char skew[64] = "";

	if (rc == 0)
		return 0;
	if (response->n_body)
		s3_error_parse(response->body, response->n_body, &error);
	meaning = meaning_of(error.code);
	if (meaning)
		rc = meaning->rc;
	else if (response->status == 301 || response->status == 307)
		rc = -EACCES;
	if (rc == -EAGAIN)
		op->retry_after_ns = http_retry_after_ns(response);
	if (rc == -EACCES) {
		describe_skew(response, skew, sizeof(skew));
		if (response->status != 403)
			find_region(response, &error);
		if (error.region[0])
			snprintf(region, sizeof(region),
				 "; the bucket is in region %s", error.region);
	}
	return op_fail(op, rc, "%s: HTTP %ld%s%s%s%s%s%s%s%s", what,
		       response->status, error.code[0] ? " " : "", error.code,
		       region, skew, meaning && meaning->hint ? "; " : "",
		       meaning && meaning->hint ? meaning->hint : "",
		       error.message[0] ? ": " : "", error.message);
}

int s3_send(struct op *op, const struct s3_site *site, struct s3_ask *ask,
	    struct http_response *ret)
{
	struct headers headers = {0};
	auto_free char *path = NULL;
	auto_free char *url = NULL;
	auto_free char *what = NULL;
	int rc = make_path(op, site, ask->name, &path);

	*ret = (struct http_response){0};
	if (rc < 0)
		return rc;
	if (asprintf(&url, "%s%s%s%s", site->base, path, *ask->query ? "?" : "",
		     ask->query) < 0)
		url = NULL;
	if (asprintf(&what, "%s s3://%s/%s%s", ask->method, site->url.bucket,
		     site->url.prefix, ask->name ? ask->name : "") < 0)
		what = NULL;
	if (!url || !what)
		return op_fail(op, -ENOMEM, "S3 request: no memory");
	rc = all_headers(op, site, ask, path, &headers);
	if (rc == 0) {
		ask->http.method = ask->method;
		ask->http.url = url;
		ask->http.headers = headers.list;
		ask->http.ca_file = site->ca_file;
		ask->http.max_connections = site->connections;
		if (!ask->http.max_body)
			ask->http.max_body = ERROR_BODY_MAX;
		rc = http_do(op, site->http, &ask->http, ret);
	}
	curl_slist_free_all(headers.list);
	return rc < 0 ? rc : s3_judge(op, what, ret);
}

/* Headers of an object */

static void take_md5(const struct http_response *response, const char *etag,
		     struct object_info *info)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	char text[64];
	unsigned byte;

	/*
	 * An ETag is the md5 of an object put in one part; not of parts
	 * ("...-3"), nor of one encrypted with a key of KMS or the customer's.
	 */
	if (http_header(response, "x-amz-server-side-encryption", text,
			sizeof(text)) &&
	    strncmp(text, "aws:kms", 7) == 0)
		return;
	if (http_header(response,
			"x-amz-server-side-encryption-customer-algorithm", text,
			sizeof(text)))
		return;
	if (strlen(etag) != 34 || etag[0] != '"' || etag[33] != '"' ||
	    strspn(etag + 1, digits) != 32)
		return;
	for (size_t i = 0; i < MD5_SIZE; i++) {
		sscanf(etag + 1 + 2 * i, "%2x", &byte);
		info->md5[i] = (uint8_t)byte;
	}
	info->has |= HAS_MD5;
}

/*
 * A sum of parts' sums ("...-3", COMPOSITE) is not the object's.  In an answer
 * to a range, a sum that is not said to be the full object's may be of a part.
 */
static void take_crc32c(const struct http_response *response, bool whole,
			struct object_info *info)
{
	char text[64];
	char type[32] = "";
	uint8_t sum[4];

	http_header(response, "x-amz-checksum-type", type, sizeof(type));
	if (!http_header(response, "x-amz-checksum-crc32c", text, sizeof(text)))
		return;
	if (*type ? strcmp(type, "FULL_OBJECT") != 0 : !whole)
		return;
	if (strchr(text, '-') ||
	    base64_decode(text, sum, sizeof(sum)) != sizeof(sum))
		return;
	info->crc32c = (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 |
		       (uint32_t)sum[2] << 8 | sum[3];
	info->has |= HAS_CRC32C;
}

static int take_size(const struct http_response *response,
		     struct object_info *info)
{
	struct http_range range;
	char text[32];

	if (response->status == 206) {
		if (!http_content_range(response, &range))
			return -EPROTO;
		info->size = range.total;
		return 0;
	}
	if (!http_header(response, "Content-Length", text, sizeof(text)))
		return -EPROTO;
	return u64_parse(text, &info->size) < 0 ? -EPROTO : 0;
}

int s3_info(const struct s3_site *site, const char *name,
	    const struct http_response *response, bool whole,
	    struct object_info *ret)
{
	struct object_info info = {0};
	char text[256];
	time_t when;

	if (take_size(response, &info) < 0)
		return -EPROTO;
	if (site->stamp &&
	    http_header(response, site->stamp, text, sizeof(text)) &&
	    u64_parse(text, &info.stamp) < 0)
		info.stamp = 0;
	if (http_header(response, "Last-Modified", text, sizeof(text))) {
		when = curl_getdate(text, NULL);
		info.mtime_ns = when < 0 ? 0 : when * (int64_t)NS_PER_S;
	}
	http_header(response, "x-amz-storage-class", info.storage_class,
		    sizeof(info.storage_class));
	/* A weak ETag never fulfils If-Match: such a copy proves itself anew. */
	if (http_header(response, "ETag", text, sizeof(text)) &&
	    text[0] == '"') {
		take_md5(response, text, &info);
		info.validator = strdup(text);
		if (!info.validator)
			return -ENOMEM;
	}
	take_crc32c(response, whole, &info);
	info.name = strdup(name);
	if (!info.name) {
		object_info_done(&info);
		return -ENOMEM;
	}
	*ret = info;
	return 0;
}
