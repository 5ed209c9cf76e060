#include "sites/url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/op.h"

#define BUCKET_MAX 222 /* GCS, with dots; S3 has less */

static bool is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool good_bucket(const char *bucket)
{
	size_t n = strspn(bucket, "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789-_.");

	return n && n <= BUCKET_MAX && !bucket[n] && bucket[0] != '.';
}

/* A copy of text that ends with one slash, or is empty. */
static char *prefix_of(const char *text)
{
	size_t n = strlen(text);
	char *prefix = malloc(n + 2);

	if (!prefix)
		return NULL;
	memcpy(prefix, text, n + 1);
	while (n && prefix[n - 1] == '/')
		n--;
	if (n)
		prefix[n++] = '/';
	prefix[n] = '\0';
	return prefix;
}

static int parse_dir(struct op *op, const char *path, struct site_url *ret)
{
	size_t n = strlen(path);

	if (path[0] != '/')
		return op_fail(op, -EINVAL,
			       "file://%s: write file:///absolute/directory",
			       path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	ret->prefix = strndup(path, n);
	return ret->prefix ? 0 : op_fail(op, -ENOMEM, "no memory");
}

static int parse_bucket(struct op *op, const char *text, const char *rest,
			struct site_url *ret)
{
	const char *slash = strchrnul(rest, '/');

	ret->bucket = strndup(rest, slash - rest);
	ret->prefix = prefix_of(*slash ? slash + 1 : slash);
	if (!ret->bucket || !ret->prefix)
		return op_fail(op, -ENOMEM, "no memory");
	if (!good_bucket(ret->bucket))
		return op_fail(op, -EINVAL,
			       "%s: \"%s\" is no bucket name; "
			       "write %s://bucket or %s://bucket/prefix",
			       text, ret->bucket, ret->scheme, ret->scheme);
	if (strlen(ret->prefix) > 1024)
		return op_fail(op, -EINVAL, "%.80s...: the prefix is too long",
			       text);
	return 0;
}

int site_url_parse(struct op *op, const char *text, struct site_url *ret)
{
	static const char *const schemes[] = {"gs", "s3", "file"};
	int rc;

	*ret = (struct site_url){0};
	for (size_t i = 0; text && i < 3 && !ret->scheme[0]; i++) {
		size_t n = strlen(schemes[i]);

		if (!strncmp(text, schemes[i], n) &&
		    !strncmp(text + n, "://", 3))
			snprintf(ret->scheme, sizeof(ret->scheme), "%s",
				 schemes[i]);
	}
	if (!ret->scheme[0])
		return op_fail(op, -EINVAL,
			       "\"%s\" is no site; write "
			       "gs://bucket, s3://bucket or file:///directory",
			       text ? text : "");
	if (!strcmp(ret->scheme, "file"))
		rc = parse_dir(op, text + strlen("file://"), ret);
	else
		rc = parse_bucket(op, text, strstr(text, "://") + 3, ret);
	if (rc < 0)
		site_url_done(ret);
	return rc;
}

void site_url_done(struct site_url *url)
{
	free(url->bucket);
	free(url->prefix);
	*url = (struct site_url){0};
}

char *site_url_out(const struct site_url *url, const char *name)
{
	char *out = NULL;

	if (asprintf(&out, "%s%s", url->prefix, name) < 0)
		return NULL;
	return out;
}

const char *site_url_in(const struct site_url *url, const char *name)
{
	size_t n = strlen(url->prefix);

	return strncmp(name, url->prefix, n) ? NULL : name + n;
}

/* The host part of an http or https url. */
static const char *host_of(const char *url, size_t *ret_n)
{
	const char *slashes = strstr(url, "://");
	const char *host = slashes ? slashes + 3 : url;

	if (*host == '[')
		*ret_n = strcspn(host, "]") + 1;
	else
		*ret_n = strcspn(host, ":/?");
	return host;
}

static bool good_endpoint(const char *text)
{
	const char *host;
	const char *port;
	size_t n;

	if (strncmp(text, "http://", 7) && strncmp(text, "https://", 8))
		return false;
	if (strpbrk(text, "@?#\\% \t\r\n\""))
		return false;
	host = host_of(text, &n);
	if (!n || (host[0] == '[' && !memchr(host, ']', strlen(host))))
		return false;
	port = host + n;
	if (*port == ':')
		port += 1 + strspn(port + 1, "0123456789");
	return !*port || (*port == '/' && !port[1]);
}

int endpoint_parse(struct op *op, const char *text, const char *standard,
		   char **ret)
{
	size_t n;

	if (!text)
		text = standard;
	if (!good_endpoint(text))
		return op_fail(op, -EINVAL,
			       "endpoint \"%s\" is not good; "
			       "write https://host or https://host:port",
			       text);
	n = strlen(text);
	*ret = strndup(text, text[n - 1] == '/' ? n - 1 : n);
	return *ret ? 0 : op_fail(op, -ENOMEM, "no memory");
}

bool url_is_loopback(const char *url)
{
	static const char *const hosts[] = {"localhost", "[::1]"};
	size_t n;
	const char *host = host_of(url, &n);

	for (size_t i = 0; i < 2; i++)
		if (n == strlen(hosts[i]) && !strncmp(host, hosts[i], n))
			return true;
	return !strncmp(host, "127.", 4) && strspn(host, "0123456789.") == n;
}

bool endpoint_is_local(const char *endpoint)
{
	return !strncmp(endpoint, "http://", 7) || url_is_loopback(endpoint);
}

char *percent_encode(const char *text, bool keep_slash)
{
	static const char hex[] = "0123456789ABCDEF";
	char *out = malloc(3 * strlen(text) + 1);
	char *p = out;

	if (!out)
		return NULL;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (is_alnum(c) || strchr("-._~", c) ||
		    (keep_slash && c == '/')) {
			*p++ = (char)c;
			continue;
		}
		*p++ = '%';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	*p = '\0';
	return out;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int percent_decode(char *text)
{
	char *out = text;

	for (; *text; text++) {
		int high, low;

		if (*text != '%') {
			*out++ = *text;
			continue;
		}
		high = hex_digit(text[1]);
		low = high < 0 ? -1 : hex_digit(text[2]);
		if (low < 0 || !(high | low))
			return -EINVAL;
		*out++ = (char)(high << 4 | low);
		text += 2;
	}
	*out = '\0';
	return 0;
}

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t n, char *text)
{
	const uint8_t *in = data;

	for (; n; in += 3) {
		size_t have = n < 3 ? n : 3;
		uint32_t bits = (uint32_t)in[0] << 16;

		if (have > 1)
			bits |= (uint32_t)in[1] << 8;
		if (have > 2)
			bits |= in[2];
		*text++ = alphabet[bits >> 18];
		*text++ = alphabet[bits >> 12 & 63];
		*text++ = have > 1 ? alphabet[bits >> 6 & 63] : '=';
		*text++ = have > 2 ? alphabet[bits & 63] : '=';
		n -= have;
	}
	*text = '\0';
}

int base64_decode(const char *text, void *data, size_t room)
{
	size_t n = strcspn(text, "=");
	size_t n_text = strlen(text);
	uint8_t *out = data;
	size_t n_out = 0;
	uint32_t bits = 0;
	unsigned have = 0;

	if (n_text % 4 || n_text - n > 2 || strspn(text + n, "=") != n_text - n)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		const char *at = strchr(alphabet, text[i]);

		if (!at)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (n_out == room)
			return -EINVAL;
		out[n_out++] = (uint8_t)(bits >> have);
	}
	return (int)n_out;
}

