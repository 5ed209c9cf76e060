/*
 * The GCS driver: its parsers on literals, and the driver against a server
 * that answers what the test tells it to.
 */
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/op.h"
#include "sites/gcs_json.h"
#include "sites/http.h"
#include "sites/site.h"
#include "tests/lib/cmocka.h"

/* What the server says next, and what it was asked. */
static struct {
	unsigned status;
	const char *header[8][2];
	const char *body;
	char url[1024];
	char query[1024];
	char range[64];
	char auth[64];
} script;

static struct MHD_Daemon *daemon_;
static struct http *http;
static struct site *site;
static char endpoint[64];

static enum MHD_Result note_query(void *cls UNUSED, enum MHD_ValueKind k UNUSED,
				  const char *key, const char *value)
{
	size_t n = strlen(script.query);

	snprintf(script.query + n, sizeof(script.query) - n, "%s=%s;", key,
		 value ? value : "");
	return MHD_YES;
}

static void *note_uri(void *cls UNUSED, const char *uri,
		      struct MHD_Connection *c UNUSED)
{
	snprintf(script.url, sizeof(script.url), "%s", uri);
	script.url[strcspn(script.url, "?")] = '\0';
	return NULL;
}

static void note_header(struct MHD_Connection *c, const char *name, char *text,
			size_t room)
{
	const char *value =
		MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);

	snprintf(text, room, "%s", value ? value : "");
}

static enum MHD_Result answer(void *cls UNUSED, struct MHD_Connection *c,
			      const char *url UNUSED, const char *method UNUSED,
			      const char *version UNUSED,
			      const char *data UNUSED, size_t *n UNUSED,
			      void **state)
{
	struct MHD_Response *response;
	enum MHD_Result rc;

	if (!*state) {
		*state = &script;
		return MHD_YES;
	}
	script.query[0] = '\0';
	MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, note_query, NULL);
	note_header(c, "Range", script.range, sizeof(script.range));
	note_header(c, "Authorization", script.auth, sizeof(script.auth));
	response = MHD_create_response_from_buffer(strlen(script.body),
						   (void *)script.body,
						   MHD_RESPMEM_MUST_COPY);
	for (size_t i = 0; i < 8 && script.header[i][0]; i++)
		MHD_add_response_header(response, script.header[i][0],
					script.header[i][1]);
	rc = MHD_queue_response(c, script.status, response);
	MHD_destroy_response(response);
	return rc;
}

static void say(unsigned status, const char *body)
{
	memset(&script, 0, sizeof(script));
	script.status = status;
	script.body = body;
}

static int open_site(struct op *op, const char *credentials, struct site **ret)
{
	struct site_config config = {.name = (char *)"record",
				     .url = (char *)"gs://lake/team/x",
				     .endpoint = endpoint,
				     .credentials = (char *)credentials,
				     .stamp = (char *)"x-amz-meta-generation",
				     .user_project = (char *)"pay er"};
	struct lake_config lake = {.stall_ns = 5 * NS_PER_S};

	return site_gcs.open(op, &config, &lake, http, ret);
}

static int set_up(void **state UNUSED)
{
	const union MHD_DaemonInfo *info;
	struct sockaddr_in here = {.sin_family = AF_INET};
	struct op op;

	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	daemon_ = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL,
				   NULL, answer, NULL, MHD_OPTION_SOCK_ADDR,
				   &here, MHD_OPTION_URI_LOG_CALLBACK, note_uri,
				   NULL, MHD_OPTION_END);
	if (!daemon_)
		return -1;
	info = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_BIND_PORT);
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", info->port);
	op_init(&op, 0);
	if (http_new(&op, &http) < 0)
		return -1;
	return open_site(&op, NULL, &site);
}

static int tear_down(void **state UNUSED)
{
	site_gcs.close(site);
	http_free(http);
	MHD_stop_daemon(daemon_);
	return 0;
}

