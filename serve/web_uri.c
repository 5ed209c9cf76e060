#include "serve/web_uri.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int web_decode(const char *s, size_t n, bool plus, char **ret_text)
{
	char *text = malloc(n + 1);
	size_t used = 0;

	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '+' && plus) {
			text[used++] = ' ';
			continue;
		}
		if (s[i] != '%') {
			text[used++] = s[i];
			continue;
		}
		if (i + 2 >= n || hex(s[i + 1]) < 0 || hex(s[i + 2]) < 0 ||
		    (s[i + 1] == '0' && s[i + 2] == '0')) {
			free(text);
			return -EINVAL;
		}
		text[used++] = (char)(hex(s[i + 1]) * 16 + hex(s[i + 2]));
		i += 2;
	}
	text[used] = '\0';
	*ret_text = text;
	return 0;
}

int web_number(const char *s, int64_t *ret_number)
{
	char *end;
	long long number;

	if (!isdigit((unsigned char)*s) &&
	    !(*s == '-' && isdigit((unsigned char)s[1])))
		return -EINVAL;
	errno = 0;
	number = strtoll(s, &end, 10);
	if (errno || *end)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

/* Digits at *s, which moves behind them.  Too big a number is UINT64_MAX. */
static bool digits(const char **s, uint64_t *ret_number)
{
	uint64_t number = 0;
	bool any = false;

	for (; isdigit((unsigned char)**s); (*s)++) {
		unsigned digit = (unsigned)(**s - '0');

		any = true;
		if (number > (UINT64_MAX - digit) / 10)
			number = UINT64_MAX;
		else
			number = number * 10 + digit;
	}
	*ret_number = number;
	return any;
}

enum web_range web_range(const char *header, uint64_t size,
			 uint64_t *ret_offset, uint64_t *ret_length)
{
	uint64_t first = 0, last = UINT64_MAX;
	bool has_first, has_last;
	const char *s = header;

	if (!s || strncasecmp(s, "bytes=", 6) != 0)
		return WEB_RANGE_NONE;
	s += 6;
	has_first = digits(&s, &first);
	if (*s++ != '-')
		return WEB_RANGE_NONE;
	has_last = digits(&s, &last);
	if (*s || (!has_first && !has_last) ||
	    (has_first && has_last && last < first))
		return WEB_RANGE_NONE;
	if (!has_first) { /* the last so many bytes */
		if (last == 0 || size == 0)
			return WEB_RANGE_UNSATISFIABLE;
		first = last < size ? size - last : 0;
		last = size - 1;
	} else if (!has_last || last >= size) {
		last = size - 1;
	}
	if (first >= size)
		return WEB_RANGE_UNSATISFIABLE;
	*ret_offset = first;
	*ret_length = last - first + 1;
	return WEB_RANGE_OK;
}
