/*
 * What S3 says in XML: pages of a listing, and errors.
 *
 * The bytes come from outside and are taken for hostile: no document type (so
 * no entities to blow up), depth, text and entries are limited, and nothing
 * but memory is touched, so that a fuzzer can call these alone.
 *
 * Ownership: s3_page_done() frees what s3_page_parse() filled in.  An error's
 * texts are within the struct.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_SITES_S3_XML_H
#define LAKEFUSE_SITES_S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct s3_entry {
	char *name; /* decoded; of a prefix: with its delimiter */
	bool is_prefix;
	bool odd_name; /* holds a NUL: name is still percent-encoded */
	uint64_t size;
	int64_t mtime_ns;
	char *etag; /* with its quotes, as If-Match wants it; or NULL */
	char *storage_class; /* or NULL */
};

struct s3_page {
	struct s3_entry *entries; /* in bytewise order of their names */
	size_t n_entries;
	bool truncated;
	char *next_token; /* or NULL */
};

/*
 * Reads a ListBucketResult.  Returns 0; -EPROTO when it is none, or goes on
 * without a token; -ENOMEM.
 */
int s3_page_parse(const char *xml, size_t size, struct s3_page *ret);
void s3_page_done(struct s3_page *page);

struct s3_error {
	char code[64];
	char message[160];
	char region[32]; /* where the bucket is, if the server told */
};

/* Reads an Error document.  Returns 0, -EPROTO, or -ENOMEM. */
int s3_error_parse(const char *xml, size_t size, struct s3_error *ret);

#endif
