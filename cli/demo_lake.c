#include "cli/demo_lake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/op.h"
#include "cli/demo_http.h"
#include "cli/demo_show.h"
#include "cli/term.h"

enum how { WHOLE, STALE, TORN, CORRUPT, ABSENT };

static const char *const how_names[] = {"whole", "stale", "torn", "corrupted",
					"missing"};

/* What the copier did, by the beginning of the object's name. */
static const struct rule {
	const char *prefix;
	enum how at[DEMO_SITES];
} rules[] = {
	{"airlines.csv", {[DEMO_DC1] = WHOLE, [DEMO_DC2] = WHOLE}},
	{"airports.csv", {[DEMO_DC1] = STALE, [DEMO_DC2] = WHOLE}},
	{"flights/month=1/", {[DEMO_DC1] = TORN, [DEMO_DC2] = WHOLE}},
	{"flights/month=2/", {[DEMO_DC1] = CORRUPT, [DEMO_DC2] = WHOLE}},
	{"flights/_delta_log/00000000000000000000.json",
	 {[DEMO_DC1] = WHOLE, [DEMO_DC2] = WHOLE}},
	{"flights/_delta_log/00000000000000000001.json",
	 {[DEMO_DC1] = ABSENT, [DEMO_DC2] = ABSENT}},
	{DEMO_BIG_NAME, {[DEMO_DC1] = WHOLE, [DEMO_DC2] = WHOLE}},
};
#define N_RULES (sizeof(rules) / sizeof(rules[0]))

/* The table before its last line was added: what a stale copy holds. */
static struct demo_bytes older(const struct table *t)
{
	const char *text = t->data;
	size_t n = t->size;

	while (n > 1 && text[n - 2] != '\n')
		n--;
	return (struct demo_bytes){text, n - 1};
}

static int copy(struct op *op, const struct demo *demo, enum demo_site site,
		const struct table *t, enum how how)
{
	struct demo_bytes bytes = {t->data, t->size};

	if (how == ABSENT || how == STALE) /* a stale one is there already */
		return 0;
	if (how == TORN)
		bytes.size /= 2;
	return demo_put_copy(op, demo->stage, site, t->name, bytes,
			     t->generation);
}

/* The copier comes by, and then the record is overwritten. */
static int put_older(struct op *op, const struct demo *demo,
		     const struct rule *rule, struct table *t)
{
	int rc = demo_put_record(op, demo->stage, t->name, older(t),
				 &t->generation);

	for (int i = DEMO_DC1; rc == 0 && i < DEMO_SITES; i++)
		if (rule->at[i] == STALE)
			rc = demo_put_copy(op, demo->stage, (enum demo_site)i,
					   t->name, older(t), t->generation);
	return rc;
}

static int put(struct op *op, const struct demo *demo, const struct rule *rule)
{
	struct table *t = tables_find(demo->tables, rule->prefix);
	int rc;

	if (!t)
		return op_fail(op, -ENOENT, "demo: no sample %s", rule->prefix);
	rc = put_older(op, demo, rule, t);
	if (rc == 0)
		rc = demo_put_record(op, demo->stage, t->name,
				     (struct demo_bytes){t->data, t->size},
				     &t->generation);
	for (int i = DEMO_DC1; rc == 0 && i < DEMO_SITES; i++)
		rc = copy(op, demo, (enum demo_site)i, t, rule->at[i]);
	if (rc == 0)
		show_text("  %-11s %-11s %10s  %.48s",
			  how_names[rule->at[DEMO_DC1]],
			  how_names[rule->at[DEMO_DC2]], term_bytes(t->size),
			  t->name);
	return rc;
}

int demo_lake_fill(struct op *op, const struct demo *demo)
{
	int rc = 0;

	show_text("  %-11s %-11s %10s  %s", "AT dc1", "AT dc2", "SIZE",
		  "OBJECT IN THE RECORD");
	for (size_t i = 0; rc == 0 && i < N_RULES; i++)
		rc = put(op, demo, &rules[i]);
	return rc;
}

int demo_lake_set_distances(struct op *op, const struct demo *demo)
{
	static const char *const faults[] = {
		[DEMO_RECORD] = "{\"latency_ms\": 100}",
		/* And its disk flips a bit, which the sums it keeps don't
		 * show. */
		[DEMO_DC1] = "[{\"latency_ms\": 5}, {\"match\": "
			     "\"month=2/\", \"methods\": [\"GET\"], "
			     "\"flip_at\": 5000}]",
		[DEMO_DC2] = "{\"latency_ms\": 50}",
	};
	int rc = 0;

	for (int i = 0; rc == 0 && i < DEMO_SITES; i++)
		rc = demo_set_faults(op, demo->stage, (enum demo_site)i,
				     faults[i]);
	return rc;
}

int demo_lake_describe(struct op *op, const struct demo *demo)
{
	const struct stage_server *servers = demo->stage->servers;
	FILE *f = fopen("lake.yaml", "we");

	if (!f)
		return op_fail(op, -errno, "demo: lake.yaml: %s",
			       strerror(errno));
	fprintf(f,
		"record: {url: gs://" DEMO_BUCKET
		", endpoint: http://127.0.0.1:%d, credentials: anonymous}\n"
		"replicas:\n"
		"  - {name: dc1, url: s3://" DEMO_BUCKET
		", endpoint: http://127.0.0.1:%d, credentials: anonymous, "
		"stamp: x-amz-meta-generation}\n"
		"  - {name: dc2, url: gs://" DEMO_BUCKET
		", endpoint: http://127.0.0.1:%d, credentials: anonymous}\n"
		"here: dc1\n"
		"state: state\n"
		"log: lakefuse.log\n"
		"op_timeout: 4s\n",
		servers[DEMO_RECORD].gcs, servers[DEMO_DC1].s3,
		servers[DEMO_DC2].gcs);
	return fclose(f) == 0 ? 0
			      : op_fail(op, -errno, "demo: lake.yaml: %s",
					strerror(errno));
}
