/*
 * AWS Signature Version 4, in the Authorization header.
 *
 * Source: "Authenticating Requests: Using the Authorization Header", Amazon S3
 * API reference.  For S3 the path is encoded once and never normalised, so it
 * is signed as it goes out.
 *
 * Ownership: everything is borrowed until return; *ret_authorization is the
 * caller's.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_SITES_SIGV4_H
#define LAKEFUSE_SITES_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#define SIGV4_EMPTY_BODY \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"
#define SIGV4_HEADERS_MAX 16

struct sigv4_header {
	const char *name;  /* in lower case */
	const char *value; /* without blanks around it or double ones in it */
};

struct sigv4_request {
	const char *method;
	const char *path;  /* encoded, from the first '/' */
	const char *query; /* encoded and sorted by name; "" for none */
	const struct sigv4_header *headers; /* to be signed; "host" is a must */
	size_t n_headers;		    /* SIGV4_HEADERS_MAX at most */
	const char *body_sha256;	    /* in hex, or SIGV4_UNSIGNED */
};

struct sigv4_scope {
	const char *key_id;
	const char *secret;
	const char *region;
	const char *service;
	char time[17]; /* sigv4_time(); goes out as x-amz-date, too */
};

/* "20130524T000000Z", from nanoseconds since 1970. */
void sigv4_time(char time[17], int64_t wall_ns);

/*
 * The value of the Authorization header.  Returns 0, -EINVAL for too many
 * headers, -ENOMEM, or -EIO when OpenSSL refuses.
 */
int sigv4_sign(const struct sigv4_request *request,
	       const struct sigv4_scope *scope, char **ret_authorization);

#endif
