/*
 * The lake: the record and its replicas, behind one face.
 *
 * The record says what is; replicas may only help to bring its bytes, and only
 * with a copy that is proven to be exactly the generation asked for (design:
 * P2, P3).  lake_read() goes to the nearest such copy and on to the next one
 * when a site is slow, gone or lying (P4).
 *
 * Ownership: lake_new() copies its configuration.  What an object_info points
 * to is its own (object_info_done()); in callbacks it is borrowed until return.
 *
 * Threads: every function from any thread, with no lock held.  All of them may
 * wait for the network, up to op's deadline; a cancelled op comes back within
 * OP_POLL_NS or so.
 *
 * Errors: -ENOENT not there; -EACCES 401/403; -ETIMEDOUT no answer by the
 * deadline; -EINTR cancelled; -ESTALE this generation is not to be had any
 * more; -EIO no copy can serve, or the answer made no sense.
 */
#ifndef LAKEFUSE_SITES_SITES_H
#define LAKEFUSE_SITES_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lake;
struct op;

/* GCS: names are at most 1,024 bytes of UTF-8. */
#define OBJECT_NAME_MAX 1024
#define SITES_MAX 8
#define MD5_SIZE 16
#define SITE_RECORD 0 /* the index of the record; replicas follow */

enum proof {
	PROOF_NONE,
	PROOF_STAMP,	/* the copier wrote the record's generation there */
	PROOF_CHECKSUM, /* crc32c or md5 equal the record's, and the size */
	PROOF_NATIVE,	/* it is the record */
};

enum object_kind { OBJECT_FILE, OBJECT_SYMLINK };

/* Bits of object_info.has and object_ref.has. */
enum { HAS_CRC32C = 1, HAS_MD5 = 2 };

/* What a site says of one object. */
struct object_info {
	char *name; /* in the lake: the site's prefix taken off */
	uint64_t size;
	uint64_t generation;	 /* GCS's own; 0 at other sites */
	uint64_t metageneration; /* likewise */
	uint64_t stamp;		 /* what the copier says it is; 0: nothing */
	int64_t mtime_ns;	 /* since 1970: metadata's word, else upload */
	unsigned has;
	uint32_t crc32c;
	uint8_t md5[MD5_SIZE];
	enum object_kind kind;
	char *symlink;	 /* the target, for OBJECT_SYMLINK; or NULL */
	char *validator; /* ETag or the like for "still the same"; NULL */
	char storage_class[24]; /* "STANDARD", ...; "" when not told */
	bool odd_name; /* name is not what the site has: bytes no JSON holds */
};

void object_info_done(struct object_info *info);

/*
 * Set in the generation of what only replicas have (namespace: union): a number
 * of our own making, as GCS's are below 2^63.
 */
#define ORPHAN_GENERATION (1ULL << 63)

/* One generation of one object: all that is needed to fetch and check it. */
struct object_ref {
	const char *name; /* borrowed */
	uint64_t generation;
	uint64_t size;
	unsigned has;
	uint32_t crc32c;
	uint8_t md5[MD5_SIZE];
};

struct site_config {
	char *name;	      /* "record" for the record; else from lake.yaml */
	char *url;	      /* gs://bucket[/prefix], s3://..., file:///dir */
	char *endpoint;	      /* https://host[:port]; NULL: the scheme's own */
	char *region;	      /* S3 only; NULL: us-east-1 */
	char *credentials;    /* adc | anonymous | a file's path; NULL: adc */
	char *stamp;	      /* header or xattr with the generation; or NULL */
	char *ca_file;	      /* PEM bundle instead of the system's; or NULL */
	char *user_project;   /* requester pays; or NULL */
	bool path_style;      /* S3: bucket in the path (the default) */
	unsigned connections; /* for data, at most; 0: 16 */
};

struct lake_config {
	struct site_config sites[SITES_MAX]; /* [SITE_RECORD] is the record */
	unsigned n_sites;
	const char *here;	  /* a site's name, the prior of "nearest" */
	const char *remember_dir; /* where directory sites keep checksums */
	uint64_t stall_ns;	  /* a body that stands still so long: next */
	uint64_t first_byte_ns;	  /* no answer for so long: next copy */
	unsigned unsafe;	  /* UNSAFE_ bits: a test's twin, never else */
};

/*
 * Protections that a test turns off to prove that it would see the damage they
 * prevent.
 */
enum { UNSAFE_NO_PROOF = 1, UNSAFE_NO_VALIDATOR = 2, UNSAFE_NO_FAILOVER = 4 };

/*
 * Makes the sites and checks nothing beyond the configuration: -EINVAL with a
 * reason for a wrong url, endpoint or credentials file.
 */
