/* What meta/meta.h promises, over a lake made of a sorted array. */
#include "meta/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/metrics.h"
#include "base/op.h"
#include "meta/inside.h"
#include "tests/lib/cmocka.h"

/* The lake. */

struct object {
	char *name;
	uint64_t generation;
	uint64_t size;
	char *symlink;
	bool is_symlink;
	bool odd;
};

struct site_objects {
	struct object *objects; /* sorted by name */
	unsigned n;
};

struct lake {
	pthread_mutex_t lock;
	struct site_objects sites[2];
	unsigned n_sites;
	uint64_t last_generation;
	unsigned n_stats, n_lists, n_reads;
	unsigned page_max;    /* 0: as asked */
	unsigned empty_pages; /* before each page with names */
	int fail_rc;	      /* every request */
	unsigned fail_after;  /* n > 0: the n-th request from now fails */
	bool down;
	void (*before_reply)(struct lake *lake);
	atomic_uint in_stat; /* with gate: how many wait in lake_stat */
	atomic_bool gate;
};

static struct lake lake;

static int find_object(unsigned site, const char *name, bool *found)
{
	struct site_objects *s = &lake.sites[site];
	unsigned low = 0, high = s->n;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (strcmp(s->objects[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*found = low < s->n && strcmp(s->objects[low].name, name) == 0;
	return (int)low;
}

static struct object *put_at(unsigned site, const char *name, uint64_t size)
{
	struct site_objects *s = &lake.sites[site];
	bool found;
	int i = find_object(site, name, &found);

	if (!found) {
		s->objects =
			realloc(s->objects, (s->n + 1) * sizeof(*s->objects));
		memmove(s->objects + i + 1, s->objects + i,
			(s->n - (unsigned)i) * sizeof(*s->objects));
		memset(&s->objects[i], 0, sizeof(*s->objects));
		s->objects[i].name = strdup(name);
		s->n++;
	}
	s->objects[i].generation = ++lake.last_generation;
	s->objects[i].size = size;
	return &s->objects[i];
}

static struct object *put(const char *name)
{
	return put_at(SITE_RECORD, name, 10);
}

static void del_at(unsigned site, const char *name)
{
	struct site_objects *s = &lake.sites[site];
	bool found;
	int i = find_object(site, name, &found);

	assert_true(found);
	free(s->objects[i].name);
	free(s->objects[i].symlink);
	s->n--;
	memmove(s->objects + i, s->objects + i + 1,
		(s->n - (unsigned)i) * sizeof(*s->objects));
}

static void del(const char *name)
{
	del_at(SITE_RECORD, name);
}

static void lake_reset(void)
{
	for (unsigned site = 0; site < 2; site++)
		while (lake.sites[site].n > 0)
			del_at(site, lake.sites[site]
					     .objects[lake.sites[site].n - 1]
					     .name);
	for (unsigned site = 0; site < 2; site++)
		free(lake.sites[site].objects);
	memset(&lake, 0, sizeof(lake));
	pthread_mutex_init(&lake.lock, NULL);
	lake.n_sites = 1;
	lake.last_generation = 1700000000000000;
}

static int fault(struct op *op)
{
	assert_no_lock_held();
	if (lake.fail_rc)
		return op_fail(op, lake.fail_rc, "the fake lake is told to");
	if (lake.fail_after > 0 && --lake.fail_after == 0)
		return op_fail(op, -ETIMEDOUT, "the n-th request fails");
	return 0;
}

static void fill_info(const struct object *o, struct object_info *info,
		      unsigned site)
{
	memset(info, 0, sizeof(*info));
	info->name = o->name;
	info->size = o->size;
	info->generation = site == SITE_RECORD ? o->generation : 0;
	info->mtime_ns = (int64_t)o->generation * 1000;
	info->has = HAS_CRC32C | HAS_MD5;
	info->crc32c = (uint32_t)o->generation * 2654435761U;
	memset(info->md5, (int)o->generation & 0xff, MD5_SIZE);
	info->kind = o->is_symlink ? OBJECT_SYMLINK : OBJECT_FILE;
	info->symlink = o->symlink;
	info->odd_name = o->odd;
	strcpy(info->storage_class, "STANDARD");
}

int lake_stat(struct op *op, struct lake *l, const char *name,
	      uint64_t not_generation, struct object_info *ret)
{
	bool found;
	int i, rc;

	pthread_mutex_lock(&l->lock);
	l->n_stats++;
	rc = fault(op);
	i = find_object(SITE_RECORD, name, &found);
	if (rc == 0 && !found)
		rc = op_fail(op, -ENOENT, "%s: 404", name);
	if (rc == 0 && l->sites[0].objects[i].generation == not_generation)
		rc = 1;
	if (rc == 0) {
		fill_info(&l->sites[0].objects[i], ret, SITE_RECORD);
		ret->name = strdup(name);
		if (ret->symlink)
			ret->symlink = strdup(ret->symlink);
	}
	pthread_mutex_unlock(&l->lock);
	atomic_fetch_add(&l->in_stat, 1);
	while (atomic_load(&l->gate))
		sched_yield();
	return rc;
}

/* Tokens are the name from which the next page goes on, after a '>' or '='. */
static int list_from(const struct list_query *q, unsigned site)
{
	const char *from = q->prefix;
	bool found;
	int i;

	if (q->start && strcmp(q->start, from) > 0)
		from = q->start;
	if (q->token && strcmp(q->token, from) > 0)
		from = q->token;
	i = find_object(site, from, &found);
	return i;
}

int lake_list(struct op *op, struct lake *l, unsigned site,
	      const struct list_query *q, list_fn *each, void *arg,
	      char **ret_token)
{
	size_t prefix_len = strlen(q->prefix);
	unsigned max = q->max ? q->max : 1000;
	struct object_info info;
	unsigned n = 0;
	int rc;

	if (l->page_max && max > l->page_max)
		max = l->page_max;
	pthread_mutex_lock(&l->lock);
	l->n_lists++;
	rc = fault(op);
	*ret_token = NULL;
	for (unsigned i = (unsigned)list_from(q, site);
	     rc == 0 && i < l->sites[site].n; i++) {
		const struct object *o = &l->sites[site].objects[i];
		char dir_name[OBJECT_NAME_MAX + 2];
		const char *slash;

		if (strncmp(o->name, q->prefix, prefix_len) != 0 ||
		    (q->end && strcmp(o->name, q->end) >= 0))
			break;
		if (n == max) {
			*ret_token = strdup(o->name);
			break;
		}
		n++;
		slash = strchr(o->name + prefix_len, '/');
		if (!q->delimited || !slash) {
			fill_info(o, &info, site);
			rc = each(arg, o->name, &info);
			continue;
		}
		snprintf(dir_name, sizeof(dir_name), "%.*s",
			 (int)(slash + 1 - o->name), o->name);
		rc = each(arg, dir_name, NULL);
		while (i + 1 < l->sites[site].n &&
		       strncmp(l->sites[site].objects[i + 1].name, dir_name,
			       strlen(dir_name)) == 0)
			i++;
	}
	if (l->before_reply)
		l->before_reply(l);
	pthread_mutex_unlock(&l->lock);
	return rc;
}

int lake_read(struct op *op, struct lake *l, const struct object_ref *ref,
	      struct read_part *part)
{
	(void)ref;
	l->n_reads++;
	if (fault(op) < 0)
		return op->rc;
	memset(part->buf, 't', part->len);
	return 0;
}

bool lake_record_is_down(struct lake *l)
{
	return l->down;
}

unsigned lake_n_sites(const struct lake *l)
{
	return l->n_sites;
}

const char *lake_site_name(const struct lake *l, unsigned site)
{
	(void)l;
	return site ? "dc1" : "record";
}

/* The mount. */

static char dir[] = "/tmp/meta.XXXXXX";
static char db[64];
static struct meta *meta;
static struct meta_config config;
static struct op op;
static struct entry e;
static unsigned n_changed;
static char last_changed[META_NAME_MAX + 1];

static void changed(void *arg, uint64_t parent, const char *name)
{
	(void)arg;
	(void)parent;
	assert_no_lock_held();
	n_changed++;
	snprintf(last_changed, sizeof(last_changed), "%s", name);
}

static void mount_lake(void)
{
	op_init(&op, 0);
	assert_int_equal(meta_open(&op, &config, "gs://lake", &lake, &meta), 0);
}

static void remount(void)
{
	meta_close(meta);
	mount_lake();
}

static int setup(void **state UNUSED)
{
	lake_reset();
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	assert_true(mkdtemp(dir) != NULL);
	snprintf(db, sizeof(db), "%s/meta.db", dir);
	config = (struct meta_config){
		.path = db, .names_ttl_ns = NS_PER_S, .changed = changed};
	n_changed = 0;
	mount_lake();
	return 0;
}

static int teardown(void **state UNUSED)
{
	char cmd[100];

	meta_close(meta);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static unsigned requests(void)
{
	return lake.n_stats + lake.n_lists;
}

static void age(uint64_t ns)
{
	clock_skew_for_test((int64_t)ns);
}

static int look(uint64_t parent, const char *name)
{
	op_init(&op, 0);
	return meta_lookup(&op, meta, parent, name, &e);
}

static int pin(uint64_t parent, const char *name)
{
	op_init(&op, 0);
	return meta_pin(&op, meta, parent, name, &e);
}

/* The id of a directory, looked up component by component. */
static uint64_t dir_id(const char *path)
{
	uint64_t id = META_ROOT;
	char name[META_NAME_MAX + 1];

	while (*path) {
		size_t len = strcspn(path, "/");

		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		assert_int_equal(look(id, name), 0);
		assert_int_equal(e.kind, ENTRY_DIR);
		id = e.ino;
		path += len + (path[len] == '/');
	}
	return id;
}

struct listing {
	char names[20000];
	unsigned n;
	unsigned stop_after; /* 0: never */
	struct entry last;
};

static int add_name(void *arg, const struct entry *entry)
{
	struct listing *l = arg;

	if (l->stop_after && l->n == l->stop_after)
		return 1;
	l->n++;
	if (strlen(l->names) < sizeof(l->names) - 300)
		sprintf(l->names + strlen(l->names), "%s%s%s ", entry->name,
			entry->kind == ENTRY_DIR ? "/" : "",
			entry->replica ? "*" : "");
	entry_copy(&l->last, entry);
	return 0;
}

/* Lists a directory, giving the position back after every `step` names. */
static int list_by(uint64_t id, unsigned step, struct listing *l)
{
	char after[META_NAME_MAX + 2] = "";
	struct meta_walk *walk;
	int rc;

	memset(l, 0, sizeof(*l));
	op_init(&op, 0);
	rc = meta_walk_begin(&op, meta, id, &walk);
	if (rc < 0)
		return rc;
	do {
		l->stop_after = step ? l->n + step : 0;
		rc = meta_walk_from(&op, walk, after[0] ? after : NULL,
				    add_name, l);
		if (l->n)
			walk_key(&l->last, after);
	} while (rc == 1);
	meta_walk_end(walk);
	return rc;
}

static const char *list(uint64_t id)
{
	static struct listing l;

	assert_int_equal(list_by(id, 0, &l), 0);
	return l.names;
}

/* Lookup. */

static void one_request_decides_what_an_unknown_name_is(void **state UNUSED)
{
	unsigned before;

	put("f");
	put("d/x");
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"f", "d", "none"};
		static const int rcs[] = {0, 0, -ENOENT};
		static const enum entry_kind kinds[] = {ENTRY_FILE, ENTRY_DIR};

		remount();
		age(10 * NS_PER_S);
		before = requests();
		assert_int_equal(look(META_ROOT, names[i]), rcs[i]);
		if (rcs[i] == 0)
			assert_int_equal(e.kind, kinds[i]);
		assert_int_equal(requests() - before, 1);
	}
	assert_int_equal(look(META_ROOT, "f"), 0);
	assert_int_equal(e.size, 10);
	assert_string_equal(e.object, "f");
	assert_string_equal(e.storage_class, "STANDARD");
	assert_int_equal(e.has, HAS_CRC32C | HAS_MD5);
}

static void a_directory_behind_many_siblings_is_found(void **state UNUSED)
{
	char name[64];

	for (int i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "a-%04d", i);
		put(name);
	}
	put("a/x");
	/* the first page of all, the page from the name on, and below it */
	assert_int_equal(look(META_ROOT, "a"), 0);
	assert_int_equal(e.kind, ENTRY_DIR);
	assert_int_equal(requests(), 3);
}

static void a_small_directory_is_known_with_its_first_name(void **state UNUSED)
{
	put("d/x");
	put("d/y");
	put("d/z");
	assert_int_equal(look(dir_id("d"), "y"), 0);
	assert_int_equal(requests(), 2);
	list(dir_id("d"));
	assert_int_equal(look(dir_id("d"), "x"), 0);
	assert_int_equal(requests(), 2);
}

static void siblings_come_with_a_lookup(void **state UNUSED)
{
	put("a");
	put("b");
	put("c/d");
	assert_int_equal(look(META_ROOT, "a"), 0);
	assert_int_equal(look(META_ROOT, "b"), 0);
	assert_int_equal(look(META_ROOT, "c"), 0);
	assert_int_equal(requests(), 1);
}

static void class_open_repeats_a_name_for_its_ttl(void **state UNUSED)
{
	put("f");
	assert_int_equal(look(META_ROOT, "f"), 0);
	assert_int_equal(e.class, FRESH_OPEN);
	age(NS_PER_S / 2);
	assert_int_equal(look(META_ROOT, "f"), 0);
	assert_true(e.valid_ns > 0 && e.valid_ns <= NS_PER_S / 2);
	assert_int_equal(requests(), 1);
	age(NS_PER_S);
	assert_int_equal(look(META_ROOT, "f"), 0);
	assert_int_equal(lake.n_stats, 1);
	assert_int_equal(look(META_ROOT, "f"), 0);
	assert_int_equal(requests(), 2);
}

static void an_open_asks_the_record_and_learns_the_new_one(void **state UNUSED)
{
	uint64_t ino, generation;

	put("f");
	assert_int_equal(look(META_ROOT, "f"), 0);
	ino = e.ino;
	generation = e.generation;
	n_changed = 0;
	assert_int_equal(pin(META_ROOT, "f"), 0);
	assert_int_equal(lake.n_stats, 1);
	assert_int_equal(n_changed, 0);
	put("f");
	assert_int_equal(pin(META_ROOT, "f"), 0);
	assert_true(e.generation > generation);
	assert_int_equal(e.ino, ino);
	assert_int_equal(n_changed, 1);
	assert_string_equal(last_changed, "f");
	del("f");
	assert_int_equal(pin(META_ROOT, "f"), -ENOENT);
	assert_int_equal(n_changed, 2);
	assert_int_equal(meta_known(&op, meta, "f", &e), -ENOENT);
}

static void absence_is_asked_for_each_time(void **state UNUSED)
{
	uint64_t log;
	unsigned before;

	put("t/_delta_log/0.json");
	assert_int_equal(look(META_ROOT, "no"), -ENOENT);
	put("no");
	assert_int_equal(look(META_ROOT, "no"), 0);

	log = dir_id("t/_delta_log");
	before = requests();
	assert_int_equal(look(log, "1.json"), -ENOENT);
	assert_int_equal(look(log, "1.json"), -ENOENT);
	assert_int_equal(requests() - before, 2);
	put("t/_delta_log/1.json");
	assert_int_equal(look(log, "1.json"), 0);
}

static void a_listing_answers_strict_names_for_a_moment(void **state UNUSED)
{
	uint64_t log;
	unsigned before;

	put("t/_delta_log/0.json");
	put("t/_delta_log/1.json");
	log = dir_id("t/_delta_log");
	assert_string_equal(list(log), "0.json 1.json ");
	before = requests();
	assert_int_equal(look(log, "0.json"), 0);
	assert_int_equal(e.class, FRESH_STRICT);
	assert_int_equal(e.valid_ns, 0);
	assert_int_equal(look(log, "1.json"), 0);
	assert_int_equal(requests(), before);
	age(100 * NS_PER_MS);
	assert_int_equal(look(log, "0.json"), 0);
	assert_int_equal(look(log, "0.json"), 0);
	assert_int_equal(requests() - before, 2);
}

static void data_files_of_a_table_are_immutable(void **state UNUSED)
{
	uint64_t part;
	unsigned before;

	put("t/_delta_log/0.json");
	put("t/p=1/a.parquet");
	put("t/p=1/_SUCCESS");
	put("lone/a.parquet");
	part = dir_id("t/p=1");
	assert_int_equal(look(part, "a.parquet"), 0);
	assert_int_equal(e.class, FRESH_IMMUTABLE);
	assert_true(e.valid_ns > 60 * NS_PER_S);
	age(500 * NS_PER_S);
	before = requests();
	assert_int_equal(pin(part, "a.parquet"), 0);
	assert_int_equal(requests(), before);
	assert_int_equal(look(part, "_SUCCESS"), 0);
	assert_int_equal(e.class, FRESH_OPEN);
	assert_int_equal(pin(dir_id("lone"), "a.parquet"), 0);
	assert_int_equal(e.class, FRESH_OPEN);
	remount();
	before = requests();
	lake.down = true;
	lake.fail_rc = -ETIMEDOUT;
	assert_int_equal(pin(part, "a.parquet"), 0);
	assert_int_equal(requests(), before);
}

static void a_dropped_tables_path_is_no_table_for_ever(void **state UNUSED)
{
	uint64_t t;
	unsigned before;

	put("t/_delta_log/0.json");
	put("t/a.parquet");
	t = dir_id("t");
	assert_int_equal(look(t, "a.parquet"), 0);
	assert_int_equal(e.class, FRESH_IMMUTABLE);
	del("t/_delta_log/0.json");
	put("t/a.parquet");
	age(300 * NS_PER_S);
	assert_int_equal(pin(t, "a.parquet"), 0);
	assert_int_equal(e.class, FRESH_IMMUTABLE);
	age(1000 * NS_PER_S);

	/* While the record is away the mark is believed, at little cost. */
	lake.fail_rc = -ETIMEDOUT;
	before = requests();
	assert_int_equal(pin(t, "a.parquet"), 0);
	assert_int_equal(pin(t, "a.parquet"), 0);
	assert_int_equal(e.class, FRESH_IMMUTABLE);
	assert_int_equal(requests() - before, 1);
	lake.fail_rc = 0;

	age(61 * NS_PER_S);
	assert_int_equal(pin(t, "a.parquet"), 0);
	assert_int_equal(e.class, FRESH_OPEN);
	assert_int_equal(e.generation, lake.last_generation);
}

static void a_mark_behind_a_thousand_names_is_found(void **state UNUSED)
{
	char name[64];

	for (int i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "t/A%04d=x/b", i);
		put(name);
	}
	put("t/_delta_log/0.json");
	put("t/z.parquet");
	assert_int_equal(look(dir_id("t"), "z.parquet"), 0);
	assert_int_equal(e.class, FRESH_IMMUTABLE);
}

