/*
 * The directory driver: file:///dir, on a local disk or NFS.
 *
 * Every system call on the directory is made aside (sites/aside.h), in steps
 * that own all they touch, since on a dead NFS server they do not return.
 * The caller's buffer is filled from the step's own bounce buffer, by the
 * caller.
 *
 * A file's validator is device, inode, ctime and size.  A read looks at them
 * before the first byte and again after each chunk: what progress() was told
 * of is of one version.
 *
 * A stat is what proves a copy while a reader waits, so it is as impatient as a
 * read: lake_config.first_byte_ns bounds it.
 */
#include "sites/site.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/op.h"
#include "sites/aside.h"
#include "sites/dir_list.h"
#include "sites/dir_path.h"
#include "sites/dir_sum.h"
#include "sites/url.h"

#define THREADS 16
#define CHUNK_BYTES (1u << 20)
/* Files up to this are summed at once, before their first byte is served. */
#define SUM_AT_ONCE CHUNK_BYTES
#define PAGE_NAMES 1000

struct dir_site {
	struct site site;
	struct site_url url;
	char *stamp;
	struct dir_sums *sums;
	struct crew *crew;
	uint64_t patience_ns; /* of a stat: first_byte_ns; 0: its op's end */
};

/* What is known of an open file. */
struct file {
	int fd; /* -1: not open */
	struct dir_version version;
	int64_t mtime_ns;
	uint64_t stamp;
	bool has_crc;
	uint32_t crc;
};

static struct dir_site *dir_site(struct site *site)
{
	assert(site->ops == &site_dir);
	return (struct dir_site *)site;
}

/* Opening and closing the site */

static void free_site(struct dir_site *s)
{
	site_url_done(&s->url);
	free(s->stamp);
	free(s);
}

static void site_close(struct site *site)
{
	struct dir_site *s = dir_site(site);

	/* Whatever hangs in the file system still uses all of it. */
	if (crew_free(s->crew) && dir_sums_close(s->sums))
		free_site(s);
}

static int open_sums(struct op *op, const struct site_config *config,
		     const struct lake_config *lake, struct dir_sums **ret)
{
	auto_free char *path = NULL;

	if (lake->remember_dir &&
	    asprintf(&path, "%s/%s.sums.db", lake->remember_dir,
		     config->name ? config->name : "directory") < 0) {
		path = NULL;
		return op_fail(op, -ENOMEM, "%s: no memory", config->url);
	}
	return dir_sums_open(op, path, ret);
}

static int site_open(struct op *op, const struct site_config *config,
		     const struct lake_config *lake, struct http *http,
		     struct site **ret)
{
	struct dir_site *s = calloc(1, sizeof(*s));
	int rc;

	(void)http;
	if (!s)
		return op_fail(op, -ENOMEM, "%s: no memory", config->url);
	s->site.ops = &site_dir;
	s->patience_ns = lake->first_byte_ns;
	rc = site_url_parse(op, config->url, &s->url);
	if (rc < 0) {
		free(s);
		return rc;
	}
	s->stamp = strdup(config->stamp ? config->stamp : "user.generation");
	rc = s->stamp ? crew_new("directory", THREADS, &s->crew) : -ENOMEM;
	if (rc < 0)
		op_fail(op, rc, "%s: no memory", config->url);
	else
		rc = open_sums(op, config, lake, &s->sums);
	if (rc < 0) {
		crew_free(s->crew);
		free_site(s);
		return rc;
	}
	*ret = &s->site;
	return 0;
}

/* Looking at a file (on a worker's thread) */

static uint64_t read_stamp(int fd, const char *xattr)
{
	char text[32];
	ssize_t n = fgetxattr(fd, xattr, text, sizeof(text) - 1);
	uint64_t stamp;

	if (n <= 0)
		return 0;
	/* setfattr and scripts like to leave a newline behind. */
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\0'))
		n--;
	text[n] = '\0';
	if (strlen(text) != (size_t)n || u64_parse(text, &stamp) < 0)
		return 0;
	return stamp;
}

static int open_file(struct op *op, struct dir_site *s, const char *name,
		     struct file *file)
{
	auto_close int root = -1;
	int rc;