#define OBJECT                                                            \
	"{\"name\":\"team/x/a b\",\"size\":\"12\",\"generation\":\"17\"," \
	"\"metageneration\":\"2\",\"crc32c\":\"AAECAw==\","               \
	"\"md5Hash\":\"AAECAwQFBgcICQoLDA0ODw==\","                       \
	"\"storageClass\":\"STANDARD\","                                  \
	"\"timeCreated\":\"2024-02-29T12:00:00.5Z\","                     \
	"\"metadata\":{\"Generation\":\"99\",\"k\":\"v\"}}"

static int parse(const char *json, struct object_info *ret)
{
	return gcs_object_parse(json, strlen(json), "generation", ret);
}

static void an_object_is_understood(void **state UNUSED)
{
	struct object_info info;

	assert_int_equal(parse(OBJECT, &info), 0);
	assert_string_equal(info.name, "team/x/a b");
	assert_int_equal(info.size, 12);
	assert_int_equal(info.generation, 17);
	assert_int_equal(info.metageneration, 2);
	assert_int_equal(info.has, HAS_CRC32C | HAS_MD5);
	assert_int_equal(info.crc32c, 0x00010203);
	assert_int_equal(info.md5[15], 15);
	assert_int_equal(info.stamp, 99);
	assert_int_equal(info.mtime_ns, 1709208000500000000);
	assert_string_equal(info.validator, "17");
	assert_string_equal(info.storage_class, "STANDARD");
	assert_false(info.odd_name);
	object_info_done(&info);
}

static void metadata_tells_mtime_and_symlinks(void **state UNUSED)
{
	struct object_info info;

	assert_int_equal(parse("{\"name\":\"l\",\"size\":\"0\",\"metadata\":{"
			       "\"goog-reserved-file-mtime\":\"1700000000\","
			       "\"gcsfuse_symlink_target\":\"../there\"}}",
			       &info),
			 0);
	assert_int_equal(info.mtime_ns, 1700000000000000000);
	assert_int_equal(info.kind, OBJECT_SYMLINK);
	assert_string_equal(info.symlink, "../there");
	object_info_done(&info);
	assert_int_equal(parse("{\"name\":\"l\",\"size\":\"5\",\"metadata\":{"
			       "\"gcsfuse_mtime\":\"1970-01-01T00:00:01.5Z\","
			       "\"goog-reserved-file-is-symlink\":\"true\"}}",
			       &info),
			 0);
	assert_int_equal(info.mtime_ns, 1500000000);
	assert_int_equal(info.kind, OBJECT_SYMLINK);
	assert_null(info.symlink);
	object_info_done(&info);
}

static void what_is_no_object_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = {
		"",
		"[]",
		"<html>",
		"{\"size\":\"1\"}",
		"{\"name\":1,\"size\":\"1\"}",
		"{\"name\":\"a\"}",
		"{\"name\":\"a\",\"size\":\"-1\"}",
		"{\"name\":\"a\",\"size\":\"1e3\"}",
		"{\"name\":\"a\",\"size\":\"99999999999999999999\"}",
		"{\"name\":\"a\",\"size\":\"18446744073709551615\"}",
		"{\"name\":\"a\",\"size\":\"1\",\"generation\":[]}",
		"{\"name\":\"a\",\"size\":\"1\"",
		"{\"name\":\"a\xff",
	};
	struct object_info info;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(parse(wrong[i], &info), -EPROTO);
}

static void broken_hashes_are_no_hashes(void **state UNUSED)
{
	struct object_info info;

	assert_int_equal(parse("{\"name\":\"a\",\"size\":1,\"crc32c\":\"AA==\","
			       "\"md5Hash\":\"!\",\"metadata\":7}",
			       &info),
			 0);
	assert_int_equal(info.has, 0);
	object_info_done(&info);
	gcs_hash_parse("crc32c=AAECAw==, md5=AAECAwQFBgcICQoLDA0ODw==", &info);
	assert_int_equal(info.has, HAS_CRC32C | HAS_MD5);
	assert_int_equal(info.crc32c, 0x00010203);
}

