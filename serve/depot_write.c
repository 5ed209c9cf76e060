#include "serve/depot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "serve/depot_index.h"

/* ---- bytes on their way in ---- */

int depot_upload_new(struct depot *s, struct depot_upload **ret_upload)
{
	struct depot_upload *u = calloc(1, sizeof(*u));
	EVP_MD_CTX *md5 = EVP_MD_CTX_new();
	uint64_t number;
	int rc = -ENOMEM;

	mutex_lock(&s->lock);
	number = ++depot_held(s)->last_temp;
	mutex_unlock(&s->lock);
	if (u && md5 && EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1) {
		snprintf(u->temp, sizeof(u->temp), "tmp/%" PRIu64, number);
		u->fd = openat(s->dirfd, u->temp,
			       O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		rc = u->fd < 0 ? -errno : 0;
	}
	if (rc < 0) {
		EVP_MD_CTX_free(md5);
		free(u);
		return rc;
	}
	u->depot = s;
	u->md5 = md5;
	*ret_upload = u;
	return 0;
}

int depot_upload_add(struct depot_upload *u, const void *data, size_t n)
{
	const char *p = data;

	u->crc32c = crc32c(u->crc32c, data, n);
	if (EVP_DigestUpdate(u->md5, data, n) != 1)
		return -EIO;
	while (n > 0) {
		ssize_t done = write(u->fd, p, n);

		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			p += done;
			n -= (size_t)done;
			u->size += (uint64_t)done;
		}
	}
	return 0;
}

uint64_t depot_upload_size(const struct depot_upload *u)
{
	return u->size;
}

uint32_t depot_upload_crc32c(const struct depot_upload *u)
{
	return u->crc32c;
}

int depot_upload_md5(struct depot_upload *u, uint8_t ret_md5[16])
{
	if (u->md5 && EVP_DigestFinal_ex(u->md5, u->md5_value, NULL) != 1)
		return -EIO;
	EVP_MD_CTX_free(u->md5);
	u->md5 = NULL;
	memcpy(ret_md5, u->md5_value, 16);
	return 0;
}

void depot_upload_free(struct depot_upload *u)
{
	if (!u)
		return;
	if (u->temp[0])
		unlinkat(u->depot->dirfd, u->temp, 0);
	close(u->fd);
	EVP_MD_CTX_free(u->md5);
	free(u);
}

/* ---- rows ---- */

static int64_t now_us(void)
{
	return clock_wall_ns() / 1000;
}

static int64_t new_generation(struct depot *s) REQUIRES(s->lock)
{
	struct depot_guarded *g = depot_held(s);
	int64_t now = now_us();

	g->last_generation =
		now > g->last_generation ? now : g->last_generation + 1;
	return g->last_generation;
}

static int put_row(struct depot *s, enum depot_statement id, const char *bucket,
		   const struct depot_object *o) REQUIRES(s->lock)
{
	sqlite3_stmt *st = depot_stmt(s, id);

	if (!st)
		return -EIO;
	depot_bind_name(st, bucket, o->name, strlen(o->name));
	sqlite3_bind_int64(st, 3, o->generation);
	sqlite3_bind_int64(st, 4, o->metageneration);
	sqlite3_bind_int64(st, 5, (int64_t)o->size);
	sqlite3_bind_int64(st, 6, o->crc32c);
	if (o->has_md5)
		sqlite3_bind_blob(st, 7, o->md5, 16, SQLITE_STATIC);
	sqlite3_bind_int64(st, 8, o->created_us);
	sqlite3_bind_int64(st, 9, o->updated_us);
	sqlite3_bind_int64(st, 10, o->deleted_us);
	sqlite3_bind_int(st, 11, o->components);
	sqlite3_bind_text(st, 12, o->attrs, -1, SQLITE_STATIC);
	return depot_run(s, st);
}