int u64_parse(const char *text, uint64_t *ret)
{
	uint64_t value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (!is_digit((unsigned char)*text) ||
		    __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'),
					   &value))
			return -EINVAL;
	}
	*ret = value;
	return 0;
}

/* ".25" to 250000000; *end is behind the last digit. */
static int64_t fraction_ns(const char *text, const char **end)
{
	int64_t ns = 0;
	int64_t unit = (int64_t)NS_PER_S / 10;

	if (*text == '.')
		for (text++; is_digit((unsigned char)*text); text++) {
			ns += unit * (*text - '0');
			unit /= 10;
		}
	*end = text;
	return ns;
}

int seconds_parse(const char *text, int64_t *ret_ns)
{
	bool negative = *text == '-';
	int64_t seconds = 0;
	int64_t ns;
	const char *end;

	text += negative;
	if (!is_digit((unsigned char)*text))
		return -EINVAL;
	for (; is_digit((unsigned char)*text); text++) {
		seconds = seconds * 10 + (*text - '0');
		if (seconds > INT64_MAX / (int64_t)NS_PER_S - 1)
			return -EINVAL;
	}
	ns = seconds * (int64_t)NS_PER_S + fraction_ns(text, &end);
	if (*end)
		return -EINVAL;
	*ret_ns = negative ? -ns : ns;
	return 0;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar. */
static int64_t days_of(int64_t year, int month, int day)
{
	static const int before[] = {0,	  31,  59,  90,	 120, 151,
				     181, 212, 243, 273, 304, 334};
	int64_t past = year - 1;
	bool leap = (year % 4 == 0 && year % 100) || year % 400 == 0;

	return past * 365 + past / 4 - past / 100 + past / 400 - 719162 +
	       before[month - 1] + (leap && month > 2) + day - 1;
}

static bool digits(const char *text, int n, int *ret)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (!is_digit((unsigned char)text[i]))
			return false;
		value = value * 10 + (text[i] - '0');
	}
	*ret = value;
	return true;
}

/* "Z", "+02:00": seconds east of Greenwich. */
static bool zone(const char *text, int *ret)
{
	int hours, minutes;

	*ret = 0;
	if (!strcmp(text, "Z") || !strcmp(text, "z"))
		return true;
	if ((*text != '+' && *text != '-') || !digits(text + 1, 2, &hours))
		return false;
	if (text[3] != ':' || !digits(text + 4, 2, &minutes) || text[6])
		return false;
	if (hours > 23 || minutes > 59)
		return false;
	*ret = (hours * 60 + minutes) * 60 * (*text == '-' ? -1 : 1);
	return true;
}

int rfc3339_parse(const char *text, int64_t *ret_ns)
{
	int year, month, day, hour, minute, second, east;
	int64_t ns;
	const char *end;

	/* Each digits() stops at the NUL before the next one looks. */
	if (!digits(text, 4, &year) || text[4] != '-' ||
	    !digits(text + 5, 2, &month) || text[7] != '-' ||
	    !digits(text + 8, 2, &day) || !text[10] ||
	    !strchr("Tt ", text[10]) || !digits(text + 11, 2, &hour) ||
	    text[13] != ':' || !digits(text + 14, 2, &minute) ||
	    text[16] != ':' || !digits(text + 17, 2, &second))
		return -EINVAL;
	/* int64_t nanoseconds end in 2262. */
	if (year < 1700 || year > 2261 || month < 1 || month > 12 || day < 1 ||
	    day > 31 || hour > 23 || minute > 59 || second > 60)
		return -EINVAL;
	ns = fraction_ns(text + 19, &end);
	if (!zone(end, &east))
		return -EINVAL;
	ns += (((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 +
	       second - east) *
	      (int64_t)NS_PER_S;
	*ret_ns = ns;
	return 0;
}