static void an_odd_name_does_not_spoil_its_page(void **state UNUSED)
{
	static const char json[] =
		"{\"items\":[{\"name\":\"a\\u0000b\",\"size\":\"1\"},"
		"{\"name\":\"c\xff\xc0\x80\",\"size\":\"1\"},"
		"{\"name\":\"d\\ud800e\",\"size\":\"1\"},"
		"{\"name\":\"f\x01\\\"\\\\\",\"size\":\"1\"},"
		"{\"name\":\"g\xc3\xa9\\ud83d\\ude00\",\"size\":\"1\"}],"
		"\"prefixes\":[\"p/\",\"q\xfe/\"],\"nextPageToken\":\"t\"}";
	struct gcs_page page;

	assert_int_equal(gcs_page_parse(json, sizeof(json) - 1, NULL, &page),
			 0);
	assert_int_equal(page.n_items, 5);
	assert_int_equal(page.n_prefixes, 2);
	for (size_t i = 0; i < 4; i++)
		assert_true(page.items[i].odd_name);
	assert_string_equal(page.items[0].name, "a\xef\xbf\xbd"
						"b");
	assert_false(page.items[4].odd_name);
	assert_string_equal(page.items[4].name, "g\xc3\xa9\xf0\x9f\x98\x80");
	assert_false(page.prefixes[0].odd_name);
	assert_true(page.prefixes[1].odd_name);
	assert_string_equal(page.token, "t");
	gcs_page_done(&page);
}

static void every_cut_of_a_page_is_refused(void **state UNUSED)
{
	static const char json[] =
		"{\"items\":[" OBJECT "],\"prefixes\":[\"\\ud83d\\ude00/\"]}";
	struct gcs_page page;

	for (size_t n = 0; n < sizeof(json) - 1; n++) {
		/* On the heap, so that a look past the end is seen. */
		char *cut = malloc(n ? n : 1);

		memcpy(cut, json, n);
		assert_int_equal(gcs_page_parse(cut, n, NULL, &page), -EPROTO);
		free(cut);
	}
	assert_int_equal(gcs_page_parse("{}", 2, NULL, &page), 0);
	assert_int_equal(page.n_items, 0);
	assert_null(page.token);
	gcs_page_done(&page);
}

static void errors_become_one_line(void **state UNUSED)
{
	static const char json[] =
		"{\"error\":{\"code\":403,\"message\":\"no\\nway\"}}";
	char text[40];

	gcs_error_text(json, sizeof(json) - 1, text, sizeof(text));
	assert_string_equal(text, "no");
	gcs_error_text("Not Found\r\nx", 12, text, sizeof(text));
	assert_string_equal(text, "Not Found");
	gcs_error_text(" <html>", 7, text, sizeof(text));
	assert_string_equal(text, "an HTML or XML page");
	gcs_error_text("", 0, text, sizeof(text));
	assert_string_equal(text, "no message");
}

static void stat_asks_once_under_a_condition(void **state UNUSED)
{
	struct object_info info;
	struct op op;

	op_init(&op, 10 * NS_PER_S);
	say(200, OBJECT);
	assert_int_equal(site_gcs.stat(&op, site, "a b", 0, &info), 0);
	assert_string_equal(info.name, "a b");
	assert_string_equal(script.url,
			    "/storage/v1/b/lake/o/team%2Fx%2Fa%20b");
	assert_non_null(strstr(script.query, "userProject=pay er;"));
	assert_null(strstr(script.query, "ifGenerationNotMatch"));
	object_info_done(&info);
	say(304, "");
	assert_int_equal(site_gcs.stat(&op, site, "a b", 17, &info), 1);
	assert_non_null(strstr(script.query, "ifGenerationNotMatch=17;"));
}

