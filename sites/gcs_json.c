#include "sites/gcs_json.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sites/url.h"
#include "sites/utf8_json.h"

#define SYMLINK_TARGET "gcsfuse_symlink_target"
#define SYMLINK_FLAG "goog-reserved-file-is-symlink"
#define MTIME_SECONDS "goog-reserved-file-mtime"
#define MTIME_RFC3339 "gcsfuse_mtime"

static json_t *load(const char *json, size_t n, int *ret_rc)
{
	char *mended = NULL;
	json_error_t error;
	json_t *root;

	*ret_rc = json_mend(json, &n, &mended);
	if (*ret_rc < 0)
		return NULL;
	root = json_loadb(mended ? mended : json, n, JSON_ALLOW_NUL, &error);
	free(mended);
	if (!json_is_object(root)) {
		json_decref(root);
		*ret_rc = -EPROTO;
		return NULL;
	}
	return root;
}

/* The string at key when it is one, without NUL bytes in it; or NULL. */
static const char *text_at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);

	if (!text || strlen(text) != json_string_length(value))
		return NULL;
	return text;
}

/* A name as a C string; what it can't hold is replaced, and told. */
static char *name_of(const json_t *value, bool *ret_odd)
{
	const char *text = json_string_value(value);
	char *name;

	if (!text)
		return NULL;
	name = json_plain_name(text, json_string_length(value), ret_odd);
	if (name && (!name[0] || strlen(name) > OBJECT_NAME_MAX))
		*ret_odd = true;
	return name;
}

/* A number as GCS writes it: a string; others write numbers. */
static int number_at(const json_t *object, const char *key, uint64_t *ret)
{
	const json_t *value = json_object_get(object, key);
	const char *text = text_at(object, key);

	if (!value)
		return -ENOENT;
	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		*ret = (uint64_t)json_integer_value(value);
		return 0;
	}
	return text && u64_parse(text, ret) == 0 ? 0 : -EPROTO;
}

