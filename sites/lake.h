/* What lake.c and route.c share: the sites of a lake, with their state. */
#ifndef LAKEFUSE_SITES_LAKE_H
#define LAKEFUSE_SITES_LAKE_H

#include "sites/copies.h"
#include "sites/health.h"
#include "sites/site.h"

struct lake_site {
	struct site *site;
	struct health health;
	char *name;
	char *url;
};

struct lake {
	unsigned n_sites;
	struct lake_site sites[SITES_MAX];
	struct copies *copies;
	struct http *http;
	uint64_t stall_ns;
	uint64_t first_byte_ns;
	unsigned unsafe;
	struct prober *prober;
};

/* The failure is the site's or the network's: it counts against its health. */
bool is_site_trouble(int rc);

/*
 * Sleeps a jittered, growing pause before attempt n (from 1), or as long as
 * the site asked for, and no longer than op lasts.  0, or op's end.
 */
int retry_pause(struct op *op, unsigned n, uint64_t at_least_ns);

/*
 * Asks a replica what its copy of ref is, and judges it.  0 with *ret set;
 * -errno when it did not answer.  Remembers what it finds.
 */
struct verdict;
int route_prove(struct op *op, struct lake *lake, unsigned site,
		const struct object_ref *ref, struct object_info *ret_info,
		struct verdict *ret);

/* Sites in the order they would be asked; returns how many. */
unsigned route_order(struct lake *lake, unsigned order[SITES_MAX]);

#endif
