#include "cache/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#include "base/auto.h"
#include "base/metrics.h"
#include "base/pool.h"
#include "cache/core.h"
#include "cache/read.h"

#define READ_MAX (4u << 20)

static void note_found(void *arg, const struct gen_key *key, uint64_t bytes,
		       int64_t mtime_ns)
{
	struct cache *c = arg;

	evict_found(c->evict, key, bytes, mtime_ns);
}

static bool stop_scan(void *arg)
{
	struct cache *c = arg;

	return atomic_load(&c->stop_scan);
}

/* Learns what an earlier run left.  Meanwhile opens look for themselves. */
static void *scan(void *arg)
{
	struct cache *c = arg;

	file_scan(c->dirfd, note_found, stop_scan, c);
	evict_sort(c->evict);
	if (!stop_scan(c))
		land_evict(c, c->config.size_bytes);
	return NULL;
}

/* The directory, ours alone. */
static int open_dir(struct op *op, const char *dir)
{
	auto_close int fd = -1;
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return op_fail(op, -errno, "cache directory %s: mkdir: %s", dir,
			       strerror(errno));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return op_fail(op, -errno, "cache directory %s: %s", dir,
			       strerror(errno));
	if (st.st_uid != geteuid())
		return op_fail(op, -EPERM,
			       "cache directory %s: belongs to another user",
			       dir);
	if ((st.st_mode & 077) && fchmod(fd, 0700) < 0)
		return op_fail(op, -errno, "cache directory %s: chmod", dir);
	return take_fd(&fd);
}

static void free_cache(struct cache *c)
{
	if (c->dirfd >= 0)
		close(c->dirfd);
	pool_free(c->pool);
	evict_free(c->evict);
	cond_done(&c->room);
	mutex_done(&c->lock);
	free((char *)(uintptr_t)c->config.dir);
	free((char *)(uintptr_t)c->config.lake_id);
	free(c);
}

static struct cache *new_cache(const struct cache_config *config,
			       const struct cache_source *source)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->dirfd = -1;
	c->config = *config;
	c->source = *source;
	c->config.dir = strdup(config->dir);
	c->config.lake_id = strdup(config->lake_id);
	if (c->config.n_fetchers == 0)
		c->config.n_fetchers = 1;
	mutex_init(&c->lock, RANK_CACHE);
	cond_init(&c->room);
	c->guarded.memory.limit = config->memory_bytes > MEMORY_MIN
					  ? config->memory_bytes
					  : MEMORY_MIN;
	if (c->config.dir && c->config.lake_id &&
	    pool_new("fetch", c->config.n_fetchers, &c->pool) == 0 &&
	    evict_new(&c->evict) == 0)
		return c;
	free_cache(c);
	return NULL;
}

int cache_open(struct op *op, const struct cache_config *config,
	       const struct cache_source *source, struct cache **ret)
{
	struct cache *c = new_cache(config, source);
	int rc;

	if (!c)
		return op_fail(op, -ENOMEM, "cache: open");
	c->dirfd = open_dir(op, config->dir);
	rc = c->dirfd < 0 ? c->dirfd : 0;
	if (rc == 0) {
		rc = -pthread_create(&c->scanner, NULL, scan, c);
		if (rc < 0)
			op_fail(op, rc, "cache: thread");
	}
	if (rc < 0) {
		free_cache(c);
		return rc;
	}
	*ret = c;
	return 0;
}

static struct gen *take_idle(struct cache *c)
{
	struct gen *g;

	mutex_lock(&c->lock);
	g = gen_take_idle(c, 0);
	mutex_unlock(&c->lock);
	return g;
}

void cache_close(struct cache *c)
{
	struct gen *g;

	if (!c)
		return;
	atomic_store(&c->stop_scan, true);
	pthread_join(c->scanner, NULL);
	mutex_lock(&c->lock);
	flight_stop(c);
	mutex_unlock(&c->lock);
	pool_free(c->pool);
	c->pool = NULL;
	while ((g = take_idle(c)))
		gen_free(g);
	mutex_lock(&c->lock);
	memory_trim(&held(c)->memory);
	mutex_unlock(&c->lock);
	free_cache(c);
}

