/*
 * Who we are to a GCS endpoint: nobody, or the bearer of a token.
 *
 * A token comes from a file, which somebody else keeps fresh: it is read again
 * whenever it changed.
 *
 * Ownership: creds_new() copies what it is given and gives to its caller.
 *
 * Threads: creds_header() from any thread; it may read a small local file.
 *
 * Secrets: a token is in no message.
 */
#ifndef LAKEFUSE_SITES_CREDS_H
#define LAKEFUSE_SITES_CREDS_H

struct creds;
struct op;

/*
 * spec: "anonymous", "adc" or NULL, or a path.  adc at a local endpoint (or
 * plain http) means anonymous.  -EINVAL with a reason that says what to do.
 */
int creds_new(struct op *op, const char *spec, const char *endpoint,
	      struct creds **ret);
void creds_free(struct creds *creds);

/*
 * "Authorization: Bearer ...", the caller's to free; NULL when anonymous.
 * -EACCES when there is no token to be had, -ENOMEM.
 */
int creds_header(struct op *op, struct creds *creds, char **ret_header);

#endif
