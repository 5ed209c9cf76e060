/*
 * The commands of `lakefuse`, one file each.
 *
 * Exit codes: 0 done, 1 failed, 2 wrong usage.  A failure prints one line to
 * stderr that says what is wrong, where, and what to do.
 */
#ifndef LAKEFUSE_CLI_CLI_H
#define LAKEFUSE_CLI_CLI_H

#include <stdbool.h>

struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name */
	const char *usage;		   /* after "lakefuse " */
	const char *help;		   /* one line */
};

int cmd_mount(int argc, char **argv);
int cmd_umount(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_where(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_serve(int argc, char **argv);

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* "lakefuse: ..." to stderr; returns EXIT_FAILED / EXIT_USAGE. */
int cli_failed(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The command's usage and help to stdout, for its --help. */
void cli_help(const char *name);

/*
 * Takes the flags of a command from the front of its arguments: a set of
 * names ending in NULL, and where each is noted.  --help prints the help and
 * ends the program with 0, an unknown flag with EXIT_USAGE.  Returns the index
 * of the first argument that is no flag.
 */
int cli_flags(int argc, char **argv, const char *const *names,
	      bool *const *set);

/* " (did you mean X?)" for the middle of a complaint, "" without a guess. */
struct nearest;
const char *cli_guess(const struct nearest *nearest);

#endif
