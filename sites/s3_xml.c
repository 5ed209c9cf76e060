/*
 * One expat handler for both documents.  It keeps the names of the two
 * innermost elements and the text of the current one; when an element ends,
 * a table tells by (parent, element) which field that text is.  Elements
 * nobody asked for are skipped, since vendors add their own.
 *
 * The first failure stops the parser and stays in doc.rc.
 */
#include "sites/s3_xml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "sites/url.h"

#define DEPTH_MAX 8
#define ELEMENT_MAX 48
/* A name is at most 1,024 bytes, three times that when encoded. */
#define TEXT_MAX 16384
#define ENTRIES_MAX 10000

struct doc {
	XML_Parser parser;
	int rc;
	unsigned depth;
	char path[DEPTH_MAX][ELEMENT_MAX];
	char text[TEXT_MAX];
	size_t n_text;
	bool url_encoded;
	struct s3_page *page;	/* either this */
	struct s3_error *error; /* or this */
};

struct field {
	const char *parent;
	const char *element;
	int (*take)(struct doc *doc);
};

static void stop(struct doc *doc, int rc)
{
	if (doc->rc == 0)
		doc->rc = rc;
	XML_StopParser(doc->parser, XML_FALSE);
}

static int replace(char **to, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

static int begin_entry(struct doc *doc, bool is_prefix)
{
	struct s3_page *page = doc->page;
	size_t n = page->n_entries;

	if (n == ENTRIES_MAX)
		return -EPROTO;
	if ((n & (n - 1)) == 0) {
		struct s3_entry *more =
			realloc(page->entries, (n ? 2 * n : 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		page->entries = more;
	}
	page->entries[n] = (struct s3_entry){.is_prefix = is_prefix};
	page->n_entries++;
	return 0;
}

static struct s3_entry *last(struct doc *doc)
{
	return &doc->page->entries[doc->page->n_entries - 1];
}

static int take_name(struct doc *doc)
{
	return doc->n_text ? replace(&last(doc)->name, doc->text) : -EPROTO;
}

static int take_size(struct doc *doc)
{
	uint64_t size;

	if (u64_parse(doc->text, &size) < 0 || size > INT64_MAX)
		return -EPROTO;
	last(doc)->size = size;
	return 0;
}

static int take_etag(struct doc *doc)
{
	return doc->n_text ? replace(&last(doc)->etag, doc->text) : 0;
}

static int take_mtime(struct doc *doc)
{
	return rfc3339_parse(doc->text, &last(doc)->mtime_ns) < 0 ? -EPROTO : 0;
}

static int take_class(struct doc *doc)
{
	return replace(&last(doc)->storage_class, doc->text);
}

static int take_truncated(struct doc *doc)
{
	doc->page->truncated = strcmp(doc->text, "true") == 0;
	return 0;
}

static int take_token(struct doc *doc)
{
	return doc->n_text ? replace(&doc->page->next_token, doc->text) : 0;
}

static int take_encoding(struct doc *doc)
{
	doc->url_encoded = strcmp(doc->text, "url") == 0;
	return 0;
}

static void copy_text(char *to, size_t room, const char *from)
{
	size_t n = 0;

	/* This goes into one line of a log. */
	for (; *from && n + 1 < room; from++)
		to[n++] = (unsigned char)*from < ' ' ? ' ' : *from;
	to[n] = '\0';
}

static int take_code(struct doc *doc)
{
	copy_text(doc->error->code, sizeof(doc->error->code), doc->text);
	return 0;
}

static int take_message(struct doc *doc)
{
	copy_text(doc->error->message, sizeof(doc->error->message), doc->text);
	return 0;
}

static int take_region(struct doc *doc)
{
	copy_text(doc->error->region, sizeof(doc->error->region), doc->text);
	return 0;
}

static const struct field page_fields[] = {
	{"Contents", "Key", take_name},
	{"Contents", "Size", take_size},
	{"Contents", "ETag", take_etag},
	{"Contents", "LastModified", take_mtime},
	{"Contents", "StorageClass", take_class},
	{"CommonPrefixes", "Prefix", take_name},
	{"ListBucketResult", "IsTruncated", take_truncated},
	{"ListBucketResult", "NextContinuationToken", take_token},
	{"ListBucketResult", "EncodingType", take_encoding},
	{NULL, NULL, NULL},
};

static const struct field error_fields[] = {
	{"Error", "Code", take_code},
	{"Error", "Message", take_message},
	{"Error", "Region", take_region},
	{NULL, NULL, NULL},
};

static int enter(struct doc *doc, const char *element)
{
	const char *root = doc->page ? "ListBucketResult" : "Error";

	if (doc->depth == DEPTH_MAX || strlen(element) >= ELEMENT_MAX)
		return -EPROTO;
	if (doc->depth == 0 && strcmp(element, root) != 0)
		return -EPROTO;
	strcpy(doc->path[doc->depth++], element);
	doc->n_text = 0;
	doc->text[0] = '\0';
	if (!doc->page || doc->depth != 2)
		return 0;
	if (strcmp(element, "Contents") == 0)
		return begin_entry(doc, false);
	if (strcmp(element, "CommonPrefixes") == 0)
		return begin_entry(doc, true);
	return 0;
}

static void on_start(void *arg, const char *element, const char **attributes)
{
	struct doc *doc = arg;
	int rc = enter(doc, element);

	(void)attributes;
	if (rc < 0)
		stop(doc, rc);
}

/* Fields are children of the root or of an entry: never deeper. */
static int leave(struct doc *doc)
{
	const struct field *field;
	const char *element = doc->path[doc->depth - 1];
	const char *parent = doc->depth > 1 ? doc->path[doc->depth - 2] : "";

	field = doc->page ? page_fields : error_fields;
	for (; field->parent && doc->depth <= 3; field++)
		if (strcmp(field->parent, parent) == 0 &&
		    strcmp(field->element, element) == 0)
			return field->take(doc);
	return 0;
}

static void on_end(void *arg, const char *element)
{
	struct doc *doc = arg;
	int rc;

	(void)element;
	if (doc->rc < 0)
		return;
	rc = leave(doc);
	doc->depth--;
	doc->n_text = 0;
	doc->text[0] = '\0';
	if (rc < 0)
		stop(doc, rc);
}

static void on_text(void *arg, const char *text, int n)
{
	struct doc *doc = arg;

	if (doc->n_text + (size_t)n >= TEXT_MAX) {
		stop(doc, -EPROTO);
		return;
	}
	memcpy(doc->text + doc->n_text, text, (size_t)n);
	doc->n_text += (size_t)n;
	doc->text[doc->n_text] = '\0';
}

static void on_doctype(void *arg, const char *name, const char *system_id,
		       const char *public_id, int has_internal)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_internal;
	stop(arg, -EPROTO);
}

/*
 * An answer that is not XML ends here, too: an HTML page of a proxy has a
 * document type, or another root, or no end.
 */
static int parse(struct doc *doc, const char *xml, size_t size)
{
	bool done;

	if (size > INT32_MAX)
		return -EPROTO;
	doc->parser = XML_ParserCreate(NULL);
	if (!doc->parser)
		return -ENOMEM;
	XML_SetUserData(doc->parser, doc);
	XML_SetElementHandler(doc->parser, on_start, on_end);
	XML_SetCharacterDataHandler(doc->parser, on_text);
	XML_SetStartDoctypeDeclHandler(doc->parser, on_doctype);
	done = XML_Parse(doc->parser, xml, (int)size, XML_TRUE) ==
	       XML_STATUS_OK;
	if (!done && doc->rc == 0)
		doc->rc = XML_GetErrorCode(doc->parser) == XML_ERROR_NO_MEMORY
				  ? -ENOMEM
				  : -EPROTO;
	XML_ParserFree(doc->parser);
	return doc->rc;
}

/*
 * As forms are encoded: '+' is a blank.  In place; an entry whose name no C
 * string can hold stays as it is, and is marked.
 */
static int decode_name(struct s3_entry *entry)
{
	if (strstr(entry->name, "%00")) {
		entry->odd_name = true;
		return 0;
	}
	for (char *c = entry->name; *c; c++)
		if (*c == '+')
			*c = ' ';
	return percent_decode(entry->name) < 0 ? -EPROTO : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct s3_entry *)a)->name,
		      ((const struct s3_entry *)b)->name);
}

