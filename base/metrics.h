/*
 * Counters, once: this table is the source of `status`, of the tests' oracle
 * and of a later exporter.
 *
 * Threads: any; counters are relaxed atomics.
 */
#ifndef LAKEFUSE_BASE_METRICS_H
#define LAKEFUSE_BASE_METRICS_H

#include <stdint.h>

/* X(symbol, name in status, help) */
#define METRICS(X)                                                             \
	X(READS, "reads", "read calls answered")                               \
	X(READ_BYTES, "read_bytes", "bytes given to readers")                  \
	X(CACHE_HIT_BYTES, "cache_hit_bytes", "read from the local cache")     \
	X(CACHE_MISS_BYTES, "cache_miss_bytes", "had to come from a site")     \
	X(CACHE_FETCH_BYTES, "cache_fetch_bytes",                              \
	  "bytes brought in, read-ahead included")                             \
	X(CACHE_EVICTED_BYTES, "cache_evicted_bytes", "dropped for room")      \
	X(CACHE_TORN_BLOCKS, "cache_torn_blocks",                              \
	  "cached blocks that failed their crc and were dropped")              \
	X(CACHE_WRITE_FAILURES, "cache_write_failures",                        \
	  "blocks served without caching: disk full or failing")               \
	X(CRC_MISMATCH, "crc_mismatch",                                        \
	  "objects whose bytes contradicted the record's crc32c")              \
	X(OBJECTS_VERIFIED, "objects_verified", "whole-object crc32c matched") \
	X(META_HITS, "meta_hits", "names answered by the catalogue")           \
	X(META_ASKS, "meta_asks", "names the record was asked for")            \
	X(META_NOT_MODIFIED, "meta_not_modified", "asks answered unchanged")   \
	X(LIST_PAGES, "list_pages", "listing pages fetched from the record")   \
	X(STALE_SERVED, "stale_served",                                        \
	  "opens answered from last-known while the record was away")          \
	X(INVALIDATIONS, "invalidations", "names the kernel was told about")   \
	X(FAILOVERS, "failovers", "reads that went on at another site")        \
	X(REFUSED_UNPROVEN, "refused_unproven", "copies without any proof")    \
	X(REFUSED_STALE, "refused_stale", "copies of another generation")      \
	X(REFUSED_ABSENT, "refused_absent", "copies not there")                \
	X(REFUSED_TORN, "refused_torn", "copies of another size")              \
	X(REFUSED_CHANGED, "refused_changed", "copies that changed under us")  \
	X(REFUSED_CORRUPT, "refused_corrupt", "copies with wrong bytes")       \
	X(ODD_NAMES, "odd_names", "objects whose names no path can spell")     \
	X(RECORD_REQUESTS, "record_requests", "requests sent to the record")   \
	X(REPLICA_REQUESTS, "replica_requests", "requests sent to replicas")

#define METRIC_ENUM_(sym, name, help) METRIC_##sym,
enum metric { METRICS(METRIC_ENUM_) N_METRICS };
#undef METRIC_ENUM_

void metric_add(enum metric m, uint64_t n);
uint64_t metric_get(enum metric m);
const char *metric_name(enum metric m);
const char *metric_help(enum metric m);

#endif
