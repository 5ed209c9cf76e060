/*
 * What the cache's own modules share: a cache, its generations, their
 * segments.  Nothing outside cache/ includes it.
 *
 * One lock, the cache's, guards all of it, but what is marked fixed; it is
 * held for the time of a look at some bits, never across disk or site.  Where
 * a function lets go of it for such work its comment says so, and the caller
 * looks again at all it knew.
 *
 *   read.c    is the range here?  in memory, on disk, unchecked, missing
 *   flight.c  segments: queued, flying, landed; priorities, memory, read-ahead
 *   land.c    what came: checksums, disk, eviction
 *   disk.c    may the disk be written to now?
 *   gen.c     generations: table, chunks of block states, idle ones
 *   cache.c   the face
 */
#ifndef LAKEFUSE_CACHE_CORE_H
#define LAKEFUSE_CACHE_CORE_H

#include <uthash.h>

#include "base/lock.h"
#include "base/op.h"
#include "cache/ahead.h"
#include "cache/cache.h"
#include "cache/evict.h"
#include "cache/file.h"
#include "cache/memory.h"
#include "sites/sites.h"

struct pool;

#define CHUNK_BLOCKS 4096u
#define CHUNK_BYTES ((uint64_t)CHUNK_BLOCKS * CACHE_BLOCK)
#define CHUNK_WORDS (CHUNK_BLOCKS / 64)

/*
 * The states of the blocks of a piece of the object.  A block is seen when its
 * crc is known, present when it is on disk too (present implies seen), checked
 * when what is on disk fitted the crc since the start.
 */
struct chunk {
	uint64_t seen[CHUNK_WORDS];
	uint64_t present[CHUNK_WORDS];
	uint64_t checked[CHUNK_WORDS];
	unsigned n_seen;
	uint32_t crcs[CHUNK_BLOCKS];
};

struct slot {
	struct chunk *chunk; /* NULL: not loaded */
	uint32_t sum;	     /* of all its blocks, once all were seen */
	bool full;
};

struct gen {
	struct gen_key key;    /* fixed */
	struct object_ref ref; /* fixed; the name is its own */
	bool small;	       /* fixed: one segment, one file without a map */
	bool whole;	   /* fixed: nothing is served before all is right */
	unsigned refs;	   /* handles, fetches, and who works on it */
	bool busy;	   /* its files are being made, opened, removed */
	struct file *file; /* NULL: nothing on disk */
	bool verified;	   /* all of it fits the object's checksum */
	unsigned sites;	   /* that served parts of it */
	unsigned avoid;	   /* sites that must not */
	unsigned n_wrong;  /* times all of it was wrong, */
	unsigned n_record_wrong; /* and with the record among who served */
	unsigned n_condemned;	 /* times it was wrong wherever it came from */
	bool served;		 /* it has given bytes before it was verified */
	uint64_t n_slots;
	uint64_t n_full;
	struct slot *slots;
	struct segment *segments; /* most recent first */
	struct cache_handle *handles;
	struct cond changed;
	UT_hash_handle hh;
	struct gen *prev, *next; /* of the idle ones, while refs is 0 */
};

enum segment_state { SEGMENT_QUEUED, SEGMENT_FLYING, SEGMENT_DONE };

/* A fetch and its bytes, which stay for readers while there is room. */
struct segment {
	struct gen *gen; /* fixed */
	uint64_t offset; /* fixed */
	void *buf;	 /* fixed */
	size_t room;	 /* fixed: of the buffer */
	size_t len;	 /* shrinks to what came when the fetch fails */
	size_t n_ready;	 /* bytes from its start that readers may have */
	unsigned refs;	 /* the generation's list, the worker, waiters, spans */
	unsigned waiters;
	enum segment_state state;
	bool listed; /* among the generation's */
	bool ahead;  /* queued as read-ahead */
	bool in_lru;
	struct cache_handle *owner; /* whose read caused it; NULL: closed */
	int rc;
	struct op op;			 /* the fetch's own */
	struct segment *prev, *next;	 /* of the generation's */
	struct segment *q_prev, *q_next; /* of a queue, later of the LRU */
};

struct cache_handle {
	struct cache *cache; /* fixed */
	struct gen *gen;     /* fixed */
	struct ahead ahead;
	bool poisoned;	    /* what was given of its generation was wrong */
	uint64_t disk_from; /* where its run of reads from disk begins */
	uint64_t disk_next; /* where it goes on */
	uint64_t disk_told; /* the kernel knows that it is read up to here */
	_Atomic int last_site;
	struct cache_handle *prev, *next;
};

/* Guarded by the cache's lock. */
struct cache_guarded {
	struct gen *gens;
	struct gen *idle; /* least recently used first */
	unsigned n_idle;
	unsigned n_handles;
	struct memory memory;
	uint64_t flying_bytes; /* of buffers whose fetch has not ended */
	unsigned n_flights;
	unsigned n_ahead;	 /* running */
	unsigned n_room_waiters; /* demand reads short of memory */
	struct segment *demand;	 /* queues */
	struct segment *ahead;
	struct segment *lru; /* landed; least recently used first */
	bool evicting;
	struct gen_key evict_key; /* whose files are being removed */
	bool disk_failing;
	uint64_t disk_retry_ns; /* no write to disk before that */
	uint64_t disk_log_ns;	/* last time we complained */
	char disk_error[80];
	int64_t disk_room;     /* that may be written, as of the last look */
	uint64_t disk_look_ns; /* when to look again */
	bool closing;
};

