#include "fs/handles.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/lock.h"

struct guarded {
	struct handle *open;
};

struct handles {
	struct mutex lock; /* RANK_FS + 4 */
	struct guarded guarded;
};

static struct guarded *held(struct handles *hs) REQUIRES(hs->lock)
{
	return &hs->guarded;
}

int handles_new(struct handles **ret)
{
	struct handles *hs = calloc(1, sizeof(*hs));

	if (!hs)
		return -ENOMEM;
	mutex_init(&hs->lock, RANK_FS + 4);
	*ret = hs;
	return 0;
}

void handles_free(struct handles *hs)
{
	struct handle *h;

	if (!hs)
		return;
	while ((h = hs->guarded.open)) {
		DL_DELETE(hs->guarded.open, h);
		h->drop(h);
	}
	mutex_done(&hs->lock);
	free(hs);
}

void handles_add(struct handles *hs, struct handle *h,
		 void (*drop)(struct handle *handle))
{
	h->drop = drop;
	mutex_lock(&hs->lock);
	DL_APPEND(held(hs)->open, h);
	mutex_unlock(&hs->lock);
}

void handles_remove(struct handles *hs, struct handle *h)
{
	mutex_lock(&hs->lock);
	DL_DELETE(held(hs)->open, h);
	mutex_unlock(&hs->lock);
}
