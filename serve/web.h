/*
 * HTTP for the faces: libmicrohttpd on one side, a table of routes on the
 * other.  It decodes targets, collects or streams bodies in, sends bodies out
 * (from a file by sendfile where no fault forbids it), applies faults, counts.
 *
 * One thread a connection: a handler may block, and a fault that hangs costs
 * nobody else anything.  Every wait in here looks at the stop flag and at
 * whether the client is still there every 20 ms.
 *
 * Ownership: a web_request lives from its first line to the end of its answer;
 * what handlers hang on it is freed through web_on_done().
 * Threads: a request belongs to its connection's thread.
 */
#ifndef LAKEFUSE_SERVE_WEB_H
#define LAKEFUSE_SERVE_WEB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/faults.h"
#include "serve/text.h"
#include "serve/traffic.h"

struct MHD_Connection;
struct depot;
struct web_request;

#define WEB_MAX_ARGS 4
#define WEB_MAX_PARAMS 24
#define WEB_MAX_HEADERS 32
/* Bodies that are not streamed: JSON. */
#define WEB_BODY_MAX (4u << 20)

/* Returns 0, or -errno when the body can't be taken. */
typedef int web_sink_fn(void *ctx, const char *data, size_t n);
typedef void web_handler_fn(struct web_request *r);
typedef void web_free_fn(void *ctx);

struct web_route {
	const char *method;
	/* Segments between slashes; {} takes one, decoded; {*} the rest. */
	const char *pattern;
	enum traffic_kind kind;
	web_handler_fn *handle; /* when the body is there: sets the reply */
	web_handler_fn *begin;	/* before it: may set a sink; or NULL */
};

/* A face: what differs between the two protocols. */
struct web_face {
	const char *name;
	/* Fills r->route and r->args, or replies with an error. */
	void (*route)(struct web_request *r);
	/* Replies with an error in the face's shape. */
	void (*fail)(struct web_request *r, unsigned status, const char *reason,
		     const char *message);
	void *ctx;
};

/* What all requests share. */
struct web {
	struct depot *depot;
	struct faults *faults;
	struct traffic *traffic;
	atomic_bool stop;
};

struct web_pair {
	char *name;
	char *value;
};

struct web_reply {
	unsigned status; /* 0: none yet */
	struct text body;
	int fd; /* >= 0: the body is this file's */
	uint64_t offset;
	uint64_t size;
	bool is_media;
	struct web_pair headers[WEB_MAX_HEADERS];
	size_t n_headers;
};

struct web_request {
	struct web *web;
	const struct web_face *face;
	struct MHD_Connection *conn;
	const char *method;
	char *target;  /* as it was sent */
	char *path;    /* the target's, still encoded */
	char *query;   /* the target's, or "" */
	char *decoded; /* the path, decoded; for matching only */
	const struct web_route *route;
	char *args[WEB_MAX_ARGS];
	struct web_pair params[WEB_MAX_PARAMS]; /* decoded */
	size_t n_params;
	struct fault_plan plan;
	uint64_t begin_ns;
	uint64_t n_received;
	bool counted;
	bool drop; /* close the connection instead of answering */

	struct text body; /* unless there is a sink */
	web_sink_fn *sink;
	void *sink_ctx;
	int sink_rc; /* its first failure */
	web_free_fn *on_done;
	void *on_done_ctx;
	struct web_reply reply;
};

/* NULL: not given. */
const char *web_param(const struct web_request *r, const char *name);
const char *web_header(const struct web_request *r, const char *name);
/* "" if not given. */
const char *web_param_or(const struct web_request *r, const char *name);
bool web_param_true(const struct web_request *r, const char *name);

typedef void web_header_fn(void *ctx, const char *name, const char *value);
void web_each_header(struct web_request *r, web_header_fn *fn, void *ctx);

void web_drop_headers(struct web_request *r);
void web_reply_header(struct web_request *r, const char *name, const char *fmt,
		      ...) __attribute__((format(printf, 3, 4)));
/* The body is what was written to r->reply.body. */
void web_reply(struct web_request *r, unsigned status,
	       const char *content_type);
/* Takes fd. */
void web_reply_file(struct web_request *r, unsigned status, int fd,
		    uint64_t offset, uint64_t size);
void web_fail(struct web_request *r, unsigned status, const char *reason,
	      const char *message);
bool web_replied(const struct web_request *r);

void web_set_sink(struct web_request *r, web_sink_fn *sink, void *ctx);
void web_on_done(struct web_request *r, web_free_fn *fn, void *ctx);

/* Finds the route for path (encoded, from the slash on); false: none. */
bool web_match(struct web_request *r, const char *path,
	       const struct web_route *routes, size_t n);

/* Waits; false when the client left or the server stops. */
bool web_pause(struct web_request *r, uint64_t ns);

/* Listening.  port 0: any; returns the port or -errno. */
struct web_port;
int web_listen(struct web *web, const struct web_face *face, const char *bind,
	       int port, struct web_port **ret_port);
int web_port_number(const struct web_port *p);
/* Set web->stop first: handlers end soon then. */
void web_port_close(struct web_port *p);

#endif
