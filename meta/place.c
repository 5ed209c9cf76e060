#include "meta/place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/glob.h"
#include "base/hash.h"
#include "base/op.h"
#include "meta/names.h"
#include "meta/page.h"

/* How long a root is not looked at again, whatever it showed ... */
#define LEARN_AGAIN_NS (600 * NS_PER_S)
/* ... and how long after a failed look at one that was a table's. */
#define LEARN_RETRY_NS (60 * NS_PER_S)

const char *freshness_name(enum freshness class)
{
	static const char *const names[] = {
		[FRESH_STRICT] = "strict",
		[FRESH_OPEN] = "open",
		[FRESH_IMMUTABLE] = "immutable",
		[FRESH_BOUNDED] = "bounded",
	};

	return names[class];
}

static bool ends_with(const char *text, const char *tail)
{
	size_t len = strlen(text);
	size_t tail_len = strlen(tail);

	return len > tail_len && strcmp(text + len - tail_len, tail) == 0;
}

/* A name by which table formats keep data, and write it once. */
static bool is_data(const char *name)
{
	static const char *const tails[] = {".parquet", ".orc", ".avro",
					    ".bin"};

	if (name[0] == '.' || name[0] == '_')
		return false;
	for (unsigned i = 0; i < sizeof(tails) / sizeof(*tails); i++)
		if (ends_with(name, tails[i]))
			return true;
	return false;
}

/* Directories below a table's root: partitions, and Iceberg's data/. */
static bool is_inner(const char *name)
{
	return strchr(name, '=') || strcmp(name, "data") == 0;
}

struct finding {
	struct meta *meta;
	uint64_t dir;
	const char *name;
	struct place *place;
	size_t at; /* the object name is built from its end */
	char buf[OBJECT_NAME_MAX + 2];
	size_t root_at; /* likewise, of the candidate root */
	bool has_root;
};

static int prepend(struct finding *f, const char *name)
{
	size_t len = strlen(name);
	bool slash = f->buf[f->at] != '\0';

	if (f->at < len + slash + 2)
		return -ENAMETOOLONG;
	if (slash)
		f->buf[--f->at] = '/';
	f->at -= len;
	memcpy(f->buf + f->at, name, len);
	return 0;
}

/* Has this directory the mark of a table's root?  1 and *mark, 0, or -errno. */
static int is_root(struct op *op, struct conn *conn, uint64_t dir,
		   struct row *mark)
{
	struct dir metadata;
	int rc = rows_find(op, conn, dir, "_delta_log/", SITE_RECORD, mark);

	if (rc == 0)
		rc = rows_find(op, conn, dir, ".hoodie/", SITE_RECORD, mark);
	if (rc != 0)
		return rc;
	rc = rows_find(op, conn, dir, "metadata/", SITE_RECORD, mark);
	if (rc > 0)
		rc = dirs_find(op, conn, mark->ino, &metadata);
	return rc > 0 ? (metadata.flags & DIR_ICEBERG) != 0 : rc;
}

static bool is_strict(const struct dir *dir)
{
	if (strcmp(dir->name, "_delta_log") == 0 ||
	    strcmp(dir->name, ".hoodie") == 0)
		return true;
	return strcmp(dir->name, "metadata") == 0 &&
	       (dir->listed_us == 0 || (dir->flags & DIR_ICEBERG));
}

static void set_root(struct finding *f, const struct dir *dir)
{
	f->has_root = true;
	f->root_at = f->at;
	f->place->root = dir->id;
}

/* One directory on the way up. */
static int climb(struct op *op, struct conn *conn, struct finding *f,
		 const struct dir *dir)
{
	struct place *place = f->place;
	struct row mark;
	int rc;

	place->strict |= is_strict(dir);
	if (!f->has_root && (dir->id == META_ROOT || !is_inner(dir->name)))
		set_root(f, dir);
	if (!place->in_table) {
		rc = is_root(op, conn, dir->id, &mark);
		if (rc < 0)
			return rc;
		place->in_table = rc > 0;
		if (rc > 0) {
			place->marked_us = meta_told_us(f->meta, &mark);
			set_root(f, dir);
		}
	}
	return dir->id == META_ROOT ? 0 : prepend(f, dir->name);
}

/* The candidate root's object: the whole without its last n bytes. */
static void cut(const char *whole, size_t n, char *ret)
{
	size_t len = strlen(whole);

	len = len > n ? len - n : 0;
	memcpy(ret, whole, len);
	ret[len] = '\0';
}

