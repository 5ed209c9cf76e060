#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/op.h"
#include "sites/http.h"
#include "sites/lake.h"
#include "sites/prober.h"
#include "sites/proof.h"

/* One try at the record's metadata; the op's deadline may hold several. */
#define TRY_NS (10 * NS_PER_S)

/* Latencies assumed until measured: `here` is near, a replica nearer than GCS. */
#define PRIOR_HERE_NS (NS_PER_MS / 10)
#define PRIOR_REPLICA_NS (20 * NS_PER_MS)
#define PRIOR_RECORD_NS (30 * NS_PER_MS)

static const struct site_ops *const drivers[] = {&site_gcs, &site_s3,
						 &site_dir};

static const struct site_ops *find_driver(const char *url)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		size_t n = strlen(drivers[i]->scheme);

		if (strncmp(url, drivers[i]->scheme, n) == 0 &&
		    strncmp(url + n, "://", 3) == 0)
			return drivers[i];
	}
	return NULL;
}

static uint64_t prior_ns(const struct lake_config *config, unsigned i)
{
	const char *name = config->sites[i].name;

	if (config->here && name && strcmp(config->here, name) == 0)
		return PRIOR_HERE_NS;
	return i == SITE_RECORD ? PRIOR_RECORD_NS : PRIOR_REPLICA_NS;
}

static int open_site(struct op *op, struct lake *lake,
		     const struct lake_config *config, unsigned i)
{
	const struct site_config *sc = &config->sites[i];
	const struct site_ops *driver = find_driver(sc->url);
	struct lake_site *s = &lake->sites[i];

	if (!driver || (i == SITE_RECORD && driver != &site_gcs))
		return op_fail(op, -EINVAL, "%s: url %s: use gs://bucket%s",
			       sc->name, sc->url,
			       i == SITE_RECORD
				       ? "[/prefix] for the record"
				       : ", s3://bucket or file:///directory");
	s->name = strdup(sc->name);
	s->url = strdup(sc->url);
	if (!s->name || !s->url)
		return op_fail(op, -ENOMEM, "no memory for %s", sc->name);
	return driver->open(op, sc, config, lake->http, &s->site);
}

static int check_here(struct op *op, const struct lake_config *config)
{
	if (!config->here)
		return 0;
	for (unsigned i = 0; i < config->n_sites; i++)
		if (strcmp(config->sites[i].name, config->here) == 0)
			return 0;
	return op_fail(op, -EINVAL,
		       "here: %s is the name of no site; use `record` or a "
		       "replica's name",
		       config->here);
}

static int open_all(struct op *op, struct lake *lake,
		    const struct lake_config *config)
{
	int rc = check_here(op, config);

	if (rc == 0)
		rc = http_new(op, &lake->http);
	for (unsigned i = 0; rc == 0 && i < config->n_sites; i++)
		rc = open_site(op, lake, config, i);
	if (rc == 0)
		rc = copies_new(&lake->copies);
	if (rc == 0)
		rc = prober_start(op, lake, &lake->prober);
	return rc;
}

int lake_new(struct op *op, const struct lake_config *config, struct lake **ret)
{
	struct lake *lake = calloc(1, sizeof(*lake));
	int rc;

	if (!lake)
		return op_fail(op, -ENOMEM, "no memory for the lake");
	lake->n_sites = config->n_sites;
	lake->stall_ns = config->stall_ns;
	lake->first_byte_ns = config->first_byte_ns;
	lake->unsafe = config->unsafe;
	for (unsigned i = 0; i < lake->n_sites; i++)
		health_init(&lake->sites[i].health, prior_ns(config, i));
	rc = open_all(op, lake, config);
	if (rc < 0)
		lake_free(lake);
	else
		*ret = lake;
	return rc;
}

void lake_free(struct lake *lake)
{
	if (!lake)
		return;
	prober_stop(lake->prober);
	for (unsigned i = 0; i < lake->n_sites; i++) {
		struct lake_site *s = &lake->sites[i];

		if (s->site)
			s->site->ops->close(s->site);
		health_done(&s->health);
		free(s->name);
		free(s->url);
	}
	http_free(lake->http);
	copies_free(lake->copies);
	free(lake);
}

