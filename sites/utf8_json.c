/*
 * A byte that can't stay becomes MARK, a private character nobody puts into
 * object names; names are looked through for it after parsing.
 */
#include "sites/utf8_json.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MARK "\xf4\x8f\xbf\xbd" /* U+10FFFD */
#define SHOWN "\xef\xbf\xbd"	/* U+FFFD */
#define N_MARK 4
#define N_SHOWN 3

/* Bytes of the valid UTF-8 character at p; 0: it is none. */
static size_t utf8_size(const unsigned char *p, size_t left)
{
	size_t n = p[0] < 0x80	 ? 1
		   : p[0] < 0xc2 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf5 ? 4
				 : 0;

	if (!n || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0; /* too long a form, a surrogate, too high */
	return n;
}

/* The value of \uXXXX at p, -1: it is not one. */
static int escape_value(const unsigned char *p, size_t left)
{
	int value = 0;

	if (left < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		int digit = p[i] >= '0' && p[i] <= '9' ? p[i] - '0'
			    : (p[i] | 32) >= 'a' && (p[i] | 32) <= 'f'
				    ? (p[i] | 32) - 'a' + 10
				    : -1;

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* How much at p goes together, and whether it is good JSON there. */
static size_t step(const unsigned char *p, size_t left, bool in_string,
		   bool *ret_good)
{
	int value;
	size_t n;

	*ret_good = true;
	if (!in_string)
		return 1;
	if (p[0] == '\\') {
		value = escape_value(p, left);
		if (value < 0)
			return left > 1 ? 2 : 1;
		if (value < 0xd800 || value > 0xdfff)
			return 6;
		n = value < 0xdc00 ? 12 : 6;
		value = n == 12 ? escape_value(p + 6, left - 6) : -1;
		*ret_good = value >= 0xdc00 && value <= 0xdfff;
		return *ret_good ? 12 : 6;
	}
	n = p[0] < 0x20 ? 0 : utf8_size(p, left);
	*ret_good = n;
	return n ? n : 1;
}

/* Returns the mended length; out may be NULL, to count. */
static size_t mend(const unsigned char *p, size_t left, char *out,
		   bool *ret_mended)
{
	bool in_string = false;
	size_t n_out = 0;

	while (left) {
		bool good;
		size_t n = step(p, left, in_string, &good);
		size_t n_new = good ? n : N_MARK;

		if (out)
			memcpy(out + n_out, good ? (const char *)p : MARK,
			       n_new);
		if (*p == '"')
			in_string = !in_string;
		*ret_mended |= !good;
		n_out += n_new;
		p += n;
		left -= n;
	}
	return n_out;
}

int json_mend(const char *json, size_t *n, char **ret)
{
	bool mended = false;
	size_t n_out = mend((const unsigned char *)json, *n, NULL, &mended);
	char *out;

	*ret = NULL;
	if (!mended)
		return 0;
	out = malloc(n_out + 1);
	if (!out)
		return -ENOMEM;
	mend((const unsigned char *)json, *n, out, &mended);
	out[n_out] = '\0';
	*n = n_out;
	*ret = out;
	return 0;
}

char *json_plain_name(const char *text, size_t n, bool *ret_odd)
{
	char *name = malloc(N_SHOWN * n + 1);
	char *p = name;

	*ret_odd = false;
	while (name && n) {
		size_t lost = !text[0] ? 1
			      : n >= N_MARK && !memcmp(text, MARK, N_MARK)
				      ? N_MARK
				      : 0;

		if (lost)
			p = mempcpy(p, SHOWN, N_SHOWN);
		else
			*p++ = *text;
		*ret_odd |= lost > 0;
		text += lost ? lost : 1;
		n -= lost ? lost : 1;
	}
	if (name)
		*p = '\0';
	return name;
}
