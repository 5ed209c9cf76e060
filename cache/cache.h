/*
 * Bytes on local disk, named by generation: (object, generation, block) can
 * never change, so what is here is never stale.  This room asks nobody what is
 * current; who opens says which generation it wants.
 *
 * A missing range is fetched once however many wait for it, straight into a
 * memory segment from which readers are answered and the disk is filled.
 * Read-ahead grows on a sequential handle and stays away from a scattered one.
 * Whole-object checksums are checked as the design's P5 says.
 *
 * Ownership: cache_open() gives a cache; cache_pin() gives a handle on one
 * generation, ended by cache_unpin().  An object_ref is copied.  A span lends
 * memory or a descriptor until cache_span_done().
 *
 * Threads: all from any thread, with no lock held.  cache_try_read() never
 * waits for a site; cache_read() may, up to op's deadline.
 */
#ifndef LAKEFUSE_CACHE_CACHE_H
#define LAKEFUSE_CACHE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct cache;
struct cache_handle;
struct object_ref;
struct op;
struct read_part;

/* Presence, checksums and flights are by block; a fetch is a run of blocks. */
#define CACHE_BLOCK 16384

/* Where bytes come from: lake_read() and lake_quarantine(), or a test's. */
struct cache_source {
	int (*fetch)(struct op *op, void *arg, const struct object_ref *ref,
		     struct read_part *part);
	void (*wrong)(void *arg, const struct object_ref *ref, unsigned sites);
	void *arg;
};

struct cache_config {
	const char *dir;     /* made with mode 0700 when missing */
	const char *lake_id; /* whose names these are: bucket and prefix */
	uint64_t size_bytes; /* on disk, at most (a little over for a moment) */
	uint64_t keep_free_bytes;  /* of the disk; 0: as disk_reserve() says */
	uint64_t memory_bytes;	   /* of segments, whatever is open */
	uint64_t read_ahead_bytes; /* of one handle, at most; 0: none */
	uint64_t verify_whole; /* objects up to this: whole, before a byte */
	bool integrity_full;   /* all objects so */
	bool check_crc;	       /* false in a test's twin only */
	unsigned n_fetchers;   /* fetches under way at once, at most */
	uint64_t fetch_timeout_ns; /* of fetches nobody waits for */
};

int cache_open(struct op *op, const struct cache_config *config,
	       const struct cache_source *source, struct cache **ret);

/* Waits for fetches under way (cancels those nobody waits for). */
void cache_close(struct cache *cache);

int cache_pin(struct op *op, struct cache *cache, const struct object_ref *ref,
	      struct cache_handle **ret);
void cache_unpin(struct cache_handle *handle);

#define CACHE_SPAN_IOVS 20

/*
 * Where the bytes asked for are: n_iov pieces of memory, or, when fd >= 0, a
 * piece of a file.  Lent until cache_span_done().
 */
struct cache_span {
	size_t len; /* less than asked for only at the end of the object */
	int n_iov;
	struct iovec iov[CACHE_SPAN_IOVS];
	int fd;
	off_t fd_offset;
	void *held[CACHE_SPAN_IOVS]; /* cache's */
	struct cache *cache;	     /* cache's */
};

/*
 * Sets *ret to size bytes at offset (at most 4 MiB), cut at the object's end.
 * 0; -EAGAIN when something would have to be fetched (a fetch is NOT started);
 * -EIO once the handle has given bytes that proved wrong (P5).
 */
int cache_try_read(struct cache_handle *handle, uint64_t offset, size_t size,
		   struct cache_span *ret);

/*
 * The same, and fetches what is missing.  -errno as lake_read() has it, and
 * -EIO when the bytes contradict the object's checksum wherever they come from.
 * Notes the access for read-ahead, as a successful cache_try_read() does.
 */
int cache_read(struct op *op, struct cache_handle *handle, uint64_t offset,
	       size_t size, struct cache_span *ret);

void cache_span_done(struct cache_span *span);

/*
 * Turns a span of a file into one of memory.  0; -ENOMEM; or another -errno
 * when the file can't be read: its blocks are then fetched anew by the next
 * cache_read().  The span stays to be ended; the handle may be gone.
 */
int cache_span_load(struct cache_span *span);

/* The site that served this handle's last fetch; -1: none yet.  For xattrs. */
int cache_last_site(const struct cache_handle *handle);

struct cache_status {
	uint64_t disk_bytes;
	uint64_t disk_limit;
	uint64_t n_files;
	uint64_t memory_bytes;
	uint64_t memory_limit;
	unsigned n_flights; /* fetches under way */
	bool disk_failing;  /* the last write to disk failed: ENOSPC or worse */
	char disk_error[80];
};

void cache_status(struct cache *cache, struct cache_status *ret);

#endif
