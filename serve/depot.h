/*
 * Buckets and objects in a directory, with the semantics of GCS: generations,
 * metagenerations, preconditions, holds, versioning, and listings in bytewise
 * order.  Both faces (GCS JSON and S3) stand on this.
 *
 * Names never become paths: DIR/index.db maps (bucket, name) to a generation,
 * and the bytes are in DIR/data/xx/GENERATION.  So `a` beside `a/b`, `..` and
 * a thousand bytes of anything but NUL are ordinary names.
 *
 * A generation's file is never changed.  A reader that has it open keeps its
 * bytes whatever happens to the name.
 *
 * Ownership: the depot is the caller's until depot_close(); no upload may be
 * left by then.  struct depot_object filled through ret_ is the caller's, to
 * be freed by depot_object_done(); one given to a callback is borrowed.
 * Threads: any.  Precondition and commit are one step under one lock: of
 * several writers with the same ifGenerationMatch exactly one wins.
 *
 * Errors: -ENXIO no such bucket; -ENOENT no such object or generation; -ESTALE
 * a precondition failed (412); -EALREADY not modified (304); -EPERM a hold or
 * retention forbids it; -EEXIST bucket is there already; -ENOTEMPTY bucket has
 * objects; -EINVAL a name that no object can have; -EBADMSG bytes contradict
 * the expected hash; -EIO and others: the disk or the index failed.
 */
#ifndef LAKEFUSE_SERVE_DEPOT_H
#define LAKEFUSE_SERVE_DEPOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEPOT_NAME_MAX 1024

struct op;
struct depot;
struct depot_upload;

struct depot_object {
	char *name;
	int64_t generation;
	int64_t metageneration;
	uint64_t size;
	uint32_t crc32c;
	bool has_md5; /* composed objects have none */
	uint8_t md5[16];
	int64_t created_us; /* wall clock */
	int64_t updated_us;
	int64_t deleted_us; /* 0: the live generation */
	int components;	    /* 0: not composed */
	/* One compact JSON object of what the writer set: contentType,
	 * contentEncoding, storageClass, metadata, holds ... */
	char *attrs;
};

enum depot_has {
	DEPOT_IF_GEN = 1,
	DEPOT_IF_NOT_GEN = 2,
	DEPOT_IF_META = 4,
	DEPOT_IF_NOT_META = 8,
};

/* Preconditions; only those whose bit is set in has count. */
struct depot_cond {
	unsigned has;
	int64_t gen, not_gen, meta, not_meta;
};

/* What a request is about.  Borrowed strings. */
struct depot_ref {
	const char *bucket;
	const char *name;
	int64_t generation; /* 0: the live one */
	struct depot_cond cond;
};

/* sync: file and directory are on the disk before a put is acknowledged. */
int depot_open(struct op *op, const char *dir, bool sync,
	       struct depot **ret_depot);
void depot_close(struct depot *s);

/* config: a JSON object as the buckets resource has it, or NULL. */
int depot_bucket_make(struct depot *s, const char *bucket, const char *config);
int depot_bucket_drop(struct depot *s, const char *bucket);

struct depot_bucket {
	char *name;
	char *config;
	int64_t created_us;
	int64_t metageneration;
};

int depot_bucket_get(struct depot *s, const char *bucket,
		     struct depot_bucket *ret_bucket);
/* Replaces the config. */
int depot_bucket_patch(struct depot *s, const char *bucket, const char *config);
void depot_bucket_done(struct depot_bucket *b);

/* In order of names. */
typedef void depot_bucket_fn(void *ctx, const struct depot_bucket *b);
int depot_bucket_list(struct depot *s, depot_bucket_fn *fn, void *ctx);

/* ret_fd may be NULL: metadata only.  Otherwise the bytes, open for reading. */
int depot_get(struct depot *s, const struct depot_ref *ref,
	      struct depot_object *ret_object, int *ret_fd);
void depot_object_done(struct depot_object *o);

/* Bytes on their way in, summed as they come. */
int depot_upload_new(struct depot *s, struct depot_upload **ret_upload);
int depot_upload_add(struct depot_upload *u, const void *data, size_t n);
uint64_t depot_upload_size(const struct depot_upload *u);
uint32_t depot_upload_crc32c(const struct depot_upload *u);
/* After this nothing can be added. */
int depot_upload_md5(struct depot_upload *u, uint8_t ret_md5[16]);
void depot_upload_free(struct depot_upload *u);

/*
 * Makes the upload's bytes a generation of ref's name; the upload is used up
 * on success and must still be freed.  ret_object may be NULL.
 */
int depot_put(struct depot *s, struct depot_upload *u,
	      const struct depot_ref *ref, const char *attrs,
	      struct depot_object *ret_object);

/* A new attrs for the object, allocated; NULL: out of memory or refused. */
typedef char *depot_edit_fn(void *ctx, const char *attrs);

int depot_patch(struct depot *s, const struct depot_ref *ref,
		depot_edit_fn *edit, void *ctx,
		struct depot_object *ret_object);
int depot_delete(struct depot *s, const struct depot_ref *ref);

/*
 * The same bytes under another name, without copying them.  attrs NULL: those
 * of the source.  With `move` the source is deleted in the same step.
 */
struct depot_copy {
	struct depot_ref from;
	struct depot_ref to;
	const char *attrs;
	bool move;
};
int depot_copy(struct depot *s, const struct depot_copy *copy,
	       struct depot_object *ret_object);

/* from[0..n) behind each other; n from 1 to 32, bucket as in to. */
int depot_compose(struct depot *s, const struct depot_ref *from, size_t n,
		  const struct depot_ref *to, const char *attrs,
		  struct depot_object *ret_object);

/* A place in the listing: from `name` on, of that name from `generation` on. */
struct depot_place {
	unsigned char name[DEPOT_NAME_MAX + 2];
	size_t n;
	int64_t generation;
};

struct depot_list {
	const char *bucket;
	const char *prefix;    /* "" for all */
	const char *delimiter; /* "" for none */
	const char *start;     /* inclusive */
	const char *end;       /* exclusive; "" for none */
	size_t max;	       /* items and prefixes together */
	bool versions;	       /* overwritten and deleted generations too */
	bool trailing;	       /* `a/` is an item as well as a prefix */
	const struct depot_place *from; /* NULL: from the beginning */
	void (*item)(void *ctx, const struct depot_object *o);
	void (*fold)(void *ctx, const char *prefix, size_t n);
	void *ctx;
};

/*
 * One page, in bytewise order of items and prefixes merged.  Returns 1 and
 * fills ret_next when there is more, 0 when not, or -errno.
 */
int depot_list(struct depot *s, const struct depot_list *l,
	       struct depot_place *ret_next);

#endif
