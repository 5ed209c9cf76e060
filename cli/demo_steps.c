#include "cli/demo_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/op.h"
#include "cli/demo_death.h"
#include "cli/demo_http.h"
#include "cli/demo_show.h"

/* --- what several scenes need --- */

static void path_of(const struct table *t, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, DEMO_MOUNT "/%s", t->name);
}

/* What the mount says about an open file; "" when it says nothing. */
static const char *told(int fd, const char *name, char *text, size_t room)
{
	ssize_t n = fgetxattr(fd, name, text, room - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* Sites that may serve, a bit each. */
enum {
	BY_RECORD = 1 << DEMO_RECORD,
	BY_DC1 = 1 << DEMO_DC1,
	BY_OTHERS = 1 << DEMO_DC2 | BY_RECORD
};

static bool is_among(const char *who, unsigned sites)
{
	for (int i = 0; i < DEMO_SITES; i++)
		if (strcmp(who, demo_site_name((enum demo_site)i)) == 0)
			return sites >> i & 1;
	return false;
}

/* Runs a command on a file and claims that one of these sites served it. */
static int read_from(struct op *op, const char *command, const struct table *t,
		     unsigned sites, struct shown *ret)
{
	char path[PATH_MAX], who[64], proof[64];
	auto_close int fd = -1;
	int rc;

	path_of(t, path);
	rc = show_run(op, ret, "%s %s", command, path);
	if (rc < 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return op_fail(op, -errno, "demo: %s: %s", path,
			       strerror(errno));
	told(fd, "user.lake.site", who, sizeof(who));
	told(fd, "user.lake.proof", proof, sizeof(proof));
	return show_claim(op, is_among(who, sites),
			  "served by %s, its proof: %s",
			  *who ? who : "nobody known", *proof ? proof : "-");
}

/* sha256sum of a file: the record's bytes, from one of these sites. */
static int sum_from(struct op *op, const struct table *t, unsigned sites)
{
	char sum[SHA256_TEXT];
	struct shown shown = {0};
	int rc;

	sha256_text(t->data, t->size, sum);
	rc = read_from(op, "sha256sum", t, sites, &shown);
	if (rc == 0)
		rc = show_claim(op, strncmp(shown.text, sum, strlen(sum)) == 0,
				"these are the record's bytes");
	free(shown.text);
	return rc;
}

static struct table *table(const struct demo *demo, const char *prefix)
{
	return tables_find(demo->tables, prefix);
}

static int where(struct op *op, const struct table *t)
{
	char path[PATH_MAX];

	path_of(t, path);
	return show_done(op, "lakefuse where %s", path);
}

/* --- the scenes --- */

static int three_sites(struct op *op, struct demo *demo)
{
	int rc = 0;

	show_text("A record and two replicas, on loopback. A copier we can't "
		  "trust has been at work:");
	for (int i = 0; rc == 0 && i < DEMO_SITES; i++)
		rc = stage_start_server(op, demo->stage, (enum demo_site)i);
	if (rc == 0)
		rc = demo_lake_fill(op, demo);
	if (rc == 0)
		rc = demo_lake_set_distances(op, demo);
	if (rc == 0)
		show_text("From here it is 5 ms to dc1, 50 ms to dc2, 100 ms "
			  "to the record.");
	return rc;
}

static int mount_it(struct op *op, struct demo *demo)
{
	int rc = demo_lake_describe(op, demo);

	if (rc == 0)
		rc = show_done(op, "cat lake.yaml");
	if (rc < 0)
		return rc;
	/* Whatever happens from here on, look for a mount on the way out. */
	demo->stage->mounted = true;
	rc = show_done(op, "lakefuse mount lake.yaml " DEMO_MOUNT);
	if (rc == 0)
		rc = show_done(op, "ls -l " DEMO_MOUNT " " DEMO_MOUNT
				   "/flights/month=1");
	return rc;
}

static int good_copy(struct op *op, struct demo *demo)
{
	const struct table *t = table(demo, "airlines.csv");
	struct shown shown = {0};
	int rc;

	show_text("Both replicas have it; the nearer one serves.");
	rc = read_from(op, "cat", t, BY_DC1, &shown);
	if (rc == 0)
		rc = show_claim(op,
				strlen(shown.text) == t->size &&
					memcmp(shown.text, t->data, t->size) ==
						0,
				"these are the record's bytes");
	free(shown.text);
	return rc < 0 ? rc : where(op, t);
}

static int bad_copy(struct op *op, const struct demo *demo, const char *prefix,
		    unsigned sites)
{
	const struct table *t = table(demo, prefix);
	int rc = sum_from(op, t, sites);

	return rc < 0 ? rc : where(op, t);
}

static int stale_copy(struct op *op, struct demo *demo)
{
	show_text("dc1 has the version before: its stamp names another "
		  "generation.");
	return bad_copy(op, demo, "airports.csv", BY_OTHERS);
}

static int torn_copy(struct op *op, struct demo *demo)
{
	show_text("dc1 has the right stamp, and half of the bytes.");
	return bad_copy(op, demo, "flights/month=1/", BY_OTHERS);
}

static int corrupt_copy(struct op *op, struct demo *demo)
{
	show_text("dc1 has the right stamp, size and checksum, but its disk "
		  "flips a bit. Only the\nbytes tell: their crc32c is compared "
		  "before the first one is served.");
	return bad_copy(op, demo, "flights/month=2/", BY_OTHERS);
}

static int missing_copy(struct op *op, struct demo *demo)
{
	show_text("The copier has not come to this one yet.");
	return bad_copy(op, demo,
			"flights/_delta_log/00000000000000000001.json",
			BY_RECORD);
}

static int ingest(struct op *op, const struct demo *demo, struct table *t)
{
	show_command("curl --data-binary @... http://127.0.0.1:%d/upload/"
		     "storage/v1/b/" DEMO_BUCKET "/o?uploadType=media&name=%s",
		     demo->stage->servers[DEMO_RECORD].gcs, t->name);
	return demo_put_record(op, demo->stage, t->name,
			       (struct demo_bytes){t->data, t->size},
			       &t->generation);
}

static int overwrite(struct op *op, struct demo *demo)
{
	static const char line[] = "ZZ,Brand New Airways\n";
	struct table *t = table(demo, "airlines.csv");
	size_t size = t->size + strlen(line);
	struct shown shown = {0};
	char *data;
	int rc;

	show_text("An ingestion job overwrites a file in the record. Both "
		  "copies are stale from then on.");
	rc = show_done(op, "tail -n 1 " DEMO_MOUNT "/airlines.csv");
	if (rc < 0)
		return rc;
	data = malloc(size + 1);
	if (!data)
		return op_fail(op, -ENOMEM, "demo: no memory");
	memcpy(data, t->data, t->size);
	memcpy(data + t->size, line, sizeof(line));
	table_replace(t, data, size);
	rc = ingest(op, demo, t);
	if (rc == 0)
		rc = read_from(op, "tail -n 1", t, BY_RECORD, &shown);
	if (rc == 0)
		rc = show_claim(op, strcmp(shown.text, line) == 0,
				"the next open sees the new content, at once");
	free(shown.text);
	return rc;
}

static int commit(struct op *op, struct demo *demo)
{
	struct table *data = table(demo, DEMO_LATE_DATA);
	struct table *entry = table(demo, DEMO_LATE_LOG);
	struct shown shown = {0};
	int rc;

	show_text("A job elsewhere commits to the Delta table: a data file, "
		  "then its log entry.");
	if (!data || !entry)
		return op_fail(op, -ENOENT, "demo: no sample for the commit");
	rc = show_done(op, "ls " DEMO_MOUNT "/flights " DEMO_MOUNT
			   "/flights/_delta_log");
	if (rc == 0)
		rc = ingest(op, demo, data);
	if (rc == 0)
		rc = ingest(op, demo, entry);
	if (rc == 0)
		rc = show_run(op, &shown,
			      "ls " DEMO_MOUNT "/flights/_delta_log");
	if (rc == 0)
		rc = show_claim(op, strstr(shown.text, "02.json") != NULL,
				"the commit is seen at once");
	free(shown.text);
	return rc < 0 ? rc : sum_from(op, data, BY_RECORD);
}

static int refuse_write(struct op *op, struct demo *demo)
{
	struct shown shown = {0};
	int rc, fd, why;

	(void)demo;
	show_text("This version reads. It says so to whoever writes.");
	rc = show_run(op, &shown, "touch " DEMO_MOUNT "/new.csv");
	free(shown.text);
	if (rc < 0)
		return rc;
	fd = open(DEMO_MOUNT "/new.csv", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	why = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	return show_claim(op, shown.status != 0 && why == EROFS,
			  "a write fails with EROFS, and nothing is lost");
}

static int lose_record(struct op *op, struct demo *demo)
{
	struct table *t = table(demo, "flights/month=1/");
	struct shown shown = {0};
	uint64_t begin_ns;
	int rc;

	show_text("Last, the record dies too. A table's data files never "
		  "change: they go on.\nWhat could have changed is not "
		  "guessed: an error, in seconds.");
	show_command("kill -9 %d  # the record",
		     (int)demo->stage->servers[DEMO_RECORD].pid);
	stage_kill_server(demo->stage, DEMO_RECORD);
	rc = sum_from(op, t, BY_OTHERS);
	begin_ns = clock_mono_ns();
	if (rc == 0)
		rc = show_run(op, &shown, "cat " DEMO_MOUNT "/airports.csv");
	free(shown.text);
	if (rc < 0)
		return rc;
	return show_claim(op,
			  shown.status != 0 &&
				  clock_mono_ns() - begin_ns < 12 * NS_PER_S,
			  "an error, after %.1f s",
			  (double)(clock_mono_ns() - begin_ns) / 1e9);
}

static int end_it(struct op *op, struct demo *demo)
{
	int rc = show_done(op, "lakefuse umount " DEMO_MOUNT);

	if (rc == 0)
		demo->stage->mounted = false;
	return rc;
}

const struct demo_step demo_steps[] = {
	{"Three sites, unevenly replicated", three_sites},
	{"One tree over them", mount_it},
	{"A good copy", good_copy},
	{"A stale copy", stale_copy},
	{"A torn copy", torn_copy},
	{"A corrupted copy", corrupt_copy},
	{"A missing copy", missing_copy},
	{"A new version in the record", overwrite},
	{"A new commit in the record", commit},
	{"A site dies under a running read", demo_death},
	{"A write", refuse_write},
	{"The record dies", lose_record},
	{"The end", end_it},
	{NULL, NULL},
};
