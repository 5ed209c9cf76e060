/*
 * The control socket: STATE/control, mode 0600, one JSON request a connection.
 *
 * A request is one line of JSON, {"verb": "status"} or {"verb": "where",
 * "path": "a/b"}; the answer is one line of JSON, {"error": "..."} on failure.
 * A client finds the socket of a mount by the symlink-free path in the root's
 * extended attribute user.lake.control.
 *
 * Ownership: control_start() takes nothing; handle() returns a malloc'ed
 * answer which control frees.
 *
 * Threads: one for the socket; handle() runs on it (requests queue).
 */
#ifndef LAKEFUSE_FS_CONTROL_H
#define LAKEFUSE_FS_CONTROL_H

#include <stddef.h>

struct control;
struct op;

/* The answer to a request; never NULL unless memory is gone. */
typedef char *control_fn(void *arg, const char *request, size_t size);

/* path is removed and made anew.  -errno with a reason. */
int control_start(struct op *op, const char *path, control_fn *handle,
		  void *arg, struct control **ret);
void control_stop(struct control *control);

/*
 * The client's side: sends request and returns the whole answer (free it).
 * Waits at most until op's deadline.
 */
int control_ask(struct op *op, const char *path, const char *request,
		char **ret_answer);

#endif
