#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/op.h"
#include "sites/lake.h"
#include "sites/proof.h"

/*
 * A read goes round the sites in the order of their latency.  Each site is in
 * one of these states for the length of the read:
 *
 *   open     may be asked
 *   out      refused its copy, or has none: not asked again in this read
 *   failed   slow, hung, cut, throttling, lying about ranges: asked again
 *            only when no open site is left, after a pause
 *
 * Bytes that a proven copy gave stay, whatever its site does next: the next
 * site goes on behind them.  The record is asked with generation=, so its
 * copy needs no proof but its own word that this is the generation.
 */
enum standing { OPEN, OUT, FAILED };

/* How often a replica in trouble is asked for what the record has not. */
#define GONE_ROUNDS 2

/* The copy's headers did not allow it to serve: see trial.verdict. */
#define RC_REFUSED (-EKEYREJECTED)

struct route {
	struct lake *lake;
	const struct object_ref *ref;
	struct read_part *part;
	enum standing standing[SITES_MAX];
	unsigned reproved; /* bit per site: its validator failed once */
	bool record_gone;  /* it has another generation, or none */
	bool denied;	   /* the record said 401 or 403 */
};

/* One attempt at one site. */
struct trial {
	struct route *route;
	unsigned site;
	struct copy copy; /* what was known before */
	struct verdict verdict;
	char validator[VALIDATOR_MAX];
	size_t done_before;
};

static const enum metric refusal_metrics[N_REFUSALS] = {
	[REFUSED_UNPROVEN] = METRIC_REFUSED_UNPROVEN,
	[REFUSED_STALE] = METRIC_REFUSED_STALE,
	[REFUSED_ABSENT] = METRIC_REFUSED_ABSENT,
	[REFUSED_TORN] = METRIC_REFUSED_TORN,
	[REFUSED_CHANGED] = METRIC_REFUSED_CHANGED,
	[REFUSED_CORRUPT] = METRIC_REFUSED_CORRUPT,
};

static void note_refusal(struct lake *lake, unsigned site,
			 const struct object_ref *ref, enum refusal why)
{
	metric_add(refusal_metrics[why], 1);
	health_refused(&lake->sites[site].health, why);
	copies_refuse(lake->copies, site, ref, why);
}

static void count_request(unsigned site)
{
	metric_add(site == SITE_RECORD ? METRIC_RECORD_REQUESTS
				       : METRIC_REPLICA_REQUESTS,
		   1);
}

/*
 * An orphan (namespace: union): only replicas have it, so there is nothing to
 * prove it against but what its listing said; see meta/meta.h on generations.
 */
static bool is_orphan(const struct object_ref *ref)
{
	return ref->generation == 0 || (ref->generation & ORPHAN_GENERATION);
}

unsigned route_order(struct lake *lake, unsigned order[SITES_MAX])
{
	uint64_t ns[SITES_MAX];
	unsigned n = 0;

	for (unsigned site = 0; site < lake->n_sites; site++) {
		uint64_t mine = health_latency_ns(&lake->sites[site].health);
		unsigned at = n++;

		for (; at > 0 && ns[at - 1] > mine; at--) {
			ns[at] = ns[at - 1];
			order[at] = order[at - 1];
		}
		ns[at] = mine;
		order[at] = site;
	}
	return n;
}

/* The copy the record itself has: is it the one that was asked for? */
static int accept_native(struct trial *t, const struct object_info *info)
{
	const struct object_ref *ref = t->route->ref;

	if ((info->generation && info->generation != ref->generation) ||
	    info->size != ref->size)
		return -EPROTO; /* generation= was in the request */
	t->verdict.proof = PROOF_NATIVE;
	return 0;
}

