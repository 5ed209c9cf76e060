#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"

/*
 * A number with a unit, and nothing else: no sign, no space, no exponent.
 * Fractions are exact or refused, so that what is written is what is used.
 */

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = {
	{"", 1},
	{"B", 1},
	{"KiB", 1ULL << 10},
	{"MiB", 1ULL << 20},
	{"GiB", 1ULL << 30},
	{"TiB", 1ULL << 40},
	{"PiB", 1ULL << 50},
	{"EiB", 1ULL << 60},
	{"kB", 1000ULL},
	{"KB", 1000ULL},
	{"MB", 1000000ULL},
	{"GB", 1000000000ULL},
	{"TB", 1000000000000ULL},
	{"PB", 1000000000000000ULL},
	{"EB", 1000000000000000000ULL},
	{NULL, 0},
};

static const struct unit times[] = {
	{"ns", 1},
	{"us", 1000ULL},
	{"ms", NS_PER_MS},
	{"s", NS_PER_S},
	{"m", 60 * NS_PER_S},
	{"min", 60 * NS_PER_S},
	{"h", 3600 * NS_PER_S},
	{"d", 86400 * NS_PER_S},
	{NULL, 0},
};

#define DIGITS_MAX 20

struct number {
	unsigned __int128 digits; /* the point left out */
	unsigned __int128 scale;  /* 10 ^ digits behind the point */
};

static const char *read_digits(const char *p, struct number *n, int *n_digits,
			       bool behind_point)
{
	for (; *p >= '0' && *p <= '9'; p++) {
		if (++*n_digits > DIGITS_MAX)
			return NULL;
		n->digits = n->digits * 10 + (unsigned)(*p - '0');
		if (behind_point)
			n->scale *= 10;
	}
	return p;
}

/* Returns the text behind the number, or NULL. */
static const char *read_number(const char *p, struct number *n)
{
	int n_digits = 0, before;

	n->digits = 0;
	n->scale = 1;
	p = read_digits(p, n, &n_digits, false);
	if (!p || n_digits == 0 || *p != '.')
		return n_digits ? p : NULL;
	before = n_digits;
	p = read_digits(p + 1, n, &n_digits, true);
	return p && n_digits > before ? p : NULL;
}

static int parse_with(const struct unit *units, const char *text,
		      unsigned long long *ret)
{
	unsigned __int128 value;
	struct number n;

	text = read_number(text, &n);
	if (!text)
		return -EINVAL;
	if (n.digits == 0 && *text == '\0') {
		*ret = 0; /* nothing is nothing in every unit */
		return 0;
	}
	while (units->name && strcmp(units->name, text) != 0)
		units++;
	if (!units->name)
		return -EINVAL;
	/* 20 digits and a factor below 2^63 fit into 128 bits. */
	value = n.digits * units->factor;
	if (value % n.scale != 0 || value / n.scale > UINT64_MAX)
		return -EINVAL;
	*ret = (unsigned long long)(value / n.scale);
	return 0;
}

int parse_size(const char *text, unsigned long long *ret_bytes)
{
	return parse_with(sizes, text, ret_bytes);
}

int parse_time(const char *text, unsigned long long *ret_ns)
{
	return parse_with(times, text, ret_ns);
}
