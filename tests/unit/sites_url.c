#include "sites/url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/op.h"
#include "tests/lib/cmocka.h"

static void urls_come_apart(void **state UNUSED)
{
	struct site_url url;
	struct op op;

	op_init(&op, 0);
	assert_int_equal(site_url_parse(&op, "gs://lake", &url), 0);
	assert_string_equal(url.scheme, "gs");
	assert_string_equal(url.bucket, "lake");
	assert_string_equal(url.prefix, "");
	site_url_done(&url);
	assert_int_equal(site_url_parse(&op, "s3://lake/a/b//", &url), 0);
	assert_string_equal(url.scheme, "s3");
	assert_string_equal(url.prefix, "a/b/");
	site_url_done(&url);
	assert_int_equal(site_url_parse(&op, "file:///mnt/lake/", &url), 0);
	assert_null(url.bucket);
	assert_string_equal(url.prefix, "/mnt/lake");
	site_url_done(&url);
}

static void wrong_urls_are_refused(void **state UNUSED)
{
	static const char *const wrong[] = {
		"",	    "lake",	"gs://",      "gs:///x",
		"http://x", "gs://a b", "file://dir", "gs://../x"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct site_url url;
		struct op op;

		op_init(&op, 0);
		assert_int_equal(site_url_parse(&op, wrong[i], &url), -EINVAL);
		assert_true(op.why[0]);
	}
}

static void prefix_goes_on_and_comes_off(void **state UNUSED)
{
	struct site_url url;
	struct op op;
	char *out;

	op_init(&op, 0);
	assert_int_equal(site_url_parse(&op, "gs://lake/team/x", &url), 0);
	out = site_url_out(&url, "t/1.parquet");
	assert_string_equal(out, "team/x/t/1.parquet");
	assert_string_equal(site_url_in(&url, out), "t/1.parquet");
	assert_null(site_url_in(&url, "team/xy"));
	free(out);
	site_url_done(&url);
}

static void endpoints_are_checked(void **state UNUSED)
{
	static const char *const wrong[] = {
		"host",	      "ftp://x",     "http://",	     "http://u@x",
		"http://x/y", "http://x:1y", "https://[::1", "http://x?y"};
	struct op op;
	char *endpoint;

	op_init(&op, 0);
	assert_int_equal(endpoint_parse(&op, "http://h:80/", NULL, &endpoint),
			 0);
	assert_string_equal(endpoint, "http://h:80");
	free(endpoint);
	assert_int_equal(
		endpoint_parse(&op, NULL, "https://a.example", &endpoint), 0);
	assert_string_equal(endpoint, "https://a.example");
	free(endpoint);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(endpoint_parse(&op, wrong[i], NULL, &endpoint),
				 -EINVAL);
	assert_true(endpoint_is_local("http://anything"));
	assert_true(endpoint_is_local("https://127.0.0.1:8443"));
	assert_true(endpoint_is_local("https://[::1]:8443"));
	assert_false(endpoint_is_local("https://127.example.com"));
	assert_false(endpoint_is_local("https://localhost.example.com"));
}

static void names_are_percent_encoded(void **state UNUSED)
{
	char *text = percent_encode("a/b c%\xc3\xa9\r\n?~", false);

	assert_string_equal(text, "a%2Fb%20c%25%C3%A9%0D%0A%3F~");
	assert_int_equal(percent_decode(text), 0);
	assert_string_equal(text, "a/b c%\xc3\xa9\r\n?~");
	free(text);
	text = percent_encode("a/b+", true);
	assert_string_equal(text, "a/b%2B");
	free(text);
	char broken[][8] = {"%", "%4", "%zz", "a%00"};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(percent_decode(broken[i]), -EINVAL);
}

static void base64_goes_there_and_back(void **state UNUSED)
{
	static const char *const pairs[][2] = {{"", ""},
					       {"f", "Zg=="},
					       {"fo", "Zm8="},
					       {"foo", "Zm9v"},
					       {"foobar", "Zm9vYmFy"}};
	char text[BASE64_SIZE(6)];
	char data[8];

	for (size_t i = 0; i < 5; i++) {
		size_t n = strlen(pairs[i][0]);

		base64_encode(pairs[i][0], n, text);
		assert_string_equal(text, pairs[i][1]);
		assert_int_equal(base64_decode(text, data, sizeof(data)), n);
		assert_memory_equal(data, pairs[i][0], n);
	}
	assert_int_equal(base64_decode("Zm9v", data, 2), -EINVAL);
	assert_int_equal(base64_decode("Zm9", data, 8), -EINVAL);
	assert_int_equal(base64_decode("Z===", data, 8), -EINVAL);
	assert_int_equal(base64_decode("Zm=v", data, 8), -EINVAL);
}

static void times_are_nanoseconds(void **state UNUSED)
{
	int64_t ns;

	assert_int_equal(rfc3339_parse("1970-01-01T00:00:00Z", &ns), 0);
	assert_int_equal(ns, 0);
	assert_int_equal(rfc3339_parse("2024-02-29T12:00:00.5Z", &ns), 0);
	assert_int_equal(ns, 1709208000500000000);
	assert_int_equal(rfc3339_parse("2024-03-01T01:00:00+02:00", &ns), 0);
	assert_int_equal(ns, 1709247600000000000);
	assert_int_equal(rfc3339_parse("1969-12-31T23:59:59.75Z", &ns), 0);
	assert_int_equal(ns, -250000000);
	assert_int_equal(rfc3339_parse("2024-02-29", &ns), -EINVAL);
	assert_int_equal(rfc3339_parse("2024-13-29T12:00:00Z", &ns), -EINVAL);
	assert_int_equal(rfc3339_parse("9999-12-29T12:00:00Z", &ns), -EINVAL);
	assert_int_equal(rfc3339_parse("2024-02-29T12:00:00", &ns), -EINVAL);
	assert_int_equal(seconds_parse("1700000000.25", &ns), 0);
	assert_int_equal(ns, 1700000000250000000);
	assert_int_equal(seconds_parse("-1.5", &ns), 0);
	assert_int_equal(ns, -1500000000);
	assert_int_equal(seconds_parse("99999999999999999999", &ns), -EINVAL);
	assert_int_equal(seconds_parse("1x", &ns), -EINVAL);
	assert_int_equal(seconds_parse("", &ns), -EINVAL);
}

static void numbers_must_fit(void **state UNUSED)
{
	uint64_t value;

	assert_int_equal(u64_parse("18446744073709551615", &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(u64_parse("18446744073709551616", &value), -EINVAL);
	assert_int_equal(u64_parse("-1", &value), -EINVAL);
	assert_int_equal(u64_parse("", &value), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_come_apart),
		cmocka_unit_test(wrong_urls_are_refused),
		cmocka_unit_test(prefix_goes_on_and_comes_off),
		cmocka_unit_test(endpoints_are_checked),
		cmocka_unit_test(names_are_percent_encoded),
		cmocka_unit_test(base64_goes_there_and_back),
		cmocka_unit_test(times_are_nanoseconds),
		cmocka_unit_test(numbers_must_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
