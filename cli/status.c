#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/op.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/mounts.h"
#include "cli/term.h"

#define ASK_NS (10 * NS_PER_S)

/* "12 s ago", from a moment in milliseconds since 1970. */
static const char *ago(int64_t ms)
{
	int64_t age_ms = clock_wall_ms() - ms;

	return term_duration_ms(age_ms > 0 ? age_ms : 0);
}

static void print_head(const json_t *root)
{
	auto_free char *point = json_safe(root, "mountpoint");
	auto_free char *lake = json_safe(root, "lake");
	auto_free char *version = json_safe(root, "version");

	printf("%s  %s\n", point, lake);
	printf("  daemon   pid %" PRId64 ", up %s, lakefuse %s\n",
	       json_number(root, "pid"),
	       term_duration_ms(json_number(root, "uptime_s") * 1000), version);
}

/* "stale 2, torn 1", or "-". */
static void print_refused(const json_t *refused)
{
	const char *between = "";
	const char *reason;
	json_t *n;

	json_object_foreach((json_t *)(uintptr_t)refused, reason, n)
	{
		auto_free char *safe = term_safe(reason);

		if (json_integer_value(n) == 0)
			continue;
		printf("%s%s %" PRId64, between, safe,
		       (int64_t)json_integer_value(n));
		between = ", ";
	}
	puts(*between ? "" : "-");
}

static void print_site(const json_t *site)
{
	auto_free char *name = json_safe(site, "name");
	auto_free char *role = json_safe(site, "role");
	auto_free char *error = json_safe(site, "last_error");
	char latency[32];

	snprintf(latency, sizeof(latency), "%.1f ms",
		 json_number_value(json_object_get(site, "latency_ms")));
	printf("  %-10s %-8s %-7s %10s %10" PRId64 " %8" PRId64 " %11s  ", name,
	       role, json_flag(site, "broken") ? "BROKEN" : "ok",
	       json_number(site, "requests") ? latency : "-",
	       json_number(site, "requests"), json_number(site, "failures"),
	       term_bytes((uint64_t)json_number(site, "read_bytes")));
	print_refused(json_object_get(site, "refused"));
	if (*error)
		printf("             last error, %s ago: %s\n",
		       ago(json_number(site, "last_error_ms")), error);
}

static void print_sites(const json_t *sites)
{
	const json_t *site;
	size_t i;

	printf("  %-10s %-8s %-7s %10s %10s %8s %11s  %s\n", "SITE", "ROLE",
	       "STATE", "LATENCY", "REQUESTS", "FAILED", "READ", "REFUSED");
	json_array_foreach(sites, i, site)
	{
		print_site(site);
	}
}

static void print_hit_rate(const json_t *metrics)
{
	int64_t hit = json_number(metrics, "cache_hit_bytes");
	int64_t miss = json_number(metrics, "cache_miss_bytes");

	if (hit + miss > 0)
		printf("  reads    %s given, %.0f %% of them from the cache\n",
		       term_bytes((uint64_t)json_number(metrics, "read_bytes")),
		       100.0 * (double)hit / (double)(hit + miss));
}

static void print_cache(const json_t *cache)
{
	auto_free char *error = json_safe(cache, "disk_error");

	printf("  cache    %s of %s on disk in %" PRId64 " files; "
	       "%s of %s in memory; %" PRId64 " fetches now\n",
	       term_bytes((uint64_t)json_number(cache, "disk_bytes")),
	       term_bytes((uint64_t)json_number(cache, "disk_limit")),
	       json_number(cache, "files"),
	       term_bytes((uint64_t)json_number(cache, "memory_bytes")),
	       term_bytes((uint64_t)json_number(cache, "memory_limit")),
	       json_number(cache, "flights"));
	if (json_flag(cache, "disk_failing"))
		printf("  CACHE DISK FAILING: %s; reads go on without it\n",
		       *error ? error : "see the log");
}

