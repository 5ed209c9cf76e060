/*
 * What a mount can be told, from lake.yaml and from -o: one table.
 *
 * Ownership: options_load() fills a zeroed struct; options_done() frees what
 * it holds.
 */
#ifndef LAKEFUSE_FS_OPTIONS_H
#define LAKEFUSE_FS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "sites/sites.h"

enum { LOSS_FAIL, LOSS_SERVE_LAST_KNOWN };
enum { NAMESPACE_RECORD, NAMESPACE_UNION };
enum { INTEGRITY_STANDARD, INTEGRITY_FULL };

struct class_option {
	char *match;
	int class; /* enum freshness */
	unsigned seconds;
};

struct guard_option {
	char *match;
};

struct cache_options {
	uint64_t size_bytes;
	uint64_t memory_bytes;
	uint64_t read_ahead_bytes;
	unsigned fetches;
};

struct mount_options {
	struct site_config record;
	struct site_config *replicas;
	unsigned n_replicas;
	char *here;
	char *state;
	struct cache_options cache;
	struct class_option *classes;
	unsigned n_classes;
	struct guard_option *guards; /* used by writing mounts */
	unsigned n_guards;
	int on_record_loss;
	int namespace;
	int integrity;
	uint64_t verify_whole_bytes;
	uint64_t names_ttl_ns;
	uint64_t op_timeout_ns;
	uint64_t first_byte_ns;
	uint64_t stall_ns;
	unsigned uid, gid, umask;
	bool allow_other;
	bool ro; /* accepted; every mount is read-only for now */
	char *log;
	int log_level;
	char *unsafe;
};

/* UID_UNSET: the mounting user's. */
#define UID_UNSET 0xffffffffu

extern const struct setting mount_settings[];

struct op;

/*
 * lake: gs://bucket[/prefix] or the path of a lake.yaml; opts: the argument
 * of -o, "key=value,key,...", or NULL (what it says wins over the file).
 * -EINVAL and a line that says what to do.
 */
int options_load(struct op *op, const char *lake, const char *opts,
		 struct mount_options *into);
void options_done(struct mount_options *options);

/* The protections a test turned off: UNSAFE_ bits of sites and the ones here. */
enum { UNSAFE_NO_CRC = 256, UNSAFE_NO_PIN = 512 };
int options_unsafe(struct op *op, const struct mount_options *options,
		   unsigned *ret_bits);

/* Borrows all its strings from options. */
void options_lake(const struct mount_options *options, unsigned unsafe,
		  struct lake_config *ret);

#endif
