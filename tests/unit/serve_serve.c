#include "tests/lib/cmocka.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/op.h"
#include "serve/serve.h"

#define SIZE 200000
#define OBJECT "/storage/v1/b/lake/o/a%2Fb?alt=media"
#define FAULTS "/_lakefuse/faults"

struct fixture {
	struct serve *serve;
	char dir[64];
	char *bytes; /* of the one object */
};

struct answer {
	CURLcode code;
	long status;
	size_t n;
	char bytes[SIZE + 1000];
};

static size_t keep(char *data, size_t size, size_t n, void *ctx)
{
	struct answer *a = ctx;

	n *= size;
	if (a->n + n > sizeof(a->bytes))
		return 0;
	memcpy(a->bytes + a->n, data, n);
	a->n += n;
	return n;
}

/* range and body may be NULL. */
static void ask(const struct fixture *f, const char *method, const char *target,
		const char *range, const char *body, struct answer *a)
{
	CURL *curl = curl_easy_init();
	char url[400];

	assert_non_null(curl);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s",
		 serve_gcs_port(f->serve), target);
	a->n = 0;
	a->status = 0;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
	if (range)
		curl_easy_setopt(curl, CURLOPT_RANGE, range);
	if (body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE,
				 (long)strlen(body));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	a->code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a->status);
	curl_easy_cleanup(curl);
}

static struct answer *get(const struct fixture *f, const char *range)
{
	static struct answer a;

	ask(f, "GET", OBJECT, range, NULL, &a);
	return &a;
}

static void set_fault(const struct fixture *f, const char *json)
{
	static struct answer a;

	ask(f, "POST", FAULTS, NULL, json, &a);
	assert_int_equal(a.status, 200);
}

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct serve_config config = {.bind = "127.0.0.1", .bucket = "lake"};
	static struct answer a;
	struct op op;

	op_init(&op, 0);
	snprintf(f->dir, sizeof(f->dir), "%s/serve.XXXXXX", P_tmpdir);
	assert_non_null(mkdtemp(f->dir));
	config.dir = f->dir;
	assert_int_equal(serve_start(&op, &config, &f->serve), 0);
	f->bytes = malloc(SIZE + 1);
	for (int i = 0; i < SIZE; i++)
		f->bytes[i] = (char)('a' + i % 23);
	f->bytes[SIZE] = '\0';
	ask(f, "POST",
	    "/upload/storage/v1/b/lake/o?uploadType=media&name=a%2Fb", NULL,
	    f->bytes, &a);
	assert_int_equal(a.status, 200);
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;
	char command[100];

	if (f->serve)
		serve_stop(f->serve);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
	assert_int_equal(system(command), 0);
	free(f->bytes);
	free(f);
	return 0;
}

static void ranges_are_served(void **state)
{
	const struct fixture *f = *state;
	const struct answer *a = get(f, "1000-1999");

	assert_int_equal(a->status, 206);
	assert_int_equal(a->n, 1000);
	assert_memory_equal(a->bytes, f->bytes + 1000, 1000);
	a = get(f, NULL);
	assert_int_equal(a->status, 200);
	assert_int_equal(a->n, SIZE);
	assert_memory_equal(a->bytes, f->bytes, SIZE);
	assert_int_equal(get(f, "200000-")->status, 416);
}

static void a_cut_body_ends_where_it_is_cut(void **state)
{
	const struct fixture *f = *state;
	const struct answer *a;

	set_fault(f, "{\"cut_after_bytes\":70000}");
	a = get(f, NULL);
	assert_int_equal(a->code, CURLE_PARTIAL_FILE);
	assert_int_equal(a->n, 70000);
}

static void a_flipped_bit_is_where_it_was_asked_for(void **state)
{
	const struct fixture *f = *state;
	const struct answer *a;

	set_fault(f, "{\"flip_at\":1005}");
	a = get(f, "1000-1999");
	assert_int_equal(a->bytes[5], f->bytes[1005] ^ 1);
	assert_memory_equal(a->bytes, f->bytes + 1000, 5);
	assert_memory_equal(a->bytes + 6, f->bytes + 1006, 994);
}

static void a_reset_and_a_status_are_seen(void **state)
{
	const struct fixture *f = *state;

	set_fault(f, "[{\"reset\":true,\"count\":1}]");
	assert_int_not_equal(get(f, NULL)->code, CURLE_OK);
	assert_int_equal(get(f, NULL)->status, 200);
	set_fault(f, "{\"status\":429,\"match\":\"o/a/b\"}");
	assert_int_equal(get(f, NULL)->status, 429);
}

static void *get_in_thread(void *ctx)
{
	static struct answer a;

	ask(ctx, "GET", OBJECT, NULL, NULL, &a);
	return &a;
}

/* Waits until the server has begun to answer n requests for media. */
static void await_media(const struct fixture *f, const char *n)
{
	static struct answer a;
	char want[40];

	snprintf(want, sizeof(want), "\"media\":%s,", n);
	do {
		ask(f, "GET", "/_lakefuse/requests", NULL, NULL, &a);
		a.bytes[a.n] = '\0';
	} while (!strstr(a.bytes, want));
}

static void what_stalls_goes_on_when_cleared(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	pthread_t thread;
	void *got;

	set_fault(f, "{\"stall_after_bytes\":1000}");
	pthread_create(&thread, NULL, get_in_thread, f);
	await_media(f, "1");
	ask(f, "DELETE", FAULTS, NULL, NULL, &a);
	pthread_join(thread, &got);
	assert_int_equal(((struct answer *)got)->n, SIZE);
}

static void what_hangs_does_not_hold_up_the_stop(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;
	uint64_t begin;
	void *got;

	set_fault(f, "{\"hang\":true}");
	pthread_create(&thread, NULL, get_in_thread, f);
	await_media(f, "1");
	begin = clock_mono_ns();
	serve_stop(f->serve);
	f->serve = NULL;
	assert_true(clock_mono_ns() - begin < 2 * NS_PER_S);
	pthread_join(thread, &got);
	assert_int_not_equal(((struct answer *)got)->code, CURLE_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ranges_are_served),
		TEST(a_cut_body_ends_where_it_is_cut),
		TEST(a_flipped_bit_is_where_it_was_asked_for),
		TEST(a_reset_and_a_status_are_seen),
		TEST(what_stalls_goes_on_when_cleared),
		TEST(what_hangs_does_not_hold_up_the_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
