/* The engine against a real HTTP server that misbehaves by path. */
#include "sites/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/op.h"
#include "tests/lib/cmocka.h"

#define BODY_SIZE (1 << 20)
#define KEPT 64

static struct MHD_Daemon *daemon_;
static struct http *http;
static char base[64];
static char *bytes;
static int gate[2]; /* closed at the end: who hangs on it may go */
static atomic_uint n_connections;

static ssize_t whole(void *cls UNUSED, uint64_t pos, char *buf, size_t max)
{
	size_t left = BODY_SIZE - pos;
	size_t n = max < left ? max : left;

	memcpy(buf, bytes + pos, n);
	return (ssize_t)n;
}

static ssize_t cut(void *cls UNUSED, uint64_t pos, char *buf, size_t max)
{
	size_t left = BODY_SIZE / 2 - pos;
	size_t n = max < left ? max : left;

	if (!left)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	memcpy(buf, bytes + pos, n);
	return (ssize_t)n;
}

static ssize_t stall(void *cls UNUSED, uint64_t pos, char *buf, size_t max)
{
	char c;

	if (pos >= BODY_SIZE / 2) {
		if (read(gate[0], &c, 1) < 0)
			return -1;
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	if (max > BODY_SIZE / 2 - pos)
		max = BODY_SIZE / 2 - pos;
	memcpy(buf, bytes + pos, max);
	return (ssize_t)max;
}

static enum MHD_Result reply(struct MHD_Connection *c, unsigned status,
			     struct MHD_Response *response)
{
	enum MHD_Result rc = MHD_queue_response(c, status, response);

	MHD_destroy_response(response);
	return rc;
}

static struct MHD_Response *small(const char *text)
{
	return MHD_create_response_from_buffer(strlen(text), (void *)text,
					       MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result ranged(struct MHD_Connection *c)
{
	const char *range =
		MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Range");
	unsigned long long from = 0;
	unsigned long long to = BODY_SIZE - 1;
	struct MHD_Response *response;
	char text[96];

	if (range && sscanf(range, "bytes=%llu-%llu", &from, &to) != 2)
		return MHD_NO;
	response = MHD_create_response_from_buffer(to - from + 1, bytes + from,
						   MHD_RESPMEM_PERSISTENT);
	snprintf(text, sizeof(text), "bytes %llu-%llu/%d", from, to, BODY_SIZE);
	MHD_add_response_header(response, "Content-Range", text);
	return reply(c, 206, response);
}

static enum MHD_Result wait_at_gate(struct MHD_Connection *c)
{
	char byte;

	if (read(gate[0], &byte, 1) < 0)
		return MHD_NO;
	return reply(c, 200, small("late"));
}

static enum MHD_Result echo(struct MHD_Connection *c, const char *data,
			    size_t *n, void **state)
{
	char *kept = *state;

	if (*n) {
		snprintf(kept, KEPT, "%.*s", (int)*n, data);
		*n = 0;
		return MHD_YES;
	}
	return reply(c, 200, small(kept));
}

static enum MHD_Result answer(void *cls UNUSED, struct MHD_Connection *c,
			      const char *url, const char *method,
			      const char *version UNUSED, const char *data,
			      size_t *n, void **state)
{
	static _Thread_local char kept[KEPT];
	struct MHD_Response *response;

	/* An answer at the first call would end the connection. */
	if (!*state) {
		kept[0] = '\0';
		*state = kept;
		return MHD_YES;
	}
	if (!strcmp(method, "POST") || !strcmp(method, "PUT"))
		return echo(c, data, n, state);
	if (!strcmp(url, "/range"))
		return ranged(c);
	if (!strcmp(url, "/hang"))
		return wait_at_gate(c);
	if (!strcmp(url, "/cut"))
		return reply(c, 200,
			     MHD_create_response_from_callback(
				     BODY_SIZE, 65536, cut, NULL, NULL));
	if (!strcmp(url, "/stall"))
		return reply(c, 200,
			     MHD_create_response_from_callback(
				     BODY_SIZE, 65536, stall, NULL, NULL));
	if (!strcmp(url, "/chunked"))
		return reply(c, 200,
			     MHD_create_response_from_callback(
				     MHD_SIZE_UNKNOWN, 65536, cut, NULL, NULL));
	if (!strcmp(url, "/whole"))
		return reply(c, 200,
			     MHD_create_response_from_callback(
				     BODY_SIZE, 65536, whole, NULL, NULL));
	if (!strcmp(url, "/308") || !strcmp(url, "/503")) {
		response = small("not here");
		MHD_add_response_header(response, "Location", "/range");
		MHD_add_response_header(response, "Retry-After", "7");
		MHD_add_response_header(response, "X-Twice", "a");
		MHD_add_response_header(response, "X-Twice", "b");
		return reply(c, (unsigned)atoi(url + 1), response);
	}
	return reply(c, 200, small("ok"));
}

static void count(void *cls UNUSED, struct MHD_Connection *c UNUSED,
		  void **state UNUSED, enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		atomic_fetch_add(&n_connections, 1);
}

static int set_up(void **state UNUSED)
{
	const union MHD_DaemonInfo *info;
	struct sockaddr_in here = {.sin_family = AF_INET};
	struct op op;

	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bytes = malloc(BODY_SIZE);
	for (size_t i = 0; i < BODY_SIZE; i++)
		bytes[i] = (char)(i * 2654435761U >> 13);
	if (pipe(gate) < 0)
		return -1;
	daemon_ = MHD_start_daemon(
		MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD,
		0, NULL, NULL, answer, NULL, MHD_OPTION_SOCK_ADDR, &here,
		MHD_OPTION_NOTIFY_CONNECTION, count, NULL, MHD_OPTION_END);
	if (!daemon_)
		return -1;
	info = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_BIND_PORT);
	snprintf(base, sizeof(base), "http://127.0.0.1:%u", info->port);
	op_init(&op, 0);
	return http_new(&op, &http);
}

static int tear_down(void **state UNUSED)
{
	http_free(http);
	close(gate[1]);
	MHD_stop_daemon(daemon_);
	close(gate[0]);
	free(bytes);
	return 0;
}

/* What most tests ask: buf of room bytes or none, on the data lane. */
static int get(struct op *op, const char *path, struct http_request *request,
	       struct http_response *response)
{
	char url[128];

	snprintf(url, sizeof(url), "%s%s", base, path);
	request->method = request->method ? request->method : "GET";
	request->url = url;
	return http_do(op, http, request, response);
}

static void a_range_lands_in_the_buffer(void **state UNUSED)
{
	struct curl_slist *headers =
		curl_slist_append(NULL, "Range: bytes=1000-300999");
	char *buf = malloc(300000);
	struct http_request request = {.lane = HTTP_DATA,
				       .headers = headers,
				       .buf = buf,
				       .room = 300000};
	struct http_response response;
	struct http_range range;
	struct op op;

	op_init(&op, 10 * NS_PER_S);
	assert_int_equal(get(&op, "/range", &request, &response), 0);
	assert_int_equal(response.status, 206);
	assert_int_equal(request.n_done, 300000);
	assert_memory_equal(buf, bytes + 1000, 300000);
	assert_true(response.latency_ns > 0);
	assert_true(http_content_range(&response, &range));
	assert_int_equal(range.first, 1000);
	assert_int_equal(range.total, BODY_SIZE);
	http_response_done(&response);
	curl_slist_free_all(headers);
	free(buf);
}

static void no_byte_goes_past_the_room(void **state UNUSED)
{
	char *buf = malloc(5000);
	struct http_request request = {
		.lane = HTTP_DATA, .buf = buf, .room = 5000};
	struct http_response response;
	struct op op;

	op_init(&op, 10 * NS_PER_S);
	assert_int_equal(get(&op, "/whole", &request, &response), -EPROTO);
	assert_true(request.n_done <= 5000);
	http_response_done(&response);
	request = (struct http_request){.max_body = 5000};
	assert_int_equal(get(&op, "/whole", &request, &response), -EPROTO);
	http_response_done(&response);
	free(buf);
}

static void a_cut_body_says_how_far_it_came(void **state UNUSED)
{
	static const char *const paths[] = {"/cut", "/chunked"};
	char *buf = malloc(BODY_SIZE);

	for (size_t i = 0; i < 2; i++) {
		struct http_request request = {
			.lane = HTTP_DATA, .buf = buf, .room = BODY_SIZE};
		struct http_response response;
		struct op op;

		op_init(&op, 10 * NS_PER_S);
		assert_int_equal(get(&op, paths[i], &request, &response),
				 -EAGAIN);
		assert_int_equal(request.n_done, BODY_SIZE / 2);
		assert_memory_equal(buf, bytes, BODY_SIZE / 2);
		assert_int_equal(op.rc, -EAGAIN);
		http_response_done(&response);
	}
	free(buf);
}

static void a_stall_is_given_up(void **state UNUSED)
{
	char *buf = malloc(BODY_SIZE);
	struct http_request request = {.lane = HTTP_DATA,
				       .buf = buf,
				       .room = BODY_SIZE,
				       .stall_ns = 100 * NS_PER_MS};
	struct http_response response;
	struct op op;

	op_init(&op, 30 * NS_PER_S);
	assert_int_equal(get(&op, "/stall", &request, &response), -EAGAIN);
	assert_int_equal(request.n_done, BODY_SIZE / 2);
	assert_non_null(strstr(op.why, "stood still"));
	http_response_done(&response);
	free(buf);
}

static void a_late_first_byte_is_given_up(void **state UNUSED)
{
	struct http_request request = {.first_byte_ns = 80 * NS_PER_MS};
	struct http_response response;
	struct op op;

	op_init(&op, 30 * NS_PER_S);
	assert_int_equal(get(&op, "/hang?token=secret", &request, &response),
			 -EAGAIN);
	assert_int_equal(response.status, 0);
	assert_null(strstr(op.why, "secret"));
	http_response_done(&response);
}

static void the_deadline_ends_a_hang(void **state UNUSED)
{
	struct http_request request = {.lane = HTTP_DATA};
	struct http_response response;
	struct op op;

	op_init(&op, 100 * NS_PER_MS);
	assert_int_equal(get(&op, "/hang", &request, &response), -ETIMEDOUT);
	http_response_done(&response);
	assert_int_equal(get(&op, "/ok", &request, &response), -ETIMEDOUT);
	http_response_done(&response);
}

static void *cancel(void *arg)
{
	struct timespec nap = {.tv_nsec = 50 * 1000 * 1000};

	nanosleep(&nap, NULL);
	op_cancel(arg);
	return NULL;
}

static void a_cancelled_call_comes_back_soon(void **state UNUSED)
{
	struct http_request request = {.lane = HTTP_DATA};
	struct http_response response;
	pthread_t thread;
	struct op op;
	uint64_t before;

	op_init(&op, 60 * NS_PER_S);
	pthread_create(&thread, NULL, cancel, &op);
	before = clock_mono_ns();
	assert_int_equal(get(&op, "/hang", &request, &response), -EINTR);
	assert_true(clock_mono_ns() - before < 2 * NS_PER_S);
	pthread_join(thread, NULL);
	http_response_done(&response);
}

static void a_308_is_not_followed(void **state UNUSED)
{
	char buf[4];
	struct http_request request = {.buf = buf, .room = sizeof(buf)};
	struct http_response response;
	struct op op;
	char value[32];

	op_init(&op, 10 * NS_PER_S);
	assert_int_equal(get(&op, "/308", &request, &response), 0);
	assert_int_equal(response.status, 308);
	assert_string_equal(response.body, "not here");
	assert_int_equal(request.n_done, 0);
	assert_true(http_header(&response, "location", value, sizeof(value)));
	assert_string_equal(value, "/range");
	assert_true(http_header(&response, "x-twice", value, sizeof(value)));
	assert_string_equal(value, "a,b");
	assert_false(http_header(&response, "x-twic", value, sizeof(value)));
	http_response_done(&response);
}

static void retry_after_is_heard(void **state UNUSED)
{
	struct http_request request = {0};
	struct http_response response;
	struct op op;

	op_init(&op, 10 * NS_PER_S);
	assert_int_equal(get(&op, "/503", &request, &response), 0);
	assert_int_equal(http_status_errno(response.status), -EAGAIN);
	assert_true(http_retry_after_ns(&response) == 7 * NS_PER_S);
	http_response_done(&response);
}

static int refuse(void *arg, const struct http_response *response)
{
	*(long *)arg = response->status;
	return -ESTALE;
}

static void accept_can_refuse_the_body(void **state UNUSED)
{
	char *buf = calloc(1, BODY_SIZE);
	long status = 0;
	struct http_request request = {.lane = HTTP_DATA,
				       .buf = buf,
				       .room = BODY_SIZE,
				       .accept = refuse,
				       .arg = &status};
	struct http_response response;
	struct op op;

	op_init(&op, 10 * NS_PER_S);
	assert_int_equal(get(&op, "/whole", &request, &response), -ESTALE);
	assert_int_equal(status, 200);
	assert_int_equal(request.n_done, 0);
	assert_int_equal(op.rc, 0);
	http_response_done(&response);
	free(buf);
}

static void a_body_is_sent(void **state UNUSED)
{
	static const char *const methods[] = {"POST", "PUT"};

	for (size_t i = 0; i < 2; i++) {
		struct http_request request = {
			.method = methods[i], .body = "hello", .n_body = 5};
		struct http_response response;
		struct op op;

		op_init(&op, 10 * NS_PER_S);
		assert_int_equal(get(&op, "/", &request, &response), 0);
		assert_string_equal(response.body, "hello");
		http_response_done(&response);
	}
}

static void nobody_listening_is_worth_another_try(void **state UNUSED)
{
	struct http_request request = {.method = "GET",
				       .url = "http://127.0.0.1:1/x"};
	struct http_response response;
	struct op op;

	op_init(&op, 10 * NS_PER_S);
	assert_int_equal(http_do(&op, http, &request, &response), -EAGAIN);
	http_response_done(&response);
	request.url = "ftp://127.0.0.1/x";
	assert_true(http_do(&op, http, &request, &response) < 0);
	http_response_done(&response);
}

struct reader {
	pthread_t thread;
	unsigned limit;
	enum http_lane lane;
	size_t n_told;
	int rc;
};

static void progressed(void *arg, size_t n_done)
{
	struct reader *reader = arg;

	assert_true(n_done > reader->n_told);
	reader->n_told = n_done;
}

static void *read_some(void *arg)
{
	struct reader *reader = arg;
	char *buf = malloc(BODY_SIZE);

	for (int i = 0; i < 3 && !reader->rc; i++) {
		struct http_request request = {
			.lane = reader->lane,
			.buf = buf,
			.room = BODY_SIZE,
			.max_connections = reader->limit,
			.progress = progressed,
			.arg = reader,
		};
		struct http_response response;
		struct op op;

		op_init(&op, 60 * NS_PER_S);
		reader->n_told = 0;
		reader->rc = get(&op, "/whole", &request, &response);
		if (!reader->rc && (reader->n_told != BODY_SIZE ||
				    memcmp(buf, bytes, BODY_SIZE) != 0))
			reader->rc = -EIO;
		http_response_done(&response);
	}
	free(buf);
	return NULL;
}

static void a_hundred_callers_work_at_once(void **state UNUSED)
{
	struct reader readers[100];

	for (size_t i = 0; i < 100; i++) {
		readers[i] =
			(struct reader){.lane = i % 2 ? HTTP_DATA : HTTP_META};
		pthread_create(&readers[i].thread, NULL, read_some,
			       &readers[i]);
	}
	for (size_t i = 0; i < 100; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].rc, 0);
	}
}