static void iceberg_and_hudi_tables_are_recognised(void **state UNUSED)
{
	put("i/metadata/v1.metadata.json");
	put("i/data/x=1/a.parquet");
	put("h/.hoodie/hoodie.properties");
	put("h/a.orc");
	put("n/metadata/readme");
	put("n/data/a.parquet");
	assert_int_equal(look(dir_id("i/data/x=1"), "a.parquet"), 0);
	assert_int_equal(e.class, FRESH_IMMUTABLE);
	assert_int_equal(look(dir_id("h"), "a.orc"), 0);
	assert_int_equal(e.class, FRESH_IMMUTABLE);
	assert_int_equal(look(dir_id("n/data"), "a.parquet"), 0);
	assert_int_equal(e.class, FRESH_OPEN);
	assert_int_equal(look(dir_id("i/metadata"), "v1.metadata.json"), 0);
	assert_int_equal(e.class, FRESH_STRICT);
	assert_int_equal(look(dir_id("n/metadata"), "readme"), 0);
	assert_int_equal(e.class, FRESH_STRICT);
	list(dir_id("n/metadata"));
	assert_int_equal(look(dir_id("n/metadata"), "readme"), 0);
	assert_int_equal(e.class, FRESH_OPEN);
}

static void the_users_rules_come_first(void **state UNUSED)
{
	static const struct class_rule rules[] = {
		{"**/ref/**", FRESH_BOUNDED, 60},
		{"**/frozen/**", FRESH_IMMUTABLE, 0},
	};

	config.classes = rules;
	config.n_classes = 2;
	remount();
	put("ref/_delta_log/0.json");
	put("frozen/x");
	assert_int_equal(look(dir_id("ref/_delta_log"), "0.json"), 0);
	assert_int_equal(e.class, FRESH_BOUNDED);
	assert_true(e.valid_ns > 50 * NS_PER_S);
	assert_int_equal(look(dir_id("frozen"), "x"), 0);
	age(1000 * NS_PER_S);
	lake.fail_rc = -ETIMEDOUT;
	assert_int_equal(pin(e.parent, "x"), 0);
}

