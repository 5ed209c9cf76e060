#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "base/auto.h"
#include "base/config.h"
#include "base/config_value.h"
#include "base/nearest.h"
#include "base/op.h"

/*
 * The file is loaded as libyaml's tree, whose nodes know their lines, and then
 * walked along the table: the depth of the walk is the table's, whatever the
 * file nests or aliases.
 */

#define FILE_MAX (1 << 20)
#define KEYS_MAX 64
#define PATH_ROOM 100

struct reader {
	struct op *op;
	const char *name; /* of the file, in messages */
	const char *dir;  /* relative paths count from here; NULL: cwd */
	yaml_document_t doc;
	char path[PATH_ROOM]; /* of the key being read: "replicas[1].url" */
};

static int complain(struct reader *r, size_t line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int complain(struct reader *r, size_t line, const char *fmt, ...)
{
	char what[PHRASE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	return op_fail(r->op, -EINVAL, "%s:%zu: %s%s%s", r->name, line + 1,
		       r->path, *r->path ? ": " : "", what);
}

static size_t line_of(const yaml_node_t *node)
{
	return node->start_mark.line;
}

/* Appends to the path; give the returned length back to path_pop(). */
static size_t path_push(struct reader *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static size_t path_push(struct reader *r, const char *fmt, ...)
{
	size_t len = strlen(r->path);
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->path + len, sizeof(r->path) - len, fmt, args);
	va_end(args);
	return len;
}

static void path_pop(struct reader *r, size_t len)
{
	r->path[len] = '\0';
}

/* The text of a scalar, or NULL when it is none or hides a NUL byte. */
static const char *text_of(const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;

	if (node->type != YAML_SCALAR_NODE ||
	    strlen(text) != node->data.scalar.length)
		return NULL;
	return text;
}

static bool is_quoted(const yaml_node_t *node)
{
	return node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
}

static bool is_null(const yaml_node_t *node)
{
	const char *text = text_of(node);

	return text && !is_quoted(node) &&
	       (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static int read_mapping(struct reader *r, const struct setting *table,
			const yaml_node_t *node, void *into);

static int read_scalar(struct reader *r, const struct setting *s,
		       const yaml_node_t *node, void *into)
{
	const char *text = text_of(node);
	char why[PHRASE_MAX];
	int rc;

	if (node->type != YAML_SCALAR_NODE)
		return complain(r, line_of(node),
				"must be one value, not a %s; write %s",
				node->type == YAML_MAPPING_NODE ? "mapping"
								: "list",
				setting_placeholder(s));
	if (!text)
		return complain(r, line_of(node),
				"contains a NUL byte; remove it");
	if (is_null(node))
		return complain(r, line_of(node),
				"has no value; give one or remove the key");
	if (is_quoted(node) && !setting_may_be_quoted(s))
		return complain(r, line_of(node),
				"'%.40s' is quoted text; remove the quotes",
				text);
	rc = setting_assign(s, text, r->dir, into, why);
	if (rc == -EINVAL)
		return complain(r, line_of(node), "%s", why);
	return rc < 0 ? op_fail(r->op, rc, "%s: %s", r->name, r->path) : 0;
}

static int read_items(struct reader *r, const struct setting *s,
		      const yaml_node_t *node, char *items, unsigned *count)
{
	const yaml_node_item_t *first = node->data.sequence.items.start;
	unsigned n = (unsigned)(node->data.sequence.items.top - first);

	for (unsigned i = 0; i < n; i++) {
		const yaml_node_t *item =
			yaml_document_get_node(&r->doc, first[i]);
		size_t len = path_push(r, "[%u]", i);
		void *into = items + i * s->item_size;
		int rc;

		++*count; /* from here on config_done() frees it */
		rc = config_defaults(r->op, s->members, into);
		if (rc == 0)
			rc = read_mapping(r, s->members, item, into);
		if (rc < 0)
			return rc;
		path_pop(r, len);
	}
	return 0;
}

/* A list in the file replaces the one before it. */
static int read_list(struct reader *r, const struct setting *s,
		     const yaml_node_t *node, void *into)
{
	char **items = (char **)(void *)((char *)into + s->offset);
	unsigned *count = (unsigned *)(void *)((char *)into + s->count_offset);
	size_t n;

	if (node->type != YAML_SEQUENCE_NODE)
		return complain(r, line_of(node),
				"must be a list; begin each item with '- '");
	n = (size_t)(node->data.sequence.items.top -
		     node->data.sequence.items.start);
	if (n > s->max_items)
		return complain(r, line_of(node),
				"has %zu items; at most %u are possible", n,
				s->max_items);
	setting_clear_list(s, into);
	if (n == 0)
		return 0;
	*items = calloc(n, s->item_size);
	if (!*items)
		return op_fail(r->op, -ENOMEM, "%s: %s", r->name, r->path);
	return read_items(r, s, node, *items, count);
}

static int read_setting(struct reader *r, const struct setting *s,
			const yaml_node_t *node, void *into)
{
	switch (s->type) {
	case SETTING_GROUP:
		return read_mapping(r, s->members, node,
				    (char *)into + s->offset);
	case SETTING_LIST:
		return read_list(r, s, node, into);
	default:
		return read_scalar(r, s, node, into);
	}
}

static int fail_unknown(struct reader *r, const struct setting *table,
			const char *key, size_t line)
{
	struct nearest nearest;

	nearest_init(&nearest, key);
	for (; table->key; table++)
		nearest_offer(&nearest, table->key);
	if (nearest.best)
		return complain(r, line, "unknown key; did you mean %s?",
				nearest.best);
	return complain(r, line,
			"unknown key; remove it, "
			"or see lake.yaml(5) for those there are");
}

static int read_pair(struct reader *r, const struct setting *table,
		     const yaml_node_pair_t *pair, bool *seen, void *into)
{
	const yaml_node_t *key = yaml_document_get_node(&r->doc, pair->key);
	const yaml_node_t *value = yaml_document_get_node(&r->doc, pair->value);
	const char *name = text_of(key);
	const struct setting *s = table;
	size_t len;
	int rc;

	if (!name)
		return complain(r, line_of(key), "a key must be a plain word");
	len = path_push(r, "%s%.40s", *r->path ? "." : "", name);
	while (s->key && strcmp(s->key, name) != 0)
		s++;
	if (!s->key)
		return fail_unknown(r, table, name, line_of(key));
	assert(s - table < KEYS_MAX);
	if (seen[s - table])
		return complain(r, line_of(key),
				"is given twice; remove one of them");
	seen[s - table] = true;
	rc = read_setting(r, s, value, into);
	if (rc == 0)
		path_pop(r, len);
	return rc;
}

static int check_required(struct reader *r, const struct setting *table,
			  const bool *seen, size_t line)
{
	for (const struct setting *s = table; s->key; s++) {
		if (!s->required || seen[s - table])
			continue;
		path_push(r, "%s%s", *r->path ? "." : "", s->key);
		return complain(r, line, "is missing; give it: %s", s->help);
	}
	return 0;
}

static int read_mapping(struct reader *r, const struct setting *table,
			const yaml_node_t *node, void *into)
{
	bool seen[KEYS_MAX] = {false};
	const yaml_node_pair_t *pair;
	int rc;

	if (node->type != YAML_MAPPING_NODE)
		return complain(r, line_of(node),
				"must be a mapping of \"key: value\" lines");
	for (pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		rc = read_pair(r, table, pair, seen, into);
		if (rc < 0)
			return rc;
	}
	return check_required(r, table, seen, line_of(node));
}

static int complain_syntax(struct reader *r, const yaml_parser_t *parser)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return op_fail(r->op, -ENOMEM, "%s", r->name);
	return complain(r, parser->problem_mark.line,
			"not YAML: %s; look at indentation, quotes and colons",
			parser->problem ? parser->problem : "can't be read");
}

static int load(struct reader *r, yaml_parser_t *parser,
		const struct setting *table, void *into)
{
	static const bool none[KEYS_MAX];
	const yaml_node_t *root;
	yaml_document_t more;
	int rc;

	if (!yaml_parser_load(parser, &r->doc))
		return complain_syntax(r, parser);
	root = yaml_document_get_root_node(&r->doc);
	if (!root || is_null(root)) /* empty, or comments only */
		rc = check_required(r, table, none, 0);
	else
		rc = read_mapping(r, table, root, into);
	yaml_document_delete(&r->doc);
	if (rc < 0 || !root)
		return rc;
	if (!yaml_parser_load(parser, &more))
		return complain_syntax(r, parser);
	root = yaml_document_get_root_node(&more);
	if (root)
		rc = complain(r, line_of(root),
			      "a second document; keep one in the file");
	yaml_document_delete(&more);
	return rc;
}

static int parse(struct op *op, const struct setting *table, struct reader *r,
		 const char *text, size_t size, void *into)
{
	yaml_parser_t parser;
	int rc;

	r->op = op;
	if (!yaml_parser_initialize(&parser))
		return op_fail(op, -ENOMEM, "%s", r->name);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text,
				     size);
	rc = load(r, &parser, table, into);
	yaml_parser_delete(&parser);
	return rc;
}

int config_parse(struct op *op, const struct setting *table, const char *name,
		 const char *text, size_t size, void *into)
{
	struct reader r = {.name = name};

	return parse(op, table, &r, text, size, into);
}

/* Reads at most FILE_MAX bytes; a pipe or a device would never end. */
static int slurp(struct op *op, const char *path, char **ret, size_t *ret_size)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	auto_free char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return op_fail(op, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0)
		return op_fail(op, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return op_fail(op, -EINVAL, "%s: not a regular file", path);
	if (st.st_size > FILE_MAX)
		return op_fail(op, -EFBIG,
			       "%s: over 1 MiB; this is no configuration",
			       path);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return op_fail(op, -ENOMEM, "%s", path);
	n = pread(fd, text, (size_t)st.st_size, 0);
	if (n < 0)
		return op_fail(op, -errno, "%s: %s", path, strerror(errno));
	*ret_size = (size_t)n;
	*ret = text;
	text = NULL;
	return 0;
}

int config_read(struct op *op, const struct setting *table, const char *path,
		void *into)
{
	auto_free char *text = NULL;
	auto_free char *whole = NULL;
	struct reader r = {.name = path};
	size_t size = 0;
	int rc;

	rc = slurp(op, path, &text, &size);
	if (rc < 0)
		return rc;
	whole = realpath(path, NULL);
	if (!whole)
		return op_fail(op, -errno, "%s: %s", path, strerror(errno));
	*(strrchr(whole, '/') + 1) = '\0';
	if (whole[1]) /* "/etc/" -> "/etc"; "/" stays */
		whole[strlen(whole) - 1] = '\0';
	r.dir = whole;
	return parse(op, table, &r, text, size, into);
}
