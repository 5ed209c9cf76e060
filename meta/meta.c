#include "meta/meta.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/op.h"
#include "meta/ask.h"
#include "meta/names.h"
#include "meta/page.h"
#include "meta/place.h"

/* A symlink whose target is its object's content. */
enum { LINK_MAX_BYTES = 4095 };

/* How long the record gets when it is known to be away and we need not wait. */
#define LOST_ASK_NS NS_PER_S
#define LEARN_NS (2 * NS_PER_S)
/* What is immutable must not wait for a record that is away (P7). */
#define LEARN_AGAIN_ASK_NS (NS_PER_S / 2)
/* And for a directory that is known, when others wait behind it. */
#define KNOWN_DIR_ASK_NS (3 * NS_PER_S)
/* The counter of stamps may run ahead of the clock by so much. */
#define AHEAD_US 1000000

int64_t meta_stamp(struct meta *meta)
{
	int64_t last = atomic_load(&meta->last_stamp_us);
	int64_t next;

	do {
		next = clock_wall_ns() / 1000;
		if (next <= last && last - next < AHEAD_US)
			next = last + 1;
	} while (!atomic_compare_exchange_weak(&meta->last_stamp_us, &last,
					       next));
	return next;
}

uint64_t meta_age_ns(int64_t stamp_us)
{
	int64_t now_us = clock_wall_ns() / 1000;

	if (stamp_us <= 0 || stamp_us > now_us + AHEAD_US)
		return UINT64_MAX;
	return stamp_us < now_us ? (uint64_t)(now_us - stamp_us) * 1000 : 0;
}

/* A stamp, or 0 for one in the future. */
static int64_t past(int64_t stamp_us)
{
	return meta_age_ns(stamp_us) == UINT64_MAX ? 0 : stamp_us;
}

int64_t meta_told_us(struct meta *meta, const struct row *row)
{
	struct told_times at = told_get(meta->told, row->ino);
	int64_t told_us = past(at.told_us);
	int64_t row_us = past(row->told_us);

	return told_us > row_us ? told_us : row_us;
}

void meta_answered(struct meta *meta)
{
	if (atomic_load(&meta->stale_since_ms) != 0 &&
	    atomic_exchange(&meta->stale_since_ms, 0) != 0)
		log_info("the record answers again");
}

bool meta_unreachable(int rc)
{
	switch (rc) {
	case -ENOENT:
	case -EACCES:
	case -EPERM:
	case -EINVAL:
	case -EINTR:
	case -ENOMEM:
	case -ENAMETOOLONG:
	case -ESTALE:
		return false;
	default:
		return rc < 0;
	}
}

void entry_copy(struct entry *to, const struct entry *from)
{
	*to = *from;
	to->name = to->object + (from->name - from->object);
}

void entry_ref(const struct entry *entry, struct object_ref *ret)
{
	*ret = (struct object_ref){
		.name = entry->object,
		.generation = entry->generation,
		.size = entry->size,
		.has = entry->has,
		.crc32c = entry->crc32c,
	};
	memcpy(ret->md5, entry->md5, MD5_SIZE);
}

static void free_rules(struct class_rule *rules, unsigned n)
{
	for (unsigned i = 0; rules && i < n; i++)
		free((char *)rules[i].match);
	free(rules);
}

