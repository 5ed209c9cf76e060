/*
 * One generation on disk.  The format stands at the top of file.c;
 * file_scan() is in scan.c, the names are in name.c.
 *
 * Nothing found on disk is trusted: a file that is not ours or does not fit
 * the object is removed, a block counts only when its crc fits.  So no fsync
 * is needed, and a power cut costs fetches only.
 *
 * Ownership: file_open() and file_create() give a reference; file_unref() ends
 * it and closes with the last.  An unlinked file serves its holders on.
 *
 * Threads: any; all of them wait for the disk, so with no lock held.
 */
#ifndef LAKEFUSE_CACHE_FILE_H
#define LAKEFUSE_CACHE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object_ref;

#define GEN_HASH_SIZE 16

/* Compared and hashed as bytes: keep it free of padding. */
struct gen_key {
	uint8_t hash[GEN_HASH_SIZE]; /* of lake and name */
	uint64_t generation;
};

/* 0, or -ENOMEM: then there is no key to go by. */
int gen_key_make(struct gen_key *key, const char *lake_id,
		 const struct object_ref *ref);

struct file;

/* What a generation's file knows beside the blocks. */
struct file_facts {
	bool verified;	/* the whole object matched its checksum once */
	unsigned sites; /* that served parts of it */
};

/*
 * Opens what is there for this generation.  small: one checked as a whole.
 * -ENOENT when nothing usable is there (what was unusable is removed).
 */
int file_open(int dirfd, const struct gen_key *key,
	      const struct object_ref *ref, bool small, struct file **ret,
	      struct file_facts *ret_facts);

/* Makes an empty one for blocks. */
int file_create(int dirfd, const struct gen_key *key,
		const struct object_ref *ref, struct file **ret);

/* Makes the file of a small object: complete, or not there. */
int file_create_small(int dirfd, const struct gen_key *key, const void *data,
		      size_t size, struct file **ret);

struct file *file_ref(struct file *file);
void file_unref(struct file *file);

int file_fd(const struct file *file);

/* Disk space taken now, in bytes. */
uint64_t file_allocated(const struct file *file);

/* Marks it used now, for the next start's order of eviction. */
void file_touch(struct file *file);

/* Writes whole blocks (the object's last may be short) and their crcs. */
int file_write(struct file *file, uint64_t offset, const void *data, size_t len,
	       const uint32_t *crcs);

/* -EIO when less than len bytes are there. */
int file_read(struct file *file, uint64_t offset, void *buf, size_t len);

/*
 * Reads n entries from block first on: crcs[i] and, in bit i of present, that
 * it is one.  Never fails: what can't be read is absent.
 */
void file_load(struct file *file, uint64_t first, size_t n, uint32_t *crcs,
	       uint64_t *present);

/* Forgets a block's crc. */
void file_drop_block(struct file *file, uint64_t block);

int file_set_facts(struct file *file, const struct object_ref *ref,
		   const struct file_facts *facts);

/* Removes the names; holders keep the content. */
void file_unlink(int dirfd, const struct gen_key *key);

/* Called with each generation's file found; bytes and mtime as they are. */
typedef void file_found_fn(void *arg, const struct gen_key *key, uint64_t bytes,
			   int64_t mtime_ns);

/*
 * Walks the directory and removes what is not ours.  Stops when stop() says
 * so.  A generation of two files is found twice.
 */
void file_scan(int dirfd, file_found_fn *found, bool (*stop)(void *arg),
	       void *arg);

#endif