int cache_pin(struct op *op, struct cache *c, const struct object_ref *ref,
	      struct cache_handle **ret)
{
	struct cache_handle *h = calloc(1, sizeof(*h));
	bool is_new = false;
	int rc;

	if (!h)
		return op_fail(op, -ENOMEM, "cache: pin");
	h->cache = c;
	atomic_init(&h->last_site, -1);
	mutex_lock(&c->lock);
	rc = gen_get(op, c, ref, &h->gen, &is_new);
	if (rc == 0) {
		DL_APPEND(h->gen->handles, h);
		held(c)->n_handles++;
		if (is_new)
			gen_open(c, h->gen);
		evict_pin(c->evict, &h->gen->key, true);
	}
	mutex_unlock(&c->lock);
	if (rc < 0) {
		free(h);
		return rc;
	}
	*ret = h;
	return 0;
}

void cache_unpin(struct cache_handle *h)
{
	struct file *file = NULL;
	struct gen *unused;
	struct cache *c;

	if (!h)
		return;
	c = h->cache;
	mutex_lock(&c->lock);
	flight_forget(c, h);
	DL_DELETE(h->gen->handles, h);
	if (!h->gen->handles) {
		evict_pin(c->evict, &h->gen->key, false);
		file = h->gen->file ? file_ref(h->gen->file) : NULL;
	}
	unused = gen_unref(c, h->gen);
	if (--held(c)->n_handles == 0)
		memory_trim(&held(c)->memory);
	mutex_unlock(&c->lock);
	if (file)
		file_touch(file);
	file_unref(file);
	gen_free(unused);
	free(h);
}

/* Cuts a read at the object's end; false when nothing is left of it. */
static bool cut(const struct cache_handle *h, uint64_t offset, size_t size,
		uint64_t *ret_to)
{
	uint64_t end = h->gen->ref.size;

	if (offset >= end || size == 0)
		return false;
	*ret_to = offset + min_u64(min_u64(size, READ_MAX), end - offset);
	return true;
}

static void empty_span(struct cache_handle *h, struct cache_span *span)
{
	memset(span, 0, sizeof(*span));
	span->fd = -1;
	span->cache = h->cache;
}

int cache_try_read(struct cache_handle *h, uint64_t offset, size_t size,
		   struct cache_span *ret)
{
	struct cache_span span;
	uint64_t to;
	int rc = 0;

	empty_span(h, &span);
	if (cut(h, offset, size, &to)) {
		rc = read_try(h, offset, to, &span);
		if (rc < 0)
			return rc;
		metric_add(METRIC_CACHE_HIT_BYTES, span.len);
	}
	*ret = span;
	return rc;
}

int cache_read(struct op *op, struct cache_handle *h, uint64_t offset,
	       size_t size, struct cache_span *ret)
{
	struct cache_span span;
	uint64_t to;
	int rc = 0;

	empty_span(h, &span);
	if (cut(h, offset, size, &to)) {
		rc = read_wait(op, h, offset, to, &span);
		if (rc < 0)
			return rc;
	}
	*ret = span;
	return 0;
}

void cache_span_done(struct cache_span *span)
{
	read_done(span);
}

int cache_span_load(struct cache_span *span)
{
	return read_load(span);
}

int cache_last_site(const struct cache_handle *h)
{
	return atomic_load(&h->last_site);
}

void cache_status(struct cache *c, struct cache_status *ret)
{
	struct cache_guarded *g;

	memset(ret, 0, sizeof(*ret));
	ret->disk_bytes = evict_bytes(c->evict, &ret->n_files);
	ret->disk_limit = c->config.size_bytes;
	mutex_lock(&c->lock);
	g = held(c);
	ret->memory_bytes = g->memory.used + g->memory.kept;
	ret->memory_limit = g->memory.limit;
	ret->n_flights = g->n_flights;
	ret->disk_failing = g->disk_failing;
	memcpy(ret->disk_error, g->disk_error, sizeof(ret->disk_error));
	mutex_unlock(&c->lock);
}
