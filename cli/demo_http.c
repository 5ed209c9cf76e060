#include "cli/demo_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/op.h"
#include "cli/json.h"

#define TIMEOUT_S 30L
#define ANSWER_MAX 4096

struct answer {
	char text[ANSWER_MAX];
	size_t n;
};

struct call {
	const char *method;
	const char *url;
	const char *header; /* one more, or NULL */
	struct demo_bytes body;
};

/* What does not fit is of no interest. */
static size_t take(char *data, size_t size, size_t n, void *arg)
{
	struct answer *answer = arg;
	size_t room = sizeof(answer->text) - 1 - answer->n;
	size_t some = size * n < room ? size * n : room;

	memcpy(answer->text + answer->n, data, some);
	answer->n += some;
	answer->text[answer->n] = '\0';
	return size * n;
}

static int look_after_stop(void *arg, curl_off_t a, curl_off_t b, curl_off_t c,
			   curl_off_t d)
{
	(void)arg;
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return stage_stopped();
}

static void set_options(CURL *curl, const struct call *call,
			struct curl_slist *headers, struct answer *answer)
{
	curl_easy_setopt(curl, CURLOPT_URL, call->url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
			 (curl_off_t)call->body.size);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.data);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_after_stop);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	/* Loopback: whatever proxy this host uses is not asked. */
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

static int send_call(struct op *op, const struct call *call,
		     struct answer *answer)
{
	struct curl_slist *headers = NULL;
	CURL *curl = curl_easy_init();
	CURLcode code;
	long status = 0;

	answer->n = 0;
	answer->text[0] = '\0';
	headers = curl_slist_append(headers, "Expect:");
	headers = curl_slist_append(headers,
				    "Content-Type: application/octet-stream");
	if (call->header)
		headers = curl_slist_append(headers, call->header);
	if (!curl || !headers) {
		curl_slist_free_all(headers);
		curl_easy_cleanup(curl);
		return op_fail(op, -ENOMEM, "demo: no memory");
	}
	set_options(curl, call, headers, answer);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	if (code != CURLE_OK)
		return op_fail(op, -EIO, "demo: %s %s: %s", call->method,
			       call->url, curl_easy_strerror(code));
	if (status / 100 != 2)
		return op_fail(op, -EIO, "demo: %s %s: HTTP %ld: %.80s",
			       call->method, call->url, status, answer->text);
	return 0;
}

static int put_gcs(struct op *op, int port, const char *name,
		   struct demo_bytes bytes, struct answer *answer)
{
	char *escaped = curl_easy_escape(NULL, name, 0);
	auto_free char *url = NULL;
	struct call call = {.method = "POST", .body = bytes};

	if (!escaped ||
	    asprintf(&url,
		     "http://127.0.0.1:%d/upload/storage/v1/b/" DEMO_BUCKET
		     "/o?uploadType=media&name=%s",
		     port, escaped) < 0)
		return op_fail(op, -ENOMEM, "demo: no memory");
	curl_free(escaped);
	call.url = url;
	return send_call(op, &call, answer);
}

int demo_put_record(struct op *op, const struct stage *stage, const char *name,
		    struct demo_bytes bytes, int64_t *ret_generation)
{
	struct answer answer;
	int rc = put_gcs(op, stage->servers[DEMO_RECORD].gcs, name, bytes,
			 &answer);
	json_t *root;
	const char *text;

	if (rc < 0)
		return rc;
	root = json_loads(answer.text, 0, NULL);
	text = json_string_value(json_object_get(root, "generation"));
	*ret_generation = text ? strtoll(text, NULL, 10) : 0;
	json_decref(root);
	return *ret_generation
		       ? 0
		       : op_fail(op, -EIO, "demo: no generation for %s", name);
}

static int put_s3(struct op *op, int port, const char *name,
		  struct demo_bytes bytes, int64_t generation)
{
	auto_free char *url = NULL;
	struct call call = {.method = "PUT", .body = bytes};
	struct answer answer;
	char stamp[64];

	snprintf(stamp, sizeof(stamp), "x-amz-meta-generation: %" PRId64,
		 generation);
	/* The sample tables' names need no escaping. */
	if (asprintf(&url, "http://127.0.0.1:%d/" DEMO_BUCKET "/%s", port,
		     name) < 0)
		return op_fail(op, -ENOMEM, "demo: no memory");
	call.url = url;
	call.header = stamp;
	return send_call(op, &call, &answer);
}

int demo_put_copy(struct op *op, const struct stage *stage, enum demo_site site,
		  const char *name, struct demo_bytes bytes, int64_t generation)
{
	struct answer answer;

	if (site == DEMO_DC1)
		return put_s3(op, stage->servers[site].s3, name, bytes,
			      generation);
	return put_gcs(op, stage->servers[site].gcs, name, bytes, &answer);
}

int demo_set_faults(struct op *op, const struct stage *stage,
		    enum demo_site site, const char *json)
{
	auto_free char *url = NULL;
	struct call call = {
		.method = "POST",
		.body = {json, strlen(json)},
	};
	struct answer answer;

	if (asprintf(&url, "http://127.0.0.1:%d/_lakefuse/faults",
		     stage->servers[site].gcs) < 0)
		return op_fail(op, -ENOMEM, "demo: no memory");
	call.url = url;
	return send_call(op, &call, &answer);
}
