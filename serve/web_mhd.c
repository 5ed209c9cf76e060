/*
 * A request, as MHD tells it: the target (request_new), the headers (first
 * call of the handler), pieces of the body, the end of the body (last call),
 * the end of the answer (completed).  Faults that keep the answer away strike
 * once the body is in, so that a client sees the fault and not a broken pipe.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "serve/web_private.h"

#define POOL_BYTES (128u << 10)
#define STACK_BYTES (512u << 10)
#define MAX_CONNECTIONS 2000
#define IDLE_S 120

struct web_port {
	struct web *web;
	const struct web_face *face;
	struct MHD_Daemon *daemon;
	int port;
};

static void *request_new(void *ctx, const char *target,
			 struct MHD_Connection *conn)
{
	struct web_port *p = ctx;

	return web_request_new(p->web, p->face, conn, target);
}

static const char portal[] =
	"<!DOCTYPE html><html><head><title>Sign in</title></head><body>"
	"<h1>Please sign in to the network</h1></body></html>\n";

/* Waits until the fault is gone, the client left or the server stops. */
static enum MHD_Result hang(struct web_request *r)
{
	while (faults_still(r->web->faults, &r->plan) &&
	       web_pause(r, 20 * NS_PER_MS))
		;
	return MHD_NO;
}

/* True: the fault has answered in the handler's place. */
static bool fault_answers(struct web_request *r)
{
	const struct fault_plan *p = &r->plan;

	if (p->status >= 0) {
		if (p->retry_after_s >= 0)
			web_reply_header(r, "Retry-After", "%lld",
					 (long long)p->retry_after_s);
		web_fail(r, (unsigned)p->status, "injected",
			 "An injected fault.");
		return true;
	}
	if (p->html) {
		text_str(&r->reply.body, portal);
		web_reply(r, 200, "text/html");
		return true;
	}
	return false;
}

static void run_handler(struct web_request *r)
{
	if (web_replied(r))
		return;
	if (r->sink_rc == -E2BIG)
		web_fail(r, 413, "uploadTooLarge", "The body is too large.");
	else if (r->sink_rc == -EINVAL)
		web_fail(r, 400, "badContent", "Malformed body.");
	else if (r->sink_rc < 0)
		web_fail(r, 500, "backendError", "The body was not taken.");
	else if (r->route)
		r->route->handle(r);
	if (!web_replied(r))
		web_fail(r, 500, "backendError", "No answer.");
}

static enum MHD_Result answer(struct web_request *r)
{
	const struct fault_plan *p = &r->plan;

	if (p->any) {
		if (p->latency_ms > 0 &&
		    !web_pause(r, (uint64_t)p->latency_ms * NS_PER_MS))
			return MHD_NO;
		if (p->hang)
			return hang(r);
		if (p->reset) {
			web_reset(r);
			return MHD_NO;
		}
	}
	if (!p->any || !fault_answers(r))
		run_handler(r);
	if (p->lose_reply || r->drop)
		return MHD_NO;
	return web_send(r);
}

static enum MHD_Result take_piece(struct web_request *r, const char *data,
				  size_t n)
{
	const struct fault_plan *p = &r->plan;

	r->n_received += n;
	if (p->any) {
		uint64_t wait =
			faults_throttle(r->web->faults, p->bandwidth_bps, n);

		if (p->cut_after_bytes >= 0 &&
		    r->n_received > (uint64_t)p->cut_after_bytes)
			return MHD_NO;
		if (wait && !web_pause(r, wait))
			return MHD_NO;
		/* What is refused, lost or hung leaves no trace. */
		if (p->status >= 0 || p->html || p->hang || p->reset)
			return MHD_YES;
	}
	if (web_replied(r) || r->sink_rc < 0)
		return MHD_YES;
	if (r->sink)
		r->sink_rc = r->sink(r->sink_ctx, data, n);
	else if (r->body.n + n > WEB_BODY_MAX)
		r->sink_rc = -E2BIG;
	else
		text_add(&r->body, data, n);
	return MHD_YES;
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *conn,
			      const char *url, const char *method,
			      const char *version, const char *data,
			      size_t *n_data, void **req)
{
	struct web_request *r = *req;
	size_t n = *n_data;

	(void)ctx;
	(void)conn;
	(void)url;
	(void)version;
	if (!r)
		return MHD_NO;
	if (!r->method) {
		web_request_begin(r, method);
		return MHD_YES;
	}
	if (n > 0) {
		*n_data = 0;
		return take_piece(r, data, n);
	}
	if (web_is_admin(r)) {
		web_admin(r);
		return web_send(r);
	}
	return answer(r);
}

static void completed(void *ctx, struct MHD_Connection *conn, void **req,
		      enum MHD_RequestTerminationCode code)
{
	struct web_request *r = *req;
	struct traffic_entry e = {0};

	(void)ctx;
	(void)conn;
	(void)code;
	if (!r)
		return;
	if (r->counted) {
		e.method = r->method;
		e.target = r->target;
		e.range = web_header(r, "Range");
		e.status = r->reply.status;
		e.begin_ns = r->begin_ns;
		e.media_bytes =
			r->reply.is_media && strcmp(r->method, "HEAD") != 0
				? r->reply.size
				: 0;
		traffic_end(r->web->traffic, &e);
	}
	web_request_free(r);
	*req = NULL;
}

/* Targets are decoded by us: an encoded slash is not a slash. */
static size_t leave_encoded(void *ctx, struct MHD_Connection *conn, char *s)
{
	(void)ctx;
	(void)conn;
	return strlen(s);
}

int web_listen(struct web *web, const struct web_face *face, const char *bind,
	       int port, struct web_port **ret_port)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	struct web_port *p = calloc(1, sizeof(*p));
	const union MHD_DaemonInfo *info;

	if (!p)
		return -ENOMEM;
	p->web = web;
	p->face = face;
	at.sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, bind, &at.sin_addr) != 1) {
		free(p);
		return -EINVAL;
	}
	errno = 0;
	p->daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD |
			MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
			MHD_USE_ITC,
		(uint16_t)port, NULL, NULL, handle, p, MHD_OPTION_SOCK_ADDR,
		&at, MHD_OPTION_URI_LOG_CALLBACK, request_new, p,
		MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
		MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
		MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
	if (!p->daemon) {
		int rc = errno ? -errno : -EADDRINUSE;

		free(p);
		return rc;
	}
	info = MHD_get_daemon_info(p->daemon, MHD_DAEMON_INFO_BIND_PORT);
	p->port = info ? info->port : port;
	*ret_port = p;
	return 0;
}

int web_port_number(const struct web_port *p)
{
	return p->port;
}

void web_port_close(struct web_port *p)
{
	if (!p)
		return;
	MHD_stop_daemon(p->daemon);
	free(p);
}
