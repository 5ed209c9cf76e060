/*
 * Three ways in: the bytes alone (media), metadata and bytes in one body
 * (multipart), and metadata first, then bytes in chunks (resumable).  All end
 * in commit().
 *
 * A resumable session: OPEN (bytes may come) -> DONE (its answer is kept and
 * given again to whoever asks) or gone.  One request at a time may add to it
 * (`busy`); what arrived before a connection broke is kept, and the client
 * learns from a status query how much that is.
 */
#include <errno.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "serve/gcsd_private.h"
#include "serve/multipart.h"
#include "serve/web_uri.h"

#define CHUNK (256u << 10)
#define MAX_SESSIONS 4096

struct session {
	struct session *next;
	char id[40];
	char *bucket;
	char *name;
	json_t *resource;
	char *content_type;
	struct depot_cond cond;
	struct depot_upload *upload;
	char *answer; /* the resource made, once DONE */
	bool busy;
};

struct guarded {
	struct session *sessions; /* newest first */
	size_t n;
};

struct gcsd_sessions {
	struct mutex lock; /* a leaf; a busy session is its request's own */
	struct guarded guarded;
};

static struct guarded *held(struct gcsd_sessions *s) REQUIRES(s->lock)
{
	return &s->guarded;
}

/* What a request with a body on its way in holds. */
struct incoming {
	struct gcsd_sessions *sessions;
	struct depot_upload *upload; /* media, multipart */
	struct session *session;     /* or a chunk of this */
	/* chunk */
	uint64_t skip;		     /* bytes that are here already */
	uint64_t keep;		     /* how many more to take at the most */
	int64_t total;		     /* -1: not said yet */
	struct multipart *multipart; /* or NULL */
};

static void session_free(struct session *s)
{
	depot_upload_free(s->upload);
	json_decref(s->resource);
	free(s->content_type);
	free(s->bucket);
	free(s->name);
	free(s->answer);
	free(s);
}

struct gcsd_sessions *gcsd_sessions_new(void)
{
	struct gcsd_sessions *s = calloc(1, sizeof(*s));

	if (s)
		mutex_init(&s->lock, RANK_BASE);
	return s;
}

void gcsd_sessions_free(struct gcsd_sessions *s)
{
	struct session *one;

	if (!s)
		return;
	mutex_lock(&s->lock);
	while ((one = held(s)->sessions)) {
		held(s)->sessions = one->next;
		session_free(one);
	}
	mutex_unlock(&s->lock);
	mutex_done(&s->lock);
	free(s);
}

static void incoming_free(void *ctx)
{
	struct incoming *in = ctx;

	if (in->session) {
		mutex_lock(&in->sessions->lock);
		in->session->busy = false;
		mutex_unlock(&in->sessions->lock);
	}
	depot_upload_free(in->upload);
	multipart_free(in->multipart);
	free(in);
}

static struct incoming *incoming_new(struct web_request *r)
{
	struct incoming *in = calloc(1, sizeof(*in));

	if (in) {
		in->sessions = gcsd_sessions(r);
		in->total = -1;
		web_on_done(r, incoming_free, in);
	}
	return in;
}

/* ---- the end of all three ---- */

/* Checks the hashes and makes the object; replies in any case. */
static int commit(struct web_request *r, struct depot_upload *u,
		  const struct depot_ref *ref, json_t *resource,
		  const char *content_type)
{
	struct depot_object o;
	char *attrs = gcsd_attrs(resource, content_type);
	int rc = attrs ? gcsd_check_hashes(resource, u) : -EINVAL;

	if (rc == 0)
		rc = gcsd_check_hash_header(web_header(r, "X-Goog-Hash"), u);
	if (rc == 0)
		rc = depot_put(r->web->depot, u, ref, attrs, &o);
	free(attrs);
	if (rc < 0) {
		gcsd_fail_rc(r, rc);
		return rc;
	}
	gcsd_reply_object(r, ref->bucket, &o);
	depot_object_done(&o);
	return 0;
}

/* ---- in one request ---- */

static int take_media(void *ctx, const char *data, size_t n)
{
	return depot_upload_add(((struct incoming *)ctx)->upload, data, n);
}

static bool is_upload(const struct web_request *r, const char *type)
{
	const char *given = web_param(r, "uploadType");

	return strcmp(given ? given : "media", type) == 0;
}

void gcsd_upload_begin(struct web_request *r)
{
	struct incoming *in;

	if (is_upload(r, "resumable"))
		return; /* its body is JSON */
	in = incoming_new(r);
	if (!in || depot_upload_new(r->web->depot, &in->upload) < 0) {
		web_fail(r, 500, "backendError", "No room for an upload.");
	} else if (is_upload(r, "media")) {
		web_set_sink(r, take_media, in);
	} else if (is_upload(r, "multipart") &&
		   (in->multipart = multipart_new(web_header(r, "Content-Type"),
						  in->upload))) {
		web_set_sink(r, multipart_take, in->multipart);
	} else {
		web_fail(r, 400, "invalid", "Bad uploadType or boundary.");
	}
}

