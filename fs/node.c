#include "fs/node.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/hash.h"
#include "base/lock.h"

/*
 * Two tables over the same nodes: by id, which is what the kernel says, and by
 * (ino, generation), which is what an entry is.  A third, by (directory, hash
 * of the name), tells whether the kernel holds a name at all; it finds one of
 * the nodes of a name, which is enough to tell the kernel to look again.
 */

struct identity {
	uint64_t ino;
	uint64_t generation; /* 0 for directories: they have none */
};

struct place {
	uint64_t parent;
	uint64_t name_hash;
};

struct node {
	uint64_t id;
	struct identity identity;
	struct place place;
	uint64_t n_lookups;
	uint64_t size;
	int64_t mtime_ns;
	unsigned char kind;
	bool is_place; /* this node stands in by_place */
	UT_hash_handle by_id;
	UT_hash_handle by_identity;
	UT_hash_handle by_place;
	char name[];
};

#define N_SERVED 4096

struct served {
	uint64_t generation; /* 0: empty */
	int site;
};

struct guarded {
	struct served served[N_SERVED];
	struct node *by_id;
	struct node *by_identity;
	struct node *by_place;
	uint64_t last_id;
};

struct nodes {
	struct mutex lock; /* RANK_FS */
	struct guarded guarded;
};

static struct guarded *held(struct nodes *t) REQUIRES(t->lock)
{
	return &t->guarded;
}

static struct place place_of(uint64_t parent, const char *name)
{
	return (struct place){.parent = parent,
			      .name_hash = hash_text(1, name)};
}

static struct node *find_id(struct nodes *t, uint64_t id) REQUIRES(t->lock)
{
	struct node *node;

	HASH_FIND(by_id, held(t)->by_id, &id, sizeof(id), node);
	return node;
}

static struct node *find_identity(struct nodes *t,
				  const struct identity *identity)
	REQUIRES(t->lock)
{
	struct node *node;

	HASH_FIND(by_identity, held(t)->by_identity, identity,
		  sizeof(*identity), node);
	return node;
}

static struct node *find_place(struct nodes *t, const struct place *place)
	REQUIRES(t->lock)
{
	struct node *node;

	HASH_FIND(by_place, held(t)->by_place, place, sizeof(*place), node);
	return node;
}

static void take_place(struct nodes *t, struct node *node) REQUIRES(t->lock)
{
	struct node *old = find_place(t, &node->place);

	if (old) {
		HASH_DELETE(by_place, held(t)->by_place, old);
		old->is_place = false;
	}
	HASH_ADD(by_place, held(t)->by_place, place, sizeof(node->place), node);
	node->is_place = true;
}

static struct identity identity_of(const struct entry *entry)
{
	return (struct identity){
		.ino = entry->ino,
		.generation = entry->kind == ENTRY_DIR ? 0 : entry->generation,
	};
}

static struct node *make(struct nodes *t, const struct entry *entry)
	REQUIRES(t->lock)
{
	size_t n = strlen(entry->name) + 1;
	struct node *node = calloc(1, sizeof(*node) + n);

	if (!node)
		return NULL;
	memcpy(node->name, entry->name, n);
	node->id = ++held(t)->last_id;
	node->identity = identity_of(entry);
	node->place = place_of(entry->parent, entry->name);
	node->kind = (unsigned char)entry->kind;
	HASH_ADD(by_id, held(t)->by_id, id, sizeof(node->id), node);
	HASH_ADD(by_identity, held(t)->by_identity, identity,
		 sizeof(node->identity), node);
	return node;
}

static void drop(struct nodes *t, struct node *node) REQUIRES(t->lock)
{
	HASH_DELETE(by_id, held(t)->by_id, node);
	HASH_DELETE(by_identity, held(t)->by_identity, node);
	if (node->is_place)
		HASH_DELETE(by_place, held(t)->by_place, node);
	free(node);
}

int nodes_new(struct nodes **ret)
{
	struct entry root = {.ino = META_ROOT,
			     .parent = META_ROOT,
			     .kind = ENTRY_DIR,
			     .name = ""};
	struct nodes *t = calloc(1, sizeof(*t));
	uint64_t id;

	if (!t)
		return -ENOMEM;
	mutex_init(&t->lock, RANK_FS);
	id = node_get(t, &root); /* FUSE_ROOT_ID; the kernel never forgets it */
	assert(id == 1);
	(void)id;
	*ret = t;
	return 0;
}

