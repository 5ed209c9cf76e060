/*
 * Files, all in XX/, the first byte of the hash, of the cache's directory:
 *
 *   HASH-GENERATION.whole  a small object's content, and nothing else.  It is
 *                          checked against the record's checksum when opened.
 *   HASH-GENERATION.data   sparse: a block at its own offset, so that a
 *                          complete file can be handed to the kernel.
 *   HASH-GENERATION.map    a header of HEADER_SIZE bytes, which carries its
 *                          own crc; then eight bytes a block, sparse.
 *
 * A block's entry is its crc32c and a check made of the crc and the block's
 * number.  An entry is present when the check fits, so a hole, a torn write
 * and an entry of another block all read as absent.  No two writers share an
 * entry, and no bitmap has to be kept in step with it.
 */
#include "cache/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/crc32c.h"
#include "cache/cache.h"
#include "cache/name.h"
#include "sites/sites.h"

#define HEADER_SIZE 2048
#define MAGIC 0x4c4b434d41503031ULL
#define VERSION 1
#define ENTRY_SIZE 8
#define BATCH 256 /* entries read or written at once */

struct header {
	uint64_t magic; /* also tells the byte order */
	uint32_t version;
	uint32_t block;
	uint64_t generation;
	uint64_t size;
	uint32_t has;
	uint32_t crc32c;
	uint32_t verified;
	uint32_t sites;
	uint32_t name_len;
	char name[OBJECT_NAME_MAX];
	uint32_t own_crc; /* of all before it */
};
_Static_assert(sizeof(struct header) <= HEADER_SIZE, "header fits");

struct file {
	atomic_uint refs;
	int data_fd;
	int map_fd;    /* -1: a small one */
	int direct_fd; /* the data, past the page cache; -1: can't */
	atomic_bool direct_fails;
};

/* What every disk's and file system's O_DIRECT is content with. */
#define DIRECT_ALIGN 4096
#define DIRECT_MIN (128u << 10) /* a smaller one costs more than a copy */

