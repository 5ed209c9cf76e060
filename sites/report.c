/* What `status` and `where` tell about sites and copies. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/op.h"
#include "sites/lake.h"
#include "sites/proof.h"

/* A person waits: a site that takes longer is reported as not answering. */
#define WHERE_NS (5 * NS_PER_S)

static void report_record(struct op *op, struct lake *lake,
			  const struct object_ref *ref,
			  struct copy_report *report)
{
	struct object_info info = {0};
	int rc;

	rc = lake_stat(op, lake, ref->name, 0, &info);
	if (rc < 0) {
		report->present = false;
		snprintf(report->why, sizeof(report->why), "%s",
			 rc == -ENOENT ? "the record has no such object"
				       : op->why);
		return;
	}
	report->present = true;
	report->size = info.size;
	report->generation = info.generation;
	if (info.generation == ref->generation) {
		report->proof = PROOF_NATIVE;
		snprintf(report->why, sizeof(report->why), "it is the record");
	} else {
		snprintf(report->why, sizeof(report->why),
			 "the record has generation %" PRIu64 " by now",
			 info.generation);
	}
	object_info_done(&info);
}

static void report_replica(struct op *op, struct lake *lake, unsigned site,
			   const struct object_ref *ref,
			   struct copy_report *report)
{
	struct object_info info = {0};
	struct verdict verdict;
	struct copy copy;
	int rc = route_prove(op, lake, site, ref, &info, &verdict);

	if (rc < 0) {
		snprintf(report->why, sizeof(report->why), "%s",
			 rc == -ENOENT ? "not there" : op->why);
		return;
	}
	report->present = true;
	report->size = info.size;
	report->generation = info.stamp;
	report->proof = verdict.proof;
	snprintf(report->why, sizeof(report->why), "%s", verdict.why);
	copies_get(lake->copies, site, ref, &copy);
	if (copy.state == COPY_QUARANTINED) {
		report->proof = PROOF_NONE;
		snprintf(report->why, sizeof(report->why),
			 "quarantined: it served bytes that contradict the "
			 "record's checksum");
	}
	object_info_done(&info);
}

static int serving_site(struct lake *lake, const struct copy_report *reports,
			unsigned n)
{
	unsigned order[SITES_MAX];
	unsigned n_order = route_order(lake, order);

	for (unsigned i = 0; i < n_order; i++)
		for (unsigned j = 0; j < n; j++)
			if (reports[j].site == order[i] &&
			    reports[j].proof != PROOF_NONE)
				return (int)order[i];
	return -1;
}

int lake_where(struct op *op, struct lake *lake, const struct object_ref *ref,
	       struct copy_report *reports, unsigned max, int *ret_serves)
{
	unsigned n = lake->n_sites < max ? lake->n_sites : max;

	for (unsigned site = 0; site < n; site++) {
		struct copy_report *report = &reports[site];
		struct op site_op;

		memset(report, 0, sizeof(*report));
		report->site = site;
		op_child(&site_op, op, WHERE_NS);
		if (site == SITE_RECORD)
			report_record(&site_op, lake, ref, report);
		else
			report_replica(&site_op, lake, site, ref, report);
	}
	*ret_serves = serving_site(lake, reports, n);
	return (int)n;
}

enum proof lake_known_proof(struct lake *lake, const struct object_ref *ref,
			    unsigned site)
{
	struct copy copy;

	if (site == SITE_RECORD)
		return PROOF_NATIVE;
	copies_get(lake->copies, site, ref, &copy);
	return copy.state == COPY_PROVEN ? copy.proof : PROOF_NONE;
}

void lake_site_status(struct lake *lake, unsigned site, struct site_status *ret)
{
	struct lake_site *s = &lake->sites[site];
	struct health_state state;

	health_get(&s->health, &state);
	memset(ret, 0, sizeof(*ret));
	ret->name = s->name;
	ret->url = s->url;
	ret->is_record = site == SITE_RECORD;
	ret->broken = state.retry_ns != 0;
	ret->latency_ns = state.latency_ns;
	ret->n_requests = state.n_requests;
	ret->n_failures = state.n_failures;
	ret->read_bytes = state.read_bytes;
	memcpy(ret->refused, state.refused, sizeof(ret->refused));
	snprintf(ret->last_error, sizeof(ret->last_error), "%s",
		 state.last_error);
	ret->last_error_ms = state.last_error_ms;
}
