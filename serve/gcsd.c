#include "serve/gcsd.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "serve/gcsd_private.h"
#include "serve/web_uri.h"

#define B "/storage/v1/b"
#define O "/storage/v1/b/{}/o"

static const struct web_route routes[] = {
	{"GET", O "/{}", TRAFFIC_STAT, gcsd_stat, NULL},
	{"GET", O, TRAFFIC_LIST, gcsd_list, NULL},
	{"GET", "/download" O "/{}", TRAFFIC_MEDIA, gcsd_media, NULL},
	{"POST", "/upload" O, TRAFFIC_PUT, gcsd_upload, gcsd_upload_begin},
	{"PUT", "/upload" O, TRAFFIC_RESUMABLE, gcsd_chunk, gcsd_chunk_begin},
	{"DELETE", "/upload" O, TRAFFIC_RESUMABLE, gcsd_cancel, NULL},
	{"PATCH", O "/{}", TRAFFIC_PATCH, gcsd_patch, NULL},
	{"PUT", O "/{}", TRAFFIC_PATCH, gcsd_update, NULL},
	{"DELETE", O "/{}", TRAFFIC_DELETE, gcsd_delete, NULL},
	{"POST", O "/{}/rewriteTo/b/{}/o/{}", TRAFFIC_COPY, gcsd_rewrite, NULL},
	{"POST", O "/{}/copyTo/b/{}/o/{}", TRAFFIC_COPY, gcsd_copy, NULL},
	{"POST", O "/{}/moveTo/o/{}", TRAFFIC_MOVE, gcsd_move, NULL},
	{"POST", O "/{}/compose", TRAFFIC_COMPOSE, gcsd_compose, NULL},
	{"GET", B, TRAFFIC_BUCKET, gcsd_bucket_list, NULL},
	{"POST", B, TRAFFIC_BUCKET, gcsd_bucket_insert, NULL},
	{"GET", B "/{}", TRAFFIC_BUCKET, gcsd_bucket_get, NULL},
	{"PATCH", B "/{}", TRAFFIC_BUCKET, gcsd_bucket_patch, NULL},
	{"DELETE", B "/{}", TRAFFIC_BUCKET, gcsd_bucket_delete, NULL},
};

/* objects.get is two things, told apart by a parameter. */
static const struct web_route media_route = {"GET", O "/{}", TRAFFIC_MEDIA,
					     gcsd_media, NULL};

struct gcsd {
	struct web_face face;
	char *token;
	struct gcsd_sessions *sessions;
};

struct gcsd_sessions *gcsd_sessions(const struct web_request *r)
{
	return ((const struct gcsd *)r->face->ctx)->sessions;
}

/* ---- errors ---- */

static void fail(struct web_request *r, unsigned status, const char *reason,
		 const char *message)
{
	struct text *t = &r->reply.body;

	if (r->route && r->route->kind == TRAFFIC_MEDIA) {
		text_str(t, message);
		web_reply(r, status, "text/html; charset=UTF-8");
		return;
	}
	text_fmt(t, "{\"error\":{\"code\":%u,\"message\":", status);
	text_json(t, message, strlen(message));
	text_str(t, ",\"errors\":[{\"message\":");
	text_json(t, message, strlen(message));
	text_fmt(t, ",\"domain\":\"global\",\"reason\":\"%s\"", reason);
	if (status == 412)
		text_str(t, ",\"locationType\":\"header\","
			    "\"location\":\"If-Match\"");
	text_str(t, "}]}}\n");
	web_reply(r, status, "application/json; charset=UTF-8");
}

static const struct outcome {
	int rc;
	unsigned status;
	const char *reason;
	const char *message;
} outcomes[] = {
	{-ENXIO, 404, "notFound", "The specified bucket does not exist."},
	{-ENOENT, 404, "notFound", "No such object."},
	{-ESTALE, 412, "conditionNotMet",
	 "At least one of the pre-conditions you specified did not hold."},
	{-EPERM, 403, "retentionPolicyNotMet",
	 "The object is under hold or retention."},
	{-EEXIST, 409, "conflict",
	 "Your previous request to create the named bucket succeeded and you "
	 "already own it."},
	{-ENOTEMPTY, 409, "conflict",
	 "The bucket you tried to delete is not empty."},
	{-EINVAL, 400, "invalid", "Invalid argument."},
	{-EBADMSG, 400, "invalid",
	 "Provided hash doesn't match calculated hash of the object."},
	{-ENOSPC, 507, "backendError", "No space left."},
};

