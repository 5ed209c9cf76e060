#include "base/glob.h"

#include <stddef.h>
#include <string.h>

/*
 * Matching goes forward and remembers two places to come back to: the last `*`,
 * which can take one byte more of its component, and the last `**`.  An earlier
 * `**` never has to be tried again: whatever it could take more, the later one
 * can take as well.
 */
struct retry {
	const char *pattern; /* what follows the star; NULL: no star yet */
	const char *path;    /* how far it has taken */
	bool whole;	     /* takes whole components only */
};

/* The end of the class that opens at p, past its ']'; NULL: none. */
static const char *class_end(const char *p)
{
	p++;
	if (*p == '!' || *p == '^')
		p++;
	if (*p == ']')
		p++;
	while (*p && *p != ']')
		p += p[0] == '\\' && p[1] ? 2 : 1;
	return *p ? p + 1 : NULL;
}

static unsigned char class_char(const char **p)
{
	if ((*p)[0] == '\\' && (*p)[1])
		(*p)++;
	return (unsigned char)*(*p)++;
}

/* p is past the '[', end past the ']'. */
static bool class_has(const char *p, const char *end, unsigned char c)
{
	bool negated = *p == '!' || *p == '^';
	bool found = false;

	p += negated;
	while (p < end - 1) {
		unsigned char low = class_char(&p);
		unsigned char high = low;

		if (p[0] == '-' && p + 1 < end - 1) {
			p++;
			high = class_char(&p);
		}
		found |= low <= c && c <= high;
	}
	return found != negated;
}

/* Matches one byte c, not '\0'; returns what follows in the pattern or NULL. */
static const char *match_one(const char *p, char c)
{
	const char *end;

	switch (*p) {
	case '\0':
		return NULL;
	case '?':
		return c != '/' ? p + 1 : NULL;
	case '[':
		end = class_end(p);
		if (!end)
			break;
		if (c == '/' || !class_has(p + 1, end, (unsigned char)c))
			return NULL;
		return end;
	case '\\':
		p += p[1] != '\0';
		break;
	}
	return *p == c ? p + 1 : NULL;
}

/* Begins the star at *pattern; returns false when there is none. */
static bool take_star(const char *start, const char **pattern, const char *path,
		      struct retry *star, struct retry *stars)
{
	const char *p = *pattern;

	if (p[0] != '*')
		return false;
	if (p[1] != '*') {
		*pattern = p + 1;
		*star = (struct retry){.pattern = p + 1, .path = path};
		return true;
	}
	*stars = (struct retry){.path = path};
	*star = (struct retry){.pattern = NULL};
	if (p[2] == '/' && (p == start || p[-1] == '/')) {
		stars->whole = true;
		*pattern = p + 3;
	} else {
		*pattern = p + 2;
	}
	stars->pattern = *pattern;
	return true;
}

/* Goes back to a star that can take more; returns false when none can. */
static bool take_more(const char **pattern, const char **path,
		      struct retry *star, struct retry *stars)
{
	struct retry *retry = star;

	if (!star->pattern || *star->path == '\0' || *star->path == '/') {
		retry = stars;
		star->pattern = NULL;
	}
	if (!retry->pattern || *retry->path == '\0')
		return false;
	if (retry->whole) {
		const char *slash = strchr(retry->path, '/');

		if (!slash)
			return false;
		retry->path = slash;
	}
	retry->path++;
	*path = retry->path;
	*pattern = retry->pattern;
	return true;
}

bool glob_match(const char *pattern, const char *path)
{
	const char *start = pattern;
	struct retry star = {.pattern = NULL};
	struct retry stars = {.pattern = NULL};

	for (;;) {
		const char *next;

		if (take_star(start, &pattern, path, &star, &stars))
			continue;
		if (*path == '\0' && *pattern == '\0')
			return true;
		next = *path ? match_one(pattern, *path) : NULL;
		if (next) {
			pattern = next;
			path++;
		} else if (!take_more(&pattern, &path, &star, &stars)) {
			return false;
		}
	}
}
