#include "serve/multipart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/depot.h"
#include "serve/text.h"

#define HEAD_MAX (1u << 20)
#define TAIL_MAX 512
#define BOUNDARY_MAX 200

struct multipart {
	struct depot_upload *upload;
	char *boundary; /* "\r\n--BOUNDARY" */
	struct text head;
	struct text tail; /* the last bytes: the end may be among them */
	bool in_data;
	json_t *resource;
	char *content_type;
};

struct multipart *multipart_new(const char *content_type,
				struct depot_upload *upload)
{
	const char *b = content_type ? strstr(content_type, "boundary=") : NULL;
	struct multipart *m;
	char stop[3] = "; ";
	size_t n;

	if (!b)
		return NULL;
	b += strlen("boundary=");
	if (*b == '"' || *b == '\'') {
		stop[0] = *b++;
		stop[1] = '\0';
	}
	n = strcspn(b, stop);
	m = n > 0 && n <= BOUNDARY_MAX ? calloc(1, sizeof(*m)) : NULL;
	if (!m)
		return NULL;
	m->upload = upload;
	if (asprintf(&m->boundary, "\r\n--%.*s", (int)n, b) < 0) {
		free(m);
		return NULL;
	}
	return m;
}

void multipart_free(struct multipart *m)
{
	if (!m)
		return;
	text_done(&m->head);
	text_done(&m->tail);
	json_decref(m->resource);
	free(m->boundary);
	free(m->content_type);
	free(m);
}

json_t *multipart_resource(const struct multipart *m)
{
	return m->resource;
}

const char *multipart_type(const struct multipart *m)
{
	return m->content_type;
}

static int put_tail(struct multipart *m, const char *data, size_t n)
{
	size_t out;
	int rc;

	text_add(&m->tail, data, n);
	if (m->tail.failed)
		return -ENOMEM;
	if (m->tail.n <= TAIL_MAX)
		return 0;
	out = m->tail.n - TAIL_MAX;
	rc = depot_upload_add(m->upload, m->tail.at, out);
	memmove(m->tail.at, m->tail.at + out, TAIL_MAX + 1);
	m->tail.n = TAIL_MAX;
	return rc;
}

/* The value of a header line within a part's head, allocated, or NULL. */
static char *part_type(const char *head)
{
	const char *line = strcasestr(head, "\r\ncontent-type:");

	if (!line)
		return NULL;
	line += strlen("\r\ncontent-type:");
	line += strspn(line, " \t");
	return strndup(line, strcspn(line, "\r"));
}

/*
 * The head is complete when both parts' header blocks are: then what follows
 * is data.  Returns how many bytes of it, from the front, are no data; 0: not
 * complete yet.
 */
static size_t split_head(struct multipart *m)
{
	char *json, *json_end, *data;

	json = m->head.at ? strstr(m->head.at, "\r\n\r\n") : NULL;
	if (!json)
		return 0;
	json += 4;
	json_end = strstr(json, m->boundary);
	data = json_end ? strstr(json_end + strlen(m->boundary), "\r\n\r\n")
			: NULL;
	if (!data)
		return 0;
	m->resource = json_loadb(json, (size_t)(json_end - json), 0, NULL);
	*data = '\0';
	m->content_type = part_type(json_end + strlen(m->boundary));
	return (size_t)(data + 4 - m->head.at);
}

int multipart_take(void *ctx, const char *data, size_t n)
{
	struct multipart *m = ctx;
	size_t used;

	if (m->in_data)
		return put_tail(m, data, n);
	text_add(&m->head, data, n);
	if (m->head.n > HEAD_MAX)
		return -E2BIG;
	used = split_head(m);
	if (used == 0)
		return 0;
	m->in_data = true;
	if (!json_is_object(m->resource))
		return -EINVAL;
	return put_tail(m, m->head.at + used, m->head.n - used);
}

/* Drops the closing boundary; false: there is none. */
bool multipart_end(struct multipart *m)
{
	size_t n = strlen(m->boundary);

	for (size_t at = m->tail.n; m->in_data && at-- > 0;) {
		if (at + n > m->tail.n ||
		    memcmp(m->tail.at + at, m->boundary, n) != 0)
			continue;
		return depot_upload_add(m->upload, m->tail.at, at) == 0;
	}
	return false;
}