static int accept_replica(struct trial *t, const struct object_info *info)
{
	struct route *r = t->route;

	if (info->validator && strlen(info->validator) < VALIDATOR_MAX)
		snprintf(t->validator, sizeof(t->validator), "%s",
			 info->validator);
	proof_judge(r->ref, info, &t->verdict);
	if (r->lake->unsafe & UNSAFE_NO_PROOF)
		t->verdict.proof = PROOF_CHECKSUM;
	if (is_orphan(r->ref) && t->verdict.refusal == REFUSED_UNPROVEN)
		t->verdict.proof = PROOF_CHECKSUM;
	/*
	 * Under the validator of an earlier proof the headers of a range need
	 * not hold a checksum; contradict they must not, and the answer has to
	 * be about what was asked for: not every server looks at conditions.
	 */
	if (t->copy.state == COPY_PROVEN && t->verdict.proof == PROOF_NONE &&
	    t->verdict.refusal == REFUSED_UNPROVEN) {
		if (strcmp(t->validator, t->copy.validator) != 0)
			return -ESTALE;
		t->verdict.proof = t->copy.proof;
	}
	return t->verdict.proof == PROOF_NONE ? RC_REFUSED : 0;
}

static int accept_headers(void *arg, const struct object_info *info)
{
	struct trial *t = arg;

	return t->site == SITE_RECORD ? accept_native(t, info)
				      : accept_replica(t, info);
}

static void pass_progress(void *arg, size_t n_done)
{
	struct trial *t = arg;
	struct read_part *part = t->route->part;

	part->proof = t->verdict.proof;
	part->last_site = t->site;
	part->sites |= 1u << t->site;
	if (part->progress)
		part->progress(part->arg, t->done_before + n_done);
}

/* Is there another site this read could go to instead? */
static bool has_other(const struct route *r, unsigned site)
{
	for (unsigned i = 0; i < r->lake->n_sites; i++)
		if (i != site && r->standing[i] == OPEN)
			return true;
	return false;
}

static uint64_t patience_ns(const struct route *r, unsigned site, uint64_t ns)
{
	/* Alone, a site is given more time: there is nothing to go to. */
	return has_other(r, site) ? ns : ns * 4;
}

static int attempt(struct op *op, struct trial *t)
{
	struct route *r = t->route;
	struct read_part *part = r->part;
	struct lake_site *s = &r->lake->sites[t->site];
	bool record = t->site == SITE_RECORD;
	struct site_read read = {
		.name = r->ref->name,
		.offset = part->offset + part->n_done,
		.len = part->len - part->n_done,
		.buf = (char *)part->buf + part->n_done,
		.generation = record ? r->ref->generation : 0,
		.accept = accept_headers,
		.progress = pass_progress,
		.arg = t,
		.first_byte_ns =
			patience_ns(r, t->site, r->lake->first_byte_ns),
		.stall_ns = patience_ns(r, t->site, r->lake->stall_ns),
	};
	int rc;

	if (t->copy.state == COPY_PROVEN &&
	    !(r->lake->unsafe & UNSAFE_NO_VALIDATOR))
		read.validator = t->copy.validator;
	t->done_before = part->n_done;
	count_request(t->site);
	rc = s->site->ops->read(op, s->site, &read);
	if (read.n_done > 0) {
		part->n_done += read.n_done;
		part->sites |= 1u << t->site;
		part->last_site = t->site;
		part->proof = t->verdict.proof;
	}
	if (rc == 0)
		health_good(&s->health, read.latency_ns, read.n_done);
	return rc;
}

/* A proof is remembered with the first bytes it allowed. */
static void remember_proof(struct trial *t)
{
	if (t->site != SITE_RECORD && t->verdict.proof != PROOF_NONE &&
	    t->copy.state != COPY_PROVEN && t->validator[0])
		copies_prove(t->route->lake->copies, t->site, t->route->ref,
			     t->verdict.proof, t->validator);
}

int route_prove(struct op *op, struct lake *lake, unsigned site,
		const struct object_ref *ref, struct object_info *ret_info,
		struct verdict *ret)
{
	struct lake_site *s = &lake->sites[site];
	struct object_info info = {0};
	uint64_t start_ns = clock_mono_ns();
	int rc;

	count_request(site);
	rc = s->site->ops->stat(op, s->site, ref->name, 0, &info);
	if (rc < 0)
		return rc;
	health_good(&s->health, clock_mono_ns() - start_ns, 0);
	proof_judge(ref, &info, ret);
	if (ret->proof != PROOF_NONE)
		copies_prove(lake->copies, site, ref, ret->proof,
			     info.validator);
	*ret_info = info;
	return 0;
}