void nodes_free(struct nodes *t)
{
	struct node *node, *next;

	if (!t)
		return;
	for (node = t->guarded.by_id; node; node = next) {
		next = node->by_id.next;
		HASH_DELETE(by_identity, t->guarded.by_identity, node);
		if (node->is_place)
			HASH_DELETE(by_place, t->guarded.by_place, node);
		HASH_DELETE(by_id, t->guarded.by_id, node);
		free(node);
	}
	mutex_done(&t->lock);
	free(t);
}

uint64_t node_get(struct nodes *t, const struct entry *entry)
{
	struct identity identity = identity_of(entry);
	struct node *node;
	uint64_t id = 0;

	mutex_lock(&t->lock);
	node = find_identity(t, &identity);
	if (!node)
		node = make(t, entry);
	if (node) {
		node->n_lookups++;
		node->size = entry->size;
		node->mtime_ns = entry->mtime_ns;
		if (!node->is_place)
			take_place(t, node);
		id = node->id;
	}
	mutex_unlock(&t->lock);
	return id;
}

void node_forget(struct nodes *t, uint64_t id, uint64_t n)
{
	struct node *node;

	mutex_lock(&t->lock);
	node = find_id(t, id);
	if (node && id != 1) {
		assert(node->n_lookups >= n);
		node->n_lookups -= n;
		if (node->n_lookups == 0)
			drop(t, node);
	}
	mutex_unlock(&t->lock);
}

static struct served *served_slot(struct nodes *t, uint64_t generation)
	REQUIRES(t->lock)
{
	return &held(t)->served[hash_number(1, generation) % N_SERVED];
}

static int served_by(struct nodes *t, uint64_t generation) REQUIRES(t->lock)
{
	const struct served *slot = served_slot(t, generation);

	return generation && slot->generation == generation ? slot->site : -1;
}

bool node_view(struct nodes *t, uint64_t id, struct node_view *ret)
{
	struct node *node;

	mutex_lock(&t->lock);
	node = find_id(t, id);
	if (node) {
		ret->id = id;
		ret->ino = node->identity.ino;
		ret->generation = node->identity.generation;
		ret->parent = node->place.parent;
		ret->kind = (enum entry_kind)node->kind;
		ret->size = node->size;
		ret->mtime_ns = node->mtime_ns;
		ret->site = served_by(t, ret->generation);
		strncpy(ret->name, node->name, META_NAME_MAX);
		ret->name[META_NAME_MAX] = '\0';
	}
	mutex_unlock(&t->lock);
	return node != NULL;
}

uint64_t node_dir(struct nodes *t, uint64_t id)
{
	struct node *node;
	uint64_t ino = 0;

	mutex_lock(&t->lock);
	node = find_id(t, id);
	if (node && node->kind == ENTRY_DIR)
		ino = node->identity.ino;
	mutex_unlock(&t->lock);
	return ino;
}

void node_served_by(struct nodes *t, uint64_t generation, int site)
{
	struct served *slot;

	mutex_lock(&t->lock);
	slot = served_slot(t, generation);
	slot->generation = generation;
	slot->site = site;
	mutex_unlock(&t->lock);
}

uint64_t node_holder(struct nodes *t, uint64_t parent, const char *name)
{
	struct place place = place_of(parent, name);
	struct identity dir = {.ino = parent};
	struct node *node;
	uint64_t id = 0;

	mutex_lock(&t->lock);
	if (find_place(t, &place)) {
		node = find_identity(t, &dir);
		id = node ? node->id : 0;
	}
	mutex_unlock(&t->lock);
	return id;
}

void node_each_of(struct nodes *t, uint64_t generation,
		  void (*each)(void *arg, uint64_t id), void *arg)
{
	struct node *node;

	mutex_lock(&t->lock);
	for (node = held(t)->by_id; node; node = node->by_id.next)
		if (node->identity.generation == generation)
			each(arg, node->id);
	mutex_unlock(&t->lock);
}

unsigned node_count(struct nodes *t)
{
	unsigned n;

	mutex_lock(&t->lock);
	n = HASH_CNT(by_id, held(t)->by_id);
	mutex_unlock(&t->lock);
	return n;
}
