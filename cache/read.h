/*
 * Finding the bytes of a read, and making them come.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_CACHE_READ_H
#define LAKEFUSE_CACHE_READ_H

#include <stddef.h>
#include <stdint.h>

#include "cache/core.h"

/* from < to <= size.  -EAGAIN when something is missing. */
int read_try(struct cache_handle *h, uint64_t from, uint64_t to,
	     struct cache_span *ret);

int read_wait(struct op *op, struct cache_handle *h, uint64_t from, uint64_t to,
	      struct cache_span *ret);

/* As cache_span_load() has it. */
int read_load(struct cache_span *span);

void read_done(struct cache_span *span);

#endif