static const char *object_name(struct web_request *r, json_t *resource)
{
	const char *name = web_param(r, "name");

	if (!name)
		name = json_string_value(json_object_get(resource, "name"));
	if (!name || !*name) {
		web_fail(r, 400, "required", "Required parameter: name");
		return NULL;
	}
	return name;
}

static void start_session(struct web_request *r);

static void finish_upload(struct web_request *r, struct incoming *in,
			  json_t *resource)
{
	const char *encoding = web_param(r, "contentEncoding");
	struct depot_ref ref = {.bucket = r->args[0]};

	ref.name = object_name(r, resource);
	if (!ref.name || !gcsd_cond(r, GCSD_COND, &ref.cond))
		return;
	if (encoding)
		json_object_set_new(resource, "contentEncoding",
				    json_string(encoding));
	commit(r, in->upload, &ref, resource,
	       in->multipart ? multipart_type(in->multipart)
			     : web_header(r, "Content-Type"));
}

void gcsd_upload(struct web_request *r)
{
	struct incoming *in = r->on_done_ctx;
	json_t *resource = NULL;

	if (is_upload(r, "resumable")) {
		start_session(r);
		return;
	}
	if (!in->multipart)
		resource = json_object();
	else if (multipart_end(in->multipart))
		resource = json_incref(multipart_resource(in->multipart));
	if (!resource) {
		web_fail(r, 400, "badContent", "Malformed multipart body.");
		return;
	}
	finish_upload(r, in, resource);
	json_decref(resource);
}

/* ---- resumable ---- */

/* The oldest that nobody uses goes when there are too many. */
static void make_room(struct gcsd_sessions *s) REQUIRES(s->lock)
{
	struct session **link = &held(s)->sessions, **victim = NULL;

	if (held(s)->n < MAX_SESSIONS)
		return;
	for (; *link; link = &(*link)->next)
		if (!(*link)->busy)
			victim = link;
	if (victim) {
		struct session *gone = *victim;

		*victim = gone->next;
		held(s)->n--;
		session_free(gone);
	}
}

static struct session *new_session(struct web_request *r, const char *name)
{
	const char *type = web_header(r, "X-Upload-Content-Type");
	struct session *s = calloc(1, sizeof(*s));
	unsigned char id[16];

	if (!s || RAND_bytes(id, sizeof(id)) != 1) {
		free(s);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(id); i++)
		snprintf(s->id + 2 * i, 3, "%02x", id[i]);
	s->bucket = strdup(r->args[0]);
	s->name = strdup(name);
	s->content_type = type ? strdup(type) : NULL;
	if (!s->bucket || !s->name ||
	    depot_upload_new(r->web->depot, &s->upload) < 0) {
		session_free(s);
		return NULL;
	}
	return s;
}

static void add_session(struct gcsd_sessions *all, struct session *s)
{
	mutex_lock(&all->lock);
	make_room(all);
	s->next = held(all)->sessions;
	held(all)->sessions = s;
	held(all)->n++;
	mutex_unlock(&all->lock);
}

static void start_session(struct web_request *r)
{
	const char *host = web_header(r, "Host");
	json_t *resource = gcsd_body(r);
	struct depot_bucket bucket;
	struct depot_cond cond;
	struct session *s = NULL;
	const char *name;
	int rc;

	if (!resource)
		return;
	rc = depot_bucket_get(r->web->depot, r->args[0], &bucket);
	if (rc == 0)
		depot_bucket_done(&bucket);
	name = rc == 0 ? object_name(r, resource) : NULL;
	if (rc < 0)
		gcsd_fail_rc(r, rc);
	else if (name && gcsd_cond(r, GCSD_COND, &cond))
		s = new_session(r, name);
	if (!s) {
		json_decref(resource);
		if (!web_replied(r))
			web_fail(r, 500, "backendError", "No session.");
		return;
	}
	s->resource = resource;
	s->cond = cond;
	web_reply_header(r, "Location",
			 "http://%s/upload/storage/v1/b/%s/o?uploadType="
			 "resumable&upload_id=%s",
			 host ? host : "", s->bucket, s->id);
	web_reply_header(r, "X-GUploader-UploadID", "%s", s->id);
	add_session(gcsd_sessions(r), s);
	web_reply(r, 200, NULL);
}

/* The request's session, busy from now on; NULL: failed, and replied. */
static struct session *claim_session(struct web_request *r)
{
	struct gcsd_sessions *all = gcsd_sessions(r);
	const char *id = web_param(r, "upload_id");
	struct session *s;
	bool busy = false;

	mutex_lock(&all->lock);
	for (s = held(all)->sessions; s; s = s->next)
		if (id && strcmp(s->id, id) == 0)
			break;
	if (s) {
		busy = s->busy;
		s->busy = true;
	}
	mutex_unlock(&all->lock);
	if (!s)
		web_fail(r, 404, "notFound", "No such upload session.");
	else if (busy)
		web_fail(r, 503, "backendError", "The session is in use.");
	return s && !busy ? s : NULL;
}

/* Of a Content-Range; -1: a star. */
struct piece {
	int64_t first, last, total;
};

