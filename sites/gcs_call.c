/* Requests of the GCS driver: urls, authorisation, and what a no means. */
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/op.h"
#include "sites/creds.h"
#include "sites/gcs.h"
#include "sites/gcs_json.h"

/*
 * A server takes about 100 requests at once on an HTTP/2 connection, and for
 * each one above that curl would make a connection of its own.
 */
#define META_REQUESTS_MAX 96
#define DATA_CONNECTIONS 16

static void put_encoded(FILE *file, const char *text)
{
	char *encoded = percent_encode(text, false);

	/* Without memory the stream's error flag tells at the end. */
	if (!encoded || fputs(encoded, file) < 0)
		fputc(0, file);
	free(encoded);
}

void gcs_url_start(struct gcs_url *url, const struct gcs *gcs, const char *name)
{
	*url = (struct gcs_url){.sep = '?'};
	url->file = open_memstream(&url->text, &url->n);
	if (!url->file)
		return;
	fputs(gcs->base, url->file);
	if (!name)
		return;
	fputc('/', url->file);
	put_encoded(url->file, gcs->url.prefix);
	put_encoded(url->file, name);
}

void gcs_url_add(struct gcs_url *url, const char *key, const char *value)
{
	if (!url->file || !value)
		return;
	fprintf(url->file, "%c%s=", url->sep, key);
	put_encoded(url->file, value);
	url->sep = '&';
}

void gcs_url_add_number(struct gcs_url *url, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	gcs_url_add(url, key, text);
}

int gcs_url_end(struct op *op, struct gcs_url *url, const struct gcs *gcs,
		char **ret)
{
	bool good;

	if (!url->file)
		return op_fail(op, -ENOMEM, "no memory");
	if (gcs->user_project)
		fprintf(url->file, "%cuserProject=%s", url->sep,
			gcs->user_project);
	good = !ferror(url->file);
	/* A NUL in it is put_encoded()'s way to say that memory ran out. */
	if (fclose(url->file) || !good || strlen(url->text) != url->n) {
		free(url->text);
		return op_fail(op, -ENOMEM, "no memory");
	}
	*ret = url->text;
	return 0;
}

static int append(struct curl_slist **list, const char *header)
{
	struct curl_slist *longer = curl_slist_append(*list, header);

	if (!longer)
		return -ENOMEM;
	*list = longer;
	return 0;
}

static int make_headers(struct op *op, const struct gcs *gcs,
			const struct gcs_call *call, struct curl_slist **list)
{
	char *header auto_free = NULL;
	int rc = creds_header(op, gcs->creds, &header);

	if (rc < 0)
		return rc;
	if (header)
		rc = append(list, header);
	for (size_t i = 0; !rc && call->headers && call->headers[i]; i++)
		rc = append(list, call->headers[i]);
	return rc < 0 ? op_fail(op, rc, "no memory") : 0;
}

int gcs_send(struct op *op, const struct gcs *gcs, const struct gcs_call *call,
	     struct http_request *request, struct http_response *ret)
{
	struct curl_slist *headers = NULL;
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = make_headers(op, gcs, call, &headers);
	if (!rc) {
		request->url = call->url;
		request->headers = headers;
		request->ca_file = gcs->ca_file;
		request->max_connections = META_REQUESTS_MAX;
		if (request->lane == HTTP_DATA)
			request->max_connections = gcs->connections
							   ? gcs->connections
							   : DATA_CONNECTIONS;
		rc = http_do(op, gcs->http, request, ret);
	}
	curl_slist_free_all(headers);
	return rc;
}

int gcs_refused(struct op *op, const struct gcs *gcs, const char *name,
		const struct http_response *response, int rc)
{
	char text[160];

	op->retry_after_ns = http_retry_after_ns(response);
	gcs_error_text(response->body ? response->body : "", response->n_body,
		       text, sizeof(text));
	return op_fail(op, rc, "GET gs://%s/%.*s%s: %ld: %s", gcs->url.bucket,
		       40, gcs->url.prefix, name ? name : "", response->status,
		       text);
}