static int drop_row(struct depot *s, const char *bucket,
		    const struct depot_object *o) REQUIRES(s->lock)
{
	bool old = o->deleted_us != 0;
	sqlite3_stmt *st = depot_stmt(s, old ? DEPOT_DROP_OLD : DEPOT_DROP);

	if (!st)
		return -EIO;
	depot_bind_name(st, bucket, o->name, strlen(o->name));
	if (old)
		sqlite3_bind_int64(st, 3, o->generation);
	return depot_run(s, st);
}

/* attrs is compact JSON: a quote inside of a value would be escaped. */
static bool is_held(const struct depot_object *o)
{
	return strstr(o->attrs, "\"temporaryHold\":true") ||
	       strstr(o->attrs, "\"eventBasedHold\":true");
}

static int may_remove(const struct depot_rules *rules,
		      const struct depot_object *o)
{
	if (is_held(o))
		return -EPERM;
	if (rules->retention_s > 0 &&
	    now_us() < o->created_us + rules->retention_s * 1000000)
		return -EPERM;
	return 0;
}

/*
 * The live generation goes: away, or among the old ones.  *ret_gone is the
 * generation whose file can be unlinked after the commit, or 0.
 */
static int retire(struct depot *s, const char *bucket,
		  const struct depot_rules *rules, struct depot_object *o,
		  int64_t *ret_gone) REQUIRES(s->lock)
{
	int rc;

	if (!rules->versioning) {
		rc = may_remove(rules, o);
		*ret_gone = o->generation;
		return rc < 0 ? rc : drop_row(s, bucket, o);
	}
	rc = drop_row(s, bucket, o);
	o->deleted_us = now_us();
	*ret_gone = 0;
	return rc < 0 ? rc : put_row(s, DEPOT_PUT_OLD, bucket, o);
}

static void unlink_generation(struct depot *s, int64_t generation)
{
	char path[32];

	if (generation) {
		depot_path(generation, path);
		unlinkat(s->datafd, path, 0);
	}
}

static bool good_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= DEPOT_NAME_MAX && !strpbrk(name, "\r\n") &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* The transaction's end: commits or undoes, and says how it went. */
static int finish(struct depot *s, int rc) REQUIRES(s->lock)
{
	if (rc == 0)
		rc = depot_exec(s, DEPOT_COMMIT);
	if (rc < 0)
		depot_exec(s, DEPOT_ROLLBACK);
	return rc;
}

/* ---- a new generation ---- */

/* How its bytes come to their place: link(2) from a file below DIR. */
struct birth {
	const char *from;	  /* path below DIR */
	struct depot_object made; /* name and attrs borrowed */
	int64_t gone;		  /* the generation it replaced, if unlinked */
};