static void a_directory_wins_over_a_file_of_its_name(void **state UNUSED)
{
	struct meta_status status;

	put("a");
	assert_int_equal(look(META_ROOT, "a"), 0);
	assert_int_equal(e.kind, ENTRY_FILE);
	put("a/b");
	age(2 * NS_PER_S);
	assert_string_equal(list(META_ROOT), "a/ ");
	assert_int_equal(look(META_ROOT, "a"), 0);
	assert_int_equal(e.kind, ENTRY_DIR);
	meta_status(meta, &status);
	assert_int_equal(status.n_odd, 1);
	del("a/b");
	age(2 * NS_PER_S);
	assert_int_equal(look(META_ROOT, "a"), 0);
	assert_int_equal(e.kind, ENTRY_FILE);
	meta_status(meta, &status);
	assert_int_equal(status.n_odd, 0);
}

static void a_name_may_change_its_kind(void **state UNUSED)
{
	put("a");
	assert_int_equal(look(META_ROOT, "a"), 0);
	del("a");
	put("a/b");
	age(2 * NS_PER_S);
	assert_int_equal(look(META_ROOT, "a"), 0);
	assert_int_equal(e.kind, ENTRY_DIR);
	assert_int_equal(look(e.ino, "b"), 0);
	del("a/b");
	put("a");
	age(2 * NS_PER_S);
	assert_int_equal(look(e.parent, "b"), -ENOENT);
	assert_int_equal(look(META_ROOT, "a"), 0);
	assert_int_equal(e.kind, ENTRY_FILE);
}

