#include "base/config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_value.h"
#include "base/nearest.h"
#include "base/op.h"

#define KEY_MAX 80

int config_defaults(struct op *op, const struct setting *table, void *into)
{
	char why[PHRASE_MAX];
	int rc = 0;

	for (const struct setting *s = table; s->key && rc == 0; s++) {
		if (s->type == SETTING_GROUP)
			rc = config_defaults(op, s->members,
					     (char *)into + s->offset);
		else if (s->standard)
			rc = setting_assign(s, s->standard, NULL, into, why);
		/* The table is ours: a default that does not parse is a bug. */
		assert(rc != -EINVAL);
		if (rc < 0)
			return op_fail(op, rc, "%s: default", s->key);
	}
	return 0;
}

void setting_clear_list(const struct setting *s, void *into)
{
	char **items = (char **)(void *)((char *)into + s->offset);
	unsigned *count = (unsigned *)(void *)((char *)into + s->count_offset);

	for (unsigned i = 0; i < *count; i++)
		config_done(s->members, *items + i * s->item_size);
	free(*items);
	*items = NULL;
	*count = 0;
}

void config_done(const struct setting *table, void *into)
{
	for (const struct setting *s = table; s->key; s++) {
		void *at = (char *)into + s->offset;

		if (s->type == SETTING_GROUP) {
			config_done(s->members, at);
		} else if (s->type == SETTING_LIST) {
			setting_clear_list(s, into);
		} else if (s->type == SETTING_STRING ||
			   s->type == SETTING_PATH) {
			free(*(char **)at);
			*(char **)at = NULL;
		}
	}
}

/*
 * "cache.size" is size in the group cache.  Moves *into to the struct that
 * holds the setting.
 */
static const struct setting *find(const struct setting *table, const char *key,
				  void **into)
{
	const char *dot = strchr(key, '.');
	size_t len = dot ? (size_t)(dot - key) : strlen(key);

	for (const struct setting *s = table; s->key; s++) {
		if (strncmp(s->key, key, len) != 0 || s->key[len])
			continue;
		if (!dot)
			return s;
		if (s->type != SETTING_GROUP)
			return NULL;
		*into = (char *)*into + s->offset;
		return find(s->members, dot + 1, into);
	}
	return NULL;
}

/* Calls each for every setting one can give with -o, by its whole key. */
static void each_key(const struct setting *table, const char *prefix,
		     void (*each)(void *arg, const char *key,
				  const struct setting *s),
		     void *arg)
{
	for (const struct setting *s = table; s->key; s++) {
		char key[KEY_MAX];

		snprintf(key, sizeof(key), "%s%s", prefix, s->key);
		if (s->type == SETTING_GROUP || s->type == SETTING_LIST) {
			strncat(key, s->type == SETTING_LIST ? "[]." : ".",
				sizeof(key) - strlen(key) - 1);
			each_key(s->members, key, each, arg);
		} else {
			each(arg, key, s);
		}
	}
}

struct guess {
	struct nearest nearest;
	char key[KEY_MAX]; /* what nearest.best points to */
};

static void offer_key(void *arg, const char *key, const struct setting *s)
{
	struct guess *g = arg;

	(void)s;
	nearest_offer(&g->nearest, key);
	if (g->nearest.best == key) {
		snprintf(g->key, sizeof(g->key), "%s", key);
		g->nearest.best = g->key;
	}
}

static int fail_unknown(struct op *op, const struct setting *table,
			const char *key)
{
	struct guess g;

	nearest_init(&g.nearest, key);
	each_key(table, "", offer_key, &g);
	if (g.nearest.best)
		return op_fail(op, -ENOENT, "%.60s: unknown; did you mean %s?",
			       key, g.key);
	return op_fail(op, -ENOENT,
		       "%.60s: unknown; `lakefuse mount --help` lists all",
		       key);
}

int config_set(struct op *op, const struct setting *table, const char *key,
	       const char *value, void *into)
{
	const struct setting *s = find(table, key, &into);
	char why[PHRASE_MAX];
	int rc;

	if (!s)
		return fail_unknown(op, table, key);
	if (!value && s->type == SETTING_BOOL)
		value = "true";
	if (!value)
		return op_fail(op, -EINVAL, "%s: needs a value; write %s=%s",
			       key, key,
			       s->type < SETTING_GROUP ? setting_placeholder(s)
						       : "...");
	rc = setting_assign(s, value, NULL, into, why);
	if (rc == -EINVAL)
		return op_fail(op, rc, "%s: %s", key, why);
	return rc < 0 ? op_fail(op, rc, "%s", key) : 0;
}

static void print_key(void *arg, const char *key, const struct setting *s)
{
	char left[KEY_MAX + 16];

	(void)arg;
	snprintf(left, sizeof(left), "%s=%s", key, setting_placeholder(s));
	/* A long key has the line for itself. */
	printf(strlen(left) <= 32 ? "  %-32s  %s" : "  %s\n%36s%s", left,
	       strlen(left) <= 32 ? s->help : "", s->help);
	if (s->type == SETTING_CHOICE) {
		for (int i = 0; s->choices[i]; i++)
			printf("%s%s", i ? "|" : " (", s->choices[i]);
		putchar(')');
	}
	if (s->standard && *s->standard)
		printf(" [%s]", s->standard);
	putchar('\n');
}

void config_help(const struct setting *table)
{
	each_key(table, "", print_key, NULL);
}
