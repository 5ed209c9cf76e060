#include "serve/web.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/web_private.h"
#include "serve/web_uri.h"

#define POLL_NS (20 * NS_PER_MS)

/* ---- what was asked ---- */

static void parse_params(struct web_request *r)
{
	const char *s = r->query;

	while (*s && r->n_params < WEB_MAX_PARAMS) {
		struct web_pair *p = &r->params[r->n_params];
		size_t n = strcspn(s, "&");
		size_t key = strcspn(s, "=&");
		size_t value = key < n ? key + 1 : n;

		if (n > 0 && web_decode(s, key, true, &p->name) == 0) {
			if (web_decode(s + value, n - value, true, &p->value) ==
			    0)
				r->n_params++;
			else
				free(p->name);
		}
		s += n + (s[n] == '&');
	}
}

struct web_request *web_request_new(struct web *web,
				    const struct web_face *face,
				    struct MHD_Connection *conn,
				    const char *target)
{
	struct web_request *r = calloc(1, sizeof(*r));
	char *mark;

	if (!r)
		return NULL;
	r->web = web;
	r->face = face;
	r->conn = conn;
	r->begin_ns = clock_mono_ns();
	r->reply.fd = -1;
	r->target = strdup(target);
	r->path = strdup(target);
	if (!r->target || !r->path) {
		web_request_free(r);
		return NULL;
	}
	mark = strchr(r->path, '?');
	if (mark)
		*mark = '\0';
	r->query = mark ? mark + 1 : r->path + strlen(r->path);
	if (web_decode(r->path, strlen(r->path), false, &r->decoded) < 0)
		r->decoded = strdup(r->path);
	if (!r->decoded) {
		web_request_free(r);
		return NULL;
	}
	parse_params(r);
	return r;
}

static void free_pairs(struct web_pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(pairs[i].name);
		free(pairs[i].value);
	}
}

void web_request_free(struct web_request *r)
{
	if (r->on_done)
		r->on_done(r->on_done_ctx);
	for (size_t i = 0; i < WEB_MAX_ARGS; i++)
		free(r->args[i]);
	free_pairs(r->params, r->n_params);
	free_pairs(r->reply.headers, r->reply.n_headers);
	text_done(&r->body);
	text_done(&r->reply.body);
	if (r->reply.fd >= 0)
		close(r->reply.fd);
	free(r->target);
	free(r->path);
	free(r->decoded);
	free(r);
}

const char *web_param(const struct web_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_params; i++)
		if (strcmp(r->params[i].name, name) == 0)
			return r->params[i].value;
	return NULL;
}

const char *web_param_or(const struct web_request *r, const char *name)
{
	const char *value = web_param(r, name);

	return value ? value : "";
}

bool web_param_true(const struct web_request *r, const char *name)
{
	const char *value = web_param(r, name);

	return value && strcasecmp(value, "true") == 0;
}

const char *web_header(const struct web_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name);
}

struct each {
	web_header_fn *fn;
	void *ctx;
};

static enum MHD_Result one_header(void *ctx, enum MHD_ValueKind kind,
				  const char *name, const char *value)
{
	const struct each *each = ctx;

	(void)kind;
	each->fn(each->ctx, name, value ? value : "");
	return MHD_YES;
}

void web_each_header(struct web_request *r, web_header_fn *fn, void *ctx)
{
	struct each each = {fn, ctx};

	MHD_get_connection_values(r->conn, MHD_HEADER_KIND, one_header, &each);
}

void web_set_sink(struct web_request *r, web_sink_fn *sink, void *ctx)
{
	r->sink = sink;
	r->sink_ctx = ctx;
}

void web_on_done(struct web_request *r, web_free_fn *fn, void *ctx)
{
	r->on_done = fn;
	r->on_done_ctx = ctx;
}

/* ---- routing ---- */

static void drop_args(struct web_request *r)
{
	for (size_t i = 0; i < WEB_MAX_ARGS; i++) {
		free(r->args[i]);
		r->args[i] = NULL;
	}
}

