#include "base/op.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static atomic_uint_fast64_t last_id;

void op_init(struct op *op, uint64_t timeout_ns)
{
	memset(op, 0, sizeof(*op));
	op->id = atomic_fetch_add(&last_id, 1) + 1;
	op->deadline_ns = timeout_ns ? clock_mono_ns() + timeout_ns : 0;
}

void op_child(struct op *op, const struct op *parent, uint64_t timeout_ns)
{
	uint64_t until_ns = timeout_ns ? clock_mono_ns() + timeout_ns : 0;

	memset(op, 0, sizeof(*op));
	op->id = parent->id;
	op->parent = parent;
	op->deadline_ns = parent->deadline_ns;
	if (until_ns && (!op->deadline_ns || until_ns < op->deadline_ns))
		op->deadline_ns = until_ns;
}

int op_fail(struct op *op, int rc, const char *fmt, ...)
{
	va_list args;

	assert(rc < 0);
	if (op->rc == 0) {
		op->rc = rc;
		va_start(args, fmt);
		vsnprintf(op->why, sizeof(op->why), fmt, args);
		va_end(args);
	}
	return rc;
}

void op_forgive(struct op *op)
{
	op->rc = 0;
	op->why[0] = '\0';
}

void op_cancel(struct op *op)
{
	atomic_store(&op->cancelled, true);
}

int op_expired(const struct op *op)
{
	for (const struct op *o = op; o; o = o->parent)
		if (atomic_load(&o->cancelled))
			return -EINTR;
	if (op->deadline_ns && clock_mono_ns() >= op->deadline_ns)
		return -ETIMEDOUT;
	return 0;
}

uint64_t op_wake_ns(const struct op *op)
{
	uint64_t next = clock_mono_ns() + OP_POLL_NS;

	if (op->deadline_ns && op->deadline_ns < next)
		return op->deadline_ns;
	return next;
}
