#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "serve/gcsd_private.h"
#include "serve/web_uri.h"

#define COMPOSE_MAX 32

static void reply_made(struct web_request *r, int rc, const char *bucket,
		       struct depot_object *o)
{
	if (rc < 0) {
		gcsd_fail_rc(r, rc);
		return;
	}
	gcsd_reply_object(r, bucket, o);
	depot_object_done(o);
}

/* ---- metadata ---- */

struct edit {
	json_t *resource;
	bool replace;
};

static char *edit_attrs(void *ctx, const char *attrs)
{
	const struct edit *e = ctx;

	return gcsd_merge(attrs, e->resource, e->replace);
}

static void edit(struct web_request *r, bool replace)
{
	struct edit e = {.replace = replace};
	struct depot_ref ref;
	struct depot_object o;
	int rc;

	if (!gcsd_ref(r, &ref))
		return;
	e.resource = gcsd_body(r);
	if (!e.resource)
		return;
	rc = depot_patch(r->web->depot, &ref, edit_attrs, &e, &o);
	reply_made(r, rc, ref.bucket, &o);
	json_decref(e.resource);
}

void gcsd_patch(struct web_request *r)
{
	edit(r, false);
}

void gcsd_update(struct web_request *r)
{
	edit(r, true);
}

void gcsd_delete(struct web_request *r)
{
	struct depot_ref ref;
	int rc;

	if (!gcsd_ref(r, &ref))
		return;
	rc = depot_delete(r->web->depot, &ref);
	if (rc < 0)
		gcsd_fail_rc(r, rc);
	else
		web_reply(r, 204, NULL);
}

/* ---- copies ---- */

/* Parameters and body of rewriteTo, copyTo and moveTo; false: replied. */
static bool parse_copy(struct web_request *r, struct depot_copy *c,
		       char **ret_attrs)
{
	const char *generation = web_param(r, "sourceGeneration");
	json_t *resource;

	c->from.bucket = r->args[0];
	c->from.name = r->args[1];
	if (generation && web_number(generation, &c->from.generation) < 0) {
		web_fail(r, 400, "invalid", "Invalid sourceGeneration.");
		return false;
	}
	if (!gcsd_cond(r, GCSD_COND_SOURCE, &c->from.cond) ||
	    !gcsd_cond(r, GCSD_COND, &c->to.cond))
		return false;
	resource = gcsd_body(r);
	if (!resource)
		return false;
	/* Any metadata given replaces all of the source's. */
	if (json_object_size(resource) > 0 && !c->move) {
		*ret_attrs = gcsd_attrs(resource, NULL);
		if (!*ret_attrs)
			web_fail(r, 400, "invalid", "Invalid metadata.");
	}
	json_decref(resource);
	return !web_replied(r);
}

/* False: it failed, and was replied to. */
static bool copy(struct web_request *r, struct depot_copy *c,
		 struct depot_object *ret_object)
{
	char *attrs = NULL;
	int rc;

	if (!parse_copy(r, c, &attrs))
		return false;
	c->attrs = attrs;
	rc = depot_copy(r->web->depot, c, ret_object);
	free(attrs);
	if (rc < 0)
		gcsd_fail_rc(r, rc);
	return rc == 0;
}

void gcsd_copy(struct web_request *r)
{
	struct depot_copy c = {
		.to = {.bucket = r->args[2], .name = r->args[3]}};
	struct depot_object o;

	if (copy(r, &c, &o))
		reply_made(r, 0, c.to.bucket, &o);
}

/* Bytes are never copied, so every rewrite is done at once. */
void gcsd_rewrite(struct web_request *r)
{
	struct depot_copy c = {
		.to = {.bucket = r->args[2], .name = r->args[3]}};
	struct text *t = &r->reply.body;
	struct depot_object o;

	if (!copy(r, &c, &o))
		return;
	text_fmt(t,
		 "{\"kind\":\"storage#rewriteResponse\","
		 "\"totalBytesRewritten\":\"%" PRIu64
		 "\",\"objectSize\":\"%" PRIu64
		 "\",\"done\":true,\"resource\":",
		 o.size, o.size);
	gcsd_put_object(t, r, c.to.bucket, &o);
	text_str(t, "}");
	web_reply(r, 200, "application/json; charset=UTF-8");
	depot_object_done(&o);
}

void gcsd_move(struct web_request *r)
{
	struct depot_copy c = {.to = {.bucket = r->args[0], .name = r->args[2]},
			       .move = true};
	struct depot_object o;

	if (copy(r, &c, &o))
		reply_made(r, 0, c.to.bucket, &o);
}

/* ---- compose ---- */

/* A number that JSON gives as a string, or as a number. */
static bool json_number(json_t *value, int64_t *ret_number)
{
	if (json_is_integer(value)) {
		*ret_number = json_integer_value(value);
		return true;
	}
	return json_is_string(value) &&
	       web_number(json_string_value(value), ret_number) == 0;
}

static bool parse_source(struct web_request *r, json_t *source,
			 struct depot_ref *ref)
{
	json_t *match =
		json_object_get(json_object_get(source, "objectPreconditions"),
				"ifGenerationMatch");

	*ref = (struct depot_ref){.bucket = r->args[0]};
	ref->name = json_string_value(json_object_get(source, "name"));
	json_number(json_object_get(source, "generation"), &ref->generation);
	if (json_number(match, &ref->cond.gen))
		ref->cond.has = DEPOT_IF_GEN;
	return ref->name != NULL;
}

static size_t parse_sources(struct web_request *r, json_t *body,
			    struct depot_ref from[COMPOSE_MAX])
{
	json_t *list = json_object_get(body, "sourceObjects");
	size_t n = json_array_size(list);

	if (n > COMPOSE_MAX)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!parse_source(r, json_array_get(list, i), &from[i]))
			return 0;
	return n;
}

static void compose(struct web_request *r, json_t *body)
{
	struct depot_ref from[COMPOSE_MAX], to;
	size_t n = parse_sources(r, body, from);
	json_t *destination = json_object_get(body, "destination");
	struct depot_object o;
	char *attrs;
	int rc;

	if (n == 0) {
		web_fail(r, 400, "invalid",
			 "The number of source components must be 1 to 32.");
		return;
	}
	if (!gcsd_ref(r, &to))
		return;
	attrs = gcsd_merge("{}", destination, true);
	if (!attrs) {
		web_fail(r, 400, "invalid", "Invalid destination.");
		return;
	}
	rc = depot_compose(r->web->depot, from, n, &to, attrs, &o);
	free(attrs);
	reply_made(r, rc, to.bucket, &o);
}

void gcsd_compose(struct web_request *r)
{
	json_t *body = gcsd_body(r);

	if (!body)
		return;
	compose(r, body);
	json_decref(body);
}
