#include "serve/media.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <time.h>
#include <zlib.h>

#include "base/auto.h"
#include "serve/web.h"
#include "serve/web_uri.h"

void media_reply(struct web_request *r, int fd, uint64_t size,
		 const char *range)
{
	uint64_t offset = 0, length = size;
	enum web_range what = web_range(range, size, &offset, &length);
	uint64_t served;

	if (r->plan.ignore_range)
		what = WEB_RANGE_NONE;
	if (what == WEB_RANGE_UNSATISFIABLE) {
		close(fd);
		web_drop_headers(r);
		web_reply_header(r, "Content-Range", "bytes */%" PRIu64, size);
		web_fail(r, 416, "requestedRangeNotSatisfiable",
			 "The requested range cannot be satisfied.");
		return;
	}
	if (what == WEB_RANGE_NONE) {
		offset = 0;
		length = size;
	} else if (r->plan.wrong_range && size > 1) {
		/* Truthful about what it sends, which nobody asked for. */
		offset = offset > 0 ? offset - 1 : 1;
		length = length < size - offset ? length : size - offset;
	}
	if (what == WEB_RANGE_OK)
		web_reply_header(r, "Content-Range",
				 "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
				 offset, offset + length - 1, size);
	web_reply_header(r, "Accept-Ranges", "bytes");
	served = r->plan.short_body ? length / 2 : length;
	web_reply_file(r, what == WEB_RANGE_OK ? 206 : 200, fd, offset, served);
}

void media_modified(struct web_request *r, int64_t us)
{
	time_t s = (time_t)(us / 1000000);
	char text[40];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	web_reply_header(r, "Last-Modified", "%s", text);
}

static int inflate_into(int from, int to, z_stream *z, uint64_t *ret_size)
{
	unsigned char in[32768], out[65536];
	uint64_t size = 0;
	int state = Z_OK;

	while (state != Z_STREAM_END) {
		ssize_t n;

		if (z->avail_in == 0) {
			n = read(from, in, sizeof(in));
			if (n <= 0)
				return n < 0 ? -errno : -EBADMSG;
			z->next_in = in;
			z->avail_in = (unsigned)n;
		}
		z->next_out = out;
		z->avail_out = sizeof(out);
		state = inflate(z, Z_NO_FLUSH);
		if (state != Z_OK && state != Z_STREAM_END)
			return -EBADMSG;
		n = (ssize_t)(sizeof(out) - z->avail_out);
		if (write(to, out, (size_t)n) != n)
			return -EIO;
		size += (uint64_t)n;
	}
	*ret_size = size;
	return 0;
}

int media_inflate(int fd, uint64_t *ret_size)
{
	auto_close int from = fd;
	auto_close int to = memfd_create("inflated", MFD_CLOEXEC);
	z_stream z = {0};
	int rc;

	if (to < 0)
		return -errno;
	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return -ENOMEM;
	rc = inflate_into(from, to, &z, ret_size);
	inflateEnd(&z);
	return rc < 0 ? rc : take_fd(&to);
}
