/*
 * What the demo prints: titles, text, commands with their real output, and
 * claims.  A claim that does not hold ends the demo: it is a failure of the
 * op, and the program's.
 *
 * Threads: one.
 */
#ifndef LAKEFUSE_CLI_DEMO_SHOW_H
#define LAKEFUSE_CLI_DEMO_SHOW_H

#include <stdbool.h>

struct op;

void show_title(const char *text);

/* One paragraph. */
void show_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* As a command line, without running it. */
void show_command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct shown {
	int status; /* exit code of the command, 128 + n for a signal */
	char *text; /* stdout and stderr; show_run() gives it */
};

/*
 * Prints "$ COMMAND", runs it by sh and prints what it says.  Fails when it
 * can't be run, is cut by its time limit, or the demo is to stop; not when
 * the command says no.
 */
int show_run(struct op *op, struct shown *ret, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for a command that has to succeed; its output is not kept. */
int show_done(struct op *op, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints the claim as true, or fails with it. */
int show_claim(struct op *op, bool holds, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
