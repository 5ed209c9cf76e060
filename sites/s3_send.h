/*
 * One signed request to an S3 site, and what its answer means.
 *
 * Ownership: a struct s3_site is made by s3.c and only read here.
 *
 * Threads: any; accept of an ask runs on the HTTP engine's.
 */
#ifndef LAKEFUSE_SITES_S3_SEND_H
#define LAKEFUSE_SITES_S3_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sites/http.h"
#include "sites/site.h"
#include "sites/url.h"

struct s3_keys;

struct s3_site {
	struct site site; /* first */
	struct http *http;
	struct site_url url;
	char *base; /* scheme://host[:port] that requests go to */
	char *host; /* as curl sends it */
	char *path; /* of the bucket, encoded: "/bucket", or "" */
	char *region;
	char *stamp;   /* a header's name, or NULL */
	char *ca_file; /* or NULL */
	unsigned connections;
	struct s3_keys *keys;
};

struct s3_ask {
	const char *method;
	const char *name;	  /* in the lake; NULL: the bucket itself */
	const char *query;	  /* encoded, sorted; "" for none */
	const char *range;	  /* "bytes=0-9", or NULL */
	const char *if_match;	  /* or NULL */
	bool checksum;		  /* tell the object's checksum, please */
	struct http_request http; /* lane, buf, accept, ...: as in http.h */
};

/*
 * 0 for a status of 2xx, else -errno with method, name, status and the site's
 * own words as its reason.  *ret is the caller's to be done with, always.
 */
int s3_send(struct op *op, const struct s3_site *site, struct s3_ask *ask,
	    struct http_response *ret);

/*
 * What the headers tell of an object.  whole: they are about all of it, not
 * about a range.  0, -EPROTO, or -ENOMEM; notes nothing.
 */
int s3_info(const struct s3_site *site, const char *name,
	    const struct http_response *response, bool whole,
	    struct object_info *ret);

/* For fuzzers and tests: what an error answer means; see s3_send(). */
int s3_judge(struct op *op, const char *what,
	     const struct http_response *response);

#endif
