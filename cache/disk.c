/*
 * The cache's disk: left alone for a while after it failed, and never filled
 * up.  The catalogue lives on the same file system and cannot do without it,
 * the cache can.
 */
#include "cache/disk.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"

#define DISK_RETRY_NS (2 * NS_PER_S)
#define DISK_LOG_NS (60 * NS_PER_S)
#define DISK_LOOK_NS NS_PER_S

#define MIB (1ull << 20)
#define GIB (1ull << 30)

uint64_t disk_reserve(uint64_t total_bytes)
{
	uint64_t bytes = total_bytes / 100;

	if (total_bytes < GIB)
		return total_bytes / 20;
	if (bytes < 64 * MIB)
		return 64 * MIB;
	return bytes > GIB ? GIB : bytes;
}

void disk_failed(struct cache *c, const char *why)
{
	uint64_t now = clock_mono_ns();
	bool tell;

	mutex_lock(&c->lock);
	tell = !held(c)->disk_log_ns ||
	       now - held(c)->disk_log_ns > DISK_LOG_NS;
	if (tell)
		held(c)->disk_log_ns = now;
	held(c)->disk_failing = true;
	held(c)->disk_retry_ns = now + DISK_RETRY_NS;
	snprintf(held(c)->disk_error, sizeof(held(c)->disk_error), "%s", why);
	mutex_unlock(&c->lock);
	if (tell)
		log_warn("cache disk %s: %s; reads go on without it",
			 c->config.dir, why);
}

void disk_works(struct cache *c)
{
	held(c)->disk_failing = false;
	held(c)->disk_error[0] = '\0';
}

bool disk_is_paused(struct cache *c)
{
	return c->config.size_bytes == 0 ||
	       (held(c)->disk_failing &&
		clock_mono_ns() < held(c)->disk_retry_ns);
}

/* What may be written before the reserve is touched; below 0: it has been. */
static int64_t look_for_room(const struct cache *c)
{
	uint64_t keep = c->config.keep_free_bytes;
	struct statvfs fs;

	/* Who can't tell lets the write itself find out. */
	if (fstatvfs(c->dirfd, &fs) < 0)
		return INT64_MAX;
	if (keep == 0)
		keep = disk_reserve((uint64_t)fs.f_blocks * fs.f_frsize);
	return (int64_t)((uint64_t)fs.f_bavail * fs.f_frsize) - (int64_t)keep;
}

uint64_t disk_lacks(struct cache *c, uint64_t bytes)
{
	uint64_t now = clock_mono_ns();
	int64_t room;
	bool known;

	mutex_lock(&c->lock);
	room = held(c)->disk_room;
	known = room >= (int64_t)bytes && now < held(c)->disk_look_ns;
	mutex_unlock(&c->lock);
	if (!known)
		room = look_for_room(c);
	mutex_lock(&c->lock);
	if (!known) {
		held(c)->disk_room = room;
		held(c)->disk_look_ns = now + DISK_LOOK_NS;
	}
	if (room >= (int64_t)bytes)
		held(c)->disk_room -= (int64_t)bytes;
	mutex_unlock(&c->lock);
	return room >= (int64_t)bytes ? 0 : (uint64_t)((int64_t)bytes - room);
}
