#include "sites/copies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/lock.h"

#define N_SETS 2048
#define N_WAYS 4

/* A refusal is old news soon: copiers bring thousands of objects a second. */
#define REFUSED_NS (3 * NS_PER_S)

struct slot {
	uint64_t key;	   /* 0: empty */
	uint64_t until_ns; /* COPY_REFUSED: asked again after that */
	uint64_t used;	   /* tick of the last use, for replacement */
	struct copy copy;
};

struct guarded {
	struct slot slots[N_SETS][N_WAYS];
	uint64_t tick;
};

struct copies {
	struct mutex lock; /* RANK_SITES */
	struct guarded guarded;
};

static struct guarded *held(struct copies *c) REQUIRES(c->lock)
{
	return &c->guarded;
}

/* See copies.h for why collisions are harmless. */
static uint64_t key_of(unsigned site, const struct object_ref *ref)
{
	uint64_t key = hash_number(site + 1, ref->generation);

	key = hash_text(key, ref->name);
	return key ? key : 1;
}

static struct slot *find(struct copies *c, uint64_t key) REQUIRES(c->lock)
{
	struct slot *set = held(c)->slots[key % N_SETS];

	for (int i = 0; i < N_WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

static uint64_t worth(const struct slot *s)
{
	return s->copy.state == COPY_QUARANTINED ? UINT64_MAX : s->used;
}

/* The key's slot, or the least worthy of its set, emptied. */
static struct slot *make(struct copies *c, uint64_t key) REQUIRES(c->lock)
{
	struct slot *set = held(c)->slots[key % N_SETS];
	struct slot *slot = find(c, key);

	if (!slot) {
		slot = &set[0];
		for (int i = 1; i < N_WAYS; i++)
			if (worth(&set[i]) < worth(slot))
				slot = &set[i];
		memset(slot, 0, sizeof(*slot));
		slot->key = key;
	}
	slot->used = ++held(c)->tick;
	return slot;
}

int copies_new(struct copies **ret)
{
	struct copies *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	mutex_init(&c->lock, RANK_SITES);
	*ret = c;
	return 0;
}

void copies_free(struct copies *c)
{
	if (!c)
		return;
	mutex_done(&c->lock);
	free(c);
}

void copies_get(struct copies *c, unsigned site, const struct object_ref *ref,
		struct copy *ret)
{
	struct slot *slot;

	memset(ret, 0, sizeof(*ret));
	mutex_lock(&c->lock);
	slot = find(c, key_of(site, ref));
	if (slot && !(slot->copy.state == COPY_REFUSED &&
		      clock_mono_ns() >= slot->until_ns)) {
		slot->used = ++held(c)->tick;
		*ret = slot->copy;
	}
	mutex_unlock(&c->lock);
}

void copies_prove(struct copies *c, unsigned site, const struct object_ref *ref,
		  enum proof proof, const char *validator)
{
	struct slot *slot;

	if (!validator || strlen(validator) >= VALIDATOR_MAX)
		return;
	mutex_lock(&c->lock);
	slot = make(c, key_of(site, ref));
	if (slot->copy.state != COPY_QUARANTINED) {
		slot->copy.state = COPY_PROVEN;
		slot->copy.proof = proof;
		snprintf(slot->copy.validator, VALIDATOR_MAX, "%s", validator);
	}
	mutex_unlock(&c->lock);
}

void copies_refuse(struct copies *c, unsigned site,
		   const struct object_ref *ref, enum refusal why)
{
	struct slot *slot;

	mutex_lock(&c->lock);
	slot = make(c, key_of(site, ref));
	if (slot->copy.state != COPY_QUARANTINED) {
		slot->copy.state = COPY_REFUSED;
		slot->copy.refusal = why;
		slot->until_ns = clock_mono_ns() + REFUSED_NS;
	}
	mutex_unlock(&c->lock);
}

void copies_quarantine(struct copies *c, unsigned site,
		       const struct object_ref *ref)
{
	struct slot *slot;

	mutex_lock(&c->lock);
	slot = make(c, key_of(site, ref));
	slot->copy.state = COPY_QUARANTINED;
	slot->copy.refusal = REFUSED_CORRUPT;
	mutex_unlock(&c->lock);
}

void copies_forget(struct copies *c, unsigned site,
		   const struct object_ref *ref)
{
	struct slot *slot;

	mutex_lock(&c->lock);
	slot = find(c, key_of(site, ref));
	if (slot && slot->copy.state != COPY_QUARANTINED)
		memset(slot, 0, sizeof(*slot));
	mutex_unlock(&c->lock);
}
