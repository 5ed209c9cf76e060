/*
 * A lane: one thread, one curl multi handle, its hosts and their queues.
 *
 * A transfer's way: incoming -> its host's waiting queue (while the host has
 * all the connections it may have) -> moving (in the multi handle) -> done.
 * An abandoned one goes from wherever it is straight to done.
 *
 * Only the lane's thread calls curl, save for curl_multi_wakeup().
 */
#include "sites/http_lane.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define POLL_MS 1000
#define SUSPECT_AFTER_NS NS_PER_S
#define MAX_IDLE_CONNECTIONS 512L

/* scheme://host:port of a url. */
static size_t origin_of(const char *url)
{
	const char *host = strstr(url, "://");

	return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?")
		    : strlen(url);
}

static struct host *find_host(struct lane *lane, const char *url)
{
	size_t n = origin_of(url);
	struct host *host;

	LIST_FOREACH(host, &lane->hosts, link)
	if (!strncmp(host->key, url, n) && !host->key[n])
		return host;
	host = calloc(1, sizeof(*host) + n + 1);
	if (!host)
		return NULL;
	memcpy(host->key, url, n);
	TAILQ_INIT(&host->waiting);
	LIST_INSERT_HEAD(&lane->hosts, host, link);
	return host;
}

static CURL *take_easy(struct lane *lane)
{
	return lane->n_spares ? lane->spares[--lane->n_spares]
			      : curl_easy_init();
}

static void give_easy(struct lane *lane, CURL *easy)
{
	curl_easy_reset(easy);
	if (lane->n_spares < LANE_SPARES)
		lane->spares[lane->n_spares++] = easy;
	else
		curl_easy_cleanup(easy);
}

/* The last the lane sees of t. */
static void finish(struct lane *lane, struct transfer *t, CURLcode code)
{
	t->code = code;
	if (t->easy) {
		curl_multi_remove_handle(lane->multi, t->easy);
		give_easy(lane, t->easy);
		t->easy = NULL;
		t->host->n_active--;
	}
	mutex_lock(&lane->lock);
	if (t->abandoned && !t->collected)
		TAILQ_REMOVE(&lane->abandoned, t, gone_link);
	t->done = true;
	/* Under the lock: once it is free, t may be gone. */
	cond_wake_all(&t->wake);
	mutex_unlock(&lane->lock);
}

/* Puts t into the multi handle, or ends it. */
static void start(struct lane *lane, struct transfer *t)
{
	CURL *easy = take_easy(lane);

	if (!easy) {
		finish(lane, t, CURLE_OUT_OF_MEMORY);
		return;
	}
	t->easy = easy;
	t->host->n_active++;
	atomic_store(&t->started_ns, clock_mono_ns());
	if (!transfer_setup(t, easy))
		finish(lane, t, CURLE_URL_MALFORMAT);
	else if (curl_multi_add_handle(lane->multi, easy))
		finish(lane, t, CURLE_FAILED_INIT);
}

/* As many of the host's queue as it has connections for. */
static void start_waiting(struct lane *lane, struct host *host)
{
	struct transfer *t;

	while ((t = TAILQ_FIRST(&host->waiting))) {
		unsigned max = t->request->max_connections;

		if (max && host->n_active >= max)
			return;
		TAILQ_REMOVE(&host->waiting, t, link);
		start(lane, t);
	}
}

static void queue(struct lane *lane, struct transfer *t)
{
	t->host = find_host(lane, t->request->url);
	if (t->host)
		TAILQ_INSERT_TAIL(&t->host->waiting, t, link);
	else if (!t->collected) /* else it ends by drop() */
		finish(lane, t, CURLE_OUT_OF_MEMORY);
}

/*
 * A metadata connection outlives its transfers' ends, so that a dead one would
 * be used again; a data connection is closed with its transfer.
 */
static bool waited_in_vain(const struct transfer *t)
{
	return t->easy && t->request->lane == HTTP_META &&
	       !atomic_load(&t->first_ns) &&
	       clock_mono_ns() - atomic_load(&t->started_ns) > SUSPECT_AFTER_NS;
}

static void drop(struct lane *lane, struct transfer *t)
{
	if (t->host && !t->easy)
		TAILQ_REMOVE(&t->host->waiting, t, link);
	else if (waited_in_vain(t))
		t->host->suspect = true;
	finish(lane, t, CURLE_ABORTED_BY_CALLBACK);
}

