/*
 * Places in a listing as tokens that clients carry from page to page.  Opaque
 * to them, and hostile input when they come back.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_SERVE_CURSOR_H
#define LAKEFUSE_SERVE_CURSOR_H

struct depot_place;
struct text;

void cursor_put(struct text *t, const struct depot_place *place);
/* 0 or -EINVAL. */
int cursor_parse(const char *token, struct depot_place *ret_place);

#endif
