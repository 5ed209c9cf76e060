/*
 * A range of one generation.
 *
 * The answer is judged by its headers before a byte of it is taken: the right
 * status, the very range that was asked for, and, through accept, whether it
 * is the right object.  Accept-Encoding: gzip is sent and nothing is decoded:
 * without it GCS unpacks objects stored with gzip, and then there is no range,
 * length or hash that holds.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/op.h"
#include "sites/gcs.h"
#include "sites/gcs_json.h"

struct judge {
	const struct gcs *gcs;
	const struct site_read *read;
	const char *wrong; /* what is wrong with the answer; NULL: nothing */
};

static bool header_u64(const struct http_response *response, const char *name,
		       uint64_t *ret)
{
	char text[32];

	return http_header(response, name, text, sizeof(text)) &&
	       u64_parse(text, ret) == 0;
}

static int refuse(struct judge *judge, int rc, const char *wrong)
{
	judge->wrong = wrong;
	return rc;
}

/* Is it the range that was asked for?  Sets *ret_size, the whole object's. */
static int judge_range(struct judge *judge,
		       const struct http_response *response, uint64_t *ret_size)
{
	const struct site_read *read = judge->read;
	struct http_range range;
	uint64_t length;

	if (response->status == 206) {
		if (!http_content_range(response, &range))
			return refuse(judge, -EPROTO,
				      "206 without a good Content-Range");
		*ret_size = range.total;
		if (range.first != read->offset)
			return refuse(judge, -EPROTO, "another range came");
		return 0;
	}
	/* 200: the whole object, which is right only if all was asked for. */
	if (response->status != 200 ||
	    !header_u64(response, "Content-Length", &length) || read->offset ||
	    length != read->len)
		return refuse(judge, -EPROTO,
			      "not a range, though one was asked for");
	*ret_size = length;
	return 0;
}

/* As many bytes as were asked for must come; first accept may say more. */
static int judge_length(struct judge *judge,
			const struct http_response *response)
{
	const struct site_read *read = judge->read;
	struct http_range range;

	if (response->status == 206 && http_content_range(response, &range) &&
	    range.last - range.first + 1 != read->len)
		return refuse(judge, -EPROTO, "another range came");
	return 0;
}

static void fill_stamp(struct object_info *info, const struct gcs *gcs,
		       const struct http_response *response)
{
	char name[96];

	if (!gcs->stamp_key)
		return;
	snprintf(name, sizeof(name), "x-goog-meta-%s", gcs->stamp_key);
	if (!header_u64(response, name, &info->stamp))
		info->stamp = 0;
}

static int on_headers(void *arg, const struct http_response *response)
{
	struct judge *judge = arg;
	const struct site_read *read = judge->read;
	struct object_info info = {.name = (char *)read->name};
	char validator[24];
	char hash[160];
	int rc;

	if (http_status_errno(response->status))
		return 0; /* the body tells why */
	rc = judge_range(judge, response, &info.size);
	if (rc < 0)
		return rc;
	if (header_u64(response, "x-goog-generation", &info.generation)) {
		snprintf(validator, sizeof(validator), "%" PRIu64,
			 info.generation);
		info.validator = validator;
	}
	if (read->generation && info.generation &&
	    info.generation != read->generation)
		return refuse(judge, -EPROTO, "another generation came");
	header_u64(response, "x-goog-metageneration", &info.metageneration);
	if (http_header(response, "x-goog-hash", hash, sizeof(hash)))
		gcs_hash_parse(hash, &info);
	fill_stamp(&info, judge->gcs, response);
	rc = read->accept ? read->accept(read->arg, &info) : 0;
	if (rc < 0)
		return refuse(judge, rc, "the copy was refused");
	return judge_length(judge, response);
}

static void on_progress(void *arg, size_t n_done)
{
	const struct judge *judge = arg;

	judge->read->progress(judge->read->arg, n_done);
}

/* What a status other than 2xx means for a read. */
static int refused_rc(const struct site_read *read, long status)
{
	int rc = http_status_errno(status);

	/* The name may well be there, in another generation. */
	if (rc == -ENOENT && (read->generation || read->validator))
		return -ESTALE;
	return rc;
}

static int make_url(struct op *op, const struct gcs *gcs,
		    const struct site_read *read, char **ret)
{
	struct gcs_url url;

	gcs_url_start(&url, gcs, read->name);
	gcs_url_add(&url, "alt", "media");
	if (read->generation)
		gcs_url_add_number(&url, "generation", read->generation);
	gcs_url_add(&url, "ifGenerationMatch", read->validator);
	return gcs_url_end(op, &url, gcs, ret);
}

static int fetch(struct op *op, const struct gcs *gcs, struct site_read *read,
		 const char *url)
{
	struct judge judge = {.gcs = gcs, .read = read};
	char range[64];
	const char *const headers[] = {range, "Accept-Encoding: gzip", NULL};
	const struct gcs_call call = {.url = url, .headers = headers};
	struct http_request request = {
		.method = "GET",
		.lane = HTTP_DATA,
		.buf = read->buf,
		.room = read->len,
		.accept = on_headers,
		.progress = read->progress ? on_progress : NULL,
		.arg = &judge,
		.first_byte_ns = read->first_byte_ns,
		.stall_ns = read->stall_ns,
	};
	struct http_response response;
	int rc;

	snprintf(range, sizeof(range), "Range: bytes=%" PRIu64 "-%" PRIu64,
		 read->offset, read->offset + read->len - 1);
	rc = gcs_send(op, gcs, &call, &request, &response);
	read->n_done = request.n_done;
	read->latency_ns = response.latency_ns;
	if (judge.wrong)
		rc = op_fail(op, rc, "GET gs://%s/%.*s%s: %ld: %s",
			     gcs->url.bucket, 40, gcs->url.prefix, read->name,
			     response.status, judge.wrong);
	else if (!rc && http_status_errno(response.status))
		rc = gcs_refused(op, gcs, read->name, &response,
				 refused_rc(read, response.status));
	else if (!rc && read->n_done != read->len)
		rc = op_fail(op, -EAGAIN,
			     "GET gs://%s/%s: the body ends after %zu of %zu "
			     "bytes",
			     gcs->url.bucket, read->name, read->n_done,
			     read->len);
	http_response_done(&response);
	return rc;
}

int gcs_read(struct op *op, struct site *site, struct site_read *read)
{
	const struct gcs *gcs = (const struct gcs *)site;
	char *url auto_free = NULL;
	int rc;

	read->n_done = 0;
	read->latency_ns = 0;
	rc = make_url(op, gcs, read, &url);
	return rc < 0 ? rc : fetch(op, gcs, read, url);
}