/* What callers want: new transfers, ends of old ones.  False: the end. */
static bool take_orders(struct lane *lane)
{
	struct transfers incoming = TAILQ_HEAD_INITIALIZER(incoming);
	struct transfers gone = TAILQ_HEAD_INITIALIZER(gone);
	struct transfer *t;
	bool stopping;

	mutex_lock(&lane->lock);
	TAILQ_CONCAT(&incoming, &lane->incoming, link);
	TAILQ_CONCAT(&gone, &lane->abandoned, gone_link);
	TAILQ_FOREACH(t, &gone, gone_link)
	t->collected = true;
	stopping = lane->stopping;
	mutex_unlock(&lane->lock);
	while ((t = TAILQ_FIRST(&incoming))) {
		TAILQ_REMOVE(&incoming, t, link);
		queue(lane, t);
	}
	while ((t = TAILQ_FIRST(&gone))) {
		TAILQ_REMOVE(&gone, t, gone_link);
		drop(lane, t);
	}
	return !stopping;
}

static void reap(struct lane *lane)
{
	struct CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(lane->multi, &left))) {
		/* finish() may free the message. */
		CURLcode code = message->data.result;
		struct transfer *t = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
				  (char **)&t);
		finish(lane, t, code);
	}
}

static void *run(void *arg)
{
	struct lane *lane = arg;
	struct host *host;
	int n_running;

	while (take_orders(lane)) {
		LIST_FOREACH(host, &lane->hosts, link)
		start_waiting(lane, host);
		curl_multi_perform(lane->multi, &n_running);
		reap(lane);
		LIST_FOREACH(host, &lane->hosts, link)
		start_waiting(lane, host);
		curl_multi_poll(lane->multi, NULL, 0, POLL_MS, NULL);
	}
	return NULL;
}

/* Signals are for the threads that expect them. */
static int start_thread(struct lane *lane)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = -pthread_create(&lane->thread, NULL, run, lane);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!rc)
		pthread_setname_np(lane->thread, lane->kind == HTTP_META
							 ? "http-meta"
							 : "http-data");
	return rc;
}

int lane_init(struct lane *lane, enum http_lane kind)
{
	int rc;

	memset(lane, 0, sizeof(*lane));
	lane->kind = kind;
	TAILQ_INIT(&lane->incoming);
	TAILQ_INIT(&lane->abandoned);
	LIST_INIT(&lane->hosts);
	lane->multi = curl_multi_init();
	if (!lane->multi)
		return -ENOMEM;
	curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS,
			  MAX_IDLE_CONNECTIONS);
	curl_multi_setopt(lane->multi, CURLMOPT_PIPELINING,
			  kind == HTTP_META ? (long)CURLPIPE_MULTIPLEX
					    : (long)CURLPIPE_NOTHING);
	mutex_init(&lane->lock, RANK_BASE);
	rc = start_thread(lane);
	if (rc < 0) {
		mutex_done(&lane->lock);
		curl_multi_cleanup(lane->multi);
	}
	return rc;
}

void lane_done(struct lane *lane)
{
	struct host *host;

	mutex_lock(&lane->lock);
	assert(TAILQ_EMPTY(&lane->incoming));
	lane->stopping = true;
	mutex_unlock(&lane->lock);
	curl_multi_wakeup(lane->multi);
	pthread_join(lane->thread, NULL);
	while ((host = LIST_FIRST(&lane->hosts))) {
		assert(!host->n_active);
		LIST_REMOVE(host, link);
		free(host);
	}
	while (lane->n_spares)
		curl_easy_cleanup(lane->spares[--lane->n_spares]);
	curl_multi_cleanup(lane->multi);
	mutex_done(&lane->lock);
}

void lane_submit(struct lane *lane, struct transfer *t)
{
	mutex_lock(&lane->lock);
	TAILQ_INSERT_TAIL(&lane->incoming, t, link);
	mutex_unlock(&lane->lock);
	curl_multi_wakeup(lane->multi);
}

void lane_abandon(struct lane *lane, struct transfer *t)
{
	t->abandoned = true;
	TAILQ_INSERT_TAIL(&lane->abandoned, t, gone_link);
	curl_multi_wakeup(lane->multi);
}
