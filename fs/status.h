/* What the control socket answers: `status` and `where`, as JSON. */
#ifndef LAKEFUSE_FS_STATUS_H
#define LAKEFUSE_FS_STATUS_H

#include <stddef.h>

struct tree;

/* A control_fn; arg is the tree.  See docs/man/lakefuse.1 for the shapes. */
char *status_answer(void *arg, const char *request, size_t size);

/* The status as one line of JSON; free it.  NULL: no memory. */
char *status_text(struct tree *tree);

#endif
