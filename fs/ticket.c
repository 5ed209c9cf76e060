#include "fs/ticket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "meta/meta.h"

/* Threads that share a slot cost each other a request now and then. */
#define N_TICKETS 128

/* From one call of an open(2) to the next, on a busy machine. */
#define TICKET_NS (200 * NS_PER_MS)

struct ticket {
	pid_t thread; /* 0: none */
	enum ticket_kind kind;
	uint64_t until_ns;
	struct entry entry;
};

/* A lookup that ended with its deadline. */
struct loss {
	pid_t thread; /* 0: none */
	uint64_t dir;
	uint64_t until_ns;
	char name[META_NAME_MAX + 1];
};

struct guarded {
	struct ticket slots[N_TICKETS];
	struct loss losses[N_TICKETS];
};

struct tickets {
	struct mutex lock; /* RANK_FS + 3 */
	struct guarded guarded;
};

static struct ticket *slot_of(struct tickets *t, pid_t thread) REQUIRES(t->lock)
{
	return &t->guarded.slots[(unsigned)thread % N_TICKETS];
}

int tickets_new(struct tickets **ret)
{
	struct tickets *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	mutex_init(&t->lock, RANK_FS + 3);
	*ret = t;
	return 0;
}

void tickets_free(struct tickets *t)
{
	if (!t)
		return;
	mutex_done(&t->lock);
	free(t);
}

void ticket_give(struct tickets *t, pid_t thread, enum ticket_kind kind,
		 const struct entry *entry)
{
	struct ticket *slot;

	mutex_lock(&t->lock);
	slot = slot_of(t, thread);
	slot->thread = thread;
	slot->kind = kind;
	slot->until_ns = clock_mono_ns() + TICKET_NS;
	entry_copy(&slot->entry, entry);
	mutex_unlock(&t->lock);
}

void ticket_void(struct tickets *t, pid_t thread, uint64_t ino)
{
	struct ticket *slot;

	mutex_lock(&t->lock);
	slot = slot_of(t, thread);
	if (slot->thread == thread && slot->entry.ino == ino &&
	    slot->kind == TICKET_OF_LOOKUP)
		slot->thread = 0;
	mutex_unlock(&t->lock);
}

bool ticket_take(struct tickets *t, pid_t thread, uint64_t ino,
		 uint64_t generation, struct entry *ret)
{
	struct ticket *slot;
	bool good;

	mutex_lock(&t->lock);
	slot = slot_of(t, thread);
	good = slot->thread == thread && thread != 0 &&
	       clock_mono_ns() < slot->until_ns && slot->entry.ino == ino &&
	       slot->entry.generation == generation;
	if (good) {
		entry_copy(ret, &slot->entry);
		slot->thread = 0;
	}
	mutex_unlock(&t->lock);
	return good;
}

static struct loss *loss_of(struct tickets *t, pid_t thread) REQUIRES(t->lock)
{
	return &t->guarded.losses[(unsigned)thread % N_TICKETS];
}

void ticket_lost(struct tickets *t, pid_t thread, uint64_t dir,
		 const char *name)
{
	struct loss *loss;

	mutex_lock(&t->lock);
	loss = loss_of(t, thread);
	loss->thread = thread;
	loss->dir = dir;
	loss->until_ns = clock_mono_ns() + TICKET_NS;
	snprintf(loss->name, sizeof(loss->name), "%s", name);
	mutex_unlock(&t->lock);
}

bool ticket_was_lost(struct tickets *t, pid_t thread, uint64_t dir,
		     const char *name)
{
	struct loss *loss;
	bool lost;

	mutex_lock(&t->lock);
	loss = loss_of(t, thread);
	lost = loss->thread == thread && thread != 0 && loss->dir == dir &&
	       clock_mono_ns() < loss->until_ns &&
	       strcmp(loss->name, name) == 0;
	if (lost)
		loss->thread = 0;
	mutex_unlock(&t->lock);
	return lost;
}
