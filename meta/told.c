#include "meta/told.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/lock.h"
#include "meta/inside.h"

enum { N_WAYS = 4, N_SETS = 16384, N_ABSENT_SETS = 4096 };

struct slot {
	uint64_t ino;
	struct told_times at;
};

struct absent {
	uint64_t dir;
	char *name; /* NULL: free */
	int64_t told_us;
};

struct guarded {
	struct slot slots[N_SETS][N_WAYS];
	struct absent absent[N_ABSENT_SETS][N_WAYS];
};

struct told {
	struct mutex lock; /* RANK_BASE: a leaf */
	struct guarded guarded;
};

static struct guarded *held(struct told *t) REQUIRES(t->lock)
{
	return &t->guarded;
}

int told_new(struct told **ret)
{
	struct told *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	mutex_init(&t->lock, RANK_BASE);
	*ret = t;
	return 0;
}

void told_free(struct told *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < N_ABSENT_SETS * N_WAYS; i++)
		free(t->guarded.absent[i / N_WAYS][i % N_WAYS].name);
	mutex_done(&t->lock);
	free(t);
}

static struct slot *find_slot(struct told *t, uint64_t ino) REQUIRES(t->lock)
{
	struct slot *set = held(t)->slots[hash_number(1, ino) % N_SETS];

	for (unsigned i = 0; i < N_WAYS; i++)
		if (set[i].ino == ino)
			return &set[i];
	return NULL;
}

static struct slot *take_slot(struct told *t, uint64_t ino) REQUIRES(t->lock)
{
	struct slot *set = held(t)->slots[hash_number(1, ino) % N_SETS];
	struct slot *oldest = set;

	for (unsigned i = 1; i < N_WAYS; i++)
		if (set[i].at.told_us < oldest->at.told_us)
			oldest = &set[i];
	*oldest = (struct slot){.ino = ino};
	return oldest;
}

/* The newest counts, but not for ever when the clock has been set back. */
static void forward(int64_t *at_us, int64_t to_us)
{
	if (to_us > *at_us || (to_us && meta_age_ns(*at_us) == UINT64_MAX))
		*at_us = to_us;
}

void told_touch(struct told *t, uint64_t ino, const struct told_times *at)
{
	struct slot *slot;

	mutex_lock(&t->lock);
	slot = find_slot(t, ino);
	if (!slot)
		slot = take_slot(t, ino);
	forward(&slot->at.told_us, at->told_us);
	forward(&slot->at.listed_us, at->listed_us);
	mutex_unlock(&t->lock);
}

struct told_times told_get(struct told *t, uint64_t ino)
{
	struct told_times at = {.told_us = 0};
	struct slot *slot;

	mutex_lock(&t->lock);
	slot = find_slot(t, ino);
	if (slot)
		at = slot->at;
	mutex_unlock(&t->lock);
	return at;
}

static struct absent *absent_set(struct told *t, uint64_t dir, const char *name)
	REQUIRES(t->lock)
{
	uint64_t hash = hash_text(hash_number(1, dir), name);

	return held(t)->absent[hash % N_ABSENT_SETS];
}

static struct absent *find_absent(struct absent *set, uint64_t dir,
				  const char *name)
{
	for (unsigned i = 0; i < N_WAYS; i++)
		if (set[i].name && set[i].dir == dir &&
		    strcmp(set[i].name, name) == 0)
			return &set[i];
	return NULL;
}

void told_absent(struct told *t, uint64_t dir, const char *name,
		 int64_t told_us)
{
	struct absent *set, *slot;

	mutex_lock(&t->lock);
	set = absent_set(t, dir, name);
	slot = find_absent(set, dir, name);
	if (!slot) {
		slot = set;
		for (unsigned i = 1; i < N_WAYS; i++)
			if (set[i].told_us < slot->told_us)
				slot = &set[i];
		free(slot->name);
		slot->dir = dir;
		slot->name = strdup(name);
		slot->told_us = 0;
	}
	forward(&slot->told_us, told_us);
	mutex_unlock(&t->lock);
}

int64_t told_absent_us(struct told *t, uint64_t dir, const char *name)
{
	struct absent *slot;
	int64_t told_us;

	mutex_lock(&t->lock);
	slot = find_absent(absent_set(t, dir, name), dir, name);
	told_us = slot ? slot->told_us : 0;
	mutex_unlock(&t->lock);
	return told_us;
}