/* One segment; 1: it fits, 0: not. */
static int match_segment(struct web_request *r, size_t *arg, const char *pat,
			 size_t pat_n, const char *seg, size_t seg_n)
{
	if (pat_n == 2 && memcmp(pat, "{}", 2) == 0)
		return *arg < WEB_MAX_ARGS && seg_n > 0 &&
		       web_decode(seg, seg_n, false, &r->args[(*arg)++]) == 0;
	return pat_n == seg_n && memcmp(pat, seg, seg_n) == 0;
}

static bool match_pattern(struct web_request *r, const char *path,
			  const char *pattern)
{
	size_t arg = 0;

	while (*path == '/' && *pattern == '/') {
		size_t pat_n, seg_n;

		path++;
		pattern++;
		if (strcmp(pattern, "{*}") == 0)
			return *path && arg < WEB_MAX_ARGS &&
			       web_decode(path, strlen(path), false,
					  &r->args[arg]) == 0;
		pat_n = strcspn(pattern, "/");
		seg_n = strcspn(path, "/");
		if (!match_segment(r, &arg, pattern, pat_n, path, seg_n))
			return false;
		pattern += pat_n;
		path += seg_n;
	}
	return !*path && !*pattern;
}

bool web_match(struct web_request *r, const char *path,
	       const struct web_route *routes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		/* HEAD is GET without the body, which MHD leaves out. */
		if (strcmp(routes[i].method, r->method) != 0 &&
		    !(strcmp(r->method, "HEAD") == 0 &&
		      strcmp(routes[i].method, "GET") == 0))
			continue;
		if (match_pattern(r, path, routes[i].pattern)) {
			r->route = &routes[i];
			return true;
		}
		drop_args(r);
	}
	return false;
}

void web_request_begin(struct web_request *r, const char *method)
{
	r->method = method;
	if (web_is_admin(r))
		return;
	faults_plan(r->web->faults, method, r->target, r->decoded, &r->plan);
	r->face->route(r);
	if (!web_replied(r) && r->route && r->route->begin)
		r->route->begin(r);
	traffic_begin(r->web->traffic,
		      r->route ? r->route->kind : TRAFFIC_OTHER);
	r->counted = true;
}

/* ---- the reply ---- */

bool web_replied(const struct web_request *r)
{
	return r->reply.status != 0;
}

void web_drop_headers(struct web_request *r)
{
	free_pairs(r->reply.headers, r->reply.n_headers);
	r->reply.n_headers = 0;
}

void web_reply_header(struct web_request *r, const char *name, const char *fmt,
		      ...)
{
	struct web_pair *p = &r->reply.headers[r->reply.n_headers];
	va_list args;
	int n;

	if (r->reply.n_headers == WEB_MAX_HEADERS)
		return;
	va_start(args, fmt);
	n = vasprintf(&p->value, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	p->name = strdup(name);
	if (p->name)
		r->reply.n_headers++;
	else
		free(p->value);
}

void web_reply(struct web_request *r, unsigned status, const char *content_type)
{
	r->reply.status = status;
	r->reply.size = r->reply.body.n;
	if (content_type)
		web_reply_header(r, "Content-Type", "%s", content_type);
}

void web_reply_file(struct web_request *r, unsigned status, int fd,
		    uint64_t offset, uint64_t size)
{
	r->reply.status = status;
	r->reply.fd = fd;
	r->reply.offset = offset;
	r->reply.size = size;
	r->reply.is_media = true;
}

void web_fail(struct web_request *r, unsigned status, const char *reason,
	      const char *message)
{
	text_done(&r->reply.body);
	r->face->fail(r, status, reason, message);
}

/* ---- waiting ---- */

bool web_client_left(struct web_request *r)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		r->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd p = {.events = POLLRDHUP};

	if (!info)
		return true;
	p.fd = info->connect_fd;
	return poll(&p, 1, 0) > 0 &&
	       (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}

bool web_pause(struct web_request *r, uint64_t ns)
{
	uint64_t end = clock_mono_ns() + ns;

	for (;;) {
		uint64_t now = clock_mono_ns();
		uint64_t slice = end > now ? end - now : 0;
		struct timespec ts = {0};

		if (atomic_load(&r->web->stop) || web_client_left(r))
			return false;
		if (slice == 0)
			return true;
		ts.tv_nsec = (long)(slice < POLL_NS ? slice : POLL_NS);
		nanosleep(&ts, NULL);
	}
}
