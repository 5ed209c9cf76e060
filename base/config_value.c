#include "base/config_value.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"

/* Enough of a wrong value to find it; a whole one may fill the line. */
#define SHOWN "%.40s"

static void *place(const struct setting *s, void *into)
{
	return (char *)into + s->offset;
}

#define PHRASE(...) (snprintf(why, PHRASE_MAX, __VA_ARGS__), -EINVAL)

/* Never in a name, a URL or a path, and never good on a terminal. */
static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

static int replace_string(char **at, char *value)
{
	if (!value)
		return -ENOMEM;
	free(*at);
	*at = value;
	return 0;
}

static int assign_string(const struct setting *s, const char *text,
			 const char *dir, void *into, char why[PHRASE_MAX])
{
	(void)dir;
	if (has_control(text))
		return PHRASE("contains a control character; remove it");
	return replace_string(place(s, into), strdup(text));
}

static int assign_path(const struct setting *s, const char *text,
		       const char *dir, void *into, char why[PHRASE_MAX])
{
	auto_free char *here = NULL;
	char *path = NULL;

	if (!*text)
		return PHRASE("is empty; give a path");
	if (has_control(text))
		return PHRASE("contains a control character; remove it");
	if (*text == '/')
		return replace_string(place(s, into), strdup(text));
	if (!dir) {
		here = getcwd(NULL, 0);
		if (!here)
			return PHRASE("is relative and the working directory "
				      "is gone; give an absolute path");
		dir = here;
	}
	if (asprintf(&path, "%s/%s", strcmp(dir, "/") ? dir : "", text) < 0)
		return -ENOMEM;
	return replace_string(place(s, into), path);
}

static int assign_bool(const struct setting *s, const char *text,
		       const char *dir, void *into, char why[PHRASE_MAX])
{
	bool value = strcmp(text, "true") == 0;

	(void)dir;
	if (!value && strcmp(text, "false") != 0)
		return PHRASE("'" SHOWN "' is neither true nor false", text);
	*(bool *)place(s, into) = value;
	return 0;
}

static bool in_range(const struct setting *s, double value)
{
	return s->max <= 0 || (value >= s->min && value <= s->max);
}

static int assign_unsigned(const struct setting *s, const char *text,
			   const char *dir, void *into, char why[PHRASE_MAX])
{
	size_t n_digits = strspn(text, "0123456789");
	unsigned long long value;

	(void)dir;
	if (n_digits == 0 || n_digits > 10 || text[n_digits])
		return PHRASE("'" SHOWN "' is not a whole number", text);
	value = strtoull(text, NULL, 10);
	if (!in_range(s, (double)value))
		return PHRASE("%llu is out of range; give %.0f to %.0f", value,
			      s->min, s->max);
	if (value > UINT_MAX)
		return PHRASE("%llu is too big", value);
	*(unsigned *)place(s, into) = (unsigned)value;
	return 0;
}

static int assign_octal(const struct setting *s, const char *text,
			const char *dir, void *into, char why[PHRASE_MAX])
{
	size_t n_digits = strspn(text, "01234567");

	(void)dir;
	if (n_digits == 0 || n_digits > 5 || text[n_digits] ||
	    strtoul(text, NULL, 8) > 07777)
		return PHRASE("'" SHOWN "' is not an octal number like 022",
			      text);
	*(unsigned *)place(s, into) = (unsigned)strtoul(text, NULL, 8);
	return 0;
}

/* 1073741824 -> "1GiB": a bound as somebody would write it. */
static const char *show_size(double bytes, char buf[24])
{
	static const char *const units[] = {"B",   "KiB", "MiB", "GiB",
					    "TiB", "PiB", "EiB"};
	uint64_t n = (uint64_t)bytes;
	int i = 0;

	for (; n && n % 1024 == 0 && i < 6; i++)
		n /= 1024;
	snprintf(buf, 24, "%llu%s", (unsigned long long)n, units[i]);
	return buf;
}

static int assign_size(const struct setting *s, const char *text,
		       const char *dir, void *into, char why[PHRASE_MAX])
{
	unsigned long long value;
	char min[24], max[24];

	(void)dir;
	if (parse_size(text, &value) < 0)
		return PHRASE("'" SHOWN "' is not a size; write one like 4096, "
			      "64KiB, 200GiB or 1GB",
			      text);
	if (!in_range(s, (double)value))
		return PHRASE("'" SHOWN "' is out of range; give %s to %s",
			      text, show_size(s->min, min),
			      show_size(s->max, max));
	*(uint64_t *)place(s, into) = value;
	return 0;
}

static int assign_time(const struct setting *s, const char *text,
		       const char *dir, void *into, char why[PHRASE_MAX])
{
	unsigned long long value;

	(void)dir;
	if (parse_time(text, &value) < 0)
		return PHRASE("'" SHOWN "' is not a time; write one like "
			      "250ms, 1s, 2.5s, 5m or 1h",
			      text);
	if (!in_range(s, (double)value / NS_PER_S))
		return PHRASE("'" SHOWN "' is out of range; give %gs to %gs",
			      text, s->min, s->max);
	*(uint64_t *)place(s, into) = value;
	return 0;
}

/* "a, b or c" */
static void join_choices(const char *const *choices, char *buf, size_t room)
{
	size_t n = 0;

	buf[0] = '\0';
	for (; *choices && n < room; choices++) {
		const char *between = choices[1] ? ", " : " or ";

		n += (size_t)snprintf(buf + n, room - n, "%s%s",
				      n ? between : "", *choices);
	}
}

static int assign_choice(const struct setting *s, const char *text,
			 const char *dir, void *into, char why[PHRASE_MAX])
{
	char known[100];

	(void)dir;
	for (int i = 0; s->choices[i]; i++) {
		if (strcmp(s->choices[i], text) == 0) {
			*(int *)place(s, into) = i;
			return 0;
		}
	}
	join_choices(s->choices, known, sizeof(known));
	return PHRASE("'" SHOWN "' is unknown; give %s", text, known);
}

typedef int assign_fn(const struct setting *s, const char *text,
		      const char *dir, void *into, char why[PHRASE_MAX]);

static const struct {
	assign_fn *assign;
	bool quoted;
	const char *placeholder;
} types[] = {
	[SETTING_STRING] = {assign_string, true, "TEXT"},
	[SETTING_PATH] = {assign_path, true, "PATH"},
	[SETTING_BOOL] = {assign_bool, false, "true|false"},
	[SETTING_UNSIGNED] = {assign_unsigned, false, "N"},
	[SETTING_SIZE] = {assign_size, true, "SIZE"},
	[SETTING_TIME] = {assign_time, true, "TIME"},
	[SETTING_CHOICE] = {assign_choice, true, "WORD"},
	[SETTING_OCTAL] = {assign_octal, true, "OCTAL"},
};

int setting_assign(const struct setting *s, const char *text, const char *dir,
		   void *into, char why[PHRASE_MAX])
{
	if (s->type == SETTING_GROUP)
		return PHRASE("is a group of settings; give them inside it");
	if (s->type == SETTING_LIST)
		return PHRASE("is a list; give it in the file");
	return types[s->type].assign(s, text, dir, into, why);
}

bool setting_may_be_quoted(const struct setting *s)
{
	return types[s->type].quoted;
}

const char *setting_placeholder(const struct setting *s)
{
	return types[s->type].placeholder;
}
