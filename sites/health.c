#include "sites/health.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define BAD_IN_A_ROW 3
#define PAUSE_MIN_NS NS_PER_S
#define PAUSE_MAX_NS (30 * NS_PER_S)

static struct health_state *held(struct health *h) REQUIRES(h->lock)
{
	return &h->state;
}

void health_init(struct health *h, uint64_t prior_ns)
{
	memset(h, 0, sizeof(*h));
	mutex_init(&h->lock, RANK_SITES + 1);
	h->prior_ns = prior_ns;
}

void health_done(struct health *h)
{
	mutex_done(&h->lock);
}

bool health_allows(struct health *h)
{
	struct health_state *s;
	bool allowed = true;
	uint64_t now_ns = clock_mono_ns();

	mutex_lock(&h->lock);
	s = held(h);
	if (s->retry_ns) {
		allowed = now_ns >= s->retry_ns;
		if (allowed) { /* the next one waits for this one's fate */
			s->retry_ns = now_ns + s->pause_ns;
			s->probing = true;
		}
	}
	mutex_unlock(&h->lock);
	return allowed;
}

bool health_is_broken(struct health *h)
{
	bool broken;

	mutex_lock(&h->lock);
	broken = held(h)->retry_ns != 0;
	mutex_unlock(&h->lock);
	return broken;
}

static void smooth(struct health_state *s, uint64_t latency_ns)
{
	if (latency_ns == 0)
		return;
	if (s->latency_ns == 0)
		s->latency_ns = latency_ns;
	else
		s->latency_ns += (latency_ns >> 3) - (s->latency_ns >> 3);
	s->measured_ns = clock_mono_ns();
}

void health_good(struct health *h, uint64_t latency_ns, uint64_t n_bytes)
{
	struct health_state *s;

	mutex_lock(&h->lock);
	s = held(h);
	s->n_requests++;
	s->n_bad = 0;
	s->retry_ns = 0;
	s->pause_ns = 0;
	s->probing = false;
	s->read_bytes += n_bytes;
	smooth(s, latency_ns);
	mutex_unlock(&h->lock);
}

static void note_error(struct health_state *s, const char *why)
{
	snprintf(s->last_error, sizeof(s->last_error), "%s", why);
	s->last_error_ms = clock_wall_ms();
}

void health_denied(struct health *h, const char *why)
{
	health_good(h, 0, 0);
	mutex_lock(&h->lock);
	held(h)->n_failures++;
	note_error(held(h), why);
	mutex_unlock(&h->lock);
}

void health_probed(struct health *h, uint64_t latency_ns)
{
	struct health_state *s;

	mutex_lock(&h->lock);
	s = held(h);
	s->n_requests++;
	if (s->retry_ns)
		s->n_bad = BAD_IN_A_ROW - 1;
	s->retry_ns = 0;
	s->probing = false;
	smooth(s, latency_ns);
	mutex_unlock(&h->lock);
}

static void open_breaker(struct health_state *s)
{
	s->pause_ns = s->pause_ns ? s->pause_ns * 2 : PAUSE_MIN_NS;
	if (s->pause_ns > PAUSE_MAX_NS)
		s->pause_ns = PAUSE_MAX_NS;
	s->retry_ns = clock_mono_ns() + s->pause_ns;
	s->probing = false;
}

void health_bad(struct health *h, const char *why)
{
	struct health_state *s;

	mutex_lock(&h->lock);
	s = held(h);
	s->n_requests++;
	s->n_failures++;
	s->n_bad++;
	note_error(s, why);
	/* Requests that were under way when it opened don't lengthen it. */
	if (s->n_bad >= BAD_IN_A_ROW && (!s->retry_ns || s->probing))
		open_breaker(s);
	mutex_unlock(&h->lock);
}

void health_refused(struct health *h, enum refusal why)
{
	mutex_lock(&h->lock);
	held(h)->refused[why]++;
	mutex_unlock(&h->lock);
}

uint64_t health_latency_ns(struct health *h)
{
	uint64_t ns;

	mutex_lock(&h->lock);
	ns = held(h)->latency_ns ? held(h)->latency_ns : h->prior_ns;
	mutex_unlock(&h->lock);
	return ns;
}

void health_get(struct health *h, struct health_state *ret)
{
	mutex_lock(&h->lock);
	*ret = *held(h);
	mutex_unlock(&h->lock);
}