/* A regular file of ours that nobody else has a name for. */
static int open_ours(int subdir, const char *name, off_t *ret_size)
{
	auto_close int fd = openat(
		subdir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
		return -EPERM;
	*ret_size = st.st_size;
	return take_fd(&fd);
}

/*
 * What a fetch brought is in memory for its readers already.  Copying it into
 * the page cache as well would cost more CPU than the rest of a cold read.
 * Not every file system can do without: then this fails, or later a write.
 */
static int open_direct(int subdir, const char *name)
{
	return openat(subdir, name,
		      O_WRONLY | O_DIRECT | O_NOFOLLOW | O_CLOEXEC);
}

static int write_all(int fd, const void *data, size_t len, uint64_t offset)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static int read_all(int fd, void *buf, size_t len, uint64_t offset)
{
	char *p = buf;

	while (len > 0) {
		ssize_t n = pread(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static uint32_t header_crc(const struct header *h)
{
	return crc32c(0, h, offsetof(struct header, own_crc));
}

static void make_header(struct header *h, const struct object_ref *ref,
			const struct file_facts *facts)
{
	memset(h, 0, sizeof(*h));
	h->magic = MAGIC;
	h->version = VERSION;
	h->block = CACHE_BLOCK;
	h->generation = ref->generation;
	h->size = ref->size;
	h->has = ref->has & HAS_CRC32C;
	h->crc32c = ref->has & HAS_CRC32C ? ref->crc32c : 0;
	h->verified = facts->verified;
	h->sites = facts->sites;
	h->name_len = (uint32_t)strnlen(ref->name, OBJECT_NAME_MAX);
	memcpy(h->name, ref->name, h->name_len);
	h->own_crc = header_crc(h);
}

/* The header is whole and means this object; the facts are its own. */
static bool header_fits(const struct header *h, const struct object_ref *ref)
{
	struct file_facts facts = {.verified = h->verified != 0,
				   .sites = h->sites};
	struct header expected;

	make_header(&expected, ref, &facts);
	return memcmp(h, &expected, sizeof(*h)) == 0;
}

static struct file *new_file(int data_fd, int map_fd)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	atomic_init(&file->refs, 1);
	file->data_fd = data_fd;
	file->map_fd = map_fd;
	file->direct_fd = -1;
	return file;
}

static void unlink_in(int subdir, const struct gen_key *key)
{
	char name[NAME_SIZE];

	for (int i = 0; i < N_NAMES; i++) {
		name_make(name, key, name_suffixes[i]);
		unlinkat(subdir, name, 0);
	}
}

/* Opens data and map and checks that they are about ref. */
static int open_blocks(int subdir, const struct gen_key *key,
		       const struct object_ref *ref, struct file **ret,
		       struct file_facts *ret_facts)
{
	auto_close int data_fd = -1;
	auto_close int map_fd = -1;
	char name[NAME_SIZE];
	struct header h;
	off_t size;

	name_make(name, key, name_suffixes[NAME_MAP]);
	map_fd = open_ours(subdir, name, &size);
	if (map_fd < 0)
		return map_fd;
	name_make(name, key, name_suffixes[NAME_DATA]);
	data_fd = open_ours(subdir, name, &size);
	if (data_fd < 0)
		return data_fd;
	memset(&h, 0, sizeof(h));
	if ((uint64_t)size != ref->size ||
	    read_all(map_fd, &h, sizeof(h), 0) < 0 || !header_fits(&h, ref))
		return -EINVAL;
	*ret = new_file(data_fd, map_fd);
	if (!*ret)
		return -ENOMEM;
	data_fd = map_fd = -1;
	(*ret)->direct_fd = open_direct(subdir, name);
	ret_facts->verified = h.verified != 0;
	ret_facts->sites = h.sites;
	return 0;
}

static int open_small(int subdir, const struct gen_key *key,
		      const struct object_ref *ref, struct file **ret)
{
	auto_close int fd = -1;
	char name[NAME_SIZE];
	off_t size;

	name_make(name, key, name_suffixes[NAME_WHOLE]);
	fd = open_ours(subdir, name, &size);
	if (fd < 0)
		return fd;
	if ((uint64_t)size != ref->size)
		return -EINVAL;
	*ret = new_file(fd, -1);
	if (!*ret)
		return -ENOMEM;
	fd = -1;
	return 0;
}

int file_open(int dirfd, const struct gen_key *key,
	      const struct object_ref *ref, bool small, struct file **ret,
	      struct file_facts *ret_facts)
{
	auto_close int subdir = name_open_subdir(dirfd, key->hash[0], false);
	int rc;

	*ret_facts = (struct file_facts){0};
	if (subdir < 0)
		return -ENOENT;
	rc = small ? open_small(subdir, key, ref, ret)
		   : open_blocks(subdir, key, ref, ret, ret_facts);
	if (rc == 0)
		return 0;
	/* Short of something now is no reason to lose what is good. */
	if (rc != -ENOMEM && rc != -EMFILE && rc != -ENFILE)
		unlink_in(subdir, key);
	return -ENOENT;
}

static int create_in(int subdir, const char *name)
{
	int fd = openat(subdir, name,
			O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0600);

	return fd < 0 ? -errno : fd;
}

int file_create(int dirfd, const struct gen_key *key,
		const struct object_ref *ref, struct file **ret)
{
	auto_close int subdir = name_open_subdir(dirfd, key->hash[0], true);
	auto_close int data_fd = -1;
	auto_close int map_fd = -1;
	const struct file_facts none = {0};
	char name[NAME_SIZE];
	struct header h;

	if (subdir < 0)
		return subdir;
	unlink_in(subdir, key);
	name_make(name, key, name_suffixes[NAME_DATA]);
	data_fd = create_in(subdir, name);
	if (data_fd < 0)
		return data_fd;
	name_make(name, key, name_suffixes[NAME_MAP]);
	map_fd = create_in(subdir, name);
	make_header(&h, ref, &none);
	if (map_fd < 0 || ftruncate(data_fd, (off_t)ref->size) < 0 ||
	    write_all(map_fd, &h, sizeof(h), 0) < 0) {
		int rc = map_fd < 0 ? map_fd : -(errno ? errno : EIO);

		unlink_in(subdir, key);
		return rc;
	}
	*ret = new_file(data_fd, map_fd);
	if (!*ret)
		return -ENOMEM;
	data_fd = map_fd = -1;
	name_make(name, key, name_suffixes[NAME_DATA]);
	(*ret)->direct_fd = open_direct(subdir, name);
	return 0;
}

int file_create_small(int dirfd, const struct gen_key *key, const void *data,
		      size_t size, struct file **ret)
{
	auto_close int subdir = name_open_subdir(dirfd, key->hash[0], true);
	auto_close int fd = -1;
	char temp[NAME_SIZE], name[NAME_SIZE];
	int rc;

	if (subdir < 0)
		return subdir;
	name_make(temp, key, ".temp");
	name_make(name, key, name_suffixes[NAME_WHOLE]);
	unlinkat(subdir, temp, 0);
	fd = create_in(subdir, temp);
	if (fd < 0)
		return fd;
	rc = write_all(fd, data, size, 0);
	if (rc == 0 && renameat(subdir, temp, subdir, name) < 0)
		rc = -errno;
	if (rc == 0) {
		*ret = new_file(fd, -1);
		rc = *ret ? 0 : -ENOMEM;
	}
	if (rc < 0)
		unlinkat(subdir, temp, 0);
	else
		fd = -1;
	return rc;
}

struct file *file_ref(struct file *file)
{
	atomic_fetch_add(&file->refs, 1);
	return file;
}

void file_unref(struct file *file)
{
	if (!file || atomic_fetch_sub(&file->refs, 1) != 1)
		return;
	close(file->data_fd);
	if (file->map_fd >= 0)
		close(file->map_fd);
	if (file->direct_fd >= 0)
		close(file->direct_fd);
	free(file);
}

int file_fd(const struct file *file)
{
	return file->data_fd;
}

uint64_t file_allocated(const struct file *file)
{
	uint64_t bytes = 0;
	struct stat st;

	if (fstat(file->data_fd, &st) == 0)
		bytes += (uint64_t)st.st_blocks * 512;
	if (file->map_fd >= 0 && fstat(file->map_fd, &st) == 0)
		bytes += (uint64_t)st.st_blocks * 512;
	return bytes;
}

void file_touch(struct file *file)
{
	/* Only the order of eviction suffers when this fails. */
	if (futimens(file->data_fd, NULL) < 0)
		return;
}

static uint32_t entry_check(uint32_t crc, uint64_t block)
{
	uint64_t mixed = (block + 1) * 0x9e3779b97f4a7c15ULL;

	return ~crc ^ (uint32_t)(mixed >> 32);
}

static uint64_t make_entry(uint32_t crc, uint64_t block)
{
	return (uint64_t)entry_check(crc, block) << 32 | crc;
}

static uint64_t entry_offset(uint64_t block)
{
	return HEADER_SIZE + block * ENTRY_SIZE;
}

static int write_entries(struct file *file, uint64_t first, size_t n,
			 const uint32_t *crcs)
{
	uint64_t entries[BATCH];

	while (n > 0) {
		size_t now = n < BATCH ? n : BATCH;
		int rc;

		for (size_t i = 0; i < now; i++)
			entries[i] = make_entry(crcs[i], first + i);
		rc = write_all(file->map_fd, entries, now * ENTRY_SIZE,
			       entry_offset(first));
		if (rc < 0)
			return rc;
		first += now;
		crcs += now;
		n -= now;
	}
	return 0;
}

/*
 * Returns how many bytes, from the start on, went past the page cache.  What
 * is left (the object's end, or all of it) is for the other way, which also
 * tells what is wrong with the disk if something is.
 */
static size_t write_direct(struct file *file, uint64_t offset, const void *data,
			   size_t len)
{
	size_t whole = len - len % DIRECT_ALIGN;

	if (file->direct_fd < 0 || whole < DIRECT_MIN ||
	    (uintptr_t)data % DIRECT_ALIGN || offset % DIRECT_ALIGN ||
	    atomic_load(&file->direct_fails))
		return 0;
	if (write_all(file->direct_fd, data, whole, offset) == 0)
		return whole;
	atomic_store(&file->direct_fails, true);
	return 0;
}

int file_write(struct file *file, uint64_t offset, const void *data, size_t len,
	       const uint32_t *crcs)
{
	size_t direct = write_direct(file, offset, data, len);
	int rc = write_all(file->data_fd, (const char *)data + direct,
			   len - direct, offset + direct);

	if (rc < 0)
		return rc;
	return write_entries(file, offset / CACHE_BLOCK,
			     (len + CACHE_BLOCK - 1) / CACHE_BLOCK, crcs);
}

int file_read(struct file *file, uint64_t offset, void *buf, size_t len)
{
	return read_all(file->data_fd, buf, len, offset);
}

void file_load(struct file *file, uint64_t first, size_t n, uint32_t *crcs,
	       uint64_t *present)
{
	uint64_t entries[BATCH];

	for (size_t done = 0; done < n; done += BATCH) {
		size_t now = n - done < BATCH ? n - done : BATCH;
		ssize_t got = pread(file->map_fd, entries, now * ENTRY_SIZE,
				    (off_t)entry_offset(first + done));

		for (size_t i = 0; got > 0 && i < (size_t)got / ENTRY_SIZE;
		     i++) {
			size_t at = done + i;
			uint32_t crc = (uint32_t)entries[i];

			if (entries[i] != make_entry(crc, first + at))
				continue;
			crcs[at] = crc;
			present[at / 64] |= 1ULL << (at % 64);
		}
	}
}

void file_drop_block(struct file *file, uint64_t block)
{
	const uint64_t none = 0;

	if (file->map_fd >= 0)
		write_all(file->map_fd, &none, sizeof(none),
			  entry_offset(block));
}

int file_set_facts(struct file *file, const struct object_ref *ref,
		   const struct file_facts *facts)
{
	struct header h;

	if (file->map_fd < 0)
		return 0;
	make_header(&h, ref, facts);
	return write_all(file->map_fd, &h, sizeof(h), 0);
}

void file_unlink(int dirfd, const struct gen_key *key)
{
	auto_close int subdir = name_open_subdir(dirfd, key->hash[0], false);

	if (subdir >= 0)
		unlink_in(subdir, key);
}