/* The data's own headers proved nothing: the site is asked for more. */
static int prove_by_stat(struct op *op, struct trial *t)
{
	struct route *r = t->route;
	struct object_info info = {0};
	struct op own;
	int rc;

	op_child(&own, op, patience_ns(r, t->site, r->lake->first_byte_ns));
	rc = route_prove(&own, r->lake, t->site, r->ref, &info, &t->verdict);
	if (rc == -ETIMEDOUT && op_expired(op) == 0)
		rc = -EAGAIN; /* its patience is over, not the read's */
	op_forgive(op);
	if (rc < 0)
		op_fail(op, rc, "%s", own.why);
	if (rc == 0) {
		t->copy.state = COPY_UNKNOWN;
		if (t->verdict.proof != PROOF_NONE)
			copies_get(r->lake->copies, t->site, r->ref, &t->copy);
		rc = t->copy.state == COPY_PROVEN ? 0 : RC_REFUSED;
	}
	object_info_done(&info);
	return rc;
}

static int ask_replica(struct op *op, struct trial *t)
{
	int rc = attempt(op, t);

	if (rc == RC_REFUSED && t->verdict.refusal == REFUSED_UNPROVEN) {
		rc = prove_by_stat(op, t);
		if (rc == 0) {
			op_forgive(op);
			rc = attempt(op, t);
		}
	}
	if (rc == 0 || t->route->part->n_done > t->done_before)
		remember_proof(t);
	return rc;
}

static void refused(struct route *r, unsigned site, enum refusal why)
{
	note_refusal(r->lake, site, r->ref, why);
	r->standing[site] = OUT;
}

/* A validator that fails says: it changed.  Once, the new one is looked at. */
static void changed_under_us(struct route *r, const struct trial *t)
{
	unsigned bit = 1u << t->site;

	copies_forget(r->lake->copies, t->site, r->ref);
	if ((r->reproved & bit) || is_orphan(r->ref))
		refused(r, t->site, REFUSED_CHANGED);
	r->reproved |= bit;
}

static void settle(struct op *op, struct route *r, const struct trial *t,
		   int rc)
{
	struct health *health = &r->lake->sites[t->site].health;
	bool record = t->site == SITE_RECORD;

	if (rc == RC_REFUSED) {
		health_good(health, 0, 0);
		refused(r, t->site, t->verdict.refusal);
	} else if (record && (rc == -ESTALE || rc == -ENOENT)) {
		health_good(health, 0, 0);
		r->record_gone = true;
		r->standing[t->site] = OUT;
	} else if (rc == -ENOENT) {
		health_good(health, 0, 0);
		refused(r, t->site, REFUSED_ABSENT);
	} else if (rc == -ESTALE) {
		health_good(health, 0, 0);
		changed_under_us(r, t);
	} else if (rc == -EACCES) {
		/* It answered; S3 says so of what is absent, too. */
		health_denied(health, op->why);
		r->denied |= record;
		r->standing[t->site] = OUT;
	} else {
		health_bad(health, op->why);
		r->standing[t->site] = is_site_trouble(rc) ? FAILED : OUT;
	}
	if (r->standing[t->site] != OPEN && has_other(r, t->site))
		metric_add(METRIC_FAILOVERS, 1);
	log_debug("op %" PRIx64 ": %s can't serve %s: %s", op->id,
		  r->lake->sites[t->site].name, r->ref->name,
		  t->verdict.why[0] ? t->verdict.why : op->why);
}

/* Sites that need not even be asked, by what is remembered of their copies. */
static bool is_worth_asking(struct route *r, unsigned site, struct copy *copy)
{
	if (r->standing[site] != OPEN)
		return false;
	memset(copy, 0, sizeof(*copy));
	if (site == SITE_RECORD)
		return true;
	copies_get(r->lake->copies, site, r->ref, copy);
	if (copy->state == COPY_REFUSED || copy->state == COPY_QUARANTINED) {
		r->standing[site] = OUT;
		return false;
	}
	return true;
}

/*
 * The nearest site left; broken ones come last, and then whether or not their
 * breaker would let somebody through: a reader waits for this.
 */