static void what_is_inside_proves_the_directories_above(void **state UNUSED)
{
	uint64_t id;
	unsigned before;

	put("a/b/f");
	id = dir_id("a/b");
	assert_int_equal(look(id, "f"), 0);
	age(2 * NS_PER_S);
	put("a/b/g");
	assert_int_equal(look(id, "g"), 0);
	before = requests();
	assert_int_equal(dir_id("a/b"), id);
	assert_int_equal(requests(), before);
}

static void placeholders_make_directories(void **state UNUSED)
{
	struct meta_status status;

	put_at(SITE_RECORD, "empty/", 0);
	put_at(SITE_RECORD, "full/", 3);
	assert_string_equal(list(META_ROOT), "empty/ full/ ");
	assert_string_equal(list(dir_id("empty")), "");
	assert_string_equal(list(dir_id("full")), "");
	meta_status(meta, &status);
	assert_int_equal(status.n_odd, 1);
}

static void odd_names_break_nothing(void **state UNUSED)
{
	uint64_t before = metric_get(METRIC_ODD_NAMES);
	struct meta_status status;
	char name[400];

	put("a");
	put("/x");
	put("./x");
	put("..");
	memset(name, 'n', sizeof(name));
	name[300] = '\0';
	put(name);
	put("bad\xef\xbf\xbd")->odd = true;
	put(".lakefuse/lease");
	put("z");
	for (int i = 0; i < 2; i++) {
		assert_string_equal(list(META_ROOT), "a z ");
		age(2 * NS_PER_S);
	}
	meta_status(meta, &status);
	assert_int_equal(status.n_odd, 5);
	assert_int_equal(metric_get(METRIC_ODD_NAMES) - before, 5);
	assert_int_equal(look(META_ROOT, ".lakefuse"), -ENOENT);
	assert_int_equal(look(META_ROOT, name), -ENAMETOOLONG);
	assert_int_equal(look(META_ROOT, ".."), -ENOENT);
}