static void a_no_says_why(void **state UNUSED)
{
	static const struct {
		unsigned status;
		int rc;
		const char *body, *why;
	} cases[] = {
		{404, -ENOENT,
		 "{\"error\":{\"message\":\"The specified bucket does not "
		 "exist.\"}}",
		 "bucket does not exist"},
		{403, -EACCES,
		 "{\"error\":{\"message\":\"x does not have "
		 "storage.objects.get access\"}}",
		 "storage.objects.get"},
		{401, -EACCES, "Invalid", "401: Invalid"},
		{429, -EAGAIN, "", "429"},
		{503, -EAGAIN, "<html>", "HTML"},
		{400, -EINVAL, "", "400"},
		{308, -EPROTO, "", "308"},
		{200, -EPROTO, "<html>login</html>", "proxy"},
		{200, -EPROTO, "{\"name\":\"team/x/b\",\"size\":\"1\"}",
		 "another object"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct object_info info;
		struct op op;

		op_init(&op, 10 * NS_PER_S);
		say(cases[i].status, cases[i].body);
		script.header[0][0] = "Retry-After";
		script.header[0][1] = "3";
		assert_int_equal(site_gcs.stat(&op, site, "a", 0, &info),
				 cases[i].rc);
		assert_non_null(strstr(op.why, cases[i].why));
		if (cases[i].rc == -EAGAIN)
			assert_true(op.retry_after_ns == 3 * NS_PER_S);
	}
}

static int collect(void *arg, const char *name, const struct object_info *info)
{
	char *text = arg;

	strcat(text, name);
	strcat(text, info ? " " : ":dir ");
	return 0;
}

static void a_page_is_merged_and_made_local(void **state UNUSED)
{
	const struct list_query query = {.prefix = "d",
					 .delimited = true,
					 .start = "d/",
					 .token = "t k",
					 .max = 7};
	char names[256] = "";
	char *token = NULL;
	struct op op;

	op_init(&op, 10 * NS_PER_S);
	say(200, "{\"items\":[{\"name\":\"team/x/d0\",\"size\":\"1\"},"
		 "{\"name\":\"team/x/da\",\"size\":\"1\"}],"
		 "\"prefixes\":[\"team/x/d/\",\"team/x/d5/\"],"
		 "\"nextPageToken\":\"n\"}");
	assert_int_equal(
		site_gcs.list(&op, site, &query, collect, names, &token), 0);
	assert_string_equal(names, "d/:dir d0 d5/:dir da ");
	assert_string_equal(token, "n");
	free(token);
	assert_non_null(strstr(script.query, "prefix=team/x/d;"));
	assert_non_null(strstr(script.query, "startOffset=team/x/d/;"));
	assert_non_null(strstr(script.query, "delimiter=/;"));
	assert_non_null(strstr(script.query, "pageToken=t k;"));
	assert_non_null(strstr(script.query, "maxResults=7;"));
	names[0] = '\0';
	say(200, "{\"nextPageToken\":\"again\"}");
	assert_int_equal(
		site_gcs.list(&op, site, &query, collect, names, &token), 0);
	assert_string_equal(names, "");
	assert_string_equal(token, "again");
	free(token);
}

static void names_not_asked_for_are_refused(void **state UNUSED)
{
	static const char *const pages[] = {
		"{\"items\":[{\"name\":\"team/y/d\",\"size\":\"1\"}]}",
		"{\"items\":[{\"name\":\"team/x/e\",\"size\":\"1\"}]}",
		"{\"prefixes\":[\"team/x/d\"]}",
		"{\"prefixes\":[\"d/\"]}",
	};
	const struct list_query query = {.prefix = "d", .delimited = true};

	for (size_t i = 0; i < 4; i++) {
		char names[256] = "";
		char *token = NULL;
		struct op op;

		op_init(&op, 10 * NS_PER_S);
		say(200, pages[i]);
		assert_int_equal(site_gcs.list(&op, site, &query, collect,
					       names, &token),
				 -EPROTO);
		assert_null(token);
	}
}

static int accept_info(void *arg, const struct object_info *info)
{
	struct object_info *seen = arg;

	*seen = *info;
	return info->size == 666 ? -ESTALE : 0;
}

static int read_part(struct op *op, struct object_info *seen, char *buf,
		     struct site_read *read)
{
	*read = (struct site_read){.name = "a b",
				   .offset = 2,
				   .len = 4,
				   .buf = buf,
				   .generation = 17,
				   .validator = read->validator,
				   .accept = accept_info,
				   .arg = seen};
	op_init(op, 10 * NS_PER_S);
	return site_gcs.read(op, site, read);
}

static void say_range(const char *range)
{
	say(206, "cdef");
	script.header[0][0] = "Content-Range";
	script.header[0][1] = range;
	script.header[1][0] = "x-goog-generation";
	script.header[1][1] = "17";
	script.header[2][0] = "x-goog-hash";
	script.header[2][1] = "crc32c=AAECAw==";
	script.header[3][0] = "x-goog-meta-generation";
	script.header[3][1] = "99";
}

static void a_read_is_pinned_and_tells_of_the_object(void **state UNUSED)
{
	struct object_info seen = {0};
	struct site_read read = {.validator = "17"};
	struct op op;
	char buf[5] = "";

	say_range("bytes 2-5/12");
	assert_int_equal(read_part(&op, &seen, buf, &read), 0);
	assert_string_equal(buf, "cdef");
	assert_int_equal(read.n_done, 4);
	assert_string_equal(script.range, "bytes=2-5");
	assert_non_null(strstr(script.query, "alt=media;"));
	assert_non_null(strstr(script.query, ";generation=17;"));
	assert_non_null(strstr(script.query, "ifGenerationMatch=17;"));
	assert_int_equal(seen.size, 12);
	assert_int_equal(seen.generation, 17);
	assert_int_equal(seen.crc32c, 0x00010203);
	assert_int_equal(seen.stamp, 99);
}

static void another_range_is_never_taken(void **state UNUSED)
{
	static const char *const ranges[] = {"bytes 1-4/12", "bytes 2-4/5",
					     "bytes 2-5/*",  "bytes 5-2/12",
					     "bytes 2-5/4",  "2-5/12"};

	for (size_t i = 0; i < 6; i++) {
		struct object_info seen = {0};
		struct site_read read = {0};
		struct op op;
		char buf[5] = "....";

		say_range(ranges[i]);
		assert_int_equal(read_part(&op, &seen, buf, &read), -EPROTO);
		assert_string_equal(buf, "....");
		assert_true(op.why[0]);
	}
}

static void a_200_to_a_range_is_never_taken(void **state UNUSED)
{
	struct object_info seen = {0};
	struct site_read read = {0};
	struct op op;
	char buf[5] = "....";

	say(200, "abcd");
	assert_int_equal(read_part(&op, &seen, buf, &read), -EPROTO);
	assert_string_equal(buf, "....");
	/* Unless all was asked for. */
	read = (struct site_read){.name = "a", .len = 4, .buf = buf};
	op_init(&op, 10 * NS_PER_S);
	assert_int_equal(site_gcs.read(&op, site, &read), 0);
	assert_string_equal(buf, "abcd");
}

static void accept_and_the_wrong_generation_refuse(void **state UNUSED)
{
	struct object_info seen = {0};
	struct site_read read = {0};
	struct op op;
	char buf[5] = "....";

	say_range("bytes 2-5/666");
	assert_int_equal(read_part(&op, &seen, buf, &read), -ESTALE);
	say_range("bytes 2-5/12");
	script.header[1][1] = "18";
	assert_int_equal(read_part(&op, &seen, buf, &read), -EPROTO);
	assert_string_equal(buf, "....");
}

static void a_generation_that_is_gone_is_stale(void **state UNUSED)
{
	static const unsigned statuses[] = {404, 412, 416, 304};

	for (size_t i = 0; i < 4; i++) {
		struct object_info seen = {0};
		struct site_read read = {0};
		struct op op;
		char buf[5];

		say(statuses[i], "");
		assert_int_equal(read_part(&op, &seen, buf, &read), -ESTALE);
	}
}

static void check_says_what_to_do(void **state UNUSED)
{
	struct op op;

	op_init(&op, 10 * NS_PER_S);
	say(200, "{}");
	assert_int_equal(site_gcs.check(&op, site), 0);
	say(404, "");
	assert_int_equal(site_gcs.check(&op, site), -ENOENT);
	assert_non_null(strstr(op.why, "check the bucket's name"));
}

static void write_token(const char *path, const char *token)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, token, strlen(token)), strlen(token));
	close(fd);
}

