#include "fs/notify.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/lock.h"
#include "base/metrics.h"
#include "fs/node.h"
#include "fs/tree.h"

struct news {
	struct news *next;
	uint64_t parent;  /* notify_name: the directory's ino */
	uint64_t node_id; /* notify_pages */
	char name[];
};

struct guarded {
	struct news *first;
	struct news **last;
	bool stopping;
};

struct notifier {
	struct mutex lock; /* RANK_BASE: a leaf, taken under anything */
	struct guarded guarded;
	struct cond wake;
	struct tree *tree;
	pthread_t thread;
	bool stopped; /* and joined; the owner's */
};

static struct guarded *held(struct notifier *n) REQUIRES(n->lock)
{
	return &n->guarded;
}

static void tell(struct notifier *n, const struct news *news)
{
	uint64_t dir;

	if (!n->tree->session)
		return;
	if (news->node_id) {
		fuse_lowlevel_notify_inval_inode(n->tree->session,
						 news->node_id, 0, 0);
		return;
	}
	dir = node_holder(n->tree->nodes, news->parent, news->name);
	if (!dir)
		return;
	metric_add(METRIC_INVALIDATIONS, 1);
	fuse_lowlevel_notify_inval_entry(n->tree->session, dir, news->name,
					 strlen(news->name));
}

static struct news *next_news(struct notifier *n)
{
	struct news *news;

	mutex_lock(&n->lock);
	while (!held(n)->first && !held(n)->stopping)
		cond_wait(&n->wake, &n->lock, 0);
	news = held(n)->stopping ? NULL : held(n)->first;
	if (news) {
		held(n)->first = news->next;
		if (!held(n)->first)
			held(n)->last = &held(n)->first;
	}
	mutex_unlock(&n->lock);
	return news;
}

static void *run(void *arg)
{
	struct notifier *n = arg;
	struct news *news;

	pthread_setname_np(pthread_self(), "lf-notify");
	while ((news = next_news(n))) {
		tell(n, news);
		free(news);
	}
	return NULL;
}

int notifier_new(struct tree *tree, struct notifier **ret)
{
	struct notifier *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	mutex_init(&n->lock, RANK_BASE);
	cond_init(&n->wake);
	n->guarded.last = &n->guarded.first;
	n->tree = tree;
	if (pthread_create(&n->thread, NULL, run, n) != 0) {
		cond_done(&n->wake);
		mutex_done(&n->lock);
		free(n);
		return -EAGAIN;
	}
	*ret = n;
	return 0;
}

bool notifier_stop(struct notifier *n, unsigned timeout_ms)
{
	struct timespec until;

	if (n->stopped)
		return true;
	mutex_lock(&n->lock);
	held(n)->stopping = true;
	cond_wake_all(&n->wake);
	mutex_unlock(&n->lock);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	n->stopped = pthread_clockjoin_np(n->thread, NULL, CLOCK_MONOTONIC,
					  &until) == 0;
	return n->stopped;
}

void notifier_free(struct notifier *n)
{
	struct news *news;

	if (!n)
		return;
	notifier_stop(n, 60000);
	while ((news = n->guarded.first)) {
		n->guarded.first = news->next;
		free(news);
	}
	cond_done(&n->wake);
	mutex_done(&n->lock);
	free(n);
}

/*
 * Without memory for the news the kernel keeps what it has until its own
 * time-out, which no class makes longer than the promise of the class.
 */
static void queue(struct notifier *n, uint64_t parent, uint64_t node_id,
		  const char *name)
{
	size_t size = strlen(name) + 1;
	struct news *news = malloc(sizeof(*news) + size);

	if (!news)
		return;
	news->next = NULL;
	news->parent = parent;
	news->node_id = node_id;
	memcpy(news->name, name, size);
	mutex_lock(&n->lock);
	*held(n)->last = news;
	held(n)->last = &news->next;
	cond_wake_one(&n->wake);
	mutex_unlock(&n->lock);
}

void notify_name(struct notifier *n, uint64_t parent, const char *name)
{
	queue(n, parent, 0, name);
}

void notify_pages(struct notifier *n, uint64_t node_id)
{
	queue(n, 0, node_id, "");
}