static void symlinks_tell_their_target(void **state UNUSED)
{
	char target[100];
	struct object *o = put("link");

	o->is_symlink = true;
	o->symlink = strdup("there");
	o = put_at(SITE_RECORD, "read", 3);
	o->is_symlink = true;
	put("file");
	op_init(&op, 0);
	assert_int_equal(meta_readlink(&op, meta, META_ROOT, "link", target,
				       sizeof(target)),
			 0);
	assert_string_equal(target, "there");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(meta_readlink(&op, meta, META_ROOT, "read",
					       target, sizeof(target)),
				 0);
		assert_string_equal(target, "ttt");
	}
	assert_int_equal(lake.n_reads, 1);
	assert_int_equal(meta_readlink(&op, meta, META_ROOT, "file", target,
				       sizeof(target)),
			 -EINVAL);
}

/* What outlives a mount. */

static void inode_numbers_outlive_the_mount(void **state UNUSED)
{
	uint64_t file, directory;

	put("f");
	put("d/x");
	assert_int_equal(look(META_ROOT, "f"), 0);
	file = e.ino;
	directory = dir_id("d");
	remount();
	age(5 * NS_PER_S);
	list(META_ROOT);
	assert_int_equal(look(META_ROOT, "f"), 0);
	assert_int_equal(e.ino, file);
	assert_int_equal(dir_id("d"), directory);
	put("g");
	age(5 * NS_PER_S);
	assert_int_equal(look(META_ROOT, "g"), 0);
	assert_true(e.ino > file && e.ino > directory);
	assert_int_equal(meta_directory(&op, meta, directory, &e), 0);
	assert_string_equal(e.object, "d");
}

static void an_answer_from_the_future_is_old(void **state UNUSED)
{
	put("f");
	assert_int_equal(look(META_ROOT, "f"), 0);
	clock_skew_for_test(-3600 * (int64_t)NS_PER_S);
	remount();
	assert_int_equal(look(META_ROOT, "f"), 0);
	assert_int_equal(requests(), 2);
	assert_int_equal(look(META_ROOT, "f"), 0);
	assert_int_equal(requests(), 2);
	del("f");
	age(2 * NS_PER_S);
	assert_int_equal(look(META_ROOT, "f"), -ENOENT);
	clock_skew_for_test(3600 * (int64_t)NS_PER_S);
}

static bool aside(int n)
{
	char name[100];

	snprintf(name, sizeof(name), "%s.damaged-%d", db, n);
	return access(name, F_OK) == 0;
}

static void write_at(off_t at, const char *text, size_t len)
{
	int fd = open(db, O_WRONLY | O_CLOEXEC);

	assert_true(pwrite(fd, text, len, at) == (ssize_t)len);
	close(fd);
}

static void an_unusable_catalogue_is_set_aside(void **state UNUSED)
{
	sqlite3 *raw;

	put("f");
	assert_int_equal(look(META_ROOT, "f"), 0);
	meta_close(meta);
	write_at(0, "this is no database at all", 26);
	mount_lake();
	assert_true(aside(1));
	assert_int_equal(look(META_ROOT, "f"), 0);

	meta_close(meta);
	sqlite3_open(db, &raw);
	sqlite3_exec(raw, "PRAGMA user_version=99", NULL, NULL, NULL);
	sqlite3_close(raw);
	mount_lake();
	assert_true(aside(2));

	meta_close(meta);
	op_init(&op, 0);
	assert_int_equal(meta_open(&op, &config, "gs://other", &lake, &meta),
			 0);
	assert_true(aside(3));
	assert_int_equal(look(META_ROOT, "f"), 0);
}

static void damage_in_use_costs_one_call(void **state UNUSED)
{
	char junk[4096], name[40];
	struct stat st;
	uint64_t ino;
	int rc = 0;

	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "name-%05d", i);
		put(name);
	}
	list(META_ROOT);
	assert_int_equal(look(META_ROOT, "name-00000"), 0);
	ino = e.ino;
	remount();
	memset(junk, 0x5a, sizeof(junk));
	assert_int_equal(stat(db, &st), 0);
	for (off_t at = 4096; at < st.st_size; at += 4096)
		write_at(at, junk, sizeof(junk));
	for (int i = 0; i < 2000 && rc == 0; i++) {
		age(2 * NS_PER_S);
		snprintf(name, sizeof(name), "name-%05d", i);
		rc = look(META_ROOT, name);
	}
	assert_int_equal(rc, -EIO);
	assert_true(aside(1));
	assert_int_equal(look(META_ROOT, "name-00000"), 0);
	assert_true(e.ino > ino);
}

static void an_entry_takes_150_bytes_at_most(void **state UNUSED)
{
	struct site_objects *s = &lake.sites[0];
	struct meta_status status;
	struct listing *l = malloc(sizeof(*l));
	unsigned n = 100000;
	char name[80];

	s->objects = calloc(n, sizeof(*s->objects));
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name),
			 "part-%05u-%08x%04x-c000.zstd.parquet", i,
			 i * 2654435761U, i * 40503U & 0xffff);
		assert_int_equal(strlen(name), 41);
		s->objects[i] = (struct object){
			.name = strdup(name),
			.generation = 1700000000000000 + i * 7919ULL,
			.size = 100000000 + i,
		};
	}
	s->n = n;
	assert_int_equal(list_by(META_ROOT, 0, l), 0);
	assert_int_equal(l->n, n);
	free(l);
	remount(); /* the last one closing checkpoints */
	meta_status(meta, &status);
	assert_int_equal(status.n_entries, n);
	printf("%.1f bytes an entry\n", (double)status.db_bytes / n);
	assert_true(status.db_bytes <= 150ULL * n);
}

/* Listing. */

static void a_thousand_names_cost_one_request(void **state UNUSED)
{
	char name[40];

	for (int i = 0; i < 900; i++) {
		snprintf(name, sizeof(name), "n%04d", i);
		put(name);
	}
	list(META_ROOT);
	assert_int_equal(requests(), 1);
	for (int i = 0; i < 900; i++) {
		snprintf(name, sizeof(name), "n%04d", i);
		assert_int_equal(look(META_ROOT, name), 0);
	}
	list(META_ROOT);
	assert_int_equal(requests(), 1);
	assert_int_equal(look(META_ROOT, "absent"), -ENOENT);
	assert_int_equal(requests(), 2);
}