static int find(struct op *op, struct conn *conn, void *arg)
{
	struct finding *f = arg;
	struct place *place = f->place;
	struct dir dir = {.parent = f->dir};
	size_t below;
	int rc;

	do {
		rc = dirs_find(op, conn, dir.parent, &dir);
		if (rc == 0)
			rc = op_fail(op, -ENOENT, "no such directory");
		if (rc > 0 && dir.id == f->dir)
			place->listed_us = dir.listed_us;
		if (rc > 0)
			rc = climb(op, conn, f, &dir);
		if (rc < 0)
			return rc;
	} while (dir.id != META_ROOT);
	strcpy(place->dir_object, f->buf + f->at);
	below = sizeof(f->buf) - 1 - f->root_at;
	cut(place->dir_object, below + (below > 0), place->root_object);
	if (!f->name)
		return 0;
	rc = rows_meaning(op, conn, f->dir, f->name, &place->row);
	place->has_row = rc > 0;
	return rc < 0 ? rc : 0;
}

int place_find(struct op *op, struct meta *meta, uint64_t dir, const char *name,
	       struct place *ret)
{
	struct finding f = {.meta = meta,
			    .dir = dir,
			    .name = name,
			    .place = ret,
			    .at = OBJECT_NAME_MAX + 1};
	int rc;

	memset(ret, 0, sizeof(*ret));
	ret->dir = dir;
	if (dir & UNSAVED_INO)
		return op_fail(op, -ENOSPC, "the catalogue can't be written");
	rc = store_read(op, meta->store, find, &f);
	if (rc < 0)
		return rc;
	if (!name) {
		strcpy(ret->object, ret->dir_object);
		return 0;
	}
	strcpy(ret->name, name);
	rc = name_join(ret->dir_object, name, ret->object, sizeof(ret->object));
	return rc < 0 ? op_fail(op, rc, "%.100s...", ret->object) : 0;
}

static struct class preset(const struct meta *meta, const struct place *place,
			   const char *object)
{
	const char *slash = strrchr(object, '/');
	struct class class = {.freshness = FRESH_OPEN,
			      .limit_ns = meta->config.names_ttl_ns};

	if (place->strict)
		class.freshness = FRESH_STRICT;
	else if (place->in_table && is_data(slash ? slash + 1 : object))
		class.freshness = FRESH_IMMUTABLE;
	return class;
}

struct class place_class(const struct meta *meta, const struct place *place,
			 const char *object, bool is_dir)
{
	struct class class = preset(meta, place, object);

	for (unsigned i = 0; i < meta->config.n_classes; i++) {
		const struct class_rule *rule = &meta->config.classes[i];

		if (!glob_match(rule->match, object))
			continue;
		class.freshness = rule->class;
		if (rule->class == FRESH_BOUNDED)
			class.limit_ns = rule->seconds * NS_PER_S;
		break;
	}
	if (is_dir && class.freshness == FRESH_IMMUTABLE)
		class.freshness = FRESH_OPEN;
	return class;
}

bool place_unlearned(struct meta *meta, const struct place *place)
{
	struct told_times at;

	if (place->strict || !is_data(place->name) ||
	    (place->has_row && place->row.kind == ENTRY_DIR))
		return false;
	/* The root's id with the top bit set stands for "looked at". */
	at = told_get(meta->told, place->root | 1ULL << 63);
	/* Whatever is read of a table's log tells that the mark is there. */
	return meta_age_ns(at.told_us) >= LEARN_AGAIN_NS &&
	       meta_age_ns(place->marked_us) >= LEARN_AGAIN_NS;
}

/*
 * One page of a directory, merged.  to is the greatest key that the query asks
 * for; NULL: there is none.  *ret_all: the page came as far as that.
 */
static int look(struct op *op, struct meta *meta, uint64_t dir,
		const struct page_query *query, const char *to, bool *ret_all)
{
	struct page page;
	struct page_merge merge = {.dir = dir,
				   .from = query->start ? query->start : ""};
	int rc = page_ask(op, meta, query, &page);

	if (rc < 0)
		return rc;
	merge.to = page.token ? page.last : to;
	rc = page_merge(op, meta, &page, &merge);
	*ret_all = !page.token;
	page_done(&page);
	return rc;
}

/* The names that mark a table; a listing not long ago told them, too. */
static int look_for_marks(struct op *op, struct meta *meta,
			  const struct place *place)
{
	/* In the listing's order; each starts a page when one was too short. */
	static const char *const marks[] = {".hoodie/", "_delta_log/",
					    "metadata/"};
	struct page_query query = {.dir_object = place->root_object,
				   .end = "metadata0"};
	struct place root;
	bool all = false;
	int rc = place_find(op, meta, place->root, "metadata", &root);

	if (rc < 0)
		return rc;
	if (root.listed_us && meta_age_ns(root.listed_us) < LEARN_AGAIN_NS)
		return 0;
	for (unsigned i = 0; rc >= 0 && !all && i < 3; i++) {
		query.start = marks[i];
		rc = look(op, meta, place->root, &query, marks[2], &all);
	}
	return rc;
}