static const char *number_or_star(const char *s, int64_t *ret_number)
{
	char *end;

	*ret_number = -1;
	if (*s == '*')
		return s + 1;
	if (*s < '0' || *s > '9')
		return NULL;
	*ret_number = strtoll(s, &end, 10);
	return end;
}

/* "bytes 0-99/100", "bytes 0-99/" + "*", "bytes *" + "/100"; NULL: all. */
static int parse_piece(const char *s, struct piece *p)
{
	*p = (struct piece){0, -1, -1};
	if (!s)
		return 0;
	if (strncmp(s, "bytes ", 6) != 0)
		return -EINVAL;
	s = number_or_star(s + 6, &p->first);
	if (s && p->first >= 0)
		s = *s == '-' ? number_or_star(s + 1, &p->last) : NULL;
	if (s)
		s = *s == '/' ? number_or_star(s + 1, &p->total) : NULL;
	if (!s || *s)
		return -EINVAL;
	if (p->last >= 0 &&
	    (p->last < p->first || (p->total >= 0 && p->last >= p->total)))
		return -EINVAL;
	return 0;
}

static int take_chunk(void *ctx, const char *data, size_t n)
{
	struct incoming *in = ctx;
	size_t skip = in->skip < n ? (size_t)in->skip : n;

	in->skip -= skip;
	data += skip;
	n -= skip;
	if (n > in->keep)
		n = (size_t)in->keep;
	in->keep -= n;
	return n ? depot_upload_add(in->session->upload, data, n) : 0;
}

/* Why a chunk can't be taken, or NULL. */
static const char *chunk_fault(const struct piece *p, uint64_t have)
{
	if (p->first < 0)
		return NULL; /* a query */
	if ((uint64_t)p->first > have)
		return "Invalid request. According to the Content-Range "
		       "header, the upload offset exceeds the already "
		       "uploaded size.";
	if (p->total < 0 && p->last >= 0 && (p->last - p->first + 1) % CHUNK)
		return "Invalid request. The number of bytes uploaded is "
		       "required to be a multiple of 262144, except for the "
		       "final request.";
	return NULL;
}

void gcsd_chunk_begin(struct web_request *r)
{
	struct session *s = claim_session(r);
	struct incoming *in;
	const char *fault;
	struct piece p;
	bool whole = !web_header(r, "Content-Range");

	if (!s)
		return;
	in = incoming_new(r);
	if (!in) {
		web_fail(r, 500, "backendError", "No memory.");
		return;
	}
	in->session = s;
	web_set_sink(r, take_chunk, in);
	if (s->answer)
		return; /* whatever comes is told how it ended */
	if (parse_piece(web_header(r, "Content-Range"), &p) < 0) {
		web_fail(r, 400, "invalid", "Invalid Content-Range.");
		return;
	}
	fault = chunk_fault(&p, depot_upload_size(s->upload));
	if (fault) {
		web_fail(r,
			 (uint64_t)p.first > depot_upload_size(s->upload) ? 503
									  : 400,
			 "invalid", fault);
		return;
	}
	if (p.first >= 0)
		in->skip = depot_upload_size(s->upload) - (uint64_t)p.first;
	in->total = whole ? -2 : p.total; /* -2: the body's end is the end */
	in->keep = p.first < 0 ? 0 : UINT64_MAX;
	if (r->plan.keep_bytes >= 0 && p.first >= 0)
		in->keep = (uint64_t)r->plan.keep_bytes / CHUNK * CHUNK;
}

static void reply_incomplete(struct web_request *r, const struct session *s)
{
	uint64_t have = depot_upload_size(s->upload);

	if (have > 0)
		web_reply_header(r, "Range", "bytes=0-%" PRIu64, have - 1);
	web_reply_header(r, "X-GUploader-UploadID", "%s", s->id);
	web_reply(r, 308, NULL);
}

void gcsd_chunk(struct web_request *r)
{
	struct incoming *in = r->on_done_ctx;
	struct session *s = in->session;
	struct depot_ref ref;
	uint64_t have;

	if (s->answer) {
		text_str(&r->reply.body, s->answer);
		web_reply(r, 200, "application/json; charset=UTF-8");
		return;
	}
	have = depot_upload_size(s->upload);
	if (in->total == -1 || (in->total >= 0 && have < (uint64_t)in->total)) {
		reply_incomplete(r, s);
		return;
	}
	if (in->total >= 0 && have > (uint64_t)in->total) {
		web_fail(r, 400, "invalid", "More bytes than announced.");
		return;
	}
	ref = (struct depot_ref){s->bucket, s->name, 0, s->cond};
	if (commit(r, s->upload, &ref, s->resource, s->content_type) == 0)
		s->answer = strdup(r->reply.body.at);
}

void gcsd_cancel(struct web_request *r)
{
	struct gcsd_sessions *all = gcsd_sessions(r);
	struct session *s = claim_session(r);
	struct session **link;

	if (!s)
		return;
	mutex_lock(&all->lock);
	for (link = &held(all)->sessions; *link != s; link = &(*link)->next)
		;
	*link = s->next;
	held(all)->n--;
	mutex_unlock(&all->lock);
	session_free(s);
	web_reply(r, 499, NULL);
}
