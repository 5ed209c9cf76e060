#include "base/nearest.h"

#include <limits.h>
#include <string.h>

#define WORD_MAX 64

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/*
 * Edits (insert, drop, replace, swap of neighbours) from a to b: the optimal
 * string alignment distance, with three rows of the usual table.
 */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *above = rows[0], *row = rows[1], *two_above = rows[2];
	size_t len_a = strlen(a), len_b = strlen(b);

	if (len_a > WORD_MAX || len_b > WORD_MAX)
		return UINT_MAX;
	for (size_t j = 0; j <= len_b; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; i <= len_a; i++) {
		unsigned *spare = two_above;

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= len_b; j++) {
			unsigned same = a[i - 1] == b[j - 1] ? 0 : 1;

			row[j] = min3(above[j] + 1, row[j - 1] + 1,
				      above[j - 1] + same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && two_above[j - 2] < row[j])
				row[j] = two_above[j - 2] + 1;
		}
		two_above = above;
		above = row;
		row = spare;
	}
	return above[len_b];
}

void nearest_init(struct nearest *n, const char *word)
{
	n->word = word;
	n->best = NULL;
	/* A third of the word may be wrong; beyond, a guess only confuses. */
	n->distance = (unsigned)(strlen(word) + 2) / 3 + 1;
}

void nearest_offer(struct nearest *n, const char *candidate)
{
	unsigned d = distance(n->word, candidate);

	if (d < n->distance) {
		n->distance = d;
		n->best = candidate;
	}
}
