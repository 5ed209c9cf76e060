/*
 * The key pair of an S3 site, from a file that may change while we run.
 *
 * The file is the AWS profile format, of which [default] is read, or two or
 * three lines: key id, secret, session token.  Others must not be able to read
 * it.  It is looked at before each request and read again when it changed.
 *
 * Ownership: s3_keys_open() gives; s3_keys_get() copies into its caller's
 * struct, which s3_key_done() wipes.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_SITES_S3_KEYS_H
#define LAKEFUSE_SITES_S3_KEYS_H

#include <stdbool.h>
#include <stddef.h>

struct op;
struct s3_keys;

struct s3_key {
	bool anonymous; /* then all else is empty: requests go unsigned */
	char id[129];
	char secret[257];
	char token[4097]; /* "" for none */
};

/*
 * credentials: "anonymous", a path, or NULL and "adc" for ~/.aws/credentials.
 * -EINVAL, -ENOENT, -EACCES with a reason that says what to do.
 */
int s3_keys_open(struct op *op, const char *credentials, struct s3_keys **ret);
void s3_keys_close(struct s3_keys *keys);

int s3_keys_get(struct op *op, struct s3_keys *keys, struct s3_key *ret);
void s3_key_done(struct s3_key *key);

/* Of the file's text, which it may change.  0 or -EINVAL.  For fuzzers. */
int s3_key_parse(char *text, struct s3_key *ret);

#endif
