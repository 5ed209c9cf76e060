/* What answers say: status, headers.  Pure functions over memory. */
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "sites/http.h"
#include "sites/url.h"

void http_response_done(struct http_response *response)
{
	free(response->headers);
	free(response->body);
	memset(response, 0, sizeof(*response));
}

/* Copies what is between from and to, without blanks around it. */
static bool copy_trimmed(const char *from, const char *to, char *value,
			 size_t room)
{
	while (from < to && isspace((unsigned char)*from))
		from++;
	while (from < to && isspace((unsigned char)to[-1]))
		to--;
	if ((size_t)(to - from) >= room)
		return false;
	memcpy(value, from, to - from);
	value[to - from] = '\0';
	return true;
}

/*
 * Headers that stand more than once (x-goog-hash may) come joined by commas,
 * as RFC 9110 has it.
 */
bool http_header(const struct http_response *response, const char *name,
		 char *value, size_t room)
{
	size_t n_name = strlen(name);
	size_t n = 0;
	bool found = false;

	for (const char *line = response->headers; line && *line;) {
		const char *end = strchrnul(line, '\n');

		if (!strncasecmp(line, name, n_name) && line[n_name] == ':') {
			if (found && n + 1 < room)
				value[n++] = ',';
			if (!copy_trimmed(line + n_name + 1, end, value + n,
					  room - n))
				return false;
			n += strlen(value + n);
			found = true;
		}
		line = *end ? end + 1 : end;
	}
	return found;
}

int http_status_errno(long status)
{
	static const struct {
		long status;
		int rc;
	} known[] = {
		{304, -ESTALE}, {400, -EINVAL}, {401, -EACCES}, {403, -EACCES},
		{404, -ENOENT}, {408, -EAGAIN}, {410, -ENOENT}, {412, -ESTALE},
		{416, -ESTALE}, {429, -EAGAIN}, {501, -EPROTO},
	};

	if (status >= 200 && status < 300)
		return 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].status == status)
			return known[i].rc;
	return status >= 500 && status < 600 ? -EAGAIN : -EPROTO;
}

uint64_t http_retry_after_ns(const struct http_response *response)
{
	char text[64];
	uint64_t seconds;
	time_t when;
	time_t now = (time_t)(clock_wall_ms() / 1000);

	if (!http_header(response, "Retry-After", text, sizeof(text)))
		return 0;
	if (u64_parse(text, &seconds) < 0) {
		when = curl_getdate(text, NULL);
		if (when <= now)
			return 0;
		seconds = (uint64_t)(when - now);
	}
	/* A site that wants more than an hour is as good as gone. */
	return (seconds < 3600 ? seconds : 3600) * NS_PER_S;
}

bool http_content_range(const struct http_response *response,
			struct http_range *ret)
{
	char text[96];
	char *dash, *slash;
	struct http_range range;

	if (!http_header(response, "Content-Range", text, sizeof(text)) ||
	    strncasecmp(text, "bytes ", 6))
		return false;
	dash = strchr(text + 6, '-');
	slash = dash ? strchr(dash, '/') : NULL;
	if (!slash)
		return false;
	*dash = '\0';
	*slash = '\0';
	if (u64_parse(text + 6, &range.first) < 0 ||
	    u64_parse(dash + 1, &range.last) < 0 ||
	    u64_parse(slash + 1, &range.total) < 0)
		return false;
	if (range.first > range.last || range.last >= range.total)
		return false;
	*ret = range;
	return true;
}
