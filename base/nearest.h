/*
 * "Did you mean ...?": the known word nearest to a mistyped one.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_BASE_NEAREST_H
#define LAKEFUSE_BASE_NEAREST_H

struct nearest {
	const char *word; /* as typed */
	const char *best; /* NULL: nothing near enough was offered */
	unsigned distance;
};

/* Borrows word as long as n is used. */
void nearest_init(struct nearest *n, const char *word);

/* Keeps candidate (borrowed) in n->best when it is nearer than those before. */
void nearest_offer(struct nearest *n, const char *candidate);

#endif