static void print_names(const json_t *meta)
{
	int64_t odd = json_number(meta, "odd");

	printf("  names    %" PRId64 " known in %" PRId64
	       " directories; catalogue %s\n",
	       json_number(meta, "entries"), json_number(meta, "dirs"),
	       term_bytes((uint64_t)json_number(meta, "db_bytes")));
	if (odd)
		printf("  ODD      %" PRId64 " objects have names that no path "
		       "can spell; `lakefuse where DIR` names them\n",
		       odd);
	if (!json_flag(meta, "record_lost"))
		return;
	printf("  RECORD LOST: it does not answer");
	if (json_number(meta, "stale_since_ms"))
		printf(", since %s", ago(json_number(meta, "stale_since_ms")));
	puts("; what is pinned or last known is served");
}

/* Counters that should be 0, when they are not. */
static void print_alarms(const json_t *metrics)
{
	static const struct {
		const char *name, *meaning;
	} alarms[] = {
		{"crc_mismatch", "objects contradicted the record's crc32c"},
		{"cache_torn_blocks", "cached blocks were damaged, dropped"},
		{"stale_served", "opens were answered from last-known"},
	};

	for (size_t i = 0; i < sizeof(alarms) / sizeof(*alarms); i++) {
		int64_t n = json_number(metrics, alarms[i].name);

		if (n)
			printf("  NOTE     %" PRId64 " %s\n", n,
			       alarms[i].meaning);
	}
}

static void print_status(const json_t *root)
{
	const json_t *metrics = json_object_get(root, "metrics");

	print_head(root);
	print_names(json_object_get(root, "meta"));
	print_cache(json_object_get(root, "cache"));
	print_hit_rate(metrics);
	print_alarms(metrics);
	print_sites(json_object_get(root, "sites"));
}

static int show(const char *point, bool as_json)
{
	auto_free char *answer = NULL;
	json_t *root;
	struct op op;

	op_init(&op, ASK_NS);
	if (mount_ask(&op, point, "{\"verb\": \"status\"}", &answer) < 0)
		return cli_failed("%s", op.why);
	root = json_answer(answer, point);
	if (!root)
		return EXIT_FAILED;
	if (as_json)
		puts(answer);
	else
		print_status(root);
	json_decref(root);
	return EXIT_DONE;
}

/* One JSON line a mount, or one paragraph. */
static int show_all(const struct mounts *mounts, bool as_json)
{
	int rc = EXIT_DONE;
	bool any = false;

	for (unsigned i = 0; i < mounts->n_items; i++) {
		if (!mount_is_lake(&mounts->items[i]))
			continue;
		if (any && !as_json)
			putchar('\n');
		any = true;
		if (show(mounts->items[i].point, as_json) != EXIT_DONE)
			rc = EXIT_FAILED;
	}
	if (!any && !as_json)
		puts("no lakefuse mounts here");
	return rc;
}

static int show_one(const struct mounts *mounts, const char *arg, bool as_json)
{
	auto_free char *path = mounts_resolve(mounts, arg);
	const struct mount *m;
	const char *rest;

	if (!path)
		return cli_failed("%s: %s", arg, strerror(errno));
	m = mounts_find(mounts, path, &rest);
	if (!mount_is_lake(m))
		return cli_failed("%s: not on a lakefuse mount; `lakefuse "
				  "status` lists all",
				  path);
	return show(m->point, as_json);
}

int cmd_status(int argc, char **argv)
{
	static const char *const flags[] = {"--json", NULL};
	bool as_json = false;
	bool *const set[] = {&as_json};
	int first = cli_flags(argc, argv, flags, set);
	struct mounts mounts;
	struct op op;
	int rc;

	if (argc - first > 1)
		return cli_usage("status: give one MOUNTPOINT or none; see "
				 "`lakefuse status --help`");
	op_init(&op, 0);
	if (mounts_read(&op, &mounts) < 0)
		return cli_failed("%s", op.why);
	rc = argc > first ? show_one(&mounts, argv[first], as_json)
			  : show_all(&mounts, as_json);
	mounts_free(&mounts);
	return rc;
}
