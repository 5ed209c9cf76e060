/*
 * What is remembered of copies at replicas: proven under which validator, or
 * refused for how long.
 *
 * A memory of fixed size: what it forgets is proven again, at the price of a
 * request at most.  A false match of its 64-bit keys does no harm: a wrong
 * validator fails at the site, a wrong refusal costs a nearer copy.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_SITES_COPIES_H
#define LAKEFUSE_SITES_COPIES_H

#include "sites/sites.h"

#define VALIDATOR_MAX 96

struct copies;

enum copy_state {
	COPY_UNKNOWN,
	COPY_PROVEN,	  /* under its validator */
	COPY_REFUSED,	  /* not worth asking again yet */
	COPY_QUARANTINED, /* served wrong bytes: never again */
};

struct copy {
	enum copy_state state;
	enum proof proof;
	enum refusal refusal;
	char validator[VALIDATOR_MAX];
};

int copies_new(struct copies **ret);
void copies_free(struct copies *copies);

void copies_get(struct copies *copies, unsigned site,
		const struct object_ref *ref, struct copy *ret);

/* Remembers a proof; a validator that does not fit is not remembered. */
void copies_prove(struct copies *copies, unsigned site,
		  const struct object_ref *ref, enum proof proof,
		  const char *validator);

/* Not asked again for a while: the copier may be bringing it just now. */
void copies_refuse(struct copies *copies, unsigned site,
		   const struct object_ref *ref, enum refusal why);

void copies_quarantine(struct copies *copies, unsigned site,
		       const struct object_ref *ref);

/* Whatever was known of it is not so any more (not a quarantine). */
void copies_forget(struct copies *copies, unsigned site,
		   const struct object_ref *ref);

#endif
