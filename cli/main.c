#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/auto.h"
#include "base/nearest.h"
#include "cli/cli.h"

static const struct command commands[] = {
	{"mount", cmd_mount, "mount [-f] [-o OPT,...] LAKE MOUNTPOINT",
	 "show a lake as a tree; LAKE is gs://bucket[/prefix] or lake.yaml"},
	{"umount", cmd_umount, "umount [--force] MOUNTPOINT",
	 "end a mount, and wait until its daemon is done"},
	{"status", cmd_status, "status [--json] [MOUNTPOINT]",
	 "sites, health, cache and counters of one mount or all"},
	{"where", cmd_where, "where [--json] PATH...",
	 "each site's copy of a file, its proof, and which one is served"},
	{"demo", cmd_demo, "demo [DIR]",
	 "three sites on this host, sample tables and a mount"},
	{"serve", cmd_serve, "serve [OPTION...]",
	 "an object store on loopback, for demo and tests"},
	{NULL, NULL, NULL, NULL},
};

static const struct command *find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

void cli_help(const char *name)
{
	const struct command *c = find(name);

	printf("usage: lakefuse %s\n\n%s\n", c->usage, c->help);
}

static int print_help(void)
{
	printf("usage: lakefuse COMMAND ...\n\n");
	for (const struct command *c = commands; c->name; c++)
		printf("  %-40s  %s\n", c->usage, c->help);
	printf("\n`lakefuse COMMAND --help` tells more; so does lakefuse(1).\n"
	       "Exit codes: 0 done, 1 failed, 2 wrong usage.\n");
	return EXIT_DONE;
}

static int fail_unknown(const char *name)
{
	struct nearest nearest;

	nearest_init(&nearest, name);
	for (const struct command *c = commands; c->name; c++)
		nearest_offer(&nearest, c->name);
	return cli_usage("no command '%s'%s; `lakefuse --help` lists all", name,
			 cli_guess(&nearest));
}

/*
 * mount(8) calls mount.lakefuse LAKE MOUNTPOINT [-fnsv] [-t TYPE] [-o OPTS];
 * mount.fuse3, for its part, calls lakefuse LAKE MOUNTPOINT -o OPTS.
 */
static int mount_for_mount8(int argc, char **argv)
{
	char *mine[8] = {(char *)"mount"};
	char *places[2] = {NULL, NULL};
	int n_places = 0, n = 1;
	bool fake = false;

	for (int i = 1; i < argc; i++) {
		bool more = i + 1 < argc;

		if (argv[i][0] != '-' && n_places < 2) {
			places[n_places++] = argv[i];
		} else if (strcmp(argv[i], "-o") == 0 && more && n == 1) {
			mine[n++] = (char *)"-o";
			mine[n++] = argv[++i];
		} else if (strcmp(argv[i], "-t") == 0 && more) {
			i++;
		} else if (argv[i][0] == '-' && argv[i][1] &&
			   !argv[i][1 + strspn(argv[i] + 1, "fnsv")]) {
			fake = fake || strchr(argv[i], 'f');
		} else {
			return cli_usage("'%s' is unknown; usage: %s LAKE "
					 "MOUNTPOINT [-o OPT,...]",
					 argv[i], argv[0]);
		}
	}
	if (n_places < 2)
		return cli_usage("usage: %s LAKE MOUNTPOINT [-o OPT,...]",
				 argv[0]);
	if (fake)
		return EXIT_DONE;
	mine[n++] = places[0];
	mine[n++] = places[1];
	return cmd_mount(n, mine);
}

static bool called_as_mount_helper(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];

	if (strcmp(name, "mount.lakefuse") == 0 ||
	    strcmp(name, "mount.fuse.lakefuse") == 0)
		return true;
	/* No command has a slash, every lake has. */
	return argc >= 3 && argv[1][0] != '-' && strchr(argv[1], '/');
}

/* A core file would hold credentials and what people read. */
static void forbid_core_files(void)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
}

int main(int argc, char **argv)
{
	const struct command *c;

	forbid_core_files();
	if (argc < 1)
		return EXIT_USAGE;
	if (called_as_mount_helper(argc, argv))
		return mount_for_mount8(argc, argv);
	if (argc < 2)
		return cli_usage("no command; `lakefuse --help` lists all");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return print_help();
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("lakefuse %s\n", LAKEFUSE_VERSION);
		return EXIT_DONE;
	}
	c = find(argv[1]);
	return c ? c->run(argc - 1, argv + 1) : fail_unknown(argv[1]);
}
