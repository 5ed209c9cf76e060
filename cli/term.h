/*
 * Text for people: names, URLs and errors from outside made harmless for a
 * terminal, numbers made readable.
 *
 * Ownership: what returns char * gives it to the caller.  The short formats
 * return one of a few static buffers in turn, good until eight more calls.
 *
 * Threads: one; commands have no others.
 */
#ifndef LAKEFUSE_CLI_TERM_H
#define LAKEFUSE_CLI_TERM_H

#include <stdint.h>

/*
 * The text with every byte that could steer a terminal (controls, C1, bytes
 * that are no UTF-8, marks that reorder a line) as \xNN.  NULL gives "".
 * Ends the program when memory is gone.
 */
char *term_safe(const char *text);

/* 1536 -> "1.5 KiB". */
const char *term_bytes(uint64_t bytes);

/* 7500 -> "7.5 s", 7200000 -> "2 h 0 min". */
const char *term_duration_ms(int64_t ms);

/* "2026-01-31 12:00:00 UTC" from nanoseconds since 1970. */
const char *term_time_ns(int64_t ns);

#endif
