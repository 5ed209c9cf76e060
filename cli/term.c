#include "cli/term.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHORT_MAX 48
#define N_SHORT 8

static char *next_short(void)
{
	static char buffers[N_SHORT][SHORT_MAX];
	static unsigned turn;

	return buffers[turn++ % N_SHORT];
}

/* How many bytes follow a lead byte; 0 for ASCII, -1 for none of UTF-8. */
static int n_following(unsigned char c)
{
	if (c < 0x80)
		return 0;
	if (c >= 0xc2 && c <= 0xdf)
		return 1;
	if (c >= 0xe0 && c <= 0xef)
		return 2;
	return c >= 0xf0 && c <= 0xf4 ? 3 : -1;
}

/* Marks that change the direction of what follows, and line separators. */
static int reorders(uint32_t c)
{
	return (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0x61c || c == 0xfeff;
}

/* The size of the harmless character at p, or 0. */
static size_t harmless(const unsigned char *p)
{
	static const uint32_t smallest[] = {0x20, 0xa0, 0x800, 0x10000};
	static const unsigned char lead_bits[] = {0x7f, 0x1f, 0x0f, 0x07};
	int n = n_following(*p);
	uint32_t c;

	if (n < 0)
		return 0;
	c = *p & lead_bits[n];
	for (int i = 1; i <= n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < smallest[n] || c == 0x7f || c > 0x10ffff ||
	    (c >= 0xd800 && c <= 0xdfff) || reorders(c))
		return 0;
	return (size_t)n + 1;
}

char *term_safe(const char *text)
{
	const unsigned char *p = (const unsigned char *)(text ? text : "");
	char *safe = malloc(strlen((const char *)p) * 4 + 1);
	char *to = safe;

	if (!safe)
		abort();
	while (*p) {
		size_t n = harmless(p);

		if (n) {
			memcpy(to, p, n);
			to += n;
			p += n;
		} else {
			to += sprintf(to, "\\x%02x", *p++);
		}
	}
	*to = '\0';
	return safe;
}

const char *term_bytes(uint64_t bytes)
{
	static const char *const units[] = {"B",   "KiB", "MiB", "GiB",
					    "TiB", "PiB", "EiB"};
	char *buf = next_short();
	double n = (double)bytes;
	int i = 0;

	for (; n >= 1024 && i < 6; i++)
		n /= 1024;
	snprintf(buf, SHORT_MAX, i && n < 100 ? "%.1f %s" : "%.0f %s", n,
		 units[i]);
	return buf;
}

const char *term_duration_ms(int64_t ms)
{
	char *buf = next_short();
	int64_t s = ms / 1000;

	if (ms > 0 && ms < 1000)
		snprintf(buf, SHORT_MAX, "%" PRId64 " ms", ms);
	else if (s < 60)
		snprintf(buf, SHORT_MAX, "%.1f s", (double)ms / 1000);
	else if (s < 3600)
		snprintf(buf, SHORT_MAX, "%" PRId64 " min %" PRId64 " s",
			 s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, SHORT_MAX, "%" PRId64 " h %" PRId64 " min",
			 s / 3600, s / 60 % 60);
	else
		snprintf(buf, SHORT_MAX, "%" PRId64 " d %" PRId64 " h",
			 s / 86400, s / 3600 % 24);
	return buf;
}

const char *term_time_ns(int64_t ns)
{
	char *buf = next_short();
	time_t s = (time_t)(ns / 1000000000);
	struct tm tm;

	if (!gmtime_r(&s, &tm) || !strftime(buf, SHORT_MAX, "%F %T UTC", &tm))
		strcpy(buf, "?");
	return buf;
}
