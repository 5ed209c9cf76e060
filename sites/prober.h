/*
 * Measures replicas that nobody reads from: a site that was slow or broken is
 * looked at again without a reader having to wait for it, and "nearest" is
 * measured before the first read.  A replica in use is not probed, nor is the
 * record (each request there costs money), nor anything on an idle mount.
 *
 * Threads: one of its own.
 */
#ifndef LAKEFUSE_SITES_PROBER_H
#define LAKEFUSE_SITES_PROBER_H

struct lake;
struct op;
struct prober;

int prober_start(struct op *op, struct lake *lake, struct prober **ret);
void prober_stop(struct prober *prober);

#endif