struct cache {
	struct cache_config config; /* fixed; dir and lake_id are its own */
	struct cache_source source; /* fixed */
	int dirfd;		    /* fixed */
	struct pool *pool;	    /* fixed */
	struct evict *evict;	    /* fixed */
	pthread_t scanner;	    /* fixed */
	_Atomic bool stop_scan;
	struct mutex lock; /* RANK_CACHE */
	struct cond room;  /* memory came free, an eviction has ended */
	struct cache_guarded guarded; /* through held() only */
};

static inline struct cache_guarded *held(struct cache *c) REQUIRES(c->lock)
{
	return &c->guarded;
}

static inline uint64_t block_up(uint64_t offset)
{
	return (offset + CACHE_BLOCK - 1) / CACHE_BLOCK * CACHE_BLOCK;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* gen.c */

enum block_state { BLOCK_UNLOADED, BLOCK_MISSING, BLOCK_UNCHECKED, BLOCK_GOOD };

/* Finds or makes the generation; *ret_new: its files are to be opened. */
int gen_get(struct op *op, struct cache *c, const struct object_ref *ref,
	    struct gen **ret, bool *ret_new) REQUIRES(c->lock);

void gen_ref(struct cache *c, struct gen *g) REQUIRES(c->lock);

/*
 * Ends a reference.  Returns a generation to be given to gen_free() with the
 * lock not held, or NULL.
 */
struct gen *gen_unref(struct cache *c, struct gen *g) REQUIRES(c->lock);
struct gen *gen_take_idle(struct cache *c, unsigned keep) REQUIRES(c->lock);
void gen_free(struct gen *g);

/* Opens what the disk has of a new one.  Lets go of the lock. */
void gen_open(struct cache *c, struct gen *g) REQUIRES(c->lock);

enum block_state gen_block(const struct gen *g, uint64_t block);
bool gen_seen(const struct gen *g, uint64_t block, uint32_t *ret_crc);

/* Loads the chunk that block is in.  Lets go of the lock.  0 or -ENOMEM. */
int gen_load(struct cache *c, struct gen *g, uint64_t block) REQUIRES(c->lock);

/*
 * Notes n blocks' crcs from block first on.  Returns true when a chunk became
 * full by it.  Chunks that can't be had for lack of memory stay unseen.
 */
bool gen_note_crcs(struct gen *g, uint64_t first, size_t n,
		   const uint32_t *crcs);
void gen_set_present(struct gen *g, uint64_t first, size_t n);
void gen_set_checked(struct gen *g, uint64_t block);
void gen_clear_present(struct gen *g, uint64_t block);

/* Nothing of it is on disk any more; what was seen stays known. */
void gen_lost_file(struct gen *g);

/* Nothing of it is known any more. */
void gen_forget(struct gen *g);

/* All blocks seen: sets *ret_crc to the object's sum from theirs. */
bool gen_sum(const struct gen *g, uint32_t *ret_crc);

/* An unloaded chunk that may hold the rest of what was seen; or -1. */
int64_t gen_unloaded(const struct gen *g);

/* flight.c */

/* A segment that has or will have the byte at offset. */
struct segment *segment_at(struct gen *g, uint64_t offset);
void segment_unref(struct cache *c, struct segment *s) REQUIRES(c->lock);

/* Read just now: the last to be dropped. */
void segment_used(struct cache *c, struct segment *s) REQUIRES(c->lock);

/* No longer to be found; who holds it keeps it.  Its fetch is cancelled. */
void segment_unlist(struct cache *c, struct segment *s) REQUIRES(c->lock);

/*
 * Starts fetches of what is missing from *pos to to, in pieces.  Returns
 * BLOCK_GOOD when all is under way, BLOCK_UNLOADED when *pos's chunk must be
 * loaded first, BLOCK_MISSING when there is no memory for more.
 */
enum block_state flight_start(struct cache *c, struct cache_handle *h,
			      uint64_t *pos, uint64_t to, size_t piece,
			      bool ahead) REQUIRES(c->lock);

/* Waits until the byte at offset is there, or its fetch has ended. */
int flight_wait(struct op *op, struct cache *c, struct cache_handle *h,
		uint64_t offset) REQUIRES(c->lock);

/* Notes a read, and fetches ahead.  May let go of the lock. */
void flight_ahead(struct cache *c, struct cache_handle *h, uint64_t offset,
		  size_t size) REQUIRES(c->lock);

/* The handle goes: nobody wants what was fetched ahead for it. */
void flight_forget(struct cache *c, struct cache_handle *h) REQUIRES(c->lock);

/* No more fetches: those queued fail, those flying are cancelled. */
void flight_stop(struct cache *c) REQUIRES(c->lock);

/* land.c */

/* A fetch has ended with rc; on its thread, the lock not held. */
void land(struct cache *c, struct segment *s, int rc,
	  const struct read_part *part);

/* Reads and checks blocks on disk.  Lets go of the lock. */
void land_check(struct cache *c, struct gen *g, uint64_t block, uint64_t n)
	REQUIRES(c->lock);

/*
 * What the file has between from and to can't be read: it is no longer counted
 * as there.  The lock is not held, and nobody need have the generation open.
 */
void land_unreadable(struct cache *c, struct file *file, uint64_t from,
		     uint64_t to);

/* All blocks are known: sums them.  Lets go of the lock. */
void land_complete(struct cache *c, struct gen *g) REQUIRES(c->lock);

/* Evicts until so many bytes at most are on disk; the lock not held. */
void land_evict(struct cache *c, uint64_t target);

#endif