static void a_changed_token_file_is_read_again(void **state UNUSED)
{
	char path[] = "/tmp/lakefuse-token-XXXXXX";
	struct object_info info;
	struct site *with;
	struct op op;

	close(mkstemp(path));
	op_init(&op, 10 * NS_PER_S);
	write_token(path, "one\n");
	assert_int_equal(open_site(&op, path, &with), 0);
	say(200, OBJECT);
	assert_int_equal(site_gcs.stat(&op, with, "a b", 0, &info), 0);
	object_info_done(&info);
	assert_string_equal(script.auth, "Bearer one");
	write_token(path, "another");
	assert_int_equal(site_gcs.stat(&op, with, "a b", 0, &info), 0);
	object_info_done(&info);
	assert_string_equal(script.auth, "Bearer another");
	site_gcs.close(with);
	unlink(path);
}

static void a_token_file_gone_bad_is_not_used(void **state UNUSED)
{
	char path[] = "/tmp/lakefuse-token-XXXXXX";
	struct object_info info;
	struct site *with;
	struct op op;

	close(mkstemp(path));
	op_init(&op, 10 * NS_PER_S);
	write_token(path, "one");
	assert_int_equal(open_site(&op, path, &with), 0);
	say(200, OBJECT);
	assert_int_equal(site_gcs.stat(&op, with, "a b", 0, &info), 0);
	object_info_done(&info);
	/* the one read before goes on: the file may be in the writing */
	write_token(path, "two\r\nX-Evil: 1");
	assert_int_equal(site_gcs.stat(&op, with, "a b", 0, &info), 0);
	object_info_done(&info);
	assert_string_equal(script.auth, "Bearer one");
	unlink(path);
	assert_int_equal(site_gcs.stat(&op, with, "a b", 0, &info), 0);
	object_info_done(&info);
	assert_string_equal(script.auth, "Bearer one");
	site_gcs.close(with);
	/* and without one there is nothing to go on with */
	assert_int_equal(open_site(&op, path, &with), -EINVAL);
	assert_null(strstr(op.why, "Evil"));
}

