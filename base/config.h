/*
 * Settings, once, as tables.
 *
 * A table of struct setting describes a C struct: from it come the YAML reader
 * (with file, line and key in every complaint), the -o option reader, --help,
 * the man page's list and `status`'s effective values.
 *
 * Ownership: strings and lists that reading puts into the struct belong to it;
 * config_done() frees them by the same table.
 *
 * Threads: none; used while starting.
 */
#ifndef LAKEFUSE_BASE_CONFIG_H
#define LAKEFUSE_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

struct op;

enum setting_type {
	SETTING_STRING,	  /* char * */
	SETTING_PATH,	  /* char *; must not be empty, made absolute */
	SETTING_BOOL,	  /* bool */
	SETTING_UNSIGNED, /* unsigned */
	SETTING_SIZE,	  /* uint64_t bytes: 4096, 64KiB, 200GiB, 1GB, 5TiB */
	SETTING_TIME,	  /* uint64_t nanoseconds: 250ms, 1s, 2.5s, 5m, 1h */
	SETTING_CHOICE,	  /* int: index in choices */
	SETTING_OCTAL,	  /* unsigned: umask */
	SETTING_GROUP,	  /* a nested mapping: members, same struct */
	SETTING_LIST,	  /* a sequence of mappings: see item_size */
};

struct setting {
	const char *key; /* in YAML and after -o (groups: group.key) */
	enum setting_type type;
	size_t offset;
	const char *help;     /* one line, with the unit */
	const char *standard; /* default, as one would write it; NULL: none */
	const char *const *choices;    /* SETTING_CHOICE, ends with NULL */
	const struct setting *members; /* GROUP and LIST, ends with key NULL */
	size_t item_size; /* LIST: the item's struct; offset holds a pointer */
	size_t count_offset; /* LIST: unsigned, how many */
	unsigned max_items;  /* LIST */
	double min,
		max; /* numbers, when max > 0; also SIZE in bytes, TIME in s */
	bool required;
};

/* Sets every default.  The struct is all zero before. */
int config_defaults(struct op *op, const struct setting *table, void *into);

/*
 * Reads a YAML (or JSON) file.  -EINVAL with "FILE:LINE: key: what is wrong;
 * what to do" for unknown keys, doubled keys, wrong types, values out of range;
 * other -errno when the file can't be read.
 */
int config_read(struct op *op, const struct setting *table, const char *path,
		void *into);

/* The same from memory; name stands for the file in messages. */
int config_parse(struct op *op, const struct setting *table, const char *name,
		 const char *text, size_t size, void *into);

/*
 * Sets one from text ("cache.size", "10GiB"); -ENOENT: no such key.  value
 * NULL (a bare -o allow_other) means true, for a SETTING_BOOL only.  Relative
 * paths count from the working directory; in a file read by config_read(),
 * from that file's directory.
 */
int config_set(struct op *op, const struct setting *table, const char *key,
	       const char *value, void *into);

void config_done(const struct setting *table, void *into);

/* Prints the table as --help shows it: key, default, help. */
void config_help(const struct setting *table);

/* "200GiB" -> bytes, "250ms" -> ns; -EINVAL. */
int parse_size(const char *text, unsigned long long *ret_bytes);
int parse_time(const char *text, unsigned long long *ret_ns);

#endif