static int copy_rules(const struct meta_config *from, struct meta_config *to)
{
	struct class_rule *rules;

	to->classes = NULL;
	if (from->n_classes == 0)
		return 0;
	rules = calloc(from->n_classes, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	to->classes = rules;
	for (unsigned i = 0; i < from->n_classes; i++) {
		rules[i] = from->classes[i];
		rules[i].match = strdup(from->classes[i].match);
		if (!rules[i].match)
			return -ENOMEM;
	}
	return 0;
}

int meta_open(struct op *op, const struct meta_config *config,
	      const char *lake_id, struct lake *lake, struct meta **ret)
{
	struct meta *meta = calloc(1, sizeof(*meta));
	int rc;

	if (!meta)
		return op_fail(op, -ENOMEM, "catalogue");
	meta->config = *config;
	meta->config.path = NULL;
	meta->lake = lake;
	rc = copy_rules(config, &meta->config);
	if (rc == 0)
		rc = told_new(&meta->told);
	if (rc == 0)
		rc = rounds_new(&meta->rounds);
	if (rc < 0)
		op_fail(op, rc, "catalogue");
	else
		rc = catalogue_open(op, config->path, lake_id, &meta->store);
	if (rc < 0)
		meta_close(meta);
	else
		*ret = meta;
	return rc;
}

void meta_close(struct meta *meta)
{
	if (!meta)
		return;
	catalogue_close(meta->store);
	rounds_free(meta->rounds);
	told_free(meta->told);
	free_rules((struct class_rule *)meta->config.classes,
		   meta->config.n_classes);
	free(meta);
}

/*
 * The first data file seen in a directory makes us look for its table, and from
 * time to time whether the table is still there.
 */
static int learn(struct op *op, struct meta *meta, struct place *place)
{
	struct op own;
	char name[META_NAME_MAX + 1];

	if (!place_unlearned(meta, place) || lake_record_is_down(meta->lake))
		return 0;
	op_child(&own, op, place->in_table ? LEARN_AGAIN_ASK_NS : LEARN_NS);
	if (place_learn(&own, meta, place) < 0)
		log_debug("op %llx: no look for a table at '%s': %s",
			  (unsigned long long)op->id, place->root_object,
			  own.why);
	strcpy(name, place->name);
	return place_find(op, meta, place->dir, name, place);
}

/* The record is silent (P7): what is known may do, if the mount wants it so. */
static int last_known(struct op *op, struct meta *meta,
		      const struct place *place, int rc, struct entry *ret)
{
	struct class class;
	int_fast64_t never = 0;

	/* A refused connection and the like is silence, too, to a caller. */
	if (rc != -EIO)
		rc = -ETIMEDOUT;
	if (!meta->config.serve_last_known)
		return rc;
	if (!place->has_row &&
	    !told_absent_us(meta->told, place->dir, place->name) &&
	    !place->listed_us)
		return rc;
	op_forgive(op);
	if (atomic_compare_exchange_strong(&meta->stale_since_ms, &never,
					   clock_wall_ms()))
		log_warn("the record does not answer: last-known is served");
	if (!place->has_row)
		return -ENOENT;
	metric_add(METRIC_STALE_SERVED, 1);
	class = place_class(meta, place, place->object,
			    place->row.kind == ENTRY_DIR);
	place_entry(meta, &place->row, place->object, &class, ret);
	ret->stale = true;
	ret->valid_ns = 0;
	return 0;
}

/*
 * A directory is no content, only the way to some: what is immutable below it
 * must be reached while the record is silent (P7).  Its listing, and whatever
 * else it leads to, is asked for in its own right.
 */
static bool is_known_way(const struct meta *meta, const struct place *place)
{
	return !meta->config.serve_last_known && place->has_row &&
	       place->row.kind == ENTRY_DIR && place->row.site == SITE_RECORD;
}

static int known_way(struct meta *meta, const struct place *place,
		     struct entry *ret)
{
	struct class class = place_class(meta, place, place->object, true);

	place_entry(meta, &place->row, place->object, &class, ret);
	ret->valid_ns = 0;
	return 0;
}

static int ask(struct op *op, struct meta *meta, struct place *place,
	       struct entry *ret)
{
	bool down = lake_record_is_down(meta->lake);
	bool hasty = meta->config.serve_last_known && down;
	bool is_way = is_known_way(meta, place);
	struct answer answer = {.unanswered = false};
	struct class class;
	struct op own;
	int rc;

	if (is_way && down)
		return known_way(meta, place, ret);
	op_child(&own, op, hasty ? LOST_ASK_NS : is_way ? KNOWN_DIR_ASK_NS : 0);
	rc = ask_name(&own, meta, place->dir, place->name, &answer);
	if (rc < 0 && answer.unanswered && is_way && op_expired(op) != -EINTR)
		return known_way(meta, place, ret);
	if (rc < 0 && rc != -ENOENT)
		op_fail(op, rc, "%s", own.why);
	if (rc < 0 && answer.unanswered)
		return last_known(op, meta, place, rc, ret);
	/* The answer may have brought the table it is in. */
	if (rc >= 0 && !place->has_row)
		rc = learn(op, meta, place);
	if (rc < 0)
		return rc;
	class = place_class(meta, place, place->object,
			    answer.row.kind == ENTRY_DIR);
	place_entry(meta, &answer.row, place->object, &class, ret);
	ret->asked = true;
	if (answer.unsaved)
		ret->valid_ns = 0;
	return 0;
}

static int answer(struct op *op, struct meta *meta, struct place *place,
		  bool pin, struct entry *ret)
{
	struct class class;
	bool is_dir;
	/* A name not known yet is asked for, whatever its class is. */
	int rc = place->has_row ? learn(op, meta, place) : 0;

	if (rc < 0)
		return rc;
	if (place->has_row && place->row.site != SITE_RECORD &&
	    !meta->config.namespace_union)
		place->has_row = false;
	is_dir = place->has_row && place->row.kind == ENTRY_DIR;
	class = place_class(meta, place, place->object, is_dir);
	if (place->has_row && place_trusts(meta, &place->row, &class, pin)) {
		metric_add(METRIC_META_HITS, 1);
		place_entry(meta, &place->row, place->object, &class, ret);
		return 0;
	}
	if (!place->has_row && place_trusts_absence(meta, place, &class)) {
		metric_add(METRIC_META_HITS, 1);
		return -ENOENT;
	}
	return ask(op, meta, place, ret);
}

static int lookup(struct op *op, struct meta *meta, uint64_t dir,
		  const char *name, bool pin, struct entry *ret)
{
	struct place place;
	int rc = name_check(name);

	if (rc < 0)
		return rc;
	rc = place_find(op, meta, dir, name, &place);
	if (rc < 0)
		return rc;
	if (name_hidden(place.dir_object, name, strlen(name)))
		return -ENOENT;
	return answer(op, meta, &place, pin, ret);
}

int meta_lookup(struct op *op, struct meta *meta, uint64_t dir,
		const char *name, struct entry *ret)
{
	return lookup(op, meta, dir, name, false, ret);
}

int meta_pin(struct op *op, struct meta *meta, uint64_t dir, const char *name,
	     struct entry *ret)
{
	return lookup(op, meta, dir, name, true, ret);
}

struct find_dir {
	uint64_t id;
	struct dir dir;
	struct row row;
};

static int find_dir(struct op *op, struct conn *conn, void *arg)
{
	struct find_dir *f = arg;
	int rc = dirs_find(op, conn, f->id, &f->dir);

	if (rc > 0 && f->id != META_ROOT)
		rc = rows_meaning(op, conn, f->dir.parent, f->dir.name,
				  &f->row);
	return rc;
}

int meta_directory(struct op *op, struct meta *meta, uint64_t dir,
		   struct entry *ret)
{
	struct find_dir f = {.id = dir,
			     .row = {.ino = META_ROOT,
				     .parent = META_ROOT,
				     .kind = ENTRY_DIR}};
	struct place place;
	struct class class;
	int rc = store_read(op, meta->store, find_dir, &f);

	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	if (f.row.kind != ENTRY_DIR || f.row.ino != dir)
		return -ENOENT;
	rc = place_find(op, meta, f.dir.parent,
			dir == META_ROOT ? NULL : f.dir.name, &place);
	if (rc < 0)
		return rc;
	class = place_class(meta, &place, place.object, true);
	place_entry(meta, &f.row, place.object, &class, ret);
	if (dir == META_ROOT)
		ret->valid_ns = IMMUTABLE_VALID_NS;
	return 0;
}

int meta_known(struct op *op, struct meta *meta, const char *path,
	       struct entry *ret)
{
	uint64_t dir = META_ROOT;
	struct place place;
	struct class class;
	int rc;

	path += strspn(path, "/");
	if (*path == '\0')
		return meta_directory(op, meta, META_ROOT, ret);
	for (;;) {
		size_t len = strcspn(path, "/");
		char name[META_NAME_MAX + 1];

		if (len > META_NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path, len);
		name[len] = '\0';
		rc = place_find(op, meta, dir, name, &place);
		if (rc < 0)
			return rc;
		if (!place.has_row)
			return -ENOENT;
		path += len;
		path += strspn(path, "/");
		if (*path == '\0')
			break;
		if (place.row.kind != ENTRY_DIR)
			return -ENOTDIR;
		dir = place.row.ino;
	}
	class = place_class(meta, &place, place.object,
			    place.row.kind == ENTRY_DIR);
	place_entry(meta, &place.row, place.object, &class, ret);
	return 0;
}

struct find_target {
	struct row row;
	char *target;
	size_t room;
};

static int find_target(struct op *op, struct conn *conn, void *arg)
{
	struct find_target *f = arg;

	return symlinks_find(op, conn, &f->row, f->target, f->room);
}

static int save_target(struct op *op, struct conn *conn, void *arg)
{
	struct find_target *f = arg;

	return symlinks_put(op, conn, &f->row, f->target);
}

/* The content is the target. */
static int read_target(struct op *op, struct meta *meta,
		       const struct entry *entry, struct find_target *f)
{
	struct object_ref ref;
	struct read_part part = {.len = (size_t)entry->size, .buf = f->target};
	int rc;

	if (entry->size == 0 || entry->size > LINK_MAX_BYTES ||
	    entry->size >= f->room)
		return op_fail(op, -EIO, "%s: a symlink's target of %llu bytes",
			       entry->object, (unsigned long long)entry->size);
	entry_ref(entry, &ref);
	rc = lake_read(op, meta->lake, &ref, &part);
	if (rc < 0)
		return rc;
	f->target[entry->size] = '\0';
	if (entry->replica)
		return 0;
	rc = store_write(op, meta->store, save_target, f);
	if (rc < 0)
		op_forgive(op); /* it is only not remembered */
	return 0;
}

int meta_readlink(struct op *op, struct meta *meta, uint64_t dir,
		  const char *name, char *target, size_t room)
{
	struct find_target f = {.target = target, .room = room};
	struct entry entry;
	int rc = meta_lookup(op, meta, dir, name, &entry);

	if (rc < 0)
		return rc;
	if (entry.kind != ENTRY_SYMLINK)
		return -EINVAL;
	f.row.ino = entry.ino;
	/* An orphan's generation is made up, for those who use entries. */
	f.row.generation = entry.replica ? 0 : entry.generation;
	rc = store_read(op, meta->store, find_target, &f);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return read_target(op, meta, &entry, &f);
}

struct each_odd {
	char object[OBJECT_NAME_MAX + 2];
	char why[80];
};

static int next_odd(struct op *op, struct conn *conn, void *arg)
{
	struct each_odd *e = arg;
	char after[OBJECT_NAME_MAX + 2];

	strcpy(after, e->object);
	return odd_next(op, conn, after, e->object, e->why, sizeof(e->why));
}

int meta_each_odd(struct op *op, struct meta *meta, odd_fn *each, void *arg)
{
	struct each_odd e = {.object = ""};
	int rc;

	while ((rc = store_read(op, meta->store, next_odd, &e)) > 0) {
		rc = each(arg, e.object, e.why);
		if (rc != 0)
			return rc;
	}
	return rc;
}

static int count_odd(struct op *op, struct conn *conn, void *arg)
{
	return odd_count(op, conn, arg);
}

void meta_status(struct meta *meta, struct meta_status *ret)
{
	int64_t stale_since_ms = atomic_load(&meta->stale_since_ms);
	struct store_counts counts;
	uint64_t n_odd = 0;
	struct op op;

	op_init(&op, 0);
	store_read(&op, meta->store, count_odd, &n_odd);
	store_counts(meta->store, &counts);
	*ret = (struct meta_status){
		.n_entries = counts.n_entries,
		.n_dirs = counts.n_dirs,
		.n_odd = n_odd,
		.db_bytes = counts.bytes,
		.record_lost = stale_since_ms != 0,
		.stale_since_ms = stale_since_ms,
	};
}
