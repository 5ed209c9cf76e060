#include "tests/lib/cmocka.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/op.h"
#include "sites/http.h"
#include "sites/s3_send.h"

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
#define NAMESPACE " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define OBJECT(key)                                                          \
	"<Contents><Key>" key "</Key><LastModified>2024-05-01T10:20:30.000Z" \
	"</LastModified><ETag>&quot;abc&quot;</ETag><Size>7</Size>"          \
	"<StorageClass>STANDARD</StorageClass></Contents>"
#define PREFIX(p) "<CommonPrefixes><Prefix>" p "</Prefix></CommonPrefixes>"
#define PAGE(inner)                                                           \
	XML "<ListBucketResult" NAMESPACE "><Name>b</Name><Prefix>q</Prefix>" \
	    "<EncodingType>url</EncodingType>" inner "</ListBucketResult>"

/* The engine, as a script: what is asked is noted, what is answered is told. */

static struct {
	long status;
	const char *headers;
	const char *body;
	char url[2000];
	char sent[4000];
} wire;

int http_do(struct op *op, struct http *http, struct http_request *request,
	    struct http_response *ret)
{
	size_t n = wire.body ? strlen(wire.body) : 0;
	bool good = wire.status / 100 == 2;
	int rc;

	(void)op;
	(void)http;
	snprintf(wire.url, sizeof(wire.url), "%s", request->url);
	wire.sent[0] = '\0';
	for (struct curl_slist *h = request->headers; h; h = h->next) {
		strcat(wire.sent, h->data);
		strcat(wire.sent, "\n");
	}
	*ret = (struct http_response){.status = wire.status};
	ret->headers = strdup(wire.headers ? wire.headers : "");
	ret->latency_ns = 1;
	rc = request->accept ? request->accept(request->arg, ret) : 0;
	if (rc < 0)
		return rc;
	if (good && request->buf) {
		if (n > request->room)
			return op_fail(op, -EPROTO, "too long");
		memcpy(request->buf, wire.body, n);
		request->n_done = n;
		if (request->progress)
			request->progress(request->arg, n);
	} else if (n) {
		ret->body = strdup(wire.body);
		ret->n_body = n;
	}
	return 0;
}

static void script(long status, const char *headers, const char *body)
{
	wire.status = status;
	wire.headers = headers;
	wire.body = body;
}

static struct op op;

static struct site *open_site(const char *url, const char *credentials,
			      bool path_style)
{
	struct site_config config = {
		.url = (char *)(uintptr_t)url,
		.endpoint = (char *)(uintptr_t) "https://s3.example:443",
		.credentials = (char *)(uintptr_t)credentials,
		.stamp = (char *)(uintptr_t) "x-amz-meta-generation",
		.path_style = path_style,
	};
	struct lake_config lake = {0};
	struct site *site = NULL;

	op_init(&op, 0);
	assert_int_equal(site_s3.open(&op, &config, &lake, NULL, &site), 0);
	return site;
}

/* Errors */

static int judge(long status, const char *headers, const char *body)
{
	struct http_response response = {
		.status = status,
		.headers = (char *)(uintptr_t)headers,
		.body = (char *)(uintptr_t)body,
		.n_body = body ? strlen(body) : 0,
	};

	op_init(&op, 0);
	return s3_judge(&op, "GET s3://b/k", &response);
}

#define ERROR(code, more)                                                   \
	XML "<Error><Code>" code "</Code><Message>So it is.</Message>" more \
	    "</Error>"

