/*
 * Why a copy may serve a read, or why not (design: P2).
 *
 * Pure functions of what the record and a site say.  Threads: any.
 */
#ifndef LAKEFUSE_SITES_PROOF_H
#define LAKEFUSE_SITES_PROOF_H

#include "sites/sites.h"

struct verdict {
	enum proof proof;     /* PROOF_NONE: may not serve */
	enum refusal refusal; /* then: why */
	char why[160];	      /* for people, in both cases */
};

/* Judges what a replica says of its copy against the generation wanted. */
void proof_judge(const struct object_ref *ref, const struct object_info *copy,
		 struct verdict *ret);

#endif