static bool choose(struct route *r, struct trial *t)
{
	unsigned order[SITES_MAX];
	unsigned n = route_order(r->lake, order);
	int last_resort = -1;
	struct copy copy;

	for (unsigned i = 0; i < n; i++) {
		if (!is_worth_asking(r, order[i], &copy))
			continue;
		if (!health_allows(&r->lake->sites[order[i]].health)) {
			last_resort =
				last_resort < 0 ? (int)order[i] : last_resort;
			continue;
		}
		t->site = order[i];
		t->copy = copy;
		return true;
	}
	if (last_resort < 0)
		return false;
	t->site = (unsigned)last_resort;
	return is_worth_asking(r, t->site, &t->copy);
}

static bool reopen_failed(struct route *r)
{
	bool any = false;

	for (unsigned i = 0; i < r->lake->n_sites; i++)
		if (r->standing[i] == FAILED) {
			r->standing[i] = OPEN;
			any = true;
		}
	return any;
}

static int give_up(struct op *op, const struct route *r)
{
	int rc = op_expired(op);

	if (rc != -EINTR && r->record_gone)
		rc = -ESTALE;
	else if (rc == 0)
		rc = r->denied ? -EACCES : -EIO;
	return op_fail(op, rc, "no site can serve %s generation %" PRIu64,
		       r->ref->name, r->ref->generation);
}

/*
 * Once the record has said that the generation is gone, a replica in trouble
 * is the last hope, and not worth the whole deadline.
 */
static bool is_worth_another_round(const struct route *r, unsigned n_rounds)
{
	if (r->lake->unsafe & UNSAFE_NO_FAILOVER)
		return false;
	return !r->record_gone || n_rounds < GONE_ROUNDS;
}

static int run(struct op *op, struct route *r)
{
	unsigned n_rounds = 0;
	struct op try_op;

	for (;;) {
		struct trial t = {.route = r};
		int rc = op_expired(op);

		if (rc < 0)
			return give_up(op, r);
		if (!choose(r, &t)) {
			if (!is_worth_another_round(r, n_rounds) ||
			    !reopen_failed(r))
				return give_up(op, r);
			retry_pause(op, ++n_rounds, 0);
			continue;
		}
		op_child(&try_op, op, 0);
		rc = ask_replica(&try_op, &t);
		if (rc == 0)
			return 0;
		if (rc == -ETIMEDOUT && op_expired(op) == 0)
			rc = -EAGAIN;
		if (rc == -EINTR || rc == -ETIMEDOUT)
			return op_fail(op, rc, "%s", try_op.why);
		settle(&try_op, r, &t, rc);
		if (r->lake->unsafe & UNSAFE_NO_FAILOVER)
			return op_fail(op, -EIO, "%s", try_op.why);
		op_forgive(op);
		op_fail(op, rc == RC_REFUSED ? -EIO : rc, "%s: %s",
			r->lake->sites[t.site].name,
			t.verdict.why[0] ? t.verdict.why : try_op.why);
	}
}

int lake_read(struct op *op, struct lake *lake, const struct object_ref *ref,
	      struct read_part *part)
{
	struct route r = {.lake = lake, .ref = ref, .part = part};

	assert(part->len > 0);
	part->n_done = 0;
	part->sites = 0;
	part->proof = PROOF_NONE;
	for (unsigned i = 0; i < lake->n_sites; i++)
		if (part->avoid & (1u << i))
			r.standing[i] = OUT;
	if (is_orphan(ref))
		r.standing[SITE_RECORD] = OUT;
	return run(op, &r);
}

void lake_quarantine(struct lake *lake, const struct object_ref *ref,
		     unsigned sites)
{
	for (unsigned i = SITE_RECORD + 1; i < lake->n_sites; i++) {
		if (!(sites & (1u << i)))
			continue;
		copies_quarantine(lake->copies, i, ref);
		metric_add(METRIC_REFUSED_CORRUPT, 1);
		health_refused(&lake->sites[i].health, REFUSED_CORRUPT);
		log_warn("%s: %s generation %" PRIu64
			 " is quarantined: its bytes contradict the record's "
			 "checksum; have it copied again",
			 lake->sites[i].name, ref->name, ref->generation);
	}
}
