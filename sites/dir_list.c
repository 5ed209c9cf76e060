/*
 * A walk, depth first, over sorted directories.  A directory's names are read
 * whole and sorted, no descriptor stays open while its children are walked,
 * and subtrees that lie below start or outside the prefix are not entered.
 */
#include "sites/dir_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/op.h"
#include "sites/dir_path.h"
#include "sites/sites.h"

/* Positive, so that no -errno is it: the page is full or the range ended. */
#define WALK_ENDS 1

struct names {
	char **all; /* whole names; directories end with '/' */
	size_t n;
	size_t room;
};

struct walk {
	struct op *op;
	int root_fd;
	const struct dir_query *query;
	struct dir_page page;
};

static void names_done(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->all[i]);
	free(names->all);
}

/* Takes name. */
static int names_add(struct names *names, char *name)
{
	if (names->n == names->room) {
		size_t room = names->room ? 2 * names->room : 64;
		char **all = realloc(names->all, room * sizeof(*all));

		if (!all) {
			free(name);
			return -ENOMEM;
		}
		names->all = all;
		names->room = room;
	}
	names->all[names->n++] = name;
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool begins_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static bool is_dir(const char *name)
{
	return name[strlen(name) - 1] == '/';
}

/* May name, or for a directory something in it, be part of the answer? */
static bool is_wanted(const struct dir_query *query, const char *name)
{
	bool dir = is_dir(name);

	if (!begins_with(name, query->prefix) &&
	    !(dir && begins_with(query->prefix, name)))
		return false;
	if (strcmp(name, query->start) < 0 &&
	    !(dir && begins_with(query->start, name)))
		return false;
	return !query->end || strcmp(name, query->end) < 0;
}

/* DT_UNKNOWN is resolved; anything but a file and a directory is skipped. */
static unsigned char kind_of(int fd, const struct dirent *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN)
		return d->d_type;
	if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return DT_UNKNOWN;
	return S_ISREG(st.st_mode)   ? DT_REG
	       : S_ISDIR(st.st_mode) ? DT_DIR
				     : DT_UNKNOWN;
}

static int add_dirent(struct walk *w, int fd, const char *dir,
		      const struct dirent *d, struct names *names)
{
	unsigned char kind;
	char *name;

	if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
		return 0;
	kind = kind_of(fd, d);
	if (kind != DT_REG && kind != DT_DIR)
		return 0;
	if (asprintf(&name, "%s%s%s", dir, d->d_name,
		     kind == DT_DIR ? "/" : "") < 0)
		return op_fail(w->op, -ENOMEM, "list %s: no memory", dir);
	if (strlen(name) > OBJECT_NAME_MAX || !is_wanted(w->query, name)) {
		free(name);
		return 0;
	}
	if (names_add(names, name) < 0)
		return op_fail(w->op, -ENOMEM, "list %s: no memory", dir);
	return 0;
}

static int read_names(struct walk *w, DIR *stream, const char *dir,
		      struct names *names)
{
	for (;;) {
		const struct dirent *d;
		int rc = op_expired(w->op);

		if (rc < 0)
			return op_fail(w->op, rc, "list %s: not done", dir);
		errno = 0;
		d = readdir(stream);
		if (!d)
			return errno ? dir_fail(w->op, errno, "list", dir) : 0;
		rc = add_dirent(w, dirfd(stream), dir, d, names);
		if (rc < 0)
			return rc;
	}
}

/* dir is "" or ends with a slash.  A directory that is gone has no names. */
static int sorted_names(struct walk *w, const char *dir, struct names *names)
{
	/* On the heap, as the walk may be 500 directories deep. */
	auto_free char *path = strndup(dir, dir[0] ? strlen(dir) - 1 : 0);
	DIR *stream;
	int rc;
	int fd;

	if (!path)
		return op_fail(w->op, -ENOMEM, "list %s: no memory", dir);
	fd = dir_open_below(w->op, w->root_fd, path, O_DIRECTORY);
	if (fd == -ENOENT) {
		op_forgive(w->op);
		return 0;
	}
	if (fd < 0)
		return fd;
	stream = fdopendir(fd);
	if (!stream) {
		rc = dir_fail(w->op, errno, "list", dir);
		close(fd);
		return rc;
	}
	rc = read_names(w, stream, dir, names);
	closedir(stream);
	if (rc == 0 && names->n > 1)
		qsort(names->all, names->n, sizeof(*names->all), by_bytes);
	return rc;
}

/* Fills in a file's attributes; false: it went away. */
static bool describe(struct walk *w, struct dir_entry *entry)
{
	auto_close int fd = -1;

	fd = dir_open_below(w->op, w->root_fd, entry->name, O_PATH);
	if (fd < 0 ||
	    dir_version_get(fd, &entry->version, &entry->mtime_ns) < 0) {
		op_forgive(w->op);
		return false;
	}
	return true;
}

static int emit(struct walk *w, const char *name)
{
	struct dir_page *page = &w->page;
	struct dir_entry entry = {.is_prefix = is_dir(name)};

	entry.name = strdup(name);
	if (!entry.name)
		return op_fail(w->op, -ENOMEM, "list: no memory");
	if (page->n_entries == w->query->max) {
		page->next = entry.name;
		return WALK_ENDS;
	}
	if (!entry.is_prefix && !describe(w, &entry)) {
		free(entry.name);
		return 0;
	}
	page->entries[page->n_entries++] = entry;
	return 0;
}

static int walk_dir(struct walk *w, const char *dir);

static int visit(struct walk *w, const char *name)
{
	const struct dir_query *query = w->query;

	if (!is_dir(name))
		return emit(w, name);
	/* On the way to the prefix, or all the way down. */
	if (!query->delimited || begins_with(query->prefix, name))
		return walk_dir(w, name);
	return emit(w, name);
}

static int walk_dir(struct walk *w, const char *dir)
{
	struct names names = {0};
	int rc = sorted_names(w, dir, &names);

	for (size_t i = 0; i < names.n && rc == 0; i++)
		rc = visit(w, names.all[i]);
	names_done(&names);
	return rc;
}

/* The last directory of the prefix, so that nothing above it is read. */
static int walk_prefix(struct walk *w)
{
	const char *prefix = w->query->prefix;
	const char *slash = strrchr(prefix, '/');
	char dir[OBJECT_NAME_MAX + 1] = "";

	if (!slash)
		return walk_dir(w, "");
	if (slash - prefix + 1 > OBJECT_NAME_MAX)
		return 0;
	memcpy(dir, prefix, (size_t)(slash - prefix) + 1);
	dir[slash - prefix + 1] = '\0';
	return walk_dir(w, dir);
}

int dir_list_page(struct op *op, int root_fd, const struct dir_query *query,
		  struct dir_page *ret)
{
	struct walk w = {.op = op, .root_fd = root_fd, .query = query};
	int rc;

	w.page.entries = calloc(query->max, sizeof(*w.page.entries));
	if (!w.page.entries)
		return op_fail(op, -ENOMEM, "list: no memory");
	rc = walk_prefix(&w);
	if (rc < 0) {
		dir_page_done(&w.page);
		return rc;
	}
	*ret = w.page;
	return 0;
}

void dir_page_done(struct dir_page *page)
{
	for (size_t i = 0; i < page->n_entries; i++)
		free(page->entries[i].name);
	free(page->entries);
	free(page->next);
	*page = (struct dir_page){0};
}
