/*
 * How an answer leaves.  Without faults MHD sends the file's or the buffer's
 * bytes by itself (sendfile).  With one that concerns bodies, a reader hands
 * them out piece by piece, and delays, cuts, stalls or flips on the way.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/web_private.h"

#define PIECE (64u << 10)

static char empty[1];

struct source {
	struct web_request *r;
	int fd; /* or -1: bytes */
	const char *bytes;
	uint64_t offset; /* of the body in the object */
	uint64_t size;
};

void web_reset(struct web_request *r)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		r->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sockaddr any = {.sa_family = AF_UNSPEC};

	/* On Linux, disconnecting an established TCP socket sends RST. */
	if (info && connect(info->connect_fd, &any, sizeof(any)) < 0)
		shutdown(info->connect_fd, SHUT_RDWR);
}

/* How many bytes may go now; 0: the fault's end of the body is reached. */
static uint64_t until(int64_t limit, uint64_t pos, uint64_t n)
{
	if (limit < 0)
		return n;
	if ((uint64_t)limit <= pos)
		return 0;
	return (uint64_t)limit - pos < n ? (uint64_t)limit - pos : n;
}

/* Waits while stalled; false: give the connection up. */
static bool stall(struct web_request *r)
{
	while (faults_still(r->web->faults, &r->plan))
		if (!web_pause(r, 20 * NS_PER_MS))
			return false;
	/* Cleared: the rest goes out as if nothing had been. */
	r->plan.stall_after_bytes = -1;
	return true;
}

static bool delay(struct web_request *r, size_t n)
{
	const struct fault_plan *p = &r->plan;
	uint64_t wait = faults_throttle(r->web->faults, p->bandwidth_bps, n);

	if (p->drip_bps > 0) {
		uint64_t drip = (uint64_t)((double)n * (double)NS_PER_S /
					   (double)p->drip_bps);

		wait = drip > wait ? drip : wait;
	}
	return wait == 0 || web_pause(r, wait);
}

static void flip(const struct fault_plan *p, uint64_t at, char *buffer,
		 size_t n)
{
	if (p->flip_at >= 0 && (uint64_t)p->flip_at >= at &&
	    (uint64_t)p->flip_at < at + n)
		buffer[(uint64_t)p->flip_at - at] ^= 1;
	for (size_t i = 0; p->flip_every > 0 && i < n; i++)
		if ((at + i) % (uint64_t)p->flip_every == 0)
			buffer[i] ^= 1;
}

static ssize_t source_bytes(struct source *s, uint64_t pos, char *buffer,
			    size_t n)
{
	if (s->fd >= 0)
		return pread(s->fd, buffer, n, (off_t)(s->offset + pos));
	memcpy(buffer, s->bytes + pos, n);
	return (ssize_t)n;
}

static ssize_t read_source(void *ctx, uint64_t pos, char *buffer, size_t room)
{
	struct source *s = ctx;
	struct fault_plan *p = &s->r->plan;
	uint64_t n = s->size - pos < room ? s->size - pos : room;
	ssize_t got;

	if (pos >= s->size)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (until(p->cut_after_bytes, pos, n) == 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (until(p->stall_after_bytes, pos, n) == 0 && !stall(s->r))
		return MHD_CONTENT_READER_END_WITH_ERROR;
	n = until(p->cut_after_bytes, pos, n);
	n = until(p->stall_after_bytes, pos, n);
	if (p->drip_bps > 0 && n > (uint64_t)p->drip_bps / 20 + 1)
		n = (uint64_t)p->drip_bps / 20 + 1;
	if (!delay(s->r, n))
		return MHD_CONTENT_READER_END_WITH_ERROR;
	got = source_bytes(s, pos, buffer, n);
	if (got <= 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (s->r->reply.is_media)
		flip(p, s->offset + pos, buffer, (size_t)got);
	return got;
}

static bool needs_reader(const struct web_request *r)
{
	const struct fault_plan *p = &r->plan;

	return p->any &&
	       (p->bandwidth_bps > 0 || p->drip_bps > 0 ||
		p->stall_after_bytes >= 0 || p->cut_after_bytes >= 0 ||
		(r->reply.is_media && (p->flip_every > 0 || p->flip_at >= 0)));
}

static struct MHD_Response *faulty_response(struct web_request *r)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->r = r; /* outlives the response: freed when the request ended */
	s->fd = r->reply.fd;
	s->bytes = r->reply.body.at;
	s->offset = r->reply.offset;
	s->size = r->reply.size;
	return MHD_create_response_from_callback(s->size, PIECE, read_source, s,
						 free);
}

static struct MHD_Response *make_response(struct web_request *r)
{
	struct web_reply *reply = &r->reply;
	struct MHD_Response *response;

	if (needs_reader(r))
		return faulty_response(r);
	if (reply->fd >= 0 && reply->size > 0) {
		response = MHD_create_response_from_fd_at_offset64(
			reply->size, reply->fd, reply->offset);
		if (response)
			reply->fd = -1; /* closed by the response */
		return response;
	}
	/* The request, and its text with it, outlives the response's use. */
	return MHD_create_response_from_buffer(
		reply->body.n, reply->body.at ? reply->body.at : empty,
		MHD_RESPMEM_PERSISTENT);
}

enum MHD_Result web_send(struct web_request *r)
{
	struct web_reply *reply = &r->reply;
	struct MHD_Response *response;
	enum MHD_Result rc;

	if (text_failed(&reply->body))
		return MHD_NO;
	response = make_response(r);
	if (!response)
		return MHD_NO;
	for (size_t i = 0; i < reply->n_headers; i++)
		MHD_add_response_header(response, reply->headers[i].name,
					reply->headers[i].value);
	rc = MHD_queue_response(r->conn, reply->status, response);
	MHD_destroy_response(response);
	return rc;
}
