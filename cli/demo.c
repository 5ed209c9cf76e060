/*
 * lakefuse demo: the whole idea in one command.
 *
 * Three servers, sample tables, a mount, and the scenes of cli/demo_steps.c.
 * The demo checks each of its claims, and fails with the first that does not
 * hold; so it is a test as well.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/op.h"
#include "cli/demo_show.h"
#include "cli/demo_stage.h"
#include "cli/demo_steps.h"
#include "cli/demo_tables.h"

static int check_host(struct op *op)
{
	if (access("/dev/fuse", R_OK | W_OK) < 0)
		return op_fail(op, -errno,
			       "demo: /dev/fuse: %s; load the kernel module "
			       "`fuse`, or give the container that device",
			       strerror(errno));
	return 0;
}

static int run_steps(struct op *op, struct demo *demo)
{
	int rc = 0;

	for (const struct demo_step *s = demo_steps; rc == 0 && s->title; s++) {
		show_title(s->title);
		rc = stage_stopped() ? op_fail(op, -EINTR, "demo: stopped")
				     : s->run(op, demo);
	}
	return rc;
}

static int run(struct op *op, const char *dir)
{
	uint64_t begin_ns = clock_mono_ns();
	struct demo demo = {0};
	int rc = check_host(op);

	if (rc == 0)
		rc = tables_load(op, &demo.tables);
	if (rc == 0)
		rc = stage_open(op, dir, &demo.stage);
	if (rc == 0) {
		show_text("$ cd %s", demo.stage->dir);
		rc = run_steps(op, &demo);
	}
	if (rc == 0)
		show_text("\nAll of it held, in %.0f s. %s %s.",
			  (double)(clock_mono_ns() - begin_ns) / 1e9,
			  dir ? "Everything is kept in"
			      : "Nothing is left behind in",
			  demo.stage->dir);
	stage_close(demo.stage);
	tables_free(demo.tables);
	return rc;
}

int cmd_demo(int argc, char **argv)
{
	static const char *const flags[] = {NULL};
	bool *const set[] = {NULL};
	int first = cli_flags(argc, argv, flags, set);
	struct op op;

	if (argc - first > 1)
		return cli_usage("demo: give one DIR or none; see `lakefuse "
				 "demo --help`");
	op_init(&op, 0);
	if (run(&op, first < argc ? argv[first] : NULL) < 0)
		return cli_failed("%s",
				  stage_stopped() ? "demo: stopped" : op.why);
	return EXIT_DONE;
}
