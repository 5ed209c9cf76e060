#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "serve/gcsd_private.h"

#define JSON_TYPE "application/json; charset=UTF-8"

/* What of a buckets resource is kept and given back. */
static const char *const kept[] = {
	"location",	   "locationType",	    "storageClass",
	"versioning",	   "softDeletePolicy",	    "labels",
	"retentionPolicy", "hierarchicalNamespace", "iamConfiguration",
};

static void copy_kept(json_t *into, json_t *resource)
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		json_t *value = json_object_get(resource, kept[i]);

		if (json_is_null(value))
			json_object_del(into, kept[i]);
		else if (value)
			json_object_set(into, kept[i], value);
	}
}

static void reply_bucket(struct web_request *r, const char *name)
{
	struct depot_bucket b;
	int rc = depot_bucket_get(r->web->depot, name, &b);

	if (rc < 0) {
		gcsd_fail_rc(r, rc);
		return;
	}
	gcsd_put_bucket(&r->reply.body, &b);
	web_reply(r, 200, JSON_TYPE);
	depot_bucket_done(&b);
}

void gcsd_bucket_get(struct web_request *r)
{
	reply_bucket(r, r->args[0]);
}

struct bucket_list {
	struct text *t;
	size_t n;
};

static void put_bucket(void *ctx, const struct depot_bucket *b)
{
	struct bucket_list *l = ctx;

	text_str(l->t, l->n++ ? "," : "");
	gcsd_put_bucket(l->t, b);
}

void gcsd_bucket_list(struct web_request *r)
{
	struct bucket_list l = {.t = &r->reply.body};
	int rc;

	text_str(l.t, "{\"kind\":\"storage#buckets\",\"items\":[");
	rc = depot_bucket_list(r->web->depot, put_bucket, &l);
	text_str(l.t, "]}");
	if (rc < 0)
		gcsd_fail_rc(r, rc);
	else
		web_reply(r, 200, JSON_TYPE);
}

void gcsd_bucket_insert(struct web_request *r)
{
	json_t *body = gcsd_body(r);
	json_t *config;
	const char *name;
	char *text;
	int rc;

	if (!body)
		return;
	name = json_string_value(json_object_get(body, "name"));
	config = json_pack("{s:s,s:s}", "location", "US", "storageClass",
			   "STANDARD");
	copy_kept(config, body);
	text = json_dumps(config, JSON_COMPACT);
	/* A name of the right characters needs no escaping anywhere. */
	rc = name && text && strlen(name) >= 3 && strlen(name) <= 222 &&
			     strspn(name, "abcdefghijklmnopqrstuvwxyz"
					  "0123456789-_.") == strlen(name)
		     ? depot_bucket_make(r->web->depot, name, text)
		     : -EINVAL;
	if (rc < 0)
		gcsd_fail_rc(r, rc);
	else
		reply_bucket(r, name);
	free(text);
	json_decref(config);
	json_decref(body);
}

void gcsd_bucket_patch(struct web_request *r)
{
	json_t *body = gcsd_body(r);
	struct depot_bucket b;
	json_t *config;
	char *text;
	int rc;

	if (!body)
		return;
	rc = depot_bucket_get(r->web->depot, r->args[0], &b);
	if (rc == 0) {
		config = json_loads(b.config, 0, NULL);
		copy_kept(config, body);
		text = json_dumps(config, JSON_COMPACT);
		rc = text ? depot_bucket_patch(r->web->depot, b.name, text)
			  : -ENOMEM;
		free(text);
		json_decref(config);
		depot_bucket_done(&b);
	}
	if (rc < 0)
		gcsd_fail_rc(r, rc);
	else
		reply_bucket(r, r->args[0]);
	json_decref(body);
}

void gcsd_bucket_delete(struct web_request *r)
{
	int rc = depot_bucket_drop(r->web->depot, r->args[0]);

	if (rc < 0)
		gcsd_fail_rc(r, rc);
	else
		web_reply(r, 204, NULL);
}
