#include "fs/status.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/op.h"
#include "cache/cache.h"
#include "fs/node.h"
#include "fs/options.h"
#include "fs/tree.h"

/* Strings from sites need not be UTF-8, and JSON holds nothing else. */
static json_t *text(const char *s)
{
	json_t *j = json_string(s);

	if (!j) {
		char safe[2 * OBJECT_NAME_MAX];
		size_t n = 0;

		for (; *s && n + 5 < sizeof(safe); s++) {
			unsigned char c = (unsigned char)*s;

			if (c < 0x80)
				safe[n++] = (char)c;
			else
				n += (size_t)snprintf(safe + n, 5, "\\x%02x",
						      c);
		}
		safe[n] = '\0';
		j = json_string(safe);
	}
	return j;
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *site_json(struct lake *lake, unsigned i)
{
	struct site_status s;
	json_t *refused = json_object();

	lake_site_status(lake, i, &s);
	for (int why = 0; why < N_REFUSALS; why++)
		json_object_set_new(refused, refusal_name((enum refusal)why),
				    number(s.refused[why]));
	return json_pack("{s:o,s:o,s:s,s:b,s:f,s:o,s:o,s:o,s:o,s:o,s:I}",
			 "name", text(s.name), "url", text(s.url), "role",
			 s.is_record ? "record" : "replica", "broken",
			 (int)s.broken, "latency_ms",
			 (double)s.latency_ns / (double)NS_PER_MS, "requests",
			 number(s.n_requests), "failures", number(s.n_failures),
			 "read_bytes", number(s.read_bytes), "refused", refused,
			 "last_error", text(s.last_error), "last_error_ms",
			 (json_int_t)s.last_error_ms);
}

static json_t *sites_json(struct tree *tree)
{
	json_t *sites = json_array();

	for (unsigned i = 0; i < lake_n_sites(tree->lake); i++)
		json_array_append_new(sites, site_json(tree->lake, i));
	return sites;
}

static json_t *cache_json(struct tree *tree)
{
	struct cache_status s;

	cache_status(tree->cache, &s);
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:i,s:b,s:o}", "disk_bytes",
			 number(s.disk_bytes), "disk_limit",
			 number(s.disk_limit), "files", number(s.n_files),
			 "memory_bytes", number(s.memory_bytes), "memory_limit",
			 number(s.memory_limit), "flights", (int)s.n_flights,
			 "disk_failing", (int)s.disk_failing, "disk_error",
			 text(s.disk_error));
}

static json_t *meta_json(struct tree *tree)
{
	struct meta_status s;

	meta_status(tree->meta, &s);
	return json_pack("{s:o,s:o,s:o,s:o,s:b,s:I}", "entries",
			 number(s.n_entries), "dirs", number(s.n_dirs), "odd",
			 number(s.n_odd), "db_bytes", number(s.db_bytes),
			 "record_lost", (int)s.record_lost, "stale_since_ms",
			 (json_int_t)s.stale_since_ms);
}

static json_t *metrics_json(void)
{
	json_t *metrics = json_object();

	for (int m = 0; m < N_METRICS; m++)
		json_object_set_new(metrics, metric_name((enum metric)m),
				    number(metric_get((enum metric)m)));
	return metrics;
}

static json_t *settings_json(const struct mount_options *o)
{
	static const char *const loss[] = {"fail", "serve-last-known"};
	static const char *const namespaces[] = {"record", "union"};
	static const char *const integrity[] = {"standard", "full"};

	return json_pack(
		"{s:o,s:o,s:o,s:o,s:f,s:f,s:s,s:s,s:s,s:o}", "state",
		text(o->state), "cache.size", number(o->cache.size_bytes),
		"cache.memory", number(o->cache.memory_bytes),
		"cache.read_ahead", number(o->cache.read_ahead_bytes),
		"names_ttl_s", (double)o->names_ttl_ns / (double)NS_PER_S,
		"op_timeout_s", (double)o->op_timeout_ns / (double)NS_PER_S,
		"on_record_loss", loss[o->on_record_loss], "namespace",
		namespaces[o->namespace], "integrity", integrity[o->integrity],
		"unsafe", text(o->unsafe ? o->unsafe : ""));
}

static json_t *status_json(struct tree *tree)
{
	uint64_t up_ns = clock_mono_ns() - tree->started_ns;

	return json_pack(
		"{s:s,s:o,s:o,s:i,s:I,s:o,s:o,s:o,s:o,s:{s:i},s:o}", "version",
		LAKEFUSE_VERSION, "mountpoint", text(tree->mountpoint), "lake",
		text(tree->lake_name), "pid", (int)getpid(), "uptime_s",
		(json_int_t)(up_ns / NS_PER_S), "sites", sites_json(tree),
		"cache", cache_json(tree), "meta", meta_json(tree), "metrics",
		metrics_json(), "kernel", "nodes", (int)node_count(tree->nodes),
		"settings", settings_json(tree->options));
}

static char *dump(json_t *j)
{
	char *line = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	return line;
}

char *status_text(struct tree *tree)
{
	return dump(status_json(tree));
}

/* Walks the path with fresh lookups, as open would. */
static int find(struct op *op, struct tree *tree, const char *path,
		struct entry *ret)
{
	uint64_t dir = META_ROOT;
	char name[META_NAME_MAX + 1];
	int rc = meta_directory(op, tree->meta, META_ROOT, ret);

	while (rc == 0 && *path) {
		size_t n = strcspn(path, "/");

		if (n > META_NAME_MAX)
			return -ENAMETOOLONG;
		if (n > 0) {
			memcpy(name, path, n);
			name[n] = '\0';
			rc = meta_lookup(op, tree->meta, dir, name, ret);
			dir = rc == 0 ? ret->ino : 0;
		}
		path += n + (path[n] == '/');
		if (rc == 0 && *path && ret->kind != ENTRY_DIR)
			return -ENOTDIR;
	}
	return rc;
}

