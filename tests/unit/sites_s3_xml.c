#include "tests/lib/cmocka.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "sites/s3_xml.h"

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

static void expect_names(const char *xml, const char *want)
{
	struct s3_page page;
	char names[1000] = "";

	assert_int_equal(s3_page_parse(xml, strlen(xml), &page), 0);
	for (size_t i = 0; i < page.n_entries; i++) {
		strcat(names, page.entries[i].name);
		strcat(names, "|");
	}
	assert_string_equal(names, want);
	s3_page_done(&page);
}

static void pages_are_put_in_one_order_and_decoded(void **state UNUSED)
{
	expect_names(PAGE(""), "");
	expect_names(PAGE(OBJECT("a") OBJECT("z") PREFIX("b/") PREFIX("%7e/")),
		     "a|b/|z|~/|");
	expect_names(PAGE(OBJECT("a+b%2Bc%25%c3%a9") OBJECT("x&amp;y")),
		     "a b+c%\xc3\xa9|x&y|");
	/* A server that ignores encoding-type does not say url. */
	expect_names(XML
		     "<ListBucketResult>" OBJECT("a+%41") "</"
							  "ListBucketResult>",
		     "a+%41|");
	/* Vendors' own elements are skipped, however like ours they look. */
	expect_names(PAGE("<X><Contents><Key>no</Key></Contents></X>"
			  "<Contents><Key>a</Key><Owner><ID>1</ID><Key>no</Key>"
			  "</Owner><Size>1</Size></Contents>"),
		     "a|");
	expect_names(PAGE(OBJECT("nul%00name")), "nul%00name|");
}

static void a_page_tells_size_time_and_token(void **state UNUSED)
{
	static const char xml[] =
		PAGE(OBJECT("k") "<IsTruncated>true</IsTruncated>"
				 "<NextContinuationToken>t+/%=</"
				 "NextContinuationToken>");
	struct s3_page page;

	assert_int_equal(s3_page_parse(xml, strlen(xml), &page), 0);
	assert_true(page.truncated);
	assert_string_equal(page.next_token, "t+/%=");
	assert_int_equal(page.entries[0].size, 7);
	assert_string_equal(page.entries[0].etag, "\"abc\"");
	assert_int_equal(page.entries[0].mtime_ns,
			 1714558830LL * (int64_t)NS_PER_S);
	s3_page_done(&page);
}

static void what_is_no_page_is_refused(void **state UNUSED)
{
	static const char *const pages[] = {
		"",
		"{}",
		"<html><body>Login</body></html>",
		"<!DOCTYPE html><html></html>",
		"<!DOCTYPE l [<!ENTITY a \"aaaa\">"
		"<!ENTITY b \"&a;&a;&a;&a;\">]>" PAGE(OBJECT("&b;")),
		XML "<!DOCTYPE x SYSTEM \"file:///etc/passwd\">"
		    "<ListBucketResult/>",
		XML "<ListBucketResult><Contents>",
		PAGE("<Contents><Size>1</Size></Contents>"),
		PAGE("<Contents><Key></Key></Contents>"),
		PAGE("<Contents><Key>a</Key><Size>-1</Size></Contents>"),
		PAGE("<Contents><Key>a</Key><Size>99999999999999999999</Size>"
		     "</Contents>"),
		PAGE("<Contents><Key>a</Key><Size> 1</Size></Contents>"),
		PAGE("<Contents><Key>a%4</Key></Contents>"),
		PAGE("<Contents><Key>a</Key><LastModified>now</LastModified>"
		     "</Contents>"),
		PAGE("<IsTruncated>true</IsTruncated>"),
		PAGE("<a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a>"),
		PAGE(OBJECT("a")) "<more/>",
		XML "<Error><Code>NoSuchBucket</Code></Error>",
	};
	struct s3_page page;

	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++)
		assert_int_equal(
			s3_page_parse(pages[i], strlen(pages[i]), &page),
			-EPROTO);
}

/* Every beginning of a page, and every one with a byte changed, ends well. */
static void broken_pages_end_well(void **state UNUSED)
{
	static const char xml[] = PAGE(OBJECT("a%20b") PREFIX(
		"p/") "<IsTruncated>false</IsTruncated>");
	struct s3_page page;
	char copy[sizeof(xml)];

	for (size_t n = 0; n < sizeof(xml); n++) {
		memcpy(copy, xml, sizeof(xml));
		if (s3_page_parse(xml, n, &page) == 0)
			s3_page_done(&page);
		copy[n] ^= 0x11;
		if (s3_page_parse(copy, sizeof(xml) - 1, &page) == 0)
			s3_page_done(&page);
	}
}

static void a_text_without_end_is_refused(void **state UNUSED)
{
	auto_free char *xml = malloc(200000);
	struct s3_page page;
	int n = sprintf(xml, "<ListBucketResult><Contents><Key>");

	memset(xml + n, 'k', 100000);
	strcpy(xml + n + 100000, "</Key></Contents></ListBucketResult>");
	assert_int_equal(s3_page_parse(xml, strlen(xml), &page), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_put_in_one_order_and_decoded),
		cmocka_unit_test(a_page_tells_size_time_and_token),
		cmocka_unit_test(what_is_no_page_is_refused),
		cmocka_unit_test(broken_pages_end_well),
		cmocka_unit_test(a_text_without_end_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