/* Objects and prefixes come apart, each in order: one order is made of them. */
static int finish_page(struct doc *doc)
{
	struct s3_page *page = doc->page;

	for (size_t i = 0; i < page->n_entries; i++) {
		int rc = page->entries[i].name ? 0 : -EPROTO;

		if (rc == 0 && doc->url_encoded)
			rc = decode_name(&page->entries[i]);
		if (rc < 0)
			return rc;
	}
	if (page->truncated && !page->next_token)
		return -EPROTO;
	if (page->n_entries > 1)
		qsort(page->entries, page->n_entries, sizeof(*page->entries),
		      by_name);
	return 0;
}

int s3_page_parse(const char *xml, size_t size, struct s3_page *ret)
{
	struct s3_page page = {0};
	struct doc *doc = calloc(1, sizeof(*doc));
	int rc;

	if (!doc)
		return -ENOMEM;
	doc->page = &page;
	rc = parse(doc, xml, size);
	if (rc == 0)
		rc = finish_page(doc);
	free(doc);
	if (rc < 0)
		s3_page_done(&page);
	else
		*ret = page;
	return rc;
}

void s3_page_done(struct s3_page *page)
{
	for (size_t i = 0; i < page->n_entries; i++) {
		free(page->entries[i].name);
		free(page->entries[i].etag);
		free(page->entries[i].storage_class);
	}
	free(page->entries);
	free(page->next_token);
	*page = (struct s3_page){0};
}

int s3_error_parse(const char *xml, size_t size, struct s3_error *ret)
{
	struct s3_error error = {0};
	struct doc *doc = calloc(1, sizeof(*doc));
	int rc;

	if (!doc)
		return -ENOMEM;
	doc->error = &error;
	rc = parse(doc, xml, size);
	free(doc);
	if (rc == 0)
		*ret = error;
	return rc;
}
