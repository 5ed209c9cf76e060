/* The callers' side: hand a transfer over, wait, give up, say why. */
#include "sites/http.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/op.h"
#include "sites/http_lane.h"

struct http {
	struct lane lanes[2];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_new(struct op *op, struct http **ret)
{
	struct http *http = calloc(1, sizeof(*http));
	int rc;

	if (!http)
		return op_fail(op, -ENOMEM, "no memory");
	pthread_once(&curl_once, init_curl);
	rc = lane_init(&http->lanes[HTTP_META], HTTP_META);
	if (!rc) {
		rc = lane_init(&http->lanes[HTTP_DATA], HTTP_DATA);
		if (rc < 0)
			lane_done(&http->lanes[HTTP_META]);
	}
	if (rc < 0) {
		free(http);
		return op_fail(op, rc, "HTTP engine: %s", strerror(-rc));
	}
	*ret = http;
	return 0;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	lane_done(&http->lanes[HTTP_META]);
	lane_done(&http->lanes[HTTP_DATA]);
	free(http);
}

/* When the site will have been silent for too long; 0: never. */
static uint64_t patience_ends_ns(const struct transfer *t)
{
	const struct http_request *request = t->request;
	uint64_t started = atomic_load(&t->started_ns);

	/* In the queue behind others, who may hang: some more patience. */
	if (!started)
		return request->first_byte_ns
			       ? t->queued_ns + 4 * request->first_byte_ns
			       : 0;
	if (!atomic_load(&t->first_ns))
		return request->first_byte_ns ? started + request->first_byte_ns
					      : 0;
	return request->stall_ns ? atomic_load(&t->last_ns) + request->stall_ns
				 : 0;
}

/* 0, or why t is not worth waiting for any longer. */
static int give_up(const struct op *op, const struct transfer *t)
{
	uint64_t ends = patience_ends_ns(t);
	int rc = op_expired(op);

	if (!rc && ends && clock_mono_ns() >= ends)
		rc = -EAGAIN;
	return rc;
}

static uint64_t wake_ns(const struct op *op, const struct transfer *t)
{
	uint64_t next = op_wake_ns(op);
	uint64_t ends = patience_ends_ns(t);

	return ends && ends < next ? ends : next;
}

static void tell(struct transfer *t, size_t *n_told)
{
	size_t n = atomic_load_explicit(&t->n_done, memory_order_acquire);

	if (!t->request->progress || n == *n_told)
		return;
	*n_told = n;
	t->request->progress(t->request->arg, n);
}

/* Until the lane is done with t.  Returns why we gave up, or 0. */
static int wait_done(const struct op *op, struct lane *lane, struct transfer *t)
{
	size_t n_told = 0;
	bool done = false;
	int rc = 0;

	while (!done) {
		tell(t, &n_told);
		mutex_lock(&lane->lock);
		if (!t->done && !rc) {
			rc = give_up(op, t);
			if (rc < 0)
				lane_abandon(lane, t);
		}
		/* The lane wakes us for done, and after what it counted told. */
		if (!t->done && (!t->request->progress || n_told >= t->n_told))
			cond_wait(&t->wake, &lane->lock,
				  rc < 0 ? 0 : wake_ns(op, t));
		done = t->done;
		mutex_unlock(&lane->lock);
	}
	tell(t, &n_told);
	return rc;
}

static int code_errno(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return -EACCES;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_URL_MALFORMAT:
	case CURLE_FAILED_INIT:
		return -EINVAL;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_WRITE_ERROR:
		return -EPROTO;
	default:
		return -EAGAIN;
	}
}

/* "GET http://host/path", without the query: it may hold what is secret. */
static int fail(struct op *op, const struct transfer *t, int rc,
		const char *why)
{
	const struct http_request *request = t->request;
	size_t n = strcspn(request->url, "?");

	return op_fail(op, rc, "%s %.*s: %s", request->method,
		       n < 130 ? (int)n : 130, request->url, why);
}

static int fail_given_up(struct op *op, const struct transfer *t, int rc)
{
	char why[80];
	uint64_t waited;

	if (rc == -EINTR)
		return fail(op, t, rc, "given up: the caller is gone");
	if (rc == -ETIMEDOUT)
		return fail(op, t, rc, "no answer by the deadline");
	if (!t->first_ns) {
		waited = t->request->first_byte_ns / NS_PER_MS;
		snprintf(why, sizeof(why), "no answer within %" PRIu64 " ms",
			 waited);
	} else {
		waited = t->request->stall_ns / NS_PER_MS;
		snprintf(why, sizeof(why),
			 "stood still for %" PRIu64 " ms after %zu bytes",
			 waited, t->request->n_done);
	}
	return fail(op, t, rc, why);
}

static const char *refusal(const struct transfer *t)
{
	if (!t->headers_done)
		return "headers too long, or broken";
	return t->rc == -EPROTO ? "more bytes came than were asked for"
				: "no memory";
}

/* What became of t, in the caller's words. */
static int judge(struct op *op, const struct transfer *t, int gave_up)
{
	const char *why = t->why[0] ? t->why : curl_easy_strerror(t->code);

	if (t->code == CURLE_OK || t->enough)
		return 0;
	if (t->refused)
		return t->rc;
	if (t->rc < 0)
		return fail(op, t, t->rc, refusal(t));
	if (gave_up < 0)
		return fail_given_up(op, t, gave_up);
	return fail(op, t, code_errno(t->code), why);
}

int http_do(struct op *op, struct http *http, struct http_request *request,
	    struct http_response *ret)
{
	struct lane *lane = &http->lanes[request->lane];
	struct transfer t = {.lane = lane,
			     .request = request,
			     .response = ret,
			     .queued_ns = clock_mono_ns()};
	int gave_up = op_expired(op);

	memset(ret, 0, sizeof(*ret));
	request->n_done = 0;
	if (gave_up < 0)
		return fail_given_up(op, &t, gave_up);
	assert_no_lock_held();
	cond_init(&t.wake);
	lane_submit(lane, &t);
	gave_up = wait_done(op, lane, &t);
	cond_done(&t.wake);
	request->n_done = atomic_load(&t.n_done);
	return judge(op, &t, gave_up);
}
