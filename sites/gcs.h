/*
 * The GCS driver's inside: what its files share.  For sites/gcs*.c alone.
 *
 * Threads: a struct gcs does not change after open; creds and http have their
 * own locks.
 */
#ifndef LAKEFUSE_SITES_GCS_H
#define LAKEFUSE_SITES_GCS_H

#include <stdio.h>

#include "sites/http.h"
#include "sites/site.h"
#include "sites/url.h"

struct creds;

struct gcs {
	struct site site;
	struct http *http;
	struct creds *creds;
	struct site_url url;
	char *base;	    /* endpoint/storage/v1/b/BUCKET/o */
	char *stamp_key;    /* of metadata; NULL: none */
	char *user_project; /* percent-encoded; or NULL */
	char *ca_file;
	unsigned connections;
	uint64_t stall_ns;
};

/* A request's url, put together. */
struct gcs_url {
	char *text;
	size_t n;
	FILE *file; /* writes text */
	char sep;   /* before the next parameter */
};

/* name is the lake's; NULL: the bucket's list. */
void gcs_url_start(struct gcs_url *url, const struct gcs *gcs,
		   const char *name);
/* value NULL: nothing is added. */
void gcs_url_add(struct gcs_url *url, const char *key, const char *value);
void gcs_url_add_number(struct gcs_url *url, const char *key, uint64_t value);
/* Ends it: *ret is the caller's.  0 or -ENOMEM. */
int gcs_url_end(struct op *op, struct gcs_url *url, const struct gcs *gcs,
		char **ret);

struct gcs_call {
	const char *url;
	const char *const *headers; /* "Name: value", up to NULL; or NULL */
};

/*
 * Sends request to call's url, with its headers and our authorisation, within
 * the site's limits.  As http_do().
 */
int gcs_send(struct op *op, const struct gcs *gcs, const struct gcs_call *call,
	     struct http_request *request, struct http_response *ret);

/*
 * Notes why the site said no, as "GET gs://bucket/name: 403: message", sets
 * op->retry_after_ns, and returns rc.  name (NULL: the bucket) is for the
 * message.
 */
int gcs_refused(struct op *op, const struct gcs *gcs, const char *name,
		const struct http_response *response, int rc);

int gcs_read(struct op *op, struct site *site, struct site_read *read);

#endif