void gcsd_fail_rc(struct web_request *r, int rc)
{
	if (rc == -EALREADY) {
		text_done(&r->reply.body);
		web_reply(r, 304, NULL);
		return;
	}
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		const struct outcome *o = &outcomes[i];

		if (o->rc != rc)
			continue;
		web_fail(r, o->status, o->reason, o->message);
		return;
	}
	web_fail(r, 500, "backendError", strerror(-rc));
}

/* ---- parameters ---- */

static const struct {
	enum depot_has bit;
	const char *name[2]; /* by enum gcsd_cond_kind */
	size_t offset;
} conditions[] = {
	{DEPOT_IF_GEN,
	 {"ifGenerationMatch", "ifSourceGenerationMatch"},
	 offsetof(struct depot_cond, gen)},
	{DEPOT_IF_NOT_GEN,
	 {"ifGenerationNotMatch", "ifSourceGenerationNotMatch"},
	 offsetof(struct depot_cond, not_gen)},
	{DEPOT_IF_META,
	 {"ifMetagenerationMatch", "ifSourceMetagenerationMatch"},
	 offsetof(struct depot_cond, meta)},
	{DEPOT_IF_NOT_META,
	 {"ifMetagenerationNotMatch", "ifSourceMetagenerationNotMatch"},
	 offsetof(struct depot_cond, not_meta)},
};

/* A missing parameter leaves *ret_number as it is. */
static int number_param(struct web_request *r, const char *name,
			int64_t *ret_number)
{
	const char *text = web_param(r, name);

	if (!text)
		return 0;
	if (web_number(text, ret_number) == 0)
		return 1;
	web_fail(r, 400, "invalid", "Invalid value for a number.");
	return -EINVAL;
}

bool gcsd_cond(struct web_request *r, enum gcsd_cond_kind kind,
	       struct depot_cond *ret_cond)
{
	*ret_cond = (struct depot_cond){0};
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]);
	     i++) {
		char *field = (char *)ret_cond + conditions[i].offset;
		int rc = number_param(r, conditions[i].name[kind],
				      (int64_t *)(void *)field);

		if (rc < 0)
			return false;
		if (rc > 0)
			ret_cond->has |= conditions[i].bit;
	}
	return true;
}

bool gcsd_ref(struct web_request *r, struct depot_ref *ret_ref)
{
	ret_ref->bucket = r->args[0];
	ret_ref->name = r->args[1];
	ret_ref->generation = 0;
	return number_param(r, "generation", &ret_ref->generation) >= 0 &&
	       gcsd_cond(r, GCSD_COND, &ret_ref->cond);
}

json_t *gcsd_body(struct web_request *r)
{
	json_t *body = r->body.n ? json_loadb(r->body.at, r->body.n, 0, NULL)
				 : json_object();

	if (json_is_object(body))
		return body;
	json_decref(body);
	web_fail(r, 400, "parseError", "Parse Error");
	return NULL;
}

/* ---- the face ---- */

static bool may(const struct gcsd *g, const struct web_request *r)
{
	const char *given = web_header(r, "Authorization");
	size_t n;

	if (!g->token)
		return true;
	if (!given || strncasecmp(given, "Bearer ", 7) != 0)
		return false;
	n = strlen(g->token);
	return strlen(given + 7) == n &&
	       CRYPTO_memcmp(given + 7, g->token, n) == 0;
}

static void route(struct web_request *r)
{
	const char *alt = web_param(r, "alt");

	if (!web_match(r, r->path, routes, sizeof(routes) / sizeof(routes[0])))
		web_fail(r, 404, "notFound", "Not Found");
	else if (r->route->kind == TRAFFIC_STAT && alt &&
		 strcmp(alt, "media") == 0)
		r->route = &media_route;
	if (!may(r->face->ctx, r)) {
		web_reply_header(r, "WWW-Authenticate", "Bearer realm=\"%s\"",
				 "https://accounts.google.com/");
		web_fail(r, 401, "authError", "Invalid Credentials");
	}
}

struct gcsd *gcsd_new(const char *token)
{
	struct gcsd *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->face = (struct web_face){"gcs", route, fail, g};
	g->sessions = gcsd_sessions_new();
	g->token = token ? strdup(token) : NULL;
	if (!g->sessions || (token && !g->token)) {
		gcsd_free(g);
		return NULL;
	}
	return g;
}

void gcsd_free(struct gcsd *g)
{
	if (!g)
		return;
	gcsd_sessions_free(g->sessions);
	free(g->token);
	free(g);
}

const struct web_face *gcsd_face(struct gcsd *g)
{
	return &g->face;
}
