#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/op.h"
#include "cli/cli.h"
#include "fs/fs.h"

#define START_NS (30 * NS_PER_S)

static void show_progress(const char *doing)
{
	fprintf(stderr, "lakefuse: %s ...\n", doing);
}

static void help(void)
{
	printf("usage: lakefuse mount [-f] [-o OPT,...] LAKE MOUNTPOINT\n\n"
	       "LAKE is gs://bucket[/prefix] or a lake.yaml.  -f stays in the "
	       "foreground.\n"
	       "Each setting of lake.yaml can be given to -o as well and wins "
	       "there:\n\n");
	fs_mount_help();
}

/* Several -o are one list. */
static int add_opts(char **opts, const char *more)
{
	char *joined;

	if (asprintf(&joined, "%s%s%s", *opts ? *opts : "", *opts ? "," : "",
		     more) < 0)
		return -ENOMEM;
	free(*opts);
	*opts = joined;
	return 0;
}

int cmd_mount(int argc, char **argv)
{
	static const struct option longs[] = {
		{"help", no_argument, NULL, 'h'},
		{"foreground", no_argument, NULL, 'f'},
		{0}};
	struct mount_call call = {.progress = show_progress};
	auto_free char *opts = NULL;
	struct op op;
	int c, rc;

	opterr = 0; /* one line, and it is ours */
	while ((c = getopt_long(argc, argv, "fo:h", longs, NULL)) != -1) {
		if (c == 'h') {
			help();
			return EXIT_DONE;
		}
		if (c == 'f')
			call.foreground = true;
		else if (c != 'o')
			return cli_usage("mount: %s: wrong; see `lakefuse "
					 "mount --help`",
					 argv[optind - 1]);
		else if (add_opts(&opts, optarg) < 0)
			return cli_failed("no memory");
	}
	if (argc - optind != 2)
		return cli_usage("mount takes LAKE and MOUNTPOINT: lakefuse "
				 "mount [-f] [-o OPT,...] LAKE MOUNTPOINT");
	call.lake = argv[optind];
	call.mountpoint = argv[optind + 1];
	call.opts = opts;
	op_init(&op, START_NS);
	rc = fs_mount(&op, &call);
	if (rc == 0)
		return EXIT_DONE;
	cli_failed("%s", op.why[0] ? op.why : strerror(-rc));
	return rc == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}
