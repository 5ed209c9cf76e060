/*
 * Where a name stands, and how fresh its class wants it.
 *
 * A place is all that the catalogue says about a name before anybody is asked,
 * read in one go: its object, its row, its directory's listing, and whether the
 * directories above make it a table's.
 *
 * Classes (design, section 3): the user's rules first.  Then strict, for what
 * is under `_delta_log`, `.hoodie`, or a `metadata` that is not known to be
 * something else than Iceberg's; immutable, for data files in a table that is
 * recognised; open for the rest.  A directory is never immutable.
 *
 * Threads: any, with no lock held.
 */
#ifndef LAKEFUSE_META_PLACE_H
#define LAKEFUSE_META_PLACE_H

#include "meta/inside.h"

struct place {
	uint64_t dir;
	char name[META_NAME_MAX + 1]; /* "" for the directory itself */
	char dir_object[OBJECT_NAME_MAX + 2];
	char object[OBJECT_NAME_MAX + 2];
	bool has_row;
	struct row row;
	int64_t listed_us; /* of the directory; 0: never */
	bool strict;	   /* by the presets */
	bool in_table;
	int64_t marked_us; /* in_table: when the mark was told last */
	uint64_t root;	   /* its table's directory, or what would be */
	char root_object[OBJECT_NAME_MAX + 2];
};

/*
 * The place of a name, or with name NULL of the directory's own listing.
 * -ENOENT when there is no such directory; -ENAMETOOLONG.
 */
int place_find(struct op *op, struct meta *meta, uint64_t dir, const char *name,
	       struct place *ret);

struct class
{
	enum freshness freshness;
	uint64_t limit_ns; /* how old an answer may be; bounded and open */
};

/* The class of an object in the place's directory. */
struct class place_class(const struct meta *meta, const struct place *place,
			 const char *object, bool is_dir);

/*
 * Could it be immutable if we only knew its table, or is the table's mark an old
 * story?  Then the table's root is worth a look (place_learn), now and then.
 */
bool place_unlearned(struct meta *meta, const struct place *place);

/*
 * Looks for a table's marks at place->root; then place_find() knows.  When this
 * fails, a mark that was known is believed on, and others look for it later.
 */
int place_learn(struct op *op, struct meta *meta, const struct place *place);

/* May the row be repeated without asking?  pin: for an open. */
bool place_trusts(struct meta *meta, const struct row *row,
		  const struct class *class, bool pin);

/* May its absence? */
bool place_trusts_absence(struct meta *meta, const struct place *place,
			  const struct class *class);

/* What a row means to the caller. */
void place_entry(struct meta *meta, const struct row *row, const char *object,
		 const struct class *class, struct entry *ret);

#endif
