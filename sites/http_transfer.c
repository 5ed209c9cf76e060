/* One transfer as curl sees it: its options, and where its bytes go. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "sites/http_lane.h"
#include "sites/url.h"

#define HEADERS_MAX (64 << 10)
#define BODY_MAX (64 << 20)
#define ERROR_BODY_MAX (64 << 10)
#define ERROR_BODY_DROP (1 << 20)
#define DATA_BUFFER (64 << 10) /* what came is still in the core's own cache */
#define META_BUFFER (64 << 10)
#define TELL_EVERY (128 << 10)
#define CONNECT_TIMEOUT_MS 10000L
/* Sent bytes that nobody acknowledges for so long: the connection is dead. */
#define USER_TIMEOUT_MS 20000

/* Room for n bytes and a NUL behind *used ones, at most max of them. */
static bool grow(char **text, size_t used, size_t *room, size_t n, size_t max)
{
	size_t want = *room ? *room : 1024;
	char *bigger;

	if (n > max || used > max - n)
		return false;
	if (used + n < *room)
		return true;
	while (want <= used + n)
		want *= 2;
	bigger = realloc(*text, want);
	if (!bigger)
		return false;
	*text = bigger;
	*room = want;
	return true;
}

static size_t refuse(struct transfer *t, int rc)
{
	if (!t->rc)
		t->rc = rc;
	return 0;
}

/* The blank line came. */
static size_t end_headers(struct transfer *t, size_t n)
{
	struct http_request *request = t->request;
	int rc;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE,
			  &t->response->status);
	if (t->response->status < 200)
		return n;
	t->headers_done = true;
	t->host->suspect = false;
	if (!request->accept)
		return n;
	rc = request->accept(request->arg, t->response);
	t->refused = rc < 0;
	return t->refused ? refuse(t, rc) : n;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	struct http_response *response = t->response;
	size_t n = size * count;
	uint64_t now = clock_mono_ns();

	if (t->headers_done)
		return n; /* a trailer */
	if (!atomic_load_explicit(&t->first_ns, memory_order_relaxed)) {
		atomic_store(&t->first_ns, now);
		response->latency_ns = now - atomic_load(&t->started_ns);
	}
	atomic_store_explicit(&t->last_ns, now, memory_order_relaxed);
	if (n >= 5 && !memcmp(data, "HTTP/", 5))
		t->n_headers = 0; /* what came before was interim */
	if (memchr(data, '\0', n))
		return refuse(t, -EPROTO);
	if (!grow(&response->headers, t->n_headers, &t->headers_room, n,
		  HEADERS_MAX))
		return refuse(t, -EPROTO);
	memcpy(response->headers + t->n_headers, data, n);
	t->n_headers += n;
	response->headers[t->n_headers] = '\0';
	if (data[0] == '\r' || data[0] == '\n')
		return end_headers(t, n);
	return n;
}

/*
 * Into the caller's buffer.  The caller is woken for its progress only, and
 * not for every piece: curl brings 16 KiB at a time.
 */
static size_t to_buf(struct transfer *t, const char *data, size_t n)
{
	struct http_request *request = t->request;
	size_t done = atomic_load_explicit(&t->n_done, memory_order_relaxed);

	if (n > request->room - done)
		return refuse(t, -EPROTO);
	memcpy((char *)request->buf + done, data, n);
	done += n;
	atomic_store_explicit(&t->n_done, done, memory_order_release);
	if (request->progress && done - t->n_told >= TELL_EVERY) {
		mutex_lock(&t->lane->lock);
		t->n_told = done;
		cond_wake_all(&t->wake);
		mutex_unlock(&t->lane->lock);
	}
	return n;
}

/* An error's body is for the message only: its start is enough. */
static size_t to_error_body(struct transfer *t, const char *data, size_t n)
{
	struct http_response *response = t->response;
	size_t keep = ERROR_BODY_MAX - response->n_body;

	if (keep > n)
		keep = n;
	if (!grow(&response->body, response->n_body, &t->body_room, keep,
		  ERROR_BODY_MAX))
		return refuse(t, -ENOMEM);
	memcpy(response->body + response->n_body, data, keep);
	response->n_body += keep;
	response->body[response->n_body] = '\0';
	t->n_dropped += n - keep;
	if (t->n_dropped <= ERROR_BODY_DROP)
		return n;
	t->enough = true;
	return 0;
}

static size_t to_body(struct transfer *t, const char *data, size_t n)
{
	struct http_response *response = t->response;
	size_t max = t->request->max_body ? t->request->max_body : BODY_MAX;

	if (!grow(&response->body, response->n_body, &t->body_room, n, max))
		return refuse(t, -EPROTO);
	memcpy(response->body + response->n_body, data, n);
	response->n_body += n;
	response->body[response->n_body] = '\0';
	return n;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t n = size * count;
	long status = t->response->status;

	if (!n)
		return 0;
	/* A drip of single bytes is a stall as well: it is a read that waits. */
	t->n_since_mark += n;
	if (t->n_since_mark >= HTTP_DRIP_BYTES) {
		t->n_since_mark = 0;
		atomic_store_explicit(&t->last_ns, clock_mono_ns(),
				      memory_order_relaxed);
	}
	if (status < 200 || status >= 300)
		return to_error_body(t, data, n);
	if (t->request->buf && (status == 200 || status == 206))
		return to_buf(t, data, n);
	return to_body(t, data, n);
}

/*
 * A peer that is gone without a word would hold a shared connection, and all
 * that waits on it, for minutes: the kernel's own patience is too long.
 */
static int on_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	int timeout_ms = USER_TIMEOUT_MS;
	int probes = 3;

	(void)arg;
	(void)purpose;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
		   sizeof(timeout_ms));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	return CURL_SOCKOPT_OK;
}

static void set_connection(struct transfer *t, CURL *easy)
{
	bool data = t->request->lane == HTTP_DATA;
	bool tls = !strncasecmp(t->request->url, "https:", 6);

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	if (url_is_loopback(t->request->url))
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* Letting go of a transfer must not wait for its name lookup. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 15L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 5L);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE,
			 (long)(data ? DATA_BUFFER : META_BUFFER));
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			 data ? (long)CURL_HTTP_VERSION_1_1
			      : (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, !data && tls ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT,
			 t->host->suspect ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "lakefuse/" LAKEFUSE_VERSION);
}

/* curl would send a form's type and wait for a 100: nobody here wants that. */
static struct curl_slist *all_headers(struct transfer *t)
{
	static char expect[] = "Expect:";
	static char type[] = "Content-Type:";

	t->type = (struct curl_slist){type, t->request->headers};
	t->expect = (struct curl_slist){expect, &t->type};
	return &t->expect;
}

static void set_method(struct transfer *t, CURL *easy)
{
	const struct http_request *request = t->request;
	bool plain = !request->body && !request->n_body;

	if (!strcmp(request->method, "HEAD")) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		return;
	}
	if (plain && !strcmp(request->method, "GET")) {
		curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
		return;
	}
	if (!plain || strcmp(request->method, "DELETE")) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)request->n_body);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
				 plain ? "" : request->body);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

bool transfer_setup(struct transfer *t, CURL *easy)
{
	const struct http_request *request = t->request;
	CURLcode code;

	set_connection(t, easy);
	set_method(t, easy);
	/* "a/../b" is a name like any other, and signed as it stands. */
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, all_headers(t));
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->why);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
	if (request->ca_file &&
	    curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file))
		return false;
	code = curl_easy_setopt(easy, CURLOPT_URL, request->url);
	return code == CURLE_OK;
}
