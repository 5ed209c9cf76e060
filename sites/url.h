/*
 * The forms in which sites write things down: urls, percent-encoding, base64,
 * times.  One place for all drivers, so that a name is encoded the same way
 * whoever asks.
 *
 * Ownership: what comes through ret_ or as a char * is the caller's to free.
 *
 * Threads: any; nothing here has state.
 */
#ifndef LAKEFUSE_SITES_URL_H
#define LAKEFUSE_SITES_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct op;

/* A site's url in parts. */
struct site_url {
	char scheme[8]; /* "gs", "s3" or "file" */
	char *bucket;	/* NULL for file:// */
	/*
	 * What stands before every name: "" or ends with '/'.  For file:// the
	 * absolute directory, without the final slash (but "/" itself).
	 */
	char *prefix;
};

/* -EINVAL with a reason, -ENOMEM. */
int site_url_parse(struct op *op, const char *text, struct site_url *ret);
void site_url_done(struct site_url *url);

/* prefix + name: the name at the site.  NULL: no memory. */
char *site_url_out(const struct site_url *url, const char *name);

/* The lake's name in the site's own, borrowed; NULL: not below the prefix. */
const char *site_url_in(const struct site_url *url, const char *name);

/*
 * Checks http[s]://host[:port] and gives it
 * without a final slash; text NULL: a copy of standard.
 */
int endpoint_parse(struct op *op, const char *text, const char *standard,
		   char **ret);

/* The host is this machine: its traffic takes no proxy. */
bool url_is_loopback(const char *url);

/* Plain http, or a loopback host: nothing there asks for credentials. */
bool endpoint_is_local(const char *endpoint);

/*
 * Percent-encodes all but A-Z a-z 0-9 - . _ ~ (and '/' with keep_slash).
 * NULL: no memory.
 */
char *percent_encode(const char *text, bool keep_slash);

/* In place, %XX to bytes; -EINVAL for a broken one or %00. */
int percent_decode(char *text);

/* text must have room for BASE64_SIZE(n), the NUL included. */
#define BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
void base64_encode(const void *data, size_t n, char *text);

/* Returns the bytes written, at most room; -EINVAL. */
int base64_decode(const char *text, void *data, size_t room);

/* "2024-05-01T10:20:30.123456789Z" (or +02:00) to ns since 1970; -EINVAL. */
int rfc3339_parse(const char *text, int64_t *ret_ns);

/* "1700000000", "1700000000.25", "-1.5": seconds to ns; -EINVAL. */
int seconds_parse(const char *text, int64_t *ret_ns);

/* Decimal digits alone, that fit; -EINVAL. */
int u64_parse(const char *text, uint64_t *ret);

#endif
