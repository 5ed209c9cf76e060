#include "sites/prober.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/op.h"
#include "sites/lake.h"

#define ROUND_NS (2 * NS_PER_S)
#define PROBE_NS (3 * NS_PER_S)
#define OLD_NS (20 * NS_PER_S)

struct guarded {
	bool stopping;
};

struct prober {
	struct mutex lock; /* RANK_SITES + 2 */
	struct guarded guarded;
	struct cond wake;
	struct op op; /* cancelled to stop a probe under way */
	struct lake *lake;
	pthread_t thread;
	uint64_t n_asked_before; /* the prober thread's */
};

static struct guarded *held(struct prober *p) REQUIRES(p->lock)
{
	return &p->guarded;
}

static void probe(struct prober *p, struct lake_site *s)
{
	uint64_t start_ns = clock_mono_ns();
	struct op op;
	int rc;

	op_child(&op, &p->op, PROBE_NS);
	metric_add(METRIC_REPLICA_REQUESTS, 1);
	rc = s->site->ops->check(&op, s->site);
	if (rc == 0)
		health_probed(&s->health, clock_mono_ns() - start_ns);
	else if (rc != -EINTR)
		health_bad(&s->health, op.why);
}

/* Never measured, or broken and due, or passed over since it was slow. */
static bool wants_probe(struct lake_site *s, bool in_use)
{
	struct health_state state;

	health_get(&s->health, &state);
	if (state.retry_ns)
		return in_use && health_allows(&s->health);
	if (!state.measured_ns)
		return true;
	return in_use && clock_mono_ns() - state.measured_ns > OLD_NS;
}

static bool is_in_use(struct prober *p)
{
	uint64_t n = metric_get(METRIC_READS) + metric_get(METRIC_META_ASKS);
	bool in_use = n != p->n_asked_before;

	p->n_asked_before = n;
	return in_use;
}

static bool pause_round(struct prober *p)
{
	uint64_t until_ns = clock_mono_ns() + ROUND_NS;
	bool go_on;
	int rc = 0;

	mutex_lock(&p->lock);
	while (!held(p)->stopping && rc == 0)
		rc = cond_wait(&p->wake, &p->lock, until_ns);
	go_on = !held(p)->stopping;
	mutex_unlock(&p->lock);
	return go_on;
}

static void *run(void *arg)
{
	struct prober *p = arg;

	pthread_setname_np(pthread_self(), "lf-prober");
	do {
		bool in_use = is_in_use(p);

		for (unsigned i = 1; i < p->lake->n_sites; i++)
			if (wants_probe(&p->lake->sites[i], in_use))
				probe(p, &p->lake->sites[i]);
	} while (pause_round(p));
	return NULL;
}

int prober_start(struct op *op, struct lake *lake, struct prober **ret)
{
	struct prober *p;

	*ret = NULL;
	if (lake->n_sites < 2)
		return 0;
	p = calloc(1, sizeof(*p));
	if (!p)
		return op_fail(op, -ENOMEM, "no memory for the prober");
	mutex_init(&p->lock, RANK_SITES + 2);
	cond_init(&p->wake);
	op_init(&p->op, 0);
	p->lake = lake;
	if (pthread_create(&p->thread, NULL, run, p) != 0) {
		cond_done(&p->wake);
		mutex_done(&p->lock);
		free(p);
		return op_fail(op, -EAGAIN, "can't start a thread");
	}
	*ret = p;
	return 0;
}

void prober_stop(struct prober *p)
{
	if (!p)
		return;
	op_cancel(&p->op);
	mutex_lock(&p->lock);
	held(p)->stopping = true;
	cond_wake_all(&p->wake);
	mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	cond_done(&p->wake);
	mutex_done(&p->lock);
	free(p);
}
