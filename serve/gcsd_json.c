#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "serve/gcsd_private.h"

/* ---- out ---- */

static size_t varint(uint8_t *to, uint64_t n)
{
	size_t used = 0;

	for (; n >= 0x80; n >>= 7)
		to[used++] = (uint8_t)(n | 0x80);
	to[used++] = (uint8_t)n;
	return used;
}

/* As GCS makes it: generation and metageneration in protocol buffers' form. */
void gcsd_etag(struct text *t, const struct depot_object *o)
{
	uint8_t bytes[24];
	size_t n = 0;

	bytes[n++] = 0x08;
	n += varint(bytes + n, (uint64_t)o->generation);
	bytes[n++] = 0x10;
	n += varint(bytes + n, (uint64_t)o->metageneration);
	text_base64(t, bytes, n);
}

void gcsd_crc32c(struct text *t, uint32_t crc)
{
	uint32_t big_endian = htonl(crc);

	text_base64(t, &big_endian, sizeof(big_endian));
}

static void put_id(struct text *t, const char *bucket,
		   const struct depot_object *o)
{
	struct text id = {0};

	text_fmt(&id, "%s/%s/%" PRId64, bucket, o->name, o->generation);
	text_str(t, ",\"id\":");
	text_json(t, id.at ? id.at : "", id.n);
	text_done(&id);
}

static void put_links(struct text *t, const struct web_request *r,
		      const char *bucket, const struct depot_object *o)
{
	const char *host = web_header(r, "Host");
	struct text path = {0};

	text_fmt(&path, "/storage/v1/b/%s/o/", bucket);
	text_url(&path, o->name, strlen(o->name), "");
	if (path.at)
		text_fmt(t,
			 ",\"selfLink\":\"http://%s%s\",\"mediaLink\":"
			 "\"http://%s/download%s?generation=%" PRId64
			 "&alt=media\"",
			 host ? host : "", path.at, host ? host : "", path.at,
			 o->generation);
	text_done(&path);
}

static void put_times(struct text *t, const struct depot_object *o)
{
	text_str(t, "\",\"timeCreated\":\"");
	text_time(t, o->created_us);
	text_str(t, "\",\"timeStorageClassUpdated\":\"");
	text_time(t, o->created_us);
	text_str(t, "\",\"updated\":\"");
	text_time(t, o->updated_us);
	if (o->deleted_us) {
		text_str(t, "\",\"timeDeleted\":\"");
		text_time(t, o->deleted_us);
	}
	text_str(t, "\"");
}

void gcsd_put_object(struct text *t, const struct web_request *r,
		     const char *bucket, const struct depot_object *o)
{
	text_fmt(t, "{\"kind\":\"storage#object\",\"bucket\":\"%s\",\"name\":",
		 bucket);
	text_json(t, o->name, strlen(o->name));
	put_id(t, bucket, o);
	text_fmt(t,
		 ",\"generation\":\"%" PRId64 "\",\"metageneration\":\"%" PRId64
		 "\",\"size\":\"%" PRIu64 "\",\"crc32c\":\"",
		 o->generation, o->metageneration, o->size);
	gcsd_crc32c(t, o->crc32c);
	if (o->has_md5) {
		text_str(t, "\",\"md5Hash\":\"");
		text_base64(t, o->md5, 16);
	}
	text_str(t, "\",\"etag\":\"");
	gcsd_etag(t, o);
	put_times(t, o);
	if (o->components)
		text_fmt(t, ",\"componentCount\":%d", o->components);
	put_links(t, r, bucket, o);
	/* attrs is an object of its own: its inside goes on in ours. */
	if (strlen(o->attrs) > 2) {
		text_str(t, ",");
		text_str(t, o->attrs + 1);
	} else {
		text_str(t, "}");
	}
}

void gcsd_reply_object(struct web_request *r, const char *bucket,
		       const struct depot_object *o)
{
	struct text etag = {0};

	gcsd_etag(&etag, o);
	if (etag.at)
		web_reply_header(r, "ETag", "%s", etag.at);
	text_done(&etag);
	gcsd_put_object(&r->reply.body, r, bucket, o);
	web_reply(r, 200, "application/json; charset=UTF-8");
}

void gcsd_put_bucket(struct text *t, const struct depot_bucket *b)
{
	text_fmt(t,
		 "{\"kind\":\"storage#bucket\",\"id\":\"%s\",\"name\":\"%s\","
		 "\"metageneration\":\"%" PRId64
		 "\",\"projectNumber\":\"0\",\"etag\":\"CAE=\","
		 "\"timeCreated\":\"",
		 b->name, b->name, b->metageneration);
	text_time(t, b->created_us);
	text_str(t, "\",\"updated\":\"");
	text_time(t, b->created_us);
	text_str(t, "\"");
	if (strlen(b->config) > 2) {
		text_str(t, ",");
		text_str(t, b->config + 1);
	} else {
		text_str(t, "}");
	}
}