static void set_crc32c(struct object_info *info, const char *text)
{
	uint8_t sum[4];

	if (!text || base64_decode(text, sum, sizeof(sum)) != sizeof(sum))
		return;
	info->crc32c = (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 |
		       (uint32_t)sum[2] << 8 | sum[3];
	info->has |= HAS_CRC32C;
}

static void set_md5(struct object_info *info, const char *text)
{
	uint8_t sum[MD5_SIZE];

	if (!text || base64_decode(text, sum, sizeof(sum)) != sizeof(sum))
		return;
	memcpy(info->md5, sum, sizeof(sum));
	info->has |= HAS_MD5;
}

static void set_mtime(struct object_info *info, const json_t *object,
		      const json_t *metadata)
{
	const char *seconds = text_at(metadata, MTIME_SECONDS);
	const char *precise = text_at(metadata, MTIME_RFC3339);
	const char *created = text_at(object, "timeCreated");

	if (precise && rfc3339_parse(precise, &info->mtime_ns) == 0)
		return;
	if (seconds && seconds_parse(seconds, &info->mtime_ns) == 0)
		return;
	if (!created || rfc3339_parse(created, &info->mtime_ns) < 0)
		info->mtime_ns = 0;
}

static int set_symlink(struct object_info *info, const json_t *metadata)
{
	const char *target = text_at(metadata, SYMLINK_TARGET);
	const char *flag = text_at(metadata, SYMLINK_FLAG);

	if (target && target[0]) {
		info->kind = OBJECT_SYMLINK;
		info->symlink = strdup(target);
		return info->symlink ? 0 : -ENOMEM;
	}
	/* Then the target is the object's content, and read by who needs it. */
	if (flag && !strcasecmp(flag, "true"))
		info->kind = OBJECT_SYMLINK;
	return 0;
}

/* Keys of metadata have come in any case through other stores. */
static void set_stamp(struct object_info *info, json_t *metadata,
		      const char *stamp_key)
{
	const char *key;
	json_t *value;

	if (!stamp_key || !json_is_object(metadata))
		return;
	json_object_foreach(metadata, key,
			    value) if (!strcasecmp(key, stamp_key) &&
				       text_at(metadata, key) &&
				       u64_parse(json_string_value(value),
						 &info->stamp) < 0)
		info->stamp = 0;
}

static int set_numbers(struct object_info *info, const json_t *object)
{
	int rc = number_at(object, "size", &info->size);

	if (rc < 0 || info->size > INT64_MAX)
		return -EPROTO;
	if (number_at(object, "generation", &info->generation) == -EPROTO ||
	    number_at(object, "metageneration", &info->metageneration) ==
		    -EPROTO)
		return -EPROTO;
	if (info->generation &&
	    asprintf(&info->validator, "%llu",
		     (unsigned long long)info->generation) < 0) {
		info->validator = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int fill(struct object_info *info, json_t *object, const char *stamp_key)
{
	json_t *metadata = json_object_get(object, "metadata");
	const json_t *name = json_object_get(object, "name");
	const char *class = text_at(object, "storageClass");
	int rc;

	if (!json_is_string(name))
		return -EPROTO;
	info->name = name_of(name, &info->odd_name);
	if (!info->name)
		return -ENOMEM;
	rc = set_numbers(info, object);
	if (rc < 0)
		return rc;
	set_crc32c(info, text_at(object, "crc32c"));
	set_md5(info, text_at(object, "md5Hash"));
	set_mtime(info, object, metadata);
	set_stamp(info, metadata, stamp_key);
	if (class)
		snprintf(info->storage_class, sizeof(info->storage_class),
			 "%.23s", class);
	return set_symlink(info, metadata);
}

int gcs_object_parse(const char *json, size_t n, const char *stamp_key,
		     struct object_info *ret)
{
	struct object_info info = {0};
	int rc;
	json_t *root = load(json, n, &rc);

	if (!root)
		return rc;
	rc = fill(&info, root, stamp_key);
	json_decref(root);
	if (rc < 0) {
		object_info_done(&info);
		return rc;
	}
	*ret = info;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct object_info *x = a;
	const struct object_info *y = b;

	return strcmp(x->name, y->name);
}

static int prefix_by_name(const void *a, const void *b)
{
	const struct gcs_prefix *x = a;
	const struct gcs_prefix *y = b;

	return strcmp(x->name, y->name);
}

/* Absent is empty; anything but a list is not a page. */
static int list_at(json_t *root, const char *key, json_t **ret, size_t *ret_n)
{
	*ret = json_object_get(root, key);
	*ret_n = json_array_size(*ret);
	return !*ret || json_is_array(*ret) ? 0 : -EPROTO;
}

static int fill_items(struct gcs_page *page, json_t *root,
		      const char *stamp_key)
{
	json_t *list;
	size_t n;
	int rc = list_at(root, "items", &list, &n);

	if (rc < 0 || !n)
		return rc;
	page->items = calloc(n, sizeof(*page->items));
	if (!page->items)
		return -ENOMEM;
	while (page->n_items < n && !rc) {
		size_t i = page->n_items++;

		rc = fill(&page->items[i], json_array_get(list, i), stamp_key);
	}
	if (!rc)
		qsort(page->items, n, sizeof(*page->items), by_name);
	return rc;
}

static int fill_prefixes(struct gcs_page *page, json_t *root)
{
	json_t *list;
	size_t n;
	int rc = list_at(root, "prefixes", &list, &n);

	if (rc < 0 || !n)
		return rc;
	page->prefixes = calloc(n, sizeof(*page->prefixes));
	if (!page->prefixes)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct gcs_prefix *prefix = &page->prefixes[i];
		json_t *name = json_array_get(list, i);

		if (!json_is_string(name))
			return -EPROTO;
		prefix->name = name_of(name, &prefix->odd_name);
		if (!prefix->name)
			return -ENOMEM;
		page->n_prefixes++;
	}
	qsort(page->prefixes, n, sizeof(*page->prefixes), prefix_by_name);
	return 0;
}

static int fill_token(struct gcs_page *page, json_t *root)
{
	const char *token = text_at(root, "nextPageToken");

	if (!token || !token[0])
		return json_object_get(root, "nextPageToken") && !token
			       ? -EPROTO
			       : 0;
	page->token = strdup(token);
	return page->token ? 0 : -ENOMEM;
}

int gcs_page_parse(const char *json, size_t n, const char *stamp_key,
		   struct gcs_page *ret)
{
	struct gcs_page page = {0};
	int rc;
	json_t *root = load(json, n, &rc);

	if (!root)
		return rc;
	/* Some other service's JSON, and not a page without names. */
	if (json_object_get(root, "error"))
		rc = -EPROTO;
	if (!rc)
		rc = fill_items(&page, root, stamp_key);
	if (!rc)
		rc = fill_prefixes(&page, root);
	if (!rc)
		rc = fill_token(&page, root);
	json_decref(root);
	if (rc < 0) {
		gcs_page_done(&page);
		return rc;
	}
	*ret = page;
	return 0;
}

void gcs_page_done(struct gcs_page *page)
{
	for (size_t i = 0; i < page->n_items; i++)
		object_info_done(&page->items[i]);
	for (size_t i = 0; i < page->n_prefixes; i++)
		free(page->prefixes[i].name);
	free(page->items);
	free(page->prefixes);
	free(page->token);
	memset(page, 0, sizeof(*page));
}

static bool json_error_text(const char *body, size_t n, char *text, size_t room)
{
	int rc;
	json_t *root = load(body, n, &rc);
	json_t *error = json_object_get(root, "error");
	const char *message = text_at(error, "message");

	if (!message) /* as the token service writes it */
		message = text_at(root, "error_description");
	if (message)
		snprintf(text, room, "%s", message);
	json_decref(root);
	return message;
}

void gcs_error_text(const char *body, size_t n, char *text, size_t room)
{
	size_t skip = 0;
	size_t end;

	while (skip < n && strchr(" \t\r\n", body[skip]) && body[skip])
		skip++;
	for (end = skip; end < n && body[end] && !strchr("\r\n", body[end]);)
		end++;
	if (skip == n)
		snprintf(text, room, "no message");
	else if (body[skip] == '<')
		snprintf(text, room, "an HTML or XML page");
	else if (!json_error_text(body, n, text, room))
		snprintf(text, room, "%.*s",
			 end - skip < room ? (int)(end - skip) : (int)room,
			 body + skip);
	text[strcspn(text, "\r\n")] = '\0';
}

void gcs_hash_parse(const char *text, struct object_info *info)
{
	char *copy = strdup(text);
	char *rest = copy;
	char *part;

	while (copy && (part = strsep(&rest, ", "))) {
		if (!strncmp(part, "crc32c=", 7))
			set_crc32c(info, part + 7);
		else if (!strncmp(part, "md5=", 4))
			set_md5(info, part + 4);
	}
	free(copy);
}

const char *gcs_stamp_key(const char *stamp)
{
	static const char *const before[] = {"x-goog-meta-", "x-amz-meta-"};

	for (size_t i = 0; stamp && i < 2; i++)
		if (!strncasecmp(stamp, before[i], strlen(before[i])))
			return stamp + strlen(before[i]);
	return stamp;
}