static void order_holds_whatever_the_page_size(void **state UNUSED)
{
	struct listing l;

	put("a");
	put("a!");
	put("a!/x");
	put("a-");
	put("a.txt");
	put("a/x");
	put("a/y");
	put("a0");
	put("b");
	put("b.d/x");
	put("b.d/y");
	put("b.e");
	put("c/x");
	for (unsigned page = 1; page < 14; page++) {
		for (unsigned step = 0; step < 5; step++) {
			age(2 * NS_PER_S);
			lake.page_max = page;
			assert_int_equal(list_by(META_ROOT, step, &l), 0);
			assert_string_equal(
				l.names, "a!/ a- a.txt a/ a0 b b.d/ b.e c/ ");
		}
	}
}

static void a_new_walk_sees_each_name_once_from_the_start(void **state UNUSED)
{
	struct listing l;

	lake.page_max = 1;
	put("x");
	put("x-1");
	put("x.2");
	put("x/y");
	assert_int_equal(list_by(META_ROOT, 1, &l), 0);
	assert_string_equal(l.names, "x-1 x.2 x/ ");
}

static void a_plain_name_continues_a_walk_too(void **state UNUSED)
{
	struct listing l = {.stop_after = 2};
	struct meta_walk *walk;
	char after[META_NAME_MAX + 1];

	put("a.txt");
	put("a/x");
	put("a0");
	op_init(&op, 0);
	assert_int_equal(meta_walk_begin(&op, meta, META_ROOT, &walk), 0);
	assert_int_equal(meta_walk_from(&op, walk, NULL, add_name, &l), 1);
	strcpy(after, l.last.name);
	l.stop_after = 0;
	assert_int_equal(meta_walk_from(&op, walk, after, add_name, &l), 0);
	assert_string_equal(l.names, "a.txt a/ a0 ");
	meta_walk_end(walk);
}

static void names_missing_from_a_page_are_gone(void **state UNUSED)
{
	put("a");
	put("b");
	put("c/x");
	put("d");
	assert_string_equal(list(META_ROOT), "a b c/ d ");
	del("b");
	del("c/x");
	age(2 * NS_PER_S);
	n_changed = 0;
	assert_string_equal(list(META_ROOT), "a d ");
	assert_int_equal(n_changed, 2);
	assert_int_equal(meta_known(&op, meta, "c", &e), -ENOENT);
	assert_int_equal(meta_known(&op, meta, "c/x", &e), -ENOENT);
}

static void ten_thousand_gone_names_are_all_told(void **state UNUSED)
{
	struct site_objects *s = &lake.sites[0];
	struct listing *l = malloc(sizeof(*l));
	struct meta_status status;
	char name[40];

	for (unsigned i = 0; i < 12000; i++) {
		snprintf(name, sizeof(name), "n%05u", i);
		put(name);
	}
	assert_int_equal(list_by(META_ROOT, 0, l), 0);
	assert_int_equal(l->n, 12000);
	while (s->n > 1) {
		s->n--;
		free(s->objects[s->n].name);
	}
	age(2 * NS_PER_S);
	n_changed = 0;
	assert_int_equal(list_by(META_ROOT, 0, l), 0);
	assert_int_equal(l->n, 1);
	assert_int_equal(n_changed, 11999);
	meta_status(meta, &status);
	assert_int_equal(status.n_entries, 1);
	free(l);
}

static void an_abandoned_walk_marks_nothing_complete(void **state UNUSED)
{
	struct meta_walk *walk;
	struct listing l = {.stop_after = 1};

	put("a");
	put("b");
	put("c");
	lake.page_max = 2;
	op_init(&op, 0);
	assert_int_equal(meta_walk_begin(&op, meta, META_ROOT, &walk), 0);
	assert_int_equal(meta_walk_from(&op, walk, NULL, add_name, &l), 1);
	meta_walk_end(walk);
	assert_int_equal(look(META_ROOT, "c"), 0);
}

static void a_walk_goes_on_while_the_directory_changes(void **state UNUSED)
{
	struct meta_walk *walk, *other;
	struct listing l = {.stop_after = 2};
	char after[META_NAME_MAX + 2];

	for (char c = 'a'; c <= 'f'; c++)
		put((char[]){c, '\0'});
	lake.page_max = 2;
	op_init(&op, 0);
	assert_int_equal(meta_walk_begin(&op, meta, META_ROOT, &walk), 0);
	assert_int_equal(meta_walk_from(&op, walk, NULL, add_name, &l), 1);
	assert_string_equal(l.names, "a b ");
	walk_key(&l.last, after);
	/*
	 * What was shown last becomes a directory.  d goes, but this walk has
	 * had its page: it was there when the walk asked.
	 */
	del("b");
	put("b/x");
	put("b-new");
	del("d");
	age(2 * NS_PER_S);
	assert_int_equal(meta_walk_begin(&op, meta, META_ROOT, &other), 0);
	l.stop_after = 0;
	assert_int_equal(meta_walk_from(&op, walk, after, add_name, &l), 0);
	assert_int_equal(meta_walk_from(&op, other, NULL, add_name, &l), 0);
	meta_walk_end(walk);
	meta_walk_end(other);
	assert_string_equal(l.names, "a b b-new c d e f a b-new b/ c e f ");
}

static void created_meanwhile(struct lake *l)
{
	/* The page is made up; now another thread learns of a new name. */
	l->before_reply = NULL;
	pthread_mutex_unlock(&l->lock);
	put("m");
	assert_int_equal(look(META_ROOT, "m"), 0);
	pthread_mutex_lock(&l->lock);
}

static void
a_page_does_not_undo_what_came_after_it_was_sent(void **state UNUSED)
{
	put("a");
	put("z");
	lake.before_reply = created_meanwhile;
	list(META_ROOT);
	assert_int_equal(meta_known(&op, meta, "m", &e), 0);
}

