/*
 * Checksums of a directory's files, so that a copy without a stamp is proven
 * by reading it once and not at every open.
 *
 * A sum is remembered under inode, ctime and size: no change of a file leaves
 * all three as they were.  The device is not part of it, since an NFS mount
 * gets another one each time.  A file that changed just now is summed but not
 * remembered: within the resolution of its ctime it may change once more.
 *
 * Summing a large file takes longer than a reader waits.  It is done aside, by
 * one thread a file whoever asks, and goes on after the readers have left, so
 * that the next one finds it.
 *
 * Ownership: dir_sums_open() gives; dir_sums_close() waits a little for
 * summing under way and returns false when it hangs: everything is then left
 * as it is.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_SITES_DIR_SUM_H
#define LAKEFUSE_SITES_DIR_SUM_H

#include <stdbool.h>
#include <stdint.h>

struct dir_sums;
struct op;
struct stat;

/* Which content of which file: no two have the same. */
struct dir_version {
	uint64_t dev;
	uint64_t inode;
	int64_t ctime_ns;
	uint64_t size;
};

/* As the file system knows it now, not as a cache of attributes does. */
int dir_version_get(int fd, struct dir_version *ret, int64_t *ret_mtime_ns);
bool dir_version_same(const struct dir_version *a, const struct dir_version *b);

/* Makes or opens path (NULL: remembers in memory only). */
int dir_sums_open(struct op *op, const char *path, struct dir_sums **ret);
bool dir_sums_close(struct dir_sums *sums);

/* True and *ret_crc when version's sum is remembered. */
bool dir_sums_find(struct dir_sums *sums, const struct dir_version *version,
		   uint32_t *ret_crc);

/* Remembers, if the file did not change a moment ago. */
void dir_sums_add(struct dir_sums *sums, const struct dir_version *version,
		  uint32_t crc);

/*
 * The crc32c of the file, which is at version now.  fd is borrowed.  Returns
 * 0; -EAGAIN when it changed meanwhile or cannot be read; -ETIMEDOUT, -EINTR:
 * op came to its end, the summing goes on.
 */
int dir_sums_make(struct op *op, struct dir_sums *sums, int fd,
		  const struct dir_version *version, uint32_t *ret_crc);

/* Sums fd here and now; for small files. */
int dir_sum_file(struct op *op, int fd, uint64_t size, uint32_t *ret_crc);

#endif
