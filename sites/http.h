/*
 * The one HTTP engine: a thread around a curl multi handle, one for each lane.
 *
 * Callers block in http_do() on their own thread while the engine moves the
 * bytes; connections are shared by all sites and kept open.  Data goes over
 * many HTTP/1.1 connections (one stream each is what a single TCP window
 * allows), metadata over HTTP/2 where the server offers it.
 *
 * Ownership: http_new() gives the engine to its caller; http_free() ends the
 * thread, with no call under way.  A request's strings, headers and buffers
 * are borrowed until http_do() returns, whatever it returns: the engine has
 * let go of them by then.  http_response_done() frees a response.
 *
 * Threads: any number may be inside http_do().  accept runs on the engine's
 * thread, progress on the caller's.
 */
#ifndef LAKEFUSE_SITES_HTTP_H
#define LAKEFUSE_SITES_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct curl_slist;
struct http;
struct op;

enum http_lane { HTTP_META, HTTP_DATA };

/* A body that brings less than this within stall_ns stands still. */
#define HTTP_DRIP_BYTES 16384

struct http_response {
	long status; /* 0: none came */
	/* Raw header block of the final response, NUL-terminated, at most 64 KiB. */
	char *headers;
	/* The body when the request had no buf (or an error status did). */
	char *body;
	size_t n_body;
	uint64_t latency_ns; /* to the first byte of the answer */
};

void http_response_done(struct http_response *response);

/*
 * What a final status means to a driver: 0 for 2xx, else -ENOENT, -EACCES,
 * -ESTALE (304, 412, 416), -EAGAIN (408, 429, 5xx), -EINVAL (400), -EPROTO.
 */
int http_status_errno(long status);

/* Retry-After, in seconds or as a date; 0: not there. */
uint64_t http_retry_after_ns(const struct http_response *response);

/* "bytes FIRST-LAST/TOTAL"; false: absent, or not that. */
struct http_range {
	uint64_t first, last, total;
};
bool http_content_range(const struct http_response *response,
			struct http_range *ret);

/* The value of a header, without case, trimmed, into value; false: absent. */
bool http_header(const struct http_response *response, const char *name,
		 char *value, size_t room);

struct http_request {
	const char *method;
	const char *url;
	struct curl_slist *headers; /* borrowed; may be NULL */
	const void *body;	    /* may be NULL */
	size_t n_body;
	enum http_lane lane;
	const char *ca_file;	  /* or NULL */
	unsigned max_connections; /* to this host, of this lane; 0: no limit */
	/*
	 * Where a body with status 200 or 206 goes; NULL: into response->body,
	 * of at most max_body bytes (0: 64 MiB), more is -EPROTO.  A body of
	 * more than room bytes is -EPROTO: never is a byte written past it.
	 */
	void *buf;
	size_t room;
	size_t max_body;
	/*
	 * With the final headers of any status, before any body; <0 ends it
	 * with that, and no reason: that is noted by who knows it.  The response
	 * it is shown is the engine's.
	 */
	int (*accept)(void *arg, const struct http_response *response);
	void (*progress)(void *arg, size_t n_done);
	void *arg;
	/* Counted from when a connection is free for it; 0: op's deadline. */
	uint64_t first_byte_ns;
	uint64_t stall_ns; /* no byte for so long; 0: likewise */
	size_t n_done;	   /* out: bytes in buf, also on failure */
};

int http_new(struct op *op, struct http **ret);
void http_free(struct http *http);

/*
 * One attempt.  0 with any HTTP status, the caller judges it; -EAGAIN for what
 * the network did (refused, reset, DNS, stall, first byte too late, body cut
 * short), with the reason in op; -EACCES for a certificate that is not good;
 * -ETIMEDOUT, -EINTR; -EPROTO; or what accept said.  Redirects are not
 * followed: 308 means something else to GCS.
 *
 * *ret is set on failure, too, as far as the answer came: hand it to
 * http_response_done() in any case.  The reason names method, host and path
 * without the query.
 */
int http_do(struct op *op, struct http *http, struct http_request *request,
	    struct http_response *ret);

#endif