/* Runs last but one: the connections of others would be reused. */
static void connections_stay_within_the_limit(void **state UNUSED)
{
	struct reader readers[20];
	struct http *shared = http;
	struct op op;
	unsigned before;

	op_init(&op, 0);
	assert_int_equal(http_new(&op, &http), 0);
	before = atomic_load(&n_connections);
	for (size_t i = 0; i < 20; i++) {
		readers[i] = (struct reader){.lane = HTTP_DATA, .limit = 3};
		pthread_create(&readers[i].thread, NULL, read_some,
			       &readers[i]);
	}
	for (size_t i = 0; i < 20; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].rc, 0);
	}
	assert_in_range(atomic_load(&n_connections) - before, 1, 3);
	http_free(http);
	http = shared;
}

static void a_call_that_waits_for_a_connection_can_end(void **state UNUSED)
{
	struct http_request blocker = {.lane = HTTP_DATA, .max_connections = 1};
	struct http_response response;
	struct reader reader = {.lane = HTTP_DATA, .limit = 1};
	struct http *shared = http;
	struct op op, one;

	op_init(&one, 0);
	assert_int_equal(http_new(&one, &http), 0);
	op_init(&op, 400 * NS_PER_MS);
	pthread_create(&reader.thread, NULL, read_some, &reader);
	assert_int_equal(get(&op, "/hang", &blocker, &response), -ETIMEDOUT);
	http_response_done(&response);
	pthread_join(reader.thread, NULL);
	assert_int_equal(reader.rc, 0);
	http_free(http);
	http = shared;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_range_lands_in_the_buffer),
		cmocka_unit_test(no_byte_goes_past_the_room),
		cmocka_unit_test(a_cut_body_says_how_far_it_came),
		cmocka_unit_test(a_stall_is_given_up),
		cmocka_unit_test(a_late_first_byte_is_given_up),
		cmocka_unit_test(the_deadline_ends_a_hang),
		cmocka_unit_test(a_cancelled_call_comes_back_soon),
		cmocka_unit_test(a_308_is_not_followed),
		cmocka_unit_test(retry_after_is_heard),
		cmocka_unit_test(accept_can_refuse_the_body),
		cmocka_unit_test(a_body_is_sent),
		cmocka_unit_test(nobody_listening_is_worth_another_try),
		cmocka_unit_test(a_hundred_callers_work_at_once),
		cmocka_unit_test(connections_stay_within_the_limit),
		cmocka_unit_test(a_call_that_waits_for_a_connection_can_end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
