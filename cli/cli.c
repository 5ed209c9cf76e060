#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/nearest.h"
#include "cli/term.h"

static void complain(const char *fmt, va_list args)
	__attribute__((format(printf, 1, 0)));

static void complain(const char *fmt, va_list args)
{
	auto_free char *text = NULL;
	auto_free char *safe = NULL;

	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	safe = term_safe(text ? text : "out of memory");
	fflush(stdout);
	fprintf(stderr, "lakefuse: %s\n", safe);
}

int cli_failed(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	complain(fmt, args);
	va_end(args);
	return EXIT_FAILED;
}

int cli_usage(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	complain(fmt, args);
	va_end(args);
	return EXIT_USAGE;
}

const char *cli_guess(const struct nearest *nearest)
{
	static char guess[80];

	if (!nearest->best)
		return "";
	snprintf(guess, sizeof(guess), " (did you mean %s?)", nearest->best);
	return guess;
}

/* The command's name is argv[0]. */
static void take_flag(char **argv, const char *flag, const char *const *names,
		      bool *const *set)
{
	struct nearest nearest;

	if (strcmp(flag, "--help") == 0 || strcmp(flag, "-h") == 0) {
		cli_help(argv[0]);
		exit(EXIT_DONE);
	}
	nearest_init(&nearest, flag);
	for (int i = 0; names[i]; i++) {
		if (strcmp(names[i], flag) == 0) {
			*set[i] = true;
			return;
		}
		nearest_offer(&nearest, names[i]);
	}
	cli_usage("%s: no option %s%s; see `lakefuse %s --help`", argv[0], flag,
		  cli_guess(&nearest), argv[0]);
	exit(EXIT_USAGE);
}

int cli_flags(int argc, char **argv, const char *const *names, bool *const *set)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		if (strcmp(argv[i], "--") == 0)
			return i + 1;
		take_flag(argv, argv[i], names, set);
	}
	return i;
}