	root = dir_open_root(op, s->url.prefix);
	if (root < 0)
		return root;
	file->fd = dir_open_below(op, root, name, 0);
	if (file->fd < 0)
		return file->fd;
	rc = dir_version_get(file->fd, &file->version, &file->mtime_ns);
	if (rc < 0)
		return dir_fail(op, -rc, "stat", name);
	file->stamp = read_stamp(file->fd, s->stamp);
	file->has_crc = dir_sums_find(s->sums, &file->version, &file->crc);
	return 0;
}

static bool wants_sum(const struct file *file)
{
	return !file->stamp && !file->has_crc;
}

/* The sum of a small file, at once. */
static int sum_small(struct op *op, struct dir_site *s, struct file *file)
{
	struct dir_version after;
	int rc;

	rc = dir_sum_file(op, file->fd, file->version.size, &file->crc);
	if (rc < 0)
		return rc;
	rc = dir_version_get(file->fd, &after, NULL);
	if (rc < 0 || !dir_version_same(&after, &file->version))
		return op_fail(op, -EAGAIN,
			       "checksum of a copy: it changed meanwhile");
	dir_sums_add(s->sums, &file->version, file->crc);
	file->has_crc = true;
	return 0;
}

static int make_info(struct op *op, const char *name, const struct file *file,
		     struct object_info *ret)
{
	const struct dir_version *v = &file->version;
	struct object_info info = {
		.size = v->size,
		.stamp = file->stamp,
		.mtime_ns = file->mtime_ns,
		.has = file->has_crc ? HAS_CRC32C : 0,
		.crc32c = file->has_crc ? file->crc : 0,
	};

	info.name = strdup(name);
	if (asprintf(&info.validator,
		     "%" PRIx64 ":%" PRIu64 ":%" PRId64 ":%" PRIu64, v->dev,
		     v->inode, v->ctime_ns, v->size) < 0)
		info.validator = NULL;
	if (!info.name || !info.validator) {
		object_info_done(&info);
		return op_fail(op, -ENOMEM, "stat %s: no memory", name);
	}
	*ret = info;
	return 0;
}

/* stat and read */

struct visit {
	struct aside aside; /* first */
	struct dir_site *site;
	char *name;
	struct file file;
	/* Of a read: */
	char *bounce;
	uint64_t offset;
	size_t len;
	bool may_sum;
};

static struct visit *as_visit(struct aside *aside)
{
	return (struct visit *)aside;
}

static void drop_visit(struct aside *aside)
{
	struct visit *v = as_visit(aside);

	if (v->file.fd >= 0)
		close(v->file.fd);
	free(v->bounce);
	free(v->name);
	free(v);
}

static int new_visit(struct op *op, struct dir_site *s, const char *name,
		     struct visit **ret)
{
	struct visit *v = calloc(1, sizeof(*v));

	if (v)
		v->name = strdup(name);
	if (!v || !v->name) {
		free(v);
		return op_fail(op, -ENOMEM, "%s: no memory", name);
	}
	v->site = s;
	v->file.fd = -1;
	aside_init(&v->aside, op, s->crew, drop_visit);
	*ret = v;
	return 0;
}

static int step_open(struct aside *aside)
{
	struct visit *v = as_visit(aside);
	struct file *file = &v->file;
	int rc = open_file(&aside->op, v->site, v->name, file);

	if (rc == 0 && v->may_sum && wants_sum(file) &&
	    file->version.size <= SUM_AT_ONCE)
		rc = sum_small(&aside->op, v->site, file);
	return rc;
}

static uint64_t until(uint64_t ns)
{
	return ns ? clock_mono_ns() + ns : 0;
}

/*
 * The sum of a large file, as far as it can be waited for.  Without it the copy
 * is not proven yet, which is no failure: the summing goes on, and who asks
 * again later finds it done.
 */
static int sum_large(struct op *op, struct dir_site *s, struct file *file)
{
	struct op sum_op;
	int rc;

	op_child(&sum_op, op, s->patience_ns);
	rc = dir_sums_make(&sum_op, s->sums, file->fd, &file->version,
			   &file->crc);
	file->has_crc = rc == 0;
	if (rc == -ETIMEDOUT && op_expired(op) == 0)
		return 0;
	return rc < 0 ? op_fail(op, rc, "%s", sum_op.why) : 0;
}