static void wrong_configuration_is_told_at_once(void **state UNUSED)
{
	struct site_config config = {.url = (char *)"gs://lake"};
	struct lake_config lake = {0};
	struct site *none;
	struct op op;

	op_init(&op, 0);
	assert_int_equal(site_gcs.open(&op, &config, &lake, http, &none),
			 -EINVAL);
	assert_non_null(strstr(op.why, "adc"));
	op_init(&op, 0);
	config.credentials = (char *)"/nonexistent/token";
	assert_int_equal(site_gcs.open(&op, &config, &lake, http, &none),
			 -EINVAL);
	op_init(&op, 0);
	config.endpoint = (char *)"storage.example";
	assert_int_equal(site_gcs.open(&op, &config, &lake, http, &none),
			 -EINVAL);
	assert_non_null(strstr(op.why, "endpoint"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_is_understood),
		cmocka_unit_test(metadata_tells_mtime_and_symlinks),
		cmocka_unit_test(what_is_no_object_is_refused),
		cmocka_unit_test(broken_hashes_are_no_hashes),
		cmocka_unit_test(an_odd_name_does_not_spoil_its_page),
		cmocka_unit_test(every_cut_of_a_page_is_refused),
		cmocka_unit_test(errors_become_one_line),
		cmocka_unit_test(stat_asks_once_under_a_condition),
		cmocka_unit_test(a_no_says_why),
		cmocka_unit_test(a_page_is_merged_and_made_local),
		cmocka_unit_test(names_not_asked_for_are_refused),
		cmocka_unit_test(a_read_is_pinned_and_tells_of_the_object),
		cmocka_unit_test(another_range_is_never_taken),
		cmocka_unit_test(a_200_to_a_range_is_never_taken),
		cmocka_unit_test(accept_and_the_wrong_generation_refuse),
		cmocka_unit_test(a_generation_that_is_gone_is_stale),
		cmocka_unit_test(check_says_what_to_do),
		cmocka_unit_test(a_changed_token_file_is_read_again),
		cmocka_unit_test(a_token_file_gone_bad_is_not_used),
		cmocka_unit_test(wrong_configuration_is_told_at_once),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