static void a_vanished_directory_is_not_listed(void **state UNUSED)
{
	struct meta_walk *walk;
	uint64_t id;

	put("d/x");
	id = dir_id("d");
	del("d/x");
	age(2 * NS_PER_S);
	op_init(&op, 0);
	assert_int_equal(meta_walk_begin(&op, meta, id, &walk), -ENOENT);
	assert_int_equal(meta_known(&op, meta, "d", &e), -ENOENT);
	assert_int_equal(look(id, "x"), -ENOENT);
	assert_string_equal(list(META_ROOT), "");
}

/* When the record is away. */

static void without_the_record_opens_time_out(void **state UNUSED)
{
	put("f");
	assert_int_equal(look(META_ROOT, "f"), 0);
	lake.fail_rc = -ECONNREFUSED;
	assert_int_equal(pin(META_ROOT, "f"), -ETIMEDOUT);
	assert_true(op.why[0] != '\0');
	lake.fail_rc = -EACCES;
	assert_int_equal(pin(META_ROOT, "f"), -EACCES);
}

static void last_known_is_served_and_marked(void **state UNUSED)
{
	uint64_t before = metric_get(METRIC_STALE_SERVED);
	struct meta_status status;

	config.serve_last_known = true;
	remount();
	put("f");
	list(META_ROOT);
	age(2 * NS_PER_S);
	lake.fail_rc = -ETIMEDOUT;
	assert_int_equal(pin(META_ROOT, "f"), 0);
	assert_true(e.stale);
	assert_int_equal(e.valid_ns, 0);
	assert_int_equal(metric_get(METRIC_STALE_SERVED) - before, 1);
	assert_int_equal(look(META_ROOT, "never"), -ENOENT);
	assert_string_equal(list(META_ROOT), "f ");
	meta_status(meta, &status);
	assert_true(status.record_lost && status.stale_since_ms > 0);
	lake.fail_rc = -EACCES;
	assert_int_equal(pin(META_ROOT, "f"), -EACCES);
	lake.fail_rc = 0;
	assert_int_equal(pin(META_ROOT, "f"), 0);
	assert_false(e.stale);
	meta_status(meta, &status);
	assert_false(status.record_lost);
}

static void a_listing_with_holes_is_never_last_known(void **state UNUSED)
{
	struct listing l;
	uint64_t t;

	config.serve_last_known = true;
	remount();
	put("t/a");
	put("t/b");
	put("t/c");
	lake.page_max = 1;
	t = dir_id("t");
	assert_int_equal(look(t, "a"), 0);
	lake.fail_rc = -ECONNREFUSED;
	assert_int_equal(list_by(t, 0, &l), -ETIMEDOUT);
	assert_true(op.why[0] != '\0');
	lake.fail_rc = 0;
	lake.fail_after = 3;
	assert_int_equal(list_by(t, 0, &l), -ETIMEDOUT);
	assert_string_equal(list(t), "a b c ");
	age(2 * NS_PER_S);
	lake.fail_after = 2;
	assert_string_equal(list(t), "a b c ");
	assert_true(l.n < 3);
}

/* No file of this process grows: to SQLite that is a disk in trouble. */
static void fill_disk(bool full)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = full ? 16 : limit.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
}

static void a_full_disk_keeps_nobody_from_an_answer(void **state UNUSED)
{
	struct listing l;
	uint64_t d, u, f, ino;

	put("d/f");
	put("u/x");
	u = dir_id("u");
	assert_string_equal(list(u), "x ");
	put("g");
	d = dir_id("d");
	assert_int_equal(look(d, "f"), 0);
	f = e.ino;
	fill_disk(true);
	put("d/f");
	put("d/new");
	put("sub/x");
	assert_int_equal(pin(d, "f"), 0);
	assert_int_equal(e.ino, f);
	assert_int_equal(e.generation, lake.last_generation - 2);
	assert_string_equal(last_changed, "f");
	assert_int_equal(pin(d, "new"), 0);
	ino = e.ino;
	assert_true(ino & UNSAVED_INO);
	assert_int_equal(e.valid_ns, 0);
	assert_int_equal(look(d, "new"), 0);
	assert_int_equal(e.ino, ino);
	assert_int_equal(look(d, "none"), -ENOENT);
	assert_int_equal(look(META_ROOT, "sub"), 0);
	assert_int_equal(e.kind, ENTRY_DIR);
	assert_int_equal(look(e.ino, "x"), -ENOSPC);
	age(2 * NS_PER_S);
	assert_string_equal(list(u), "x ");
	assert_true(list_by(d, 0, &l) < 0);
	assert_true(strstr(op.why, "catalogue") != NULL);
	del("d/f");
	assert_int_equal(pin(d, "f"), -ENOENT);
	fill_disk(false);
	assert_int_equal(pin(d, "new"), 0);
	assert_false(e.ino & UNSAVED_INO);
	assert_string_equal(list(d), "new ");
}

/* Every failure in turn: none may hide or invent a name for good. */
static void any_request_may_fail(void **state UNUSED)
{
	struct listing l;
	bool failed = true;

	lake.page_max = 2;
	put("t/_delta_log/0.json");
	put("t/p=1/a.parquet");
	put("t/p=1/b.parquet");
	put("t/p=1/c.parquet");
	for (unsigned n = 1; failed; n++) {
		uint64_t id;

		meta_close(meta);
		unlink(db);
		mount_lake();
		id = dir_id("t/p=1");
		lake.fail_after = n;
		look(id, "b.parquet");
		pin(id, "a.parquet");
		list_by(id, 1, &l);
		failed = lake.fail_after == 0;
		lake.fail_after = 0;
		age(2 * NS_PER_S);
		assert_int_equal(list_by(id, 1, &l), 0);
		assert_string_equal(l.names, "a.parquet b.parquet c.parquet ");
		assert_int_equal(pin(id, "b.parquet"), 0);
	}
}

/* Many at once. */

static void *pin_f(void *arg)
{
	struct op own;
	struct entry entry;

	op_init(&own, 0);
	*(int *)arg = meta_pin(&own, meta, META_ROOT, "f", &entry);
	return NULL;
}