int lake_new(struct op *op, const struct lake_config *config,
	     struct lake **ret);
void lake_free(struct lake *lake);

/* Asks the record for its bucket: the reason says what to mend. */
int lake_check(struct op *op, struct lake *lake);

/* The record is left alone now, after failing again and again. */
bool lake_record_is_down(struct lake *lake);

/*
 * Asks the record for an object.  Returns 0 and sets *ret; 1 when
 * not_generation (0: none) is still the current one (one conditional request,
 * nothing else is sent); -ENOENT; or another -errno.
 */
int lake_stat(struct op *op, struct lake *lake, const char *name,
	      uint64_t not_generation, struct object_info *ret);

/* A listing, or a part of one. */
struct list_query {
	const char *prefix; /* names begin with it; "" for all */
	bool delimited;	    /* stop at the next '/': one directory */
	const char *start;  /* first name, inclusive; NULL: from the start */
	const char *end;    /* names below it only; NULL: to the end */
	const char *token;  /* the page after this one; NULL: first */
	unsigned max;	    /* names in a page; 0: 1,000 */
};

/*
 * One name of a page, in bytewise order.  info is NULL for a prefix (a
 * directory); name then ends with '/'.  Returns 0, or -errno to stop.
 */
typedef int list_fn(void *arg, const char *name,
		    const struct object_info *info);

/*
 * One page.  *ret_token is the next page's (free it), NULL at the end.  A page
 * may be empty and have a next one.  site: SITE_RECORD, or a replica's index.
 */
int lake_list(struct op *op, struct lake *lake, unsigned site,
	      const struct list_query *query, list_fn *each, void *arg,
	      char **ret_token);

/* A piece of a generation, to be brought into buf. */
struct read_part {
	uint64_t offset;
	size_t len; /* offset + len <= ref->size, > 0 */
	void *buf;  /* len bytes, filled from the start */
	/* Called on the reading thread as bytes arrive; or NULL. */
	void (*progress)(void *arg, size_t n_done);
	void *arg;
	unsigned avoid; /* bit per site that must not serve */
	/* Set by lake_read(), also when it fails: */
	size_t n_done;	    /* bytes in buf, from its start */
	unsigned sites;	    /* bit per site that served some of them */
	unsigned last_site; /* who served last */
	enum proof proof;   /* and why it could */
};

/*
 * Brings the whole part, or fails.  -ESTALE: the record has another generation
 * or none, and no proven copy of this one is left.
 */
int lake_read(struct op *op, struct lake *lake, const struct object_ref *ref,
	      struct read_part *part);

/*
 * The bytes these sites (a bit each) served of ref contradict its checksum:
 * replicas among them never serve this generation again while we run.
 */
void lake_quarantine(struct lake *lake, const struct object_ref *ref,
		     unsigned sites);

/* How this site's copy was proven when it last served; PROOF_NONE: forgotten. */
enum proof lake_known_proof(struct lake *lake, const struct object_ref *ref,
			    unsigned site);

unsigned lake_n_sites(const struct lake *lake);
const char *lake_site_name(const struct lake *lake, unsigned site);

/* What a site's copy of ref is now: asked afresh, for `lakefuse where`. */
struct copy_report {
	unsigned site;
	enum proof proof; /* PROOF_NONE: may not serve */
	bool present;
	uint64_t size;
	uint64_t generation; /* the site's own or the stamp; 0: unknown */
	char why[240];	     /* why it may serve, or why not */
};

/*
 * Fills one report a site, at most max; returns how many.  A site that does
 * not answer has that as its reason.  *ret_serves: the site that would be read
 * from now, -1: none.
 */
int lake_where(struct op *op, struct lake *lake, const struct object_ref *ref,
	       struct copy_report *reports, unsigned max, int *ret_serves);

enum refusal {
	REFUSED_UNPROVEN,
	REFUSED_STALE,
	REFUSED_ABSENT,
	REFUSED_TORN,
	REFUSED_CHANGED,
	REFUSED_CORRUPT,
	N_REFUSALS
};

/* For status: everything about one site, as it stands now. */
struct site_status {
	const char *name;
	const char *url;
	bool is_record;
	bool broken;	     /* left alone by the circuit breaker */
	uint64_t latency_ns; /* to the first byte, smoothed; 0: unknown */
	uint64_t n_requests;
	uint64_t n_failures;
	uint64_t read_bytes;
	uint64_t refused[N_REFUSALS];
	char last_error[240];  /* "" when there was none */
	int64_t last_error_ms; /* wall clock */
};

const char *refusal_name(enum refusal why);
const char *proof_name(enum proof proof);

void lake_site_status(struct lake *lake, unsigned site,
		      struct site_status *ret);

#endif
