/*
 * What GCS writes about objects, as JSON, made into ours.
 *
 * Everything here is bytes from outside: the functions touch nothing but
 * memory and can be called by a fuzzer as they are.  A name that no path can
 * hold does not spoil the page it is in: it comes with odd_name set and a
 * replacement character for what was lost.
 *
 * Source: "Objects", Cloud Storage JSON API reference; for mtime and symlinks
 * what gcloud, Storage Transfer Service and gcsfuse write into metadata.
 *
 * Ownership: results are the caller's, freed by their _done().
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_SITES_GCS_JSON_H
#define LAKEFUSE_SITES_GCS_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "sites/sites.h"

/* What of an object is asked for: the `fields` of one, or of items(). */
#define GCS_OBJECT_FIELDS                                                 \
	"name,size,generation,metageneration,crc32c,md5Hash,timeCreated," \
	"storageClass,metadata"

struct gcs_prefix {
	char *name;
	bool odd_name;
};

struct gcs_page {
	struct object_info *items; /* in bytewise order of name */
	size_t n_items;
	struct gcs_prefix *prefixes; /* likewise */
	size_t n_prefixes;
	char *token; /* NULL: the last page */
};

/*
 * stamp_key: the metadata key with the record's generation, or NULL.  Returns
 * 0, -EPROTO for what is no object or no page, -ENOMEM.
 */
int gcs_object_parse(const char *json, size_t n, const char *stamp_key,
		     struct object_info *ret);
int gcs_page_parse(const char *json, size_t n, const char *stamp_key,
		   struct gcs_page *ret);
void gcs_page_done(struct gcs_page *page);

/*
 * One line about an error from its body: the JSON's message, or plain text;
 * room at least 32.  Says so when it is a page for people.
 */
void gcs_error_text(const char *body, size_t n, char *text, size_t room);

/* crc32c and md5 from "crc32c=AAAAAA==,md5=..." (x-goog-hash). */
void gcs_hash_parse(const char *text, struct object_info *info);

/* The metadata key in "x-goog-meta-KEY", "x-amz-meta-KEY" or "KEY". */
const char *gcs_stamp_key(const char *stamp);

#endif
