#include "tests/lib/cmocka.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "sites/sigv4.h"

/* The example account of the Amazon S3 API reference. */
static const struct sigv4_scope s3_scope = {
	.key_id = "AKIAIOSFODNN7EXAMPLE",
	.secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	.region = "us-east-1",
	.service = "s3",
	.time = "20130524T000000Z",
};

static void expect_signature(const struct sigv4_request *request,
			     const struct sigv4_scope *scope,
			     const char *signed_headers, const char *signature)
{
	auto_free char *value = NULL;
	const char *part;

	assert_int_equal(sigv4_sign(request, scope, &value), 0);
	part = strstr(value, "SignedHeaders=");
	assert_non_null(part);
	part += strlen("SignedHeaders=");
	assert_memory_equal(part, signed_headers, strlen(signed_headers));
	part = strstr(value, "Signature=");
	assert_non_null(part);
	assert_string_equal(part + strlen("Signature="), signature);
}

static void a_ranged_get_is_signed_as_documented(void **state UNUSED)
{
	const struct sigv4_header headers[] = {
		{"x-amz-date", "20130524T000000Z"},
		{"x-amz-content-sha256", SIGV4_EMPTY_BODY},
		{"host", "examplebucket.s3.amazonaws.com"},
		{"range", "bytes=0-9"},
	};
	const struct sigv4_request request = {
		.method = "GET",
		.path = "/test.txt",
		.query = "",
		.headers = headers,
		.n_headers = 4,
		.body_sha256 = SIGV4_EMPTY_BODY,
	};

	expect_signature(&request, &s3_scope,
			 "host;range;x-amz-content-sha256;x-amz-date,",
			 "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd9103"
			 "9c6036bdb41");
}

static void a_listing_is_signed_as_documented(void **state UNUSED)
{
	const struct sigv4_header headers[] = {
		{"host", "examplebucket.s3.amazonaws.com"},
		{"x-amz-content-sha256", SIGV4_EMPTY_BODY},
		{"x-amz-date", "20130524T000000Z"},
	};
	struct sigv4_request request = {
		.method = "GET",
		.path = "/",
		.query = "max-keys=2&prefix=J",
		.headers = headers,
		.n_headers = 3,
		.body_sha256 = SIGV4_EMPTY_BODY,
	};

	expect_signature(&request, &s3_scope,
			 "host;x-amz-content-sha256;x-amz-date,",
			 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed57"
			 "11ef69dc6f7");
	request.query = "lifecycle=";
	expect_signature(&request, &s3_scope,
			 "host;x-amz-content-sha256;x-amz-date,",
			 "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200"
			 "a0136783543");
}

/* "get-vanilla" of the published test suite. */
static void other_services_and_dates_are_scoped(void **state UNUSED)
{
	const struct sigv4_scope scope = {
		.key_id = "AKIDEXAMPLE",
		.secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
		.region = "us-east-1",
		.service = "service",
		.time = "20150830T123600Z",
	};
	const struct sigv4_header headers[] = {
		{"host", "example.amazonaws.com"},
		{"x-amz-date", "20150830T123600Z"},
	};
	const struct sigv4_request request = {
		.method = "GET",
		.path = "/",
		.query = "",
		.headers = headers,
		.n_headers = 2,
		.body_sha256 = SIGV4_EMPTY_BODY,
	};

	expect_signature(&request, &scope, "host;x-amz-date,",
			 "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aa"
			 "e1d763fbf31");
}

static void time_is_utc_and_compact(void **state UNUSED)
{
	char time[17];

	sigv4_time(time, 1369353600LL * 1000000000 + 999999999);
	assert_string_equal(time, "20130524T000000Z");
}

static void too_many_headers_are_refused(void **state UNUSED)
{
	struct sigv4_header headers[SIGV4_HEADERS_MAX + 1];
	const struct sigv4_request request = {
		.method = "GET",
		.path = "/",
		.query = "",
		.headers = headers,
		.n_headers = SIGV4_HEADERS_MAX + 1,
		.body_sha256 = SIGV4_EMPTY_BODY,
	};
	char *value = NULL;

	for (size_t i = 0; i <= SIGV4_HEADERS_MAX; i++)
		headers[i] = (struct sigv4_header){"x", "y"};
	assert_int_equal(sigv4_sign(&request, &s3_scope, &value), -EINVAL);
	assert_null(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ranged_get_is_signed_as_documented),
		cmocka_unit_test(a_listing_is_signed_as_documented),
		cmocka_unit_test(other_services_and_dates_are_scoped),
		cmocka_unit_test(time_is_utc_and_compact),
		cmocka_unit_test(too_many_headers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