/* With `sync`, the new name has to be on the disk before its row is. */
static int sync_parent(struct depot *s, int64_t generation)
{
	auto_close int fd = -1;
	char path[32];

	if (!s->sync)
		return 0;
	depot_path(generation, path);
	*strchr(path, '/') = '\0';
	fd = openat(s->datafd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Within a transaction: checks, and replaces what is there. */
static int beget(struct depot *s, const struct depot_ref *to, struct birth *b)
	REQUIRES(s->lock)
{
	const struct depot_ref live = {to->bucket, to->name, 0, {0}};
	struct depot_object old = {0};
	struct depot_rules rules;
	char path[32];
	int rc;

	rc = depot_rules(s, to->bucket, &rules);
	if (rc < 0)
		return rc;
	rc = depot_find(s, &live, &old);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	rc = depot_check(&to->cond, old.name ? &old : NULL);
	/* For a write, "not modified" is a failed precondition, too. */
	if (rc == -EALREADY)
		rc = -ESTALE;
	if (rc == 0 && old.name)
		rc = retire(s, to->bucket, &rules, &old, &b->gone);
	depot_object_done(&old);
	if (rc < 0)
		return rc;
	b->made.name = (char *)(uintptr_t)to->name;
	b->made.generation = new_generation(s);
	b->made.metageneration = 1;
	b->made.created_us = b->made.updated_us = b->made.generation;
	b->made.deleted_us = 0;
	depot_path(b->made.generation, path);
	if (linkat(s->dirfd, b->from, s->datafd, path, 0) < 0)
		return -errno;
	rc = sync_parent(s, b->made.generation);
	if (rc < 0)
		return rc;
	return put_row(s, DEPOT_PUT, to->bucket, &b->made);
}

static int bear(struct depot *s, const struct depot_ref *to, struct birth *b)
	REQUIRES(s->lock)
{
	int rc = depot_exec(s, DEPOT_BEGIN);

	if (rc < 0)
		return rc;
	rc = finish(s, beget(s, to, b));
	if (rc == 0)
		unlink_generation(s, b->gone);
	else
		unlink_generation(s, b->made.generation);
	return rc;
}

int depot_put(struct depot *s, struct depot_upload *u,
	      const struct depot_ref *ref, const char *attrs,
	      struct depot_object *ret_object)
{
	struct birth b = {.from = u->temp};
	int rc;

	if (!good_name(ref->name))
		return -EINVAL;
	rc = depot_upload_md5(u, b.made.md5);
	if (rc < 0)
		return rc;
	if (s->sync && fdatasync(u->fd) < 0)
		return -errno;
	b.made.size = u->size;
	b.made.crc32c = u->crc32c;
	b.made.has_md5 = !u->is_composed;
	b.made.components = u->components;
	b.made.attrs = (char *)(uintptr_t)attrs;
	mutex_lock(&s->lock);
	rc = bear(s, ref, &b);
	if (rc == 0 && ret_object)
		rc = depot_dup(&b.made, ret_object);
	mutex_unlock(&s->lock);
	return rc;
}

/* ---- copies ---- */

static int copy_row(struct depot *s, const struct depot_copy *c,
		    struct depot_object *src, struct birth *b, char *from,
		    size_t room) REQUIRES(s->lock)
{
	char path[32];

	if (depot_check(&c->from.cond, src) < 0)
		return -ESTALE;
	depot_path(src->generation, path);
	snprintf(from, room, "data/%s", path);
	b->from = from;
	b->made = *src;
	b->made.generation = 0;
	if (c->attrs)
		b->made.attrs = (char *)(uintptr_t)c->attrs;
	return beget(s, &c->to, b);
}

static int copy_held(struct depot *s, const struct depot_copy *c,
		     struct depot_object *ret_object) REQUIRES(s->lock)
{
	struct depot_object src = {0};
	struct depot_rules rules;
	struct birth b = {0};
	int64_t moved = 0;
	char from[48];
	int rc = depot_rules(s, c->from.bucket, &rules);

	if (rc == 0)
		rc = depot_find(s, &c->from, &src);
	if (rc == 0)
		rc = depot_exec(s, DEPOT_BEGIN);
	if (rc == 0) {
		rc = copy_row(s, c, &src, &b, from, sizeof(from));
		if (rc == 0 && c->move)
			rc = retire(s, c->from.bucket, &rules, &src, &moved);
		rc = finish(s, rc);
		unlink_generation(s, rc == 0 ? b.gone : b.made.generation);
		unlink_generation(s, rc == 0 ? moved : 0);
	}
	if (rc == 0 && ret_object)
		rc = depot_dup(&b.made, ret_object);
	depot_object_done(&src);
	return rc;
}

int depot_copy(struct depot *s, const struct depot_copy *copy,
	       struct depot_object *ret_object)
{
	int rc;

	if (!good_name(copy->to.name))
		return -EINVAL;
	/* Moved onto itself it would first be replaced, then removed. */
	if (copy->move && strcmp(copy->from.name, copy->to.name) == 0 &&
	    strcmp(copy->from.bucket, copy->to.bucket) == 0)
		return -EINVAL;
	mutex_lock(&s->lock);
	rc = copy_held(s, copy, ret_object);
	mutex_unlock(&s->lock);
	return rc;
}

static int append_all(struct depot_upload *u, int fd)
{
	auto_free char *buffer = malloc(1 << 20);
	int rc = 0;

	if (!buffer)
		return -ENOMEM;
	for (off_t at = 0; rc == 0;) {
		ssize_t n = pread(fd, buffer, 1 << 20, at);

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		rc = depot_upload_add(u, buffer, (size_t)n);
		at += n;
	}
	return rc;
}

static int append_source(struct depot *s, struct depot_upload *u,
			 const struct depot_ref *from)
{
	struct depot_object o;
	auto_close int fd = -1;
	int rc = depot_get(s, from, &o, &fd);

	if (rc < 0)
		return rc == -EALREADY ? -ESTALE : rc;
	u->components += o.components ? o.components : 1;
	depot_object_done(&o);
	return append_all(u, fd);
}

int depot_compose(struct depot *s, const struct depot_ref *from, size_t n,
		  const struct depot_ref *to, const char *attrs,
		  struct depot_object *ret_object)
{
	struct depot_upload *u;
	int rc = depot_upload_new(s, &u);

	if (rc < 0)
		return rc;
	u->is_composed = true;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = append_source(s, u, &from[i]);
	if (rc == 0)
		rc = depot_put(s, u, to, attrs, ret_object);
	depot_upload_free(u);
	return rc;
}

/* ---- changes to what is there ---- */

static int patch_held(struct depot *s, const struct depot_ref *ref,
		      depot_edit_fn *edit, void *ctx,
		      struct depot_object *ret_object) REQUIRES(s->lock)
{
	struct depot_object o = {0};
	struct depot_rules rules;
	char *attrs;
	int rc = depot_rules(s, ref->bucket, &rules);

	if (rc == 0)
		rc = depot_find(s, ref, &o);
	if (rc == 0)
		rc = depot_check(&ref->cond, &o);
	if (rc == -EALREADY)
		rc = -ESTALE;
	attrs = rc == 0 ? edit(ctx, o.attrs) : NULL;
	if (rc == 0 && !attrs)
		rc = -EINVAL;
	if (rc == 0) {
		free(o.attrs);
		o.attrs = attrs;
		o.metageneration++;
		o.updated_us = now_us();
		rc = put_row(s, o.deleted_us ? DEPOT_PUT_OLD : DEPOT_PUT,
			     ref->bucket, &o);
	}
	if (rc == 0)
		*ret_object = o;
	else
		depot_object_done(&o);
	return rc;
}

int depot_patch(struct depot *s, const struct depot_ref *ref,
		depot_edit_fn *edit, void *ctx, struct depot_object *ret_object)
{
	int rc;

	mutex_lock(&s->lock);
	rc = patch_held(s, ref, edit, ctx, ret_object);
	mutex_unlock(&s->lock);
	return rc;
}

/* A generation that is named goes for good, also in a versioned bucket. */
static int delete_row(struct depot *s, const struct depot_ref *ref,
		      struct depot_object *o, int64_t *ret_gone)
	REQUIRES(s->lock)
{
	struct depot_rules rules;
	int rc = depot_rules(s, ref->bucket, &rules);

	if (rc == 0)
		rc = depot_find(s, ref, o);
	if (rc == 0)
		rc = depot_check(&ref->cond, o);
	if (rc == 0 && ref->generation) {
		rc = may_remove(&rules, o);
		*ret_gone = o->generation;
		return rc < 0 ? rc : drop_row(s, ref->bucket, o);
	}
	return rc < 0 ? rc : retire(s, ref->bucket, &rules, o, ret_gone);
}

int depot_delete(struct depot *s, const struct depot_ref *ref)
{
	struct depot_object o = {0};
	int64_t gone = 0;
	int rc;

	mutex_lock(&s->lock);
	rc = depot_exec(s, DEPOT_BEGIN);
	if (rc == 0) {
		rc = finish(s, delete_row(s, ref, &o, &gone));
		unlink_generation(s, rc == 0 ? gone : 0);
	}
	mutex_unlock(&s->lock);
	depot_object_done(&o);
	return rc == -EALREADY ? -ESTALE : rc;
}
