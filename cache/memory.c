#include "cache/memory.h"

#include <assert.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "cache/cache.h"

_Static_assert((CACHE_BLOCK << (MEMORY_CLASSES - 1)) == FETCH_MAX, "classes");

static unsigned class_of(size_t size)
{
	unsigned class = 0;

	assert(size <= FETCH_MAX);
	while (((size_t)CACHE_BLOCK << class) < size)
		class ++;
	return class;
}

static size_t class_size(unsigned class)
{
	return (size_t)CACHE_BLOCK << class;
}

size_t memory_room(size_t size)
{
	return class_size(class_of(size));
}

/* A free buffer's first bytes are the list's link. */
static void *pop(struct memory *m, unsigned class)
{
	void **buf = m->free_lists[class];

	if (!buf)
		return NULL;
	m->free_lists[class] = *buf;
	m->kept -= class_size(class);
	return buf;
}

static void trim_to(struct memory *m, uint64_t kept)
{
	for (unsigned class = MEMORY_CLASSES; class -- > 0;) {
		while (m->kept > kept && m->free_lists[class])
			munmap(pop(m, class), class_size(class));
	}
}

void *memory_get(struct memory *m, size_t size)
{
	unsigned class = class_of(size);
	size_t room = class_size(class);
	void *buf;

	if (m->used + room > m->limit)
		return NULL;
	buf = pop(m, class);
	if (!buf) {
		trim_to(m, m->limit - m->used - room);
		buf = mmap(NULL, room, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (buf == MAP_FAILED)
			return NULL;
	}
	m->used += room;
	return buf;
}

void memory_put(struct memory *m, void *buf, size_t size)
{
	unsigned class = class_of(size);

	m->used -= class_size(class);
	m->kept += class_size(class);
	*(void **)buf = m->free_lists[class];
	m->free_lists[class] = buf;
}

void memory_trim(struct memory *m)
{
	trim_to(m, 0);
}
