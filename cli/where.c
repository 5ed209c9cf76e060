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

#define ASK_NS (60 * NS_PER_S) /* each site may be asked */

static void print_entry(const json_t *root)
{
	auto_free char *kind = json_safe(root, "kind");
	auto_free char *class = json_safe(root, "class");
	auto_free char *generation = json_safe(root, "generation");
	auto_free char *crc32c = json_safe(root, "crc32c");
	auto_free char *storage = json_safe(root, "storage_class");

	printf("  %s, class %s", *kind ? kind : "?", *class ? class : "?");
	if (*generation && strcmp(generation, "0") != 0)
		printf(", generation %s, %" PRId64 " bytes", generation,
		       json_number(root, "size"));
	if (*crc32c)
		printf(", crc32c %s", crc32c);
	if (*storage)
		printf(", %s", storage);
	putchar('\n');
	if (json_number(root, "mtime_ns"))
		printf("  written %s\n",
		       term_time_ns(json_number(root, "mtime_ns")));
	if (json_flag(root, "stale"))
		puts("  STALE: the record does not answer; this is what was "
		     "last known");
}

static void print_copy(const json_t *copy, const char *serves)
{
	auto_free char *site = json_safe(copy, "site");
	auto_free char *proof = json_safe(copy, "proof");
	auto_free char *why = json_safe(copy, "why");
	bool present = json_flag(copy, "present");
	bool proven = present && *proof && strcmp(proof, "none") != 0;

	printf("  %-2s %-10s %-8s %-9s",
	       serves && !strcmp(serves, site) ? "=>" : "", site,
	       present ? "present" : "absent", proven ? proof : "-");
	if (*why)
		printf("  %s", why);
	putchar('\n');
}

static void print_copies(const json_t *root)
{
	auto_free char *serves = json_safe(root, "serves");
	const json_t *copies = json_object_get(root, "copies");
	const json_t *copy;
	size_t i;

	if (json_array_size(copies) > 0)
		printf("     %-10s %-8s %-9s\n", "SITE", "COPY", "PROOF");
	json_array_foreach(copies, i, copy)
	{
		print_copy(copy, serves);
	}
	if (*serves)
		printf("  served from %s\n", serves);
	else if (json_array_size(copies) > 0 && json_flag(root, "in_tree"))
		puts("  served from nowhere: a read fails with EIO");
}

static void print_odd(const json_t *root)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(root, "odd"), i, item)
	{
		auto_free char *object = json_safe(item, "object");
		auto_free char *why = json_safe(item, "why");

		printf("  no path spells %s: %s\n", object, why);
	}
}

static void print_where(const json_t *root, const char *path)
{
	auto_free char *shown = term_safe(path);
	auto_free char *object = json_safe(root, "object");
	json_t *in_tree = json_object_get(root, "in_tree");

	printf("%s%s%s\n", shown, *object ? "  object " : "", object);
	if (json_is_false(in_tree))
		puts("  not in the tree: the record has no such object, "
		     "whatever the replicas hold");
	else
		print_entry(root);
	print_copies(root);
	print_odd(root);
}

static char *make_request(const char *rest)
{
	json_t *path = json_string(rest);
	json_t *request;
	char *text;

	if (!path)
		return NULL; /* not UTF-8 */
	request = json_pack("{s:s, s:o}", "verb", "where", "path", path);
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	return text;
}

static int show(const struct mounts *mounts, const char *arg, bool as_json)
{
	auto_free char *path = mounts_resolve(mounts, arg);
	auto_free char *request = NULL;
	auto_free char *answer = NULL;
	const struct mount *m;
	const char *rest;
	json_t *root;
	struct op op;

	if (!path)
		return cli_failed("%s: %s", arg, strerror(errno));
	m = mounts_find(mounts, path, &rest);
	if (!mount_is_lake(m))
		return cli_failed("%s: not on a lakefuse mount; `lakefuse "
				  "status` lists all",
				  path);
	request = make_request(rest);
	if (!request)
		return cli_failed("%s: no UTF-8; no object has such a name",
				  path);
	op_init(&op, ASK_NS);
	if (mount_ask(&op, m->point, request, &answer) < 0)
		return cli_failed("%s", op.why);
	root = json_answer(answer, path);
	if (!root)
		return EXIT_FAILED;
	if (as_json)
		puts(answer);
	else
		print_where(root, path);
	json_decref(root);
	return EXIT_DONE;
}

int cmd_where(int argc, char **argv)
{
	static const char *const flags[] = {"--json", NULL};
	bool as_json = false;
	bool *const set[] = {&as_json};
	int first = cli_flags(argc, argv, flags, set);
	struct mounts mounts;
	int rc = EXIT_DONE;
	struct op op;

	if (argc == first)
		return cli_usage("where: give a PATH or more; see `lakefuse "
				 "where --help`");
	op_init(&op, 0);
	if (mounts_read(&op, &mounts) < 0)
		return cli_failed("%s", op.why);
	for (int i = first; i < argc; i++) {
		if (i > first && !as_json)
			putchar('\n');
		if (show(&mounts, argv[i], as_json) != EXIT_DONE)
			rc = EXIT_FAILED;
	}
	mounts_free(&mounts);
	return rc;
}
