/*
 * A round goes QUEUED -> SENT -> BACK.  At most one round of a name is SENT and
 * at most one QUEUED.  The thread that made a round leads it: it waits until no
 * other is SENT, sends, and brings it BACK; the others only wait for that.  A
 * round is freed by the last who holds it.
 */
#include "meta/rounds.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "base/op.h"

enum state { QUEUED, SENT, BACK };

struct round {
	struct round *next;
	uint64_t dir;		      /* fixed */
	char name[META_NAME_MAX + 1]; /* fixed */
	enum state state;
	unsigned refs;
	int rc;
	char why[sizeof(((struct op *)0)->why)];
	struct answer answer;
};

/* Rounds are few (one for each thread at most), so a list will do. */
struct guarded {
	struct round *rounds;
	unsigned n_waiting;
};

struct rounds {
	struct mutex lock; /* RANK_META; never held while asking */
	struct cond moved; /* some round changed its state */
	struct guarded guarded;
};

static struct guarded *held(struct rounds *r) REQUIRES(r->lock)
{
	return &r->guarded;
}

int rounds_new(struct rounds **ret)
{
	struct rounds *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	mutex_init(&r->lock, RANK_META);
	cond_init(&r->moved);
	*ret = r;
	return 0;
}

void rounds_free(struct rounds *r)
{
	if (!r)
		return;
	assert(!r->guarded.rounds);
	cond_done(&r->moved);
	mutex_done(&r->lock);
	free(r);
}

static struct round *find(struct rounds *r, uint64_t dir, const char *name,
			  enum state state) REQUIRES(r->lock)
{
	struct round *round = held(r)->rounds;

	while (round && (round->state != state || round->dir != dir ||
			 strcmp(round->name, name) != 0))
		round = round->next;
	return round;
}

static struct round *queue(struct rounds *r, uint64_t dir, const char *name)
	REQUIRES(r->lock)
{
	struct round *round = calloc(1, sizeof(*round));

	if (!round)
		return NULL;
	round->dir = dir;
	strncpy(round->name, name, META_NAME_MAX);
	round->refs = 1;
	round->next = held(r)->rounds;
	held(r)->rounds = round;
	return round;
}

static void unref(struct rounds *r, struct round *round) REQUIRES(r->lock)
{
	struct round **link = &held(r)->rounds;

	if (--round->refs > 0)
		return;
	while (*link != round)
		link = &(*link)->next;
	*link = round->next;
	free(round);
}

static void bring_back(struct rounds *r, struct round *round, int rc)
	REQUIRES(r->lock)
{
	round->rc = rc;
	round->state = BACK;
	cond_wake_all(&r->moved);
}

/* A little sleep, or the reason why op sleeps no more. */
static int wait_a_while(struct rounds *r, struct op *op) REQUIRES(r->lock)
{
	int rc = op_expired(op);

	if (rc < 0)
		return rc;
	held(r)->n_waiting++;
	cond_wait(&r->moved, &r->lock, op_wake_ns(op));
	held(r)->n_waiting--;
	return 0;
}

static int lead(struct rounds *r, struct op *op, struct round *round,
		ask_fn *ask, void *arg) REQUIRES(r->lock)
{
	int rc = 0;

	while (rc == 0 && find(r, round->dir, round->name, SENT))
		rc = wait_a_while(r, op);
	if (rc < 0) {
		op_fail(op, rc, "waited for an ask about %s", round->name);
	} else {
		round->state = SENT;
		mutex_unlock(&r->lock);
		rc = ask(op, arg, &round->answer);
		mutex_lock(&r->lock);
	}
	if (rc < 0)
		memcpy(round->why, op->why, sizeof(round->why));
	bring_back(r, round, rc);
	return rc;
}

static bool is_private(int rc)
{
	return rc == -EINTR || rc == -ETIMEDOUT;
}

/* Returns 1 when this round was given up and another has to be found. */
static int follow(struct rounds *r, struct op *op, struct round *round)
	REQUIRES(r->lock)
{
	int rc = 0;

	while (rc == 0 && round->state != BACK)
		rc = wait_a_while(r, op);
	if (rc < 0) {
		/* Whoever gave up here heard nothing from the record. */
		return op_fail(op, rc, "waited for an ask about %s",
			       round->name);
	}
	if (is_private(round->rc) && op_expired(op) == 0)
		return 1;
	if (round->rc < 0 && round->why[0])
		op_fail(op, round->rc, "%s", round->why);
	return round->rc;
}

int rounds_ask(struct op *op, struct rounds *r, uint64_t dir, const char *name,
	       ask_fn *ask, void *arg, struct answer *ret)
{
	struct round *round;
	int rc;

	mutex_lock(&r->lock);
	do {
		bool leads = false;

		round = find(r, dir, name, QUEUED);
		if (round) {
			round->refs++;
		} else {
			round = queue(r, dir, name);
			leads = true;
		}
		if (!round) {
			mutex_unlock(&r->lock);
			return op_fail(op, -ENOMEM, "ask about %s", name);
		}
		rc = leads ? lead(r, op, round, ask, arg)
			   : follow(r, op, round);
		/* Until it is BACK the answer is its leader's, to write. */
		if (round->state == BACK)
			*ret = round->answer;
		/* Who never got as far as asking has no answer either. */
		ret->unanswered |= rc == -ETIMEDOUT;
		unref(r, round);
	} while (rc > 0);
	mutex_unlock(&r->lock);
	return rc;
}

unsigned rounds_waiting(struct rounds *r)
{
	unsigned n;

	mutex_lock(&r->lock);
	n = held(r)->n_waiting;
	mutex_unlock(&r->lock);
	return n;
}
