/*
 * A page is a walk over the rows from `lo` (inclusive) to `hi` (exclusive).
 * At a row that folds into a prefix the walk is begun again behind that
 * prefix, so a page costs one seek a prefix and not one step an object below
 * it.  `next` is always the place right behind what was given out.
 */
#include "serve/depot.h"

#include <errno.h>
#include <string.h>

#include "serve/depot_index.h"

struct walk {
	const struct depot_list *l;
	struct depot_place next; /* where the next step or page goes on */
	struct depot_place hi;
	size_t n_given;
};

static void place_set(struct depot_place *p, const void *name, size_t n)
{
	if (n > DEPOT_NAME_MAX + 1)
		n = DEPOT_NAME_MAX + 1;
	memcpy(p->name, name, n);
	p->n = n;
	p->generation = 0;
}

static int place_cmp(const struct depot_place *a, const struct depot_place *b)
{
	int rc = memcmp(a->name, b->name, a->n < b->n ? a->n : b->n);

	if (rc == 0)
		rc = (a->n > b->n) - (a->n < b->n);
	return rc;
}

/* Behind every name that begins with these bytes. */
static void place_behind(struct depot_place *p, const void *prefix, size_t n)
{
	place_set(p, prefix, n);
	while (p->n > 0 && p->name[p->n - 1] == 0xff)
		p->n--;
	if (p->n > 0) {
		p->name[p->n - 1]++;
		return;
	}
	/* Behind all names: none has that many bytes. */
	memset(p->name, 0xff, sizeof(p->name));
	p->n = sizeof(p->name);
}

static void walk_init(struct walk *w, const struct depot_list *l)
{
	struct depot_place other;

	w->l = l;
	w->n_given = 0;
	place_set(&w->next, l->prefix, strlen(l->prefix));
	place_set(&other, l->start, strlen(l->start));
	if (place_cmp(&other, &w->next) > 0)
		w->next = other;
	if (l->from && place_cmp(l->from, &w->next) >= 0)
		w->next = *l->from;
	place_behind(&w->hi, l->prefix, strlen(l->prefix));
	if (!*l->end)
		return;
	place_set(&other, l->end, strlen(l->end));
	if (place_cmp(&other, &w->hi) < 0)
		w->hi = other;
}

/* How many bytes of name are a common prefix; 0: the name is an item. */
static size_t fold_length(const struct depot_list *l, const char *name)
{
	const char *hit;

	if (!*l->delimiter)
		return 0;
	hit = strstr(name + strlen(l->prefix), l->delimiter);
	return hit ? (size_t)(hit - name) + strlen(l->delimiter) : 0;
}

static bool has_room(const struct walk *w, size_t n)
{
	return w->n_given == 0 || w->n_given + n <= w->l->max;
}

/* Behind this very row. */
static void pass_item(struct walk *w, const struct depot_object *o)
{
	place_set(&w->next, o->name, strlen(o->name));
	if (w->l->versions)
		w->next.generation = o->generation + 1;
	else
		w->next.name[w->next.n++] = '\0';
}

static bool give_item(struct walk *w, const struct depot_object *o)
{
	if (!has_room(w, 1))
		return false;
	w->l->item(w->l->ctx, o);
	w->n_given++;
	pass_item(w, o);
	return true;
}

static bool give_fold(struct walk *w, const struct depot_object *o, size_t n)
{
	bool both = w->l->trailing && o->name[n] == '\0';

	if (!has_room(w, both ? 2 : 1))
		return false;
	if (both) {
		w->l->item(w->l->ctx, o);
		w->n_given++;
	}
	w->l->fold(w->l->ctx, o->name, n);
	w->n_given++;
	place_behind(&w->next, o->name, n);
	return true;
}

enum step { STEP_END, STEP_FULL, STEP_AGAIN, STEP_FAILED };

/* Rows until the range ends, the page is full, or a prefix was folded. */
static enum step walk_rows(struct depot *s, struct walk *w) REQUIRES(s->lock)
{
	sqlite3_stmt *st =
		depot_stmt(s, w->l->versions ? DEPOT_LIST_ALL : DEPOT_LIST);
	struct depot_place lo = w->next;
	struct depot_object o;
	size_t n;
	int rc;

	if (!st)
		return STEP_FAILED;
	depot_bind_name(st, w->l->bucket, lo.name, lo.n);
	sqlite3_bind_blob(st, 3, w->hi.name, (int)w->hi.n, SQLITE_STATIC);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		depot_row(st, &o);
		if (o.generation < lo.generation && strlen(o.name) == lo.n &&
		    memcmp(o.name, lo.name, lo.n) == 0)
			continue;
		n = fold_length(w->l, o.name);
		if (n > 0)
			return give_fold(w, &o, n) ? STEP_AGAIN : STEP_FULL;
		if (!give_item(w, &o))
			return STEP_FULL;
	}
	return rc == SQLITE_DONE ? STEP_END : STEP_FAILED;
}

int depot_list(struct depot *s, const struct depot_list *l,
	       struct depot_place *ret_next)
{
	struct depot_rules rules;
	struct walk w;
	enum step step = STEP_AGAIN;
	int rc;

	walk_init(&w, l);
	mutex_lock(&s->lock);
	rc = depot_rules(s, l->bucket, &rules);
	if (rc == 0) {
		while (step == STEP_AGAIN)
			step = walk_rows(s, &w);
		/* An open statement would keep the log from being folded in. */
		depot_stmt(s, l->versions ? DEPOT_LIST_ALL : DEPOT_LIST);
	}
	mutex_unlock(&s->lock);
	if (rc < 0)
		return rc;
	if (step == STEP_FAILED)
		return -EIO;
	if (step == STEP_END)
		return 0;
	*ret_next = w.next;
	return 1;
}