bool lake_record_is_down(struct lake *lake)
{
	return health_is_broken(&lake->sites[SITE_RECORD].health);
}

/* A call to one site, as something that can be tried again. */
struct call {
	unsigned site;
	int (*make)(struct op *op, struct site *site, void *arg);
	void *arg;
	unsigned max_tries; /* 0: until op ends */
};

static int try_once(struct op *op, struct lake *lake, const struct call *call,
		    uint64_t *ret_retry_after_ns)
{
	struct lake_site *s = &lake->sites[call->site];
	uint64_t start_ns = clock_mono_ns();
	struct op try_op;
	int rc;

	op_child(&try_op, op, TRY_NS);
	metric_add(call->site == SITE_RECORD ? METRIC_RECORD_REQUESTS
					     : METRIC_REPLICA_REQUESTS,
		   1);
	rc = call->make(&try_op, s->site, call->arg);
	if (rc == -ETIMEDOUT && op_expired(op) == 0)
		rc = -EAGAIN; /* this try's own time is over, not op's */
	if (is_site_trouble(rc) || rc == -ETIMEDOUT)
		health_bad(&s->health, try_op.why);
	else if (rc == -EACCES)
		health_denied(&s->health, try_op.why);
	else if (rc != -EINTR)
		health_good(&s->health, clock_mono_ns() - start_ns, 0);
	if (rc < 0) {
		op_forgive(op);
		op_fail(op, rc, "%s: %s", s->name, try_op.why);
	}
	*ret_retry_after_ns = try_op.retry_after_ns;
	return rc;
}

static int call_site(struct op *op, struct lake *lake, const struct call *call)
{
	uint64_t retry_after_ns;
	int rc;

	for (unsigned n = 1;; n++) {
		int ended;

		rc = try_once(op, lake, call, &retry_after_ns);
		if (!is_site_trouble(rc) || n == call->max_tries)
			break;
		ended = retry_pause(op, n, retry_after_ns);
		if (ended < 0) {
			op->rc = ended; /* the reason stays the site's */
			return ended;
		}
		op_forgive(op);
	}
	return rc;
}

static int make_check(struct op *op, struct site *site, void *arg)
{
	(void)arg;
	return site->ops->check(op, site);
}

int lake_check(struct op *op, struct lake *lake)
{
	struct call call = {.make = make_check, .max_tries = 3};

	return call_site(op, lake, &call);
}

struct stat_args {
	const char *name;
	uint64_t not_generation;
	struct object_info *ret;
};

static int make_stat(struct op *op, struct site *site, void *arg)
{
	struct stat_args *a = arg;

	return site->ops->stat(op, site, a->name, a->not_generation, a->ret);
}

int lake_stat(struct op *op, struct lake *lake, const char *name,
	      uint64_t not_generation, struct object_info *ret)
{
	struct stat_args args = {name, not_generation, ret};
	struct call call = {.make = make_stat, .arg = &args};

	return call_site(op, lake, &call);
}

struct list_args {
	const struct list_query *query;
	list_fn *each;
	void *arg;
	char **ret_token;
};

static int make_list(struct op *op, struct site *site, void *arg)
{
	struct list_args *a = arg;

	return site->ops->list(op, site, a->query, a->each, a->arg,
			       a->ret_token);
}

int lake_list(struct op *op, struct lake *lake, unsigned site,
	      const struct list_query *query, list_fn *each, void *arg,
	      char **ret_token)
{
	struct list_args args = {query, each, arg, ret_token};
	struct call call = {
		.site = site,
		.make = make_list,
		.arg = &args,
		/* A replica's names are an extra; nobody waits long for them. */
		.max_tries = site == SITE_RECORD ? 0 : 2,
	};

	return call_site(op, lake, &call);
}

unsigned lake_n_sites(const struct lake *lake)
{
	return lake->n_sites;
}

const char *lake_site_name(const struct lake *lake, unsigned site)
{
	return lake->sites[site].name;
}