static int site_stat(struct op *op, struct site *site, const char *name,
		     uint64_t not_generation, struct object_info *ret)
{
	struct dir_site *s = dir_site(site);
	struct visit *v = NULL;
	int rc;

	(void)not_generation;
	rc = new_visit(op, s, name, &v);
	if (rc < 0)
		return rc;
	v->may_sum = true;
	rc = aside_do(op, &v->aside, step_open, until(s->patience_ns));
	if (rc == 0 && wants_sum(&v->file))
		rc = sum_large(op, s, &v->file);
	if (rc == 0)
		rc = make_info(op, name, &v->file, ret);
	aside_leave(&v->aside);
	return rc;
}

/*
 * One chunk into the bounce buffer.  The version is looked at after the bytes:
 * a writer moves the ctime before it moves them.  So a chunk that passed is one
 * of the version that was asked for, whatever becomes of the file later.
 */
static int step_chunk(struct aside *aside)
{
	struct visit *v = as_visit(aside);
	struct dir_version now;
	size_t n_done = 0;
	int rc;

	while (n_done < v->len) {
		ssize_t n = pread(v->file.fd, v->bounce + n_done,
				  v->len - n_done, (off_t)(v->offset + n_done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ESTALE)
			return op_fail(&aside->op, -ESTALE,
				       "read %s: it was replaced", v->name);
		if (n < 0)
			return dir_fail(&aside->op, errno, "read", v->name);
		if (n == 0)
			break;
		n_done += (size_t)n;
	}
	rc = dir_version_get(v->file.fd, &now, NULL);
	if (rc < 0 && rc != -ESTALE)
		return dir_fail(&aside->op, -rc, "stat", v->name);
	if (rc < 0 || !dir_version_same(&now, &v->file.version))
		return op_fail(&aside->op, -ESTALE,
			       "read %s: it changed meanwhile", v->name);
	if (n_done < v->len)
		return op_fail(&aside->op, -EPROTO,
			       "read %s: %" PRIu64 "+%zu is past its end",
			       v->name, v->offset, v->len);
	return 0;
}

/* Does the caller want the bytes of this file? */
static int admit(struct op *op, struct visit *v, const struct site_read *read)
{
	struct object_info info;
	int rc = make_info(op, v->name, &v->file, &info);

	if (rc < 0)
		return rc;
	if (read->validator && strcmp(read->validator, info.validator) != 0)
		rc = op_fail(op, -ESTALE, "read %s: it was replaced", v->name);
	else if (read->accept)
		rc = read->accept(read->arg, &info);
	object_info_done(&info);
	if (rc < 0)
		op_fail(op, rc, "read %s: this copy is not wanted", v->name);
	return rc;
}

static int read_chunks(struct op *op, struct visit *v, struct site_read *read,
		       uint64_t begun_ns, uint64_t first_until)
{
	v->bounce = malloc(read->len < CHUNK_BYTES ? read->len : CHUNK_BYTES);
	if (!v->bounce)
		return op_fail(op, -ENOMEM, "read %s: no memory", v->name);
	while (read->n_done < read->len) {
		size_t left = read->len - read->n_done;
		int rc = op_expired(op);

		if (rc < 0)
			return op_fail(op, rc, "read %s: not done", v->name);
		v->offset = read->offset + read->n_done;
		v->len = left < CHUNK_BYTES ? left : CHUNK_BYTES;
		rc = aside_do(op, &v->aside, step_chunk,
			      read->n_done ? until(read->stall_ns)
					   : first_until);
		if (rc < 0)
			return rc;
		if (read->n_done == 0)
			read->latency_ns = clock_mono_ns() - begun_ns;
		memcpy((char *)read->buf + read->n_done, v->bounce, v->len);
		read->n_done += v->len;
		if (read->progress)
			read->progress(read->arg, read->n_done);
	}
	return 0;
}

static int site_read(struct op *op, struct site *site, struct site_read *read)
{
	uint64_t begun_ns = clock_mono_ns();
	uint64_t first_until = until(read->first_byte_ns);
	struct visit *v = NULL;
	int rc;

	read->n_done = 0;
	read->latency_ns = 0;
	rc = new_visit(op, dir_site(site), read->name, &v);
	if (rc < 0)
		return rc;
	v->may_sum = !read->validator;
	rc = aside_do(op, &v->aside, step_open, first_until);
	if (rc == 0)
		rc = admit(op, v, read);
	if (rc == 0)
		rc = read_chunks(op, v, read, begun_ns, first_until);
	aside_leave(&v->aside);
	return rc;
}

/* Listing */

struct listing {
	struct aside aside; /* first */
	struct dir_site *site;
	char *prefix;
	char *start;
	char *end; /* or NULL */
	struct dir_query query;
	struct dir_page page;
};

static void drop_listing(struct aside *aside)
{
	struct listing *l = (struct listing *)aside;

	dir_page_done(&l->page);
	free(l->prefix);
	free(l->start);
	free(l->end);
	free(l);
}

static int step_list(struct aside *aside)
{
	struct listing *l = (struct listing *)aside;
	auto_close int root = -1;

	root = dir_open_root(&aside->op, l->site->url.prefix);
	if (root < 0)
		return root;
	return dir_list_page(&aside->op, root, &l->query, &l->page);
}

static int new_listing(struct op *op, struct dir_site *s,
		       const struct list_query *query, struct listing **ret)
{
	const char *start = query->token ? query->token : query->start;
	struct listing *l = calloc(1, sizeof(*l));

	if (!l)
		return op_fail(op, -ENOMEM, "list: no memory");
	l->site = s;
	l->prefix = strdup(query->prefix ? query->prefix : "");
	l->start = strdup(start ? start : "");
	l->end = query->end ? strdup(query->end) : NULL;
	aside_init(&l->aside, op, s->crew, drop_listing);
	if (!l->prefix || !l->start || (query->end && !l->end)) {
		aside_leave(&l->aside);
		return op_fail(op, -ENOMEM, "list: no memory");
	}
	l->query = (struct dir_query){
		.prefix = l->prefix,
		.delimited = query->delimited,
		.start = l->start,
		.end = l->end,
		.max = query->max && query->max < PAGE_NAMES ? query->max
							     : PAGE_NAMES,
	};
	*ret = l;
	return 0;
}

static int give_entry(struct op *op, const struct dir_entry *entry,
		      list_fn *each, void *arg)
{
	const struct file file = {
		.version = entry->version,
		.mtime_ns = entry->mtime_ns,
	};
	struct object_info info;
	int rc;

	if (entry->is_prefix)
		return each(arg, entry->name, NULL);
	rc = make_info(op, entry->name, &file, &info);
	if (rc < 0)
		return rc;
	rc = each(arg, entry->name, &info);
	object_info_done(&info);
	return rc;
}

static int site_list(struct op *op, struct site *site,
		     const struct list_query *query, list_fn *each, void *arg,
		     char **ret_token)
{
	struct listing *l = NULL;
	int rc;

	rc = new_listing(op, dir_site(site), query, &l);
	if (rc < 0)
		return rc;
	rc = aside_do(op, &l->aside, step_list, 0);
	if (rc == 0) {
		for (size_t i = 0; i < l->page.n_entries && rc == 0; i++)
			rc = give_entry(op, &l->page.entries[i], each, arg);
	}
	if (rc == 0) {
		*ret_token = l->page.next;
		l->page.next = NULL;
	}
	aside_leave(&l->aside);
	return rc;
}

/* Checking */

static int step_check(struct aside *aside)
{
	struct visit *v = as_visit(aside);
	const char *root = v->site->url.prefix;
	auto_close int fd = -1;

	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* To list a directory and to reach what is in it are two rights. */
	if (fd >= 0 && faccessat(fd, ".", X_OK, AT_EACCESS) == 0)
		return 0;
	if (errno == ENOENT)
		return op_fail(&aside->op, -ENOENT,
			       "file://%s is not there: mount it, or correct "
			       "the replica's url",
			       root);
	if (errno == ENOTDIR)
		return op_fail(&aside->op, -EINVAL,
			       "file://%s is not a directory: correct the "
			       "replica's url",
			       root);
	if (errno == EACCES)
		return op_fail(&aside->op, -EACCES,
			       "file://%s: user %u may not read it: give this "
			       "user the right to read and to search it",
			       root, (unsigned)geteuid());
	return dir_fail(&aside->op, errno, "open", root);
}

static int site_check(struct op *op, struct site *site)
{
	struct visit *v = NULL;
	int rc = new_visit(op, dir_site(site), "", &v);

	if (rc < 0)
		return rc;
	rc = aside_do(op, &v->aside, step_check, 0);
	aside_leave(&v->aside);
	return rc;
}

const struct site_ops site_dir = {
	.scheme = "file",
	.open = site_open,
	.close = site_close,
	.check = site_check,
	.stat = site_stat,
	.list = site_list,
	.read = site_read,
};
