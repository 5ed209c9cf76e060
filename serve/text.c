#include "serve/text.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool text_reserve(struct text *t, size_t more)
{
	size_t room = t->room ? t->room : 512;
	char *at;

	if (t->failed)
		return false;
	if (t->n + more < t->room)
		return true;
	while (room <= t->n + more)
		room *= 2;
	at = realloc(t->at, room);
	if (!at) {
		t->failed = true;
		return false;
	}
	t->at = at;
	t->room = room;
	return true;
}

void text_add(struct text *t, const void *data, size_t n)
{
	if (!text_reserve(t, n))
		return;
	if (n > 0)
		memcpy(t->at + t->n, data, n);
	t->n += n;
	t->at[t->n] = '\0';
}

void text_str(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_fmt(struct text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0 || !text_reserve(t, (size_t)n))
		return;
	va_start(args, fmt);
	vsnprintf(t->at + t->n, (size_t)n + 1, fmt, args);
	va_end(args);
	t->n += (size_t)n;
}

static size_t plain_json(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && (unsigned char)s[i] >= 0x20 && s[i] != '"' &&
	       s[i] != '\\')
		i++;
	return i;
}

void text_json(struct text *t, const char *s, size_t n)
{
	text_add(t, "\"", 1);
	while (n > 0) {
		size_t plain = plain_json(s, n);

		text_add(t, s, plain);
		s += plain;
		n -= plain;
		if (n == 0)
			break;
		if (*s == '"' || *s == '\\')
			text_fmt(t, "\\%c", *s);
		else
			text_fmt(t, "\\u%04x", (unsigned char)*s);
		s++;
		n--;
	}
	text_add(t, "\"", 1);
}

void text_xml(struct text *t, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&':
			text_str(t, "&amp;");
			break;
		case '<':
			text_str(t, "&lt;");
			break;
		case '>':
			text_str(t, "&gt;");
			break;
		case '"':
			text_str(t, "&quot;");
			break;
		default:
			if ((unsigned char)*s < 0x20)
				text_fmt(t, "&#%d;", *s);
			else
				text_add(t, s, 1);
		}
	}
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

void text_url(struct text *t, const char *s, size_t n, const char *keep)
{
	for (size_t i = 0; i < n; i++) {
		if (is_unreserved(s[i]) || (s[i] && strchr(keep, s[i])))
			text_add(t, s + i, 1);
		else
			text_fmt(t, "%%%02X", (unsigned char)s[i]);
	}
}

void text_base64(struct text *t, const void *data, size_t n)
{
	/* EVP_EncodeBlock() takes an int and ends with a NUL. */
	if (n > (1u << 20) || !text_reserve(t, n / 3 * 4 + 8))
		return;
	t->n += (size_t)EVP_EncodeBlock((unsigned char *)t->at + t->n, data,
					(int)n);
}

void text_time(struct text *t, int64_t us)
{
	time_t s = (time_t)(us / 1000000);
	struct tm tm;
	char day[40];

	gmtime_r(&s, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	text_fmt(t, "%s.%03dZ", day, (int)(us % 1000000 / 1000));
}

bool text_failed(const struct text *t)
{
	return t->failed;
}

char *text_take(struct text *t)
{
	char *at = t->failed ? NULL : t->at;

	if (t->failed)
		free(t->at);
	*t = (struct text){0};
	return at;
}

void text_done(struct text *t)
{
	free(t->at);
	*t = (struct text){0};
}