static json_t *copies_json(struct op *op, struct tree *tree,
			   const struct object_ref *ref, int *ret_serves)
{
	struct copy_report reports[SITES_MAX];
	json_t *copies = json_array();
	char generation[24];
	int n = lake_where(op, tree->lake, ref, reports, SITES_MAX, ret_serves);

	for (int i = 0; i < n; i++) {
		const struct copy_report *r = &reports[i];

		snprintf(generation, sizeof(generation), "%" PRIu64,
			 r->generation);
		json_array_append_new(
			copies,
			json_pack("{s:o,s:b,s:s,s:o,s:s,s:o}", "site",
				  text(lake_site_name(tree->lake, r->site)),
				  "present", (int)r->present, "proof",
				  proof_name(r->proof), "size", number(r->size),
				  "generation", generation, "why",
				  text(r->why)));
	}
	return copies;
}

struct odd_list {
	json_t *list;
	const char *dir; /* with '/' at the end, or "" */
};

static int add_odd(void *arg, const char *object, const char *why)
{
	struct odd_list *odd = arg;

	if (strncmp(object, odd->dir, strlen(odd->dir)) == 0)
		json_array_append_new(
			odd->list, json_pack("{s:o,s:o}", "object",
					     text(object), "why", text(why)));
	return json_array_size(odd->list) >= 1000 ? 1 : 0;
}

static json_t *odd_json(struct op *op, struct tree *tree, const char *path,
			const struct entry *entry, bool in_tree)
{
	char dir[OBJECT_NAME_MAX + 4];
	struct odd_list odd = {.list = json_array(), .dir = dir};

	snprintf(dir, sizeof(dir), "%s%s", path,
		 in_tree && entry->kind == ENTRY_DIR && *path ? "/" : "");
	meta_each_odd(op, tree->meta, add_odd, &odd);
	return odd.list;
}

static const char *kind_name(enum entry_kind kind)
{
	static const char *const names[] = {[ENTRY_FILE] = "file",
					    [ENTRY_DIR] = "directory",
					    [ENTRY_SYMLINK] = "symlink"};

	return names[kind];
}

static void describe(json_t *j, const struct entry *entry)
{
	char buf[32];

	json_object_set_new(j, "kind", json_string(kind_name(entry->kind)));
	json_object_set_new(j, "class",
			    json_string(freshness_name(entry->class)));
	json_object_set_new(j, "stale", json_boolean(entry->stale));
	if (entry->kind == ENTRY_DIR)
		return;
	snprintf(buf, sizeof(buf), "%" PRIu64, entry->generation);
	json_object_set_new(j, "generation", json_string(buf));
	json_object_set_new(j, "size", number(entry->size));
	json_object_set_new(j, "mtime_ns",
			    json_integer((json_int_t)entry->mtime_ns));
	json_object_set_new(j, "storage_class", text(entry->storage_class));
	if (entry->has & HAS_CRC32C) {
		snprintf(buf, sizeof(buf), "%08x", entry->crc32c);
		json_object_set_new(j, "crc32c", json_string(buf));
	}
}

static json_t *where_json(struct tree *tree, const char *path)
{
	struct entry entry = {0};
	struct object_ref ref = {.name = path};
	json_t *j;
	struct op op;
	int serves = -1;
	int rc;

	op_child(&op, &tree->life, tree->options->op_timeout_ns);
	rc = find(&op, tree, path, &entry);
	if (rc < 0 && rc != -ENOENT && rc != -ENOTDIR)
		return json_pack("{s:o}", "error",
				 text(op.why[0] ? op.why : strerror(-rc)));
	j = json_pack("{s:o,s:o,s:b}", "path", text(path), "object",
		      text(rc == 0 ? entry.object : path), "in_tree", rc == 0);
	if (rc == 0)
		describe(j, &entry);
	if (rc == 0)
		entry_ref(&entry, &ref);
	op_forgive(&op);
	if (rc < 0 || entry.kind != ENTRY_DIR)
		json_object_set_new(j, "copies",
				    copies_json(&op, tree, &ref, &serves));
	json_object_set_new(
		j, "serves",
		serves >= 0 && rc == 0
			? text(lake_site_name(tree->lake, (unsigned)serves))
			: json_null());
	json_object_set_new(j, "odd",
			    odd_json(&op, tree, path, &entry, rc == 0));
	return j;
}

static json_t *odds_json(struct tree *tree)
{
	struct odd_list odd = {.list = json_array(), .dir = ""};
	struct op op;

	op_child(&op, &tree->life, tree->options->op_timeout_ns);
	meta_each_odd(&op, tree->meta, add_odd, &odd);
	return json_pack("{s:o}", "odd", odd.list);
}

char *status_answer(void *arg, const char *request, size_t size)
{
	struct tree *tree = arg;
	json_t *j = json_loadb(request, size, 0, NULL);
	const char *verb = json_string_value(json_object_get(j, "verb"));
	const char *path = json_string_value(json_object_get(j, "path"));
	char *answer;

	if (verb && strcmp(verb, "status") == 0)
		answer = status_text(tree);
	else if (verb && strcmp(verb, "where") == 0 && path)
		answer = dump(where_json(tree, path));
	else if (verb && strcmp(verb, "odd") == 0)
		answer = dump(odds_json(tree));
	else
		answer = dump(json_pack("{s:s}", "error",
					"verbs are status, odd, and where "
					"with a path"));
	json_decref(j);
	return answer;
}