/* ---- in ---- */

enum type { TYPE_STRING, TYPE_BOOL, TYPE_MAP };

static const struct {
	const char *name;
	enum type type;
} writable[] = {
	{"contentType", TYPE_STRING},	  {"contentEncoding", TYPE_STRING},
	{"contentLanguage", TYPE_STRING}, {"contentDisposition", TYPE_STRING},
	{"cacheControl", TYPE_STRING},	  {"storageClass", TYPE_STRING},
	{"customTime", TYPE_STRING},	  {"temporaryHold", TYPE_BOOL},
	{"eventBasedHold", TYPE_BOOL},	  {"metadata", TYPE_MAP},
};

static bool is_string_map(json_t *map)
{
	const char *key;
	json_t *value;

	if (!json_is_object(map))
		return false;
	json_object_foreach(map, key,
			    value) if (!json_is_string(value) &&
				       !json_is_null(value)) return false;
	return true;
}

static bool has_type(json_t *value, enum type type)
{
	switch (type) {
	case TYPE_STRING:
		return json_is_string(value);
	case TYPE_BOOL:
		return json_is_boolean(value);
	default:
		return is_string_map(value);
	}
}

/* A null in a map takes its key away. */
static void merge_map(json_t *into, json_t *map)
{
	const char *key;
	json_t *value;

	json_object_foreach(map, key, value)
	{
		if (json_is_null(value))
			json_object_del(into, key);
		else
			json_object_set(into, key, value);
	}
}

static int merge_field(json_t *into, const char *name, enum type type,
		       json_t *value)
{
	json_t *map;

	if (json_is_null(value)) {
		json_object_del(into, name);
		return 0;
	}
	if (!has_type(value, type))
		return -EINVAL;
	if (type != TYPE_MAP)
		return json_object_set(into, name, value);
	map = json_object_get(into, name);
	if (!map) {
		map = json_object();
		json_object_set_new(into, name, map);
	}
	merge_map(map, value);
	return 0;
}

char *gcsd_merge(const char *attrs, json_t *resource, bool replace)
{
	json_t *old = json_loads(attrs, 0, NULL);
	json_t *into = replace ? json_object() : json_incref(old);
	char *text = NULL;
	int rc = 0;

	for (size_t i = 0; i < sizeof(writable) / sizeof(writable[0]); i++) {
		json_t *value = json_object_get(resource, writable[i].name);

		if (value && rc == 0)
			rc = merge_field(into, writable[i].name,
					 writable[i].type, value);
	}
	if (!json_object_get(into, "storageClass")) {
		json_t *class = json_object_get(old, "storageClass");

		json_object_set_new(into, "storageClass",
				    class ? json_incref(class)
					  : json_string("STANDARD"));
	}
	if (rc == 0)
		text = json_dumps(into, JSON_COMPACT);
	json_decref(into);
	json_decref(old);
	return text;
}

char *gcsd_attrs(json_t *resource, const char *content_type)
{
	if (content_type && !json_object_get(resource, "contentType"))
		json_object_set_new(resource, "contentType",
				    json_string(content_type));
	return gcsd_merge("{}", resource, true);
}

/* True if the base64 text says these bytes; text of n_text characters. */
static bool says(const char *text, size_t n_text, const uint8_t *bytes,
		 size_t n)
{
	struct text right = {0};
	bool same;

	text_base64(&right, bytes, n);
	same = right.at && right.n == n_text &&
	       memcmp(right.at, text, n_text) == 0;
	text_done(&right);
	return same;
}

static int check_hash(const char *kind, const char *text, size_t n,
		      struct depot_upload *u)
{
	uint32_t crc = htonl(depot_upload_crc32c(u));
	uint8_t md5[16];

	if (strncmp(kind, "crc32c", 6) == 0)
		return says(text, n, (uint8_t *)&crc, 4) ? 0 : -EBADMSG;
	if (strncmp(kind, "md5", 3) != 0)
		return 0;
	if (depot_upload_md5(u, md5) < 0)
		return -EIO;
	return says(text, n, md5, 16) ? 0 : -EBADMSG;
}

int gcsd_check_hashes(json_t *resource, struct depot_upload *u)
{
	static const char *const kinds[] = {"crc32c", "md5Hash"};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < 2; i++) {
		const char *text =
			json_string_value(json_object_get(resource, kinds[i]));

		if (text)
			rc = check_hash(kinds[i], text, strlen(text), u);
	}
	return rc;
}

/* crc32c=n03x6A==,md5=Ojk9c3dhfxgoKVVHYwFbHQ== */
int gcsd_check_hash_header(const char *header, struct depot_upload *u)
{
	int rc = 0;

	while (header && *header && rc == 0) {
		size_t n = strcspn(header, ",");
		size_t key = strcspn(header, "=");

		if (key < n)
			rc = check_hash(header, header + key + 1, n - key - 1,
					u);
		header += n;
		header += strspn(header, ", ");
	}
	return rc;
}