static void readers_of_one_file_share_the_next_ask(void **state UNUSED)
{
	enum { N = 40 };
	pthread_t threads[N];
	int rcs[N];

	put("f");
	assert_int_equal(look(META_ROOT, "f"), 0);
	atomic_store(&lake.in_stat, 0);
	atomic_store(&lake.gate, true);
	pthread_create(&threads[0], NULL, pin_f, &rcs[0]);
	while (atomic_load(&lake.in_stat) == 0)
		sched_yield();
	for (int i = 1; i < N; i++)
		pthread_create(&threads[i], NULL, pin_f, &rcs[i]);
	while (rounds_waiting(meta->rounds) < N - 1)
		sched_yield();
	assert_int_equal(lake.n_stats, 1);
	atomic_store(&lake.gate, false);
	for (int i = 0; i < N; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(rcs[i], 0);
	}
	assert_int_equal(lake.n_stats, 2);
}

static void *stir(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	struct op own;
	struct entry entry;
	struct listing *l = calloc(1, sizeof(*l));
	struct meta_walk *walk;
	char name[8];

	for (int i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "n%u", rand_r(&seed) % 20);
		op_init(&own, 0);
		pthread_mutex_lock(&lake.lock);
		if (i % 3 == 0)
			put(name);
		pthread_mutex_unlock(&lake.lock);
		meta_pin(&own, meta, META_ROOT, name, &entry);
		if (i % 10 == 0) {
			age(2 * NS_PER_S);
			if (meta_walk_begin(&own, meta, META_ROOT, &walk) ==
			    0) {
				meta_walk_from(&own, walk, NULL, add_name, l);
				meta_walk_end(walk);
			}
		}
	}
	free(l);
	return NULL;
}

static void quiet(void *arg UNUSED, uint64_t parent UNUSED,
		  const char *name UNUSED)
{
}

static void threads_end_with_what_the_record_has(void **state UNUSED)
{
	pthread_t threads[4];
	struct listing l;
	bool found;

	config.changed = quiet;
	remount();
	lake.page_max = 3;
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, stir, (void *)(i + 1));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	age(2 * NS_PER_S);
	assert_int_equal(list_by(META_ROOT, 0, &l), 0);
	assert_int_equal(l.n, lake.sites[0].n);
	for (unsigned i = 0; i < lake.sites[0].n; i++) {
		const char *name = lake.sites[0].objects[i].name;

		assert_int_equal(meta_known(&op, meta, name, &e), 0);
		assert_int_equal(e.generation,
				 lake.sites[0]
					 .objects[find_object(0, name, &found)]
					 .generation);
	}
}

/* namespace: union. */

static void replicas_only_add_names(void **state UNUSED)
{
	struct object_ref ref;
	uint64_t generation;

	config.namespace_union = true;
	lake.n_sites = 2;
	remount();
	put("a");
	put("d/x");
	put_at(1, "a", 99);
	put_at(1, "b", 5);
	put_at(1, "d", 5);
	put_at(1, "d/y", 5);
	put_at(1, "e/z", 5);
	assert_string_equal(list(META_ROOT), "a b* d/ e/* ");
	assert_string_equal(list(dir_id("d")), "x y* ");
	assert_string_equal(list(dir_id("e")), "z* ");
	assert_int_equal(look(META_ROOT, "a"), 0);
	assert_int_equal(e.replica, 0);
	assert_int_equal(e.size, 10);
	assert_int_equal(pin(META_ROOT, "b"), 0);
	assert_int_equal(e.replica, 1);
	entry_ref(&e, &ref);
	generation = ref.generation;
	assert_true(generation & ORPHAN_GENERATION);
	assert_int_equal(ref.size, 5);
	assert_int_equal(pin(META_ROOT, "b"), 0);
	assert_int_equal(e.generation, generation);
	put_at(1, "b", 5);
	assert_int_equal(pin(META_ROOT, "b"), 0);
	assert_true(e.generation & ORPHAN_GENERATION);
	assert_int_not_equal(e.generation, generation);
	put("b");
	assert_int_equal(pin(META_ROOT, "b"), 0);
	assert_int_equal(e.replica, 0);
	del("b");
	assert_int_equal(pin(META_ROOT, "b"), 0);
	assert_int_equal(e.replica, 1);
	config.namespace_union = false;
	remount();
	age(2 * NS_PER_S);
	assert_string_equal(list(META_ROOT), "a d/ ");
	assert_int_equal(look(META_ROOT, "b"), -ENOENT);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_request_decides_what_an_unknown_name_is),
		T(a_directory_behind_many_siblings_is_found),
		T(a_small_directory_is_known_with_its_first_name),
		T(siblings_come_with_a_lookup),
		T(class_open_repeats_a_name_for_its_ttl),
		T(an_open_asks_the_record_and_learns_the_new_one),
		T(absence_is_asked_for_each_time),
		T(a_listing_answers_strict_names_for_a_moment),
		T(data_files_of_a_table_are_immutable),
		T(a_dropped_tables_path_is_no_table_for_ever),
		T(a_mark_behind_a_thousand_names_is_found),
		T(iceberg_and_hudi_tables_are_recognised),
		T(the_users_rules_come_first),
		T(a_directory_wins_over_a_file_of_its_name),
		T(a_name_may_change_its_kind),
		T(what_is_inside_proves_the_directories_above),
		T(placeholders_make_directories),
		T(odd_names_break_nothing),
		T(symlinks_tell_their_target),
		T(inode_numbers_outlive_the_mount),
		T(an_answer_from_the_future_is_old),
		T(an_unusable_catalogue_is_set_aside),
		T(damage_in_use_costs_one_call),
		T(an_entry_takes_150_bytes_at_most),
		T(a_thousand_names_cost_one_request),
		T(order_holds_whatever_the_page_size),
		T(a_new_walk_sees_each_name_once_from_the_start),
		T(a_plain_name_continues_a_walk_too),
		T(names_missing_from_a_page_are_gone),
		T(ten_thousand_gone_names_are_all_told),
		T(an_abandoned_walk_marks_nothing_complete),
		T(a_walk_goes_on_while_the_directory_changes),
		T(a_page_does_not_undo_what_came_after_it_was_sent),
		T(a_vanished_directory_is_not_listed),
		T(without_the_record_opens_time_out),
		T(last_known_is_served_and_marked),
		T(a_listing_with_holes_is_never_last_known),
		T(a_full_disk_keeps_nobody_from_an_answer),
		T(any_request_may_fail),
		T(readers_of_one_file_share_the_next_ask),
		T(threads_end_with_what_the_record_has),
		T(replicas_only_add_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