static void errors_say_what_to_mend(void **state UNUSED)
{
	static const struct {
		long status;
		const char *headers, *body;
		int rc;
		const char *word;
	} cases[] = {
		{403, "", ERROR("SignatureDoesNotMatch", ""), -EACCES,
		 "secret key"},
		{403, "Date: Thu, 01 Jan 2015 00:00:00 GMT\r\n",
		 ERROR("RequestTimeTooSkewed", ""), -EACCES, "fast"},
		{403, "", ERROR("RequestTimeTooSkewed", ""), -EACCES, "clock"},
		{400, "",
		 ERROR("AuthorizationHeaderMalformed",
		       "<Region>eu-west-3</Region>"),
		 -EACCES, "eu-west-3"},
		{301, "x-amz-bucket-region: eu-west-3\r\n", NULL, -EACCES,
		 "eu-west-3"},
		{403, "", "<html>no</html>", -EACCES, "HTTP 403"},
		{400, "", ERROR("ExpiredToken", ""), -EACCES, "token"},
		{400, "", ERROR("RequestTimeout", ""), -EAGAIN, "So it is."},
		{503, "Retry-After: 3\r\n", ERROR("SlowDown", ""), -EAGAIN,
		 "SlowDown"},
		{500, "", NULL, -EAGAIN, "HTTP 500"},
		{429, "", NULL, -EAGAIN, "HTTP 429"},
		{404, "", ERROR("NoSuchKey", ""), -ENOENT, "NoSuchKey"},
		{412, "", NULL, -ESTALE, "HTTP 412"},
		{416, "", NULL, -ESTALE, "HTTP 416"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(
			judge(cases[i].status, cases[i].headers, cases[i].body),
			cases[i].rc);
		assert_non_null(strstr(op.why, cases[i].word));
		assert_non_null(strstr(op.why, "GET s3://b/k"));
	}
	judge(503, "Retry-After: 3\r\n", ERROR("SlowDown", ""));
	assert_int_equal(op.retry_after_ns, 3 * NS_PER_S);
	assert_int_equal(judge(206, "", NULL), 0);
}

/* Headers of an object */

#define MD5 "ETag: \"0123456789abcdef0123456789ABCDEF\"\r\n"
#define CRC "x-amz-checksum-crc32c: mnG7TA==\r\n" /* of "hello" */

static unsigned has_of(const char *headers, long status)
{
	const struct s3_site site = {
		.stamp = (char *)(uintptr_t) "x-amz-meta-generation"};
	auto_free char *all = NULL;
	struct http_response response = {.status = status};
	struct object_info info;
	unsigned has;

	assert_true(asprintf(&all,
			     "HTTP/1.1 %ld OK\r\nContent-Length: 5\r\n"
			     "Content-Range: bytes 0-4/9\r\n%s\r\n",
			     status, headers) > 0);
	response.headers = all;
	assert_int_equal(s3_info(&site, "k", &response, status == 200, &info),
			 0);
	assert_int_equal(info.size, status == 206 ? 9 : 5);
	has = info.has;
	if (has & HAS_CRC32C)
		assert_int_equal(info.crc32c, 0x9a71bb4c);
	if (has & HAS_MD5)
		assert_int_equal(info.md5[7], 0xef);
	object_info_done(&info);
	return has;
}

static void only_sums_of_the_whole_object_are_believed(void **state UNUSED)
{
	static const struct {
		const char *headers;
		unsigned has, has_in_range;
	} cases[] = {
		{"", 0, 0},
		{MD5, HAS_MD5, HAS_MD5},
		{"ETag: \"0123456789abcdef0123456789abcdef-3\"\r\n", 0, 0},
		{"ETag: W/\"0123456789abcdef0123456789abcdef\"\r\n", 0, 0},
		{MD5 "x-amz-server-side-encryption: AES256\r\n", HAS_MD5,
		 HAS_MD5},
		{MD5 "x-amz-server-side-encryption: aws:kms\r\n", 0, 0},
		{MD5 "x-amz-server-side-encryption: aws:kms:dsse\r\n", 0, 0},
		{MD5 "x-amz-server-side-encryption-customer-algorithm: "
		     "AES256\r\n",
		 0, 0},
		{CRC, HAS_CRC32C, 0},
		{CRC "x-amz-checksum-type: FULL_OBJECT\r\n", HAS_CRC32C,
		 HAS_CRC32C},
		{CRC "x-amz-checksum-type: COMPOSITE\r\n", 0, 0},
		{"x-amz-checksum-crc32c: mnG7TA==-2\r\n", 0, 0},
		{"x-amz-checksum-crc32c: mnG7\r\n", 0, 0},
		{"x-amz-checksum-crc32c: !!!!\r\n", 0, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(has_of(cases[i].headers, 200), cases[i].has);
		assert_int_equal(has_of(cases[i].headers, 206),
				 cases[i].has_in_range);
	}
}

static void stat_tells_stamp_time_and_class(void **state UNUSED)
{
	struct site *site = open_site("s3://lake/top", "anonymous", true);
	struct object_info info;

	script(200,
	       "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n"
	       "X-Amz-Meta-Generation: 1700000000000001\r\n"
	       "x-amz-storage-class: GLACIER_IR\r\n"
	       "Last-Modified: Wed, 01 May 2024 10:20:30 GMT\r\n" MD5 "\r\n",
	       NULL);
	assert_int_equal(site_s3.stat(&op, site, "a b/\xc3\xa9+", 0, &info), 0);
	assert_string_equal(wire.url,
			    "https://s3.example/lake/top/a%20b/%C3%A9%2B");
	assert_null(strstr(wire.sent, "Authorization"));
	assert_int_equal(info.stamp, 1700000000000001);
	assert_int_equal(info.size, 11);
	assert_int_equal(info.mtime_ns, 1714558830LL * (int64_t)NS_PER_S);
	assert_string_equal(info.storage_class, "GLACIER_IR");
	assert_string_equal(info.validator,
			    "\"0123456789abcdef0123456789ABCDEF\"");
	object_info_done(&info);
	site_s3.close(site);
}

/* Reads */

static int refuse(void *arg, const struct object_info *info)
{
	*(uint64_t *)arg = info->size;
	return -ESTALE;
}

static void a_read_takes_only_the_range_it_asked_for(void **state UNUSED)
{
	static const struct {
		long status;
		const char *headers;
		uint64_t offset;
		int rc;
	} cases[] = {
		{206, "Content-Range: bytes 0-4/11\r\n", 0, 0},
		{206, "Content-Range: bytes 2-6/11\r\n", 2, 0},
		{206, "Content-Range: bytes 0-4/11\r\n", 2, -EPROTO},
		{206, "Content-Range: bytes 0-3/4\r\n", 0, -EPROTO},
		{206, "Content-Range: bytes 0-4/*\r\n", 0, -EPROTO},
		{206, "Content-Length: 5\r\n", 0, -EPROTO},
		{200, "Content-Length: 5\r\n", 0, 0},
		{200, "Content-Length: 5\r\n", 2, -EPROTO},
		{200, "Content-Length: 11\r\n", 0, -EPROTO},
		{200, "", 0, -EPROTO},
		{204, "Content-Length: 5\r\n", 0, -EPROTO},
	};
	struct site *site = open_site("s3://lake", "anonymous", true);
	char headers[100];
	char buf[5];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct site_read read = {.name = "k",
					 .offset = cases[i].offset,
					 .len = 5,
					 .buf = buf};

		snprintf(headers, sizeof(headers), "HTTP/1.1 200 OK\r\n%s\r\n",
			 cases[i].headers);
		script(cases[i].status, headers, "hello");
		op_init(&op, 0);
		assert_int_equal(site_s3.read(&op, site, &read), cases[i].rc);
		assert_int_equal(read.n_done, cases[i].rc ? 0 : 5);
		assert_int_equal(op.rc, cases[i].rc);
	}
	site_s3.close(site);
}

static int note_has(void *arg, const struct object_info *info)
{
	*(unsigned *)arg = info->has;
	return 0;
}

static void a_proven_copy_is_read_under_its_etag(void **state UNUSED)
{
	struct site *site = open_site("s3://lake", "anonymous", true);
	uint64_t size = 0;
	unsigned has = 0;
	char buf[5];
	struct site_read read = {.name = "k",
				 .offset = 6,
				 .len = 5,
				 .buf = buf,
				 .validator = "\"e\"",
				 .accept = refuse,
				 .arg = &size};

	script(412, "HTTP/1.1 412 No\r\n\r\n", ERROR("PreconditionFailed", ""));
	assert_int_equal(site_s3.read(&op, site, &read), -ESTALE);
	assert_non_null(strstr(wire.sent, "If-Match: \"e\"\n"));
	assert_non_null(strstr(wire.sent, "Range: bytes=6-10\n"));
	assert_non_null(strstr(wire.sent, "x-amz-checksum-mode: ENABLED\n"));
	assert_int_equal(size, 0);

	/* A range of all of it brings a sum that can be believed. */
	script(206,
	       "HTTP/1.1 206 x\r\nContent-Range: bytes 0-4/5\r\n" CRC "\r\n",
	       "hello");
	read.accept = note_has;
	read.arg = &has;
	read.offset = 0;
	assert_int_equal(site_s3.read(&op, site, &read), 0);
	assert_int_equal(has, HAS_CRC32C);
	read.accept = refuse;
	read.arg = &size;
	read.offset = 6;

	/* The caller hears of a shorter copy, not of a wrong range. */
	script(206, "HTTP/1.1 206 x\r\nContent-Range: bytes 6-7/8\r\n\r\n",
	       "he");
	assert_int_equal(site_s3.read(&op, site, &read), -ESTALE);
	assert_int_equal(size, 8);
	site_s3.close(site);
}

/* Lists */

struct names {
	char all[1000];
};

static int note_name(void *arg, const char *name,
		     const struct object_info *info)
{
	struct names *names = arg;

	strcat(names->all, name);
	strcat(names->all, info ? " " : ": ");
	return 0;
}

static void expect_list(struct site *site, struct list_query query,
			const char *body, const char *url, const char *want,
			const char *want_token)
{
	struct names names = {""};
	char *token = NULL;

	script(200, "HTTP/1.1 200 OK\r\n\r\n", body);
	op_init(&op, 0);
	assert_int_equal(
		site_s3.list(&op, site, &query, note_name, &names, &token), 0);
	assert_string_equal(wire.url, url);
	assert_string_equal(names.all, want);
	if (want_token)
		assert_string_equal(token, want_token);
	else
		assert_null(token);
	free(token);
}

#define MORE                              \
	"<IsTruncated>true</IsTruncated>" \
	"<NextContinuationToken>t=</NextContinuationToken>"
#define URL "https://lake.s3.example/?"

static void listings_keep_to_start_end_and_prefix(void **state UNUSED)
{
	static const char page[] = PAGE(OBJECT("top/") OBJECT("top/a") OBJECT(
		"top/c") MORE PREFIX("top/b/"));
	struct site *site = open_site("s3://lake/top/", "anonymous", false);

	expect_list(site, (struct list_query){.prefix = ""}, page,
		    URL "encoding-type=url&list-type=2&max-keys=1000"
			"&prefix=top%2F",
		    "a b/: c ", "t=");
	expect_list(site,
		    (struct list_query){.prefix = "",
					.token = "t=",
					.start = "b/x",
					.delimited = true,
					.max = 7},
		    page,
		    URL "continuation-token=t%3D&delimiter=%2F&encoding-type="
			"url&list-type=2&max-keys=7&prefix=top%2F",
		    "b/: c ", "t=");
	/* The end: nothing of it, and no further page. */
	expect_list(site,
		    (struct list_query){.prefix = "", .start = "b", .end = "c"},
		    page,
		    URL "encoding-type=url&list-type=2&max-keys=1000&prefix="
			"top%2F&start-after=top%2Fa%F4%8F%BF%BF",
		    "b/: ", NULL);
	expect_list(site,
		    (struct list_query){
			    .prefix = "", .start = "b/x", .delimited = true},
		    page,
		    URL "delimiter=%2F&encoding-type=url&list-type=2"
			"&max-keys=1000&prefix=top%2F&start-after=top%2Fb."
			"%F4%8F%BF%BF",
		    "b/: c ", "t=");
	expect_list(site,
		    (struct list_query){.prefix = "", .start = "c\xc3\xa9"},
		    page,
		    URL "encoding-type=url&list-type=2&max-keys=1000&prefix="
			"top%2F&start-after=top%2Fc",
		    "", "t=");
	site_s3.close(site);
}

static void a_foreign_listing_is_refused(void **state UNUSED)
{
	static const char *const bodies[] = {PAGE(OBJECT("else")), "<html/>",
					     NULL};
	struct site *site = open_site("s3://lake/top", "anonymous", true);
	struct list_query query = {.prefix = ""};
	struct names names = {""};
	char *token = NULL;

	for (size_t i = 0; i < 3; i++) {
		script(200, "HTTP/1.1 200 OK\r\n\r\n", bodies[i]);
		op_init(&op, 0);
		assert_int_equal(site_s3.list(&op, site, &query, note_name,
					      &names, &token),
				 -EPROTO);
	}
	script(403, "HTTP/1.1 403 No\r\n\r\n", ERROR("AccessDenied", ""));
	op_init(&op, 0);
	assert_int_equal(site_s3.check(&op, site), -EACCES);
	assert_non_null(strstr(op.why, "So it is."));
	site_s3.close(site);
}

/* Credentials */

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void a_new_key_is_used_at_once(void **state UNUSED)
{
	char path[] = "/tmp/lakefuse-keys-XXXXXX";
	char fresh[40];
	struct site *site;
	struct object_info info;

	close(mkstemp(path));
	write_file(path, "FIRST\nSECRET\n", 0600);
	site = open_site("s3://lake", path, true);
	script(404, "HTTP/1.1 404 No\r\n\r\n", NULL);
	assert_int_equal(site_s3.stat(&op, site, "k", 0, &info), -ENOENT);
	assert_non_null(strstr(wire.sent, "Credential=FIRST/"));
	assert_non_null(
		strstr(wire.sent, "x-amz-content-sha256: UNSIGNED-PAYLOAD\n"));
	assert_non_null(strstr(wire.sent, "SignedHeaders=host;"));
	assert_null(strstr(wire.sent, "SECRET"));

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	write_file(fresh, "SECOND\nSECRET\nTOKEN\n", 0600);
	assert_int_equal(rename(fresh, path), 0);
	op_init(&op, 0);
	assert_int_equal(site_s3.stat(&op, site, "k", 0, &info), -ENOENT);
	assert_non_null(strstr(wire.sent, "Credential=SECOND/"));
	assert_non_null(strstr(wire.sent, "x-amz-security-token: TOKEN\n"));
	unlink(path);
	/* What is gone may be about to come back: the last key serves on. */
	op_init(&op, 0);
	assert_int_equal(site_s3.stat(&op, site, "k", 0, &info), -ENOENT);
	assert_non_null(strstr(wire.sent, "Credential=SECOND/"));
	site_s3.close(site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_say_what_to_mend),
		cmocka_unit_test(only_sums_of_the_whole_object_are_believed),
		cmocka_unit_test(stat_tells_stamp_time_and_class),
		cmocka_unit_test(a_read_takes_only_the_range_it_asked_for),
		cmocka_unit_test(a_proven_copy_is_read_under_its_etag),
		cmocka_unit_test(listings_keep_to_start_end_and_prefix),
		cmocka_unit_test(a_foreign_listing_is_refused),
		cmocka_unit_test(a_new_key_is_used_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
