/*
 * The demo's story: one function a scene, which shows it and checks what it
 * claims.
 *
 * Threads: one.
 */
#ifndef LAKEFUSE_CLI_DEMO_STEPS_H
#define LAKEFUSE_CLI_DEMO_STEPS_H

#include "cli/demo_lake.h"

struct op;

struct demo_step {
	const char *title;
	int (*run)(struct op *op, struct demo *demo);
};

/* Ends with a NULL title. */
extern const struct demo_step demo_steps[];

#endif
