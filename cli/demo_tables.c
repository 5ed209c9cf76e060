#include "cli/demo_tables.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/op.h"

#define SAMPLES "demo/nycflights13"

/* In the source tree beside build/MODE/lakefuse, or where it was installed. */
static int find_samples(struct op *op, char path[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = '\0';
	if (snprintf(path, PATH_MAX, "%s/../../packaging/" SAMPLES,
		     dirname(self)) < PATH_MAX &&
	    access(path, R_OK) == 0)
		return 0;
	snprintf(path, PATH_MAX, "%s/" SAMPLES, LAKEFUSE_DATADIR);
	if (access(path, R_OK) == 0)
		return 0;
	return op_fail(op, -ENOENT,
		       "demo: no sample tables in %s; run `make install`, or "
		       "build/release/lakefuse in the source tree",
		       path);
}

static int add(struct table **list, const char *name, void *data, size_t size)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->name = strdup(name);
	if (!t->name) {
		free(t);
		return -ENOMEM;
	}
	t->data = data;
	t->size = size;
	t->next = *list;
	*list = t;
	return 0;
}

static int read_whole(const char *path, size_t size, void **ret)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *data = malloc(size + 1);
	size_t n = 0;

	if (fd < 0 || !data) {
		free(data);
		return fd < 0 ? -errno : -ENOMEM;
	}
	while (n < size) {
		ssize_t got = read(fd, data + n, size - n);

		if (got <= 0) {
			free(data);
			return -EIO;
		}
		n += (size_t)got;
	}
	*ret = data;
	return 0;
}

static int add_file(struct table **list, const FTSENT *entry, size_t skip)
{
	size_t size = (size_t)entry->fts_statp->st_size;
	void *data = NULL;
	int rc = read_whole(entry->fts_accpath, size, &data);

	if (rc == 0) {
		rc = add(list, entry->fts_path + skip, data, size);
		if (rc < 0)
			free(data);
	}
	return rc;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*b)->fts_name, (*a)->fts_name);
}

static int add_files(struct op *op, char *dir, struct table **list)
{
	char *const dirs[] = {dir, NULL};
	FTS *fts = fts_open(dirs, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	FTSENT *entry;
	int rc = 0;

	while (fts && rc == 0 && (entry = fts_read(fts)))
		if (entry->fts_info == FTS_F)
			rc = add_file(list, entry, strlen(dir) + 1);
	if (fts)
		fts_close(fts);
	if (rc < 0)
		return op_fail(op, rc, "demo: can't read %s: %s", dir,
			       strerror(-rc));
	return *list ? 0 : op_fail(op, -ENOENT, "demo: nothing in %s", dir);
}

/* A number and an airport in each line: no two blocks are alike. */
static int add_big(struct op *op, struct table **list)
{
	const struct table *airports = tables_find(*list, "airports.csv");
	char *data = malloc(DEMO_BIG_SIZE + 1);
	const char *row, *end;
	size_t n = 0;

	if (!airports || !data) {
		free(data);
		return op_fail(op, -ENOMEM, "demo: no airports.csv, or memory");
	}
	row = airports->data;
	end = row + airports->size;
	for (unsigned i = 0; n < DEMO_BIG_SIZE; i++) {
		const char *stop = memchr(row, '\n', (size_t)(end - row));
		int len = (int)((stop ? stop : end) - row);
		size_t room = DEMO_BIG_SIZE - n;
		int put = snprintf(data + n, room + 1, "%08u,%.*s\n", i, len,
				   row);

		n += (size_t)put < room ? (size_t)put : room;
		row = stop && stop + 1 < end ? stop + 1 : airports->data;
	}
	if (add(list, DEMO_BIG_NAME, data, n) == 0)
		return 0;
	free(data);
	return op_fail(op, -ENOMEM, "demo: no memory");
}

int tables_load(struct op *op, struct table **ret)
{
	struct table *list = NULL;
	char dir[PATH_MAX];
	int rc = find_samples(op, dir);

	if (rc == 0)
		rc = add_files(op, dir, &list);
	if (rc == 0)
		rc = add_big(op, &list);
	if (rc < 0) {
		tables_free(list);
		return rc;
	}
	*ret = list;
	return 0;
}

void tables_free(struct table *tables)
{
	while (tables) {
		struct table *next = tables->next;

		free(tables->name);
		free(tables->data);
		free(tables);
		tables = next;
	}
}

struct table *tables_find(struct table *tables, const char *prefix)
{
	for (struct table *t = tables; t; t = t->next)
		if (strncmp(t->name, prefix, strlen(prefix)) == 0)
			return t;
	return NULL;
}

void table_replace(struct table *t, void *data, size_t size)
{
	free(t->data);
	t->data = data;
	t->size = size;
}

void sha256_text(const void *data, size_t size, char ret[SHA256_TEXT])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	ret[0] = '\0';
	if (EVP_Digest(data, size, sum, &n, EVP_sha256(), NULL) != 1)
		return;
	for (unsigned i = 0; i < n && 2 * i + 2 < SHA256_TEXT; i++)
		snprintf(ret + 2 * (size_t)i, 3, "%02x", sum[i]);
}