int place_learn(struct op *op, struct meta *meta, const struct place *place)
{
	struct told_times at = {.told_us = meta_stamp(meta)};
	struct page_query query;
	char object[OBJECT_NAME_MAX + 2];
	struct place again;
	bool all;
	int rc;

	if (place->in_table) {
		at.told_us -= (LEARN_AGAIN_NS - LEARN_RETRY_NS) / 1000;
		told_touch(meta->told, place->root | 1ULL << 63, &at);
		at.told_us = meta_stamp(meta);
	}
	rc = look_for_marks(op, meta, place);
	if (rc < 0)
		return rc;
	told_touch(meta->told, place->root | 1ULL << 63, &at);
	rc = place_find(op, meta, place->root, "metadata", &again);
	if (rc < 0 || again.in_table || !again.has_row ||
	    again.row.kind != ENTRY_DIR)
		return rc;
	/* Only Iceberg's own files make a `metadata` the mark of a table. */
	rc = name_join(place->root_object, "metadata", object, sizeof(object));
	if (rc < 0)
		return op_fail(op, rc, "%s", place->root_object);
	query = (struct page_query){.dir_object = object};
	return look(op, meta, again.row.ino, &query, NULL, &all);
}

bool place_trusts(struct meta *meta, const struct row *row,
		  const struct class *class, bool pin)
{
	bool is_dir = row->kind == ENTRY_DIR;
	uint64_t age_ns = meta_age_ns(meta_told_us(meta, row));

	switch (class->freshness) {
	case FRESH_IMMUTABLE:
		if (row->site == SITE_RECORD)
			return true;
		break;
	case FRESH_STRICT:
		if (row->site != SITE_RECORD)
			return false;
		age_ns = meta_age_ns(told_get(meta->told, row->ino).listed_us);
		return age_ns < STRICT_LISTED_NS;
	case FRESH_BOUNDED:
		return age_ns < class->limit_ns;
	case FRESH_OPEN:
		break;
	}
	return (!pin || is_dir) && age_ns < class->limit_ns;
}

bool place_trusts_absence(struct meta *meta, const struct place *place,
			  const struct class *class)
{
	int64_t told_us;

	/*
	 * The kernel's LOOKUP does not say whether open(2) or stat(2) wants to
	 * know, and open asks the record.  Only `bounded` says that an answer
	 * may be old whoever asks.
	 */
	if (class->freshness != FRESH_BOUNDED)
		return false;
	told_us = told_absent_us(meta->told, place->dir, place->name);
	return meta_age_ns(told_us) < class->limit_ns ||
	       meta_age_ns(place->listed_us) < class->limit_ns;
}

static uint64_t valid_ns(uint64_t age_ns, const struct row *row,
			 const struct class *class)
{
	if (class->freshness == FRESH_STRICT)
		return 0;
	if (class->freshness == FRESH_IMMUTABLE && row->site == SITE_RECORD)
		return IMMUTABLE_VALID_NS;
	return age_ns < class->limit_ns ? class->limit_ns - age_ns : 0;
}

/* What only a replica has is pinned by all that is said of its content. */
static uint64_t orphan_generation(const struct row *row)
{
	uint64_t hash = hash_number(row->site + 1, row->size);

	hash = hash_number(hash, (uint64_t)row->mtime_ns);
	hash = hash_number(hash, row->has);
	if (row->has & HAS_CRC32C)
		hash = hash_number(hash, row->crc32c);
	for (unsigned i = 0; (row->has & HAS_MD5) && i < MD5_SIZE; i++)
		hash = hash_number(hash, row->md5[i]);
	return hash | ORPHAN_GENERATION;
}

void place_entry(struct meta *meta, const struct row *row, const char *object,
		 const struct class *class, struct entry *ret)
{
	int64_t told_us = meta_told_us(meta, row);
	const char *slash;

	memset(ret, 0, offsetof(struct entry, object));
	ret->ino = row->ino;
	ret->parent = row->parent;
	ret->kind = row->kind;
	ret->generation = row->site != SITE_RECORD && row->kind != ENTRY_DIR
				  ? orphan_generation(row)
				  : row->generation;
	ret->size = row->size;
	ret->mtime_ns = row->mtime_ns;
	ret->has = row->has;
	ret->crc32c = row->crc32c;
	memcpy(ret->md5, row->md5, MD5_SIZE);
	strcpy(ret->storage_class, row->storage_class);
	ret->class = class->freshness;
	ret->valid_ns = valid_ns(meta_age_ns(told_us), row, class);
	ret->told_ms = told_us / 1000;
	ret->replica = (int)row->site;
	snprintf(ret->object, sizeof(ret->object), "%s", object);
	slash = strrchr(ret->object, '/');
	ret->name = slash ? slash + 1 : ret->object;
}
