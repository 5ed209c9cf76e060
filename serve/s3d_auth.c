/*
 * Signature version 4 in the Authorization header, as "Authenticating
 * Requests: Using the Authorization Header" of the S3 API reference has it.
 * The payload's hash is taken as the client says; bytes are checked by
 * Content-MD5 and checksum headers.
 */
#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "serve/s3d_private.h"
#include "serve/web_uri.h"

#define SKEW_S (15 * 60)
/* What a client without a body may leave out. */
#define EMPTY_SHA256 \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct hash {
	unsigned char bytes[32];
};

/* Out of the Authorization header. */
struct claim {
	char access_key[129];
	char date[9];
	char region[65];
	char headers[1024];
	char signature[65];
};

static bool parse_claim(const char *header, struct claim *c)
{
	return header &&
	       sscanf(header,
		      "AWS4-HMAC-SHA256 Credential=%128[^/]/%8[0-9]/%64[^/]/s3/"
		      "aws4_request%*[, ]SignedHeaders=%1023[^, ]%*[, ]"
		      "Signature=%64[0-9a-f]",
		      c->access_key, c->date, c->region, c->headers,
		      c->signature) == 5;
}

static struct hash hmac(const void *key, size_t n_key, const char *text)
{
	struct hash h = {{0}};

	HMAC(EVP_sha256(), key, (int)n_key, (const unsigned char *)text,
	     strlen(text), h.bytes, NULL);
	return h;
}

static void put_hex(struct text *t, const struct hash *h)
{
	for (size_t i = 0; i < sizeof(h->bytes); i++)
		text_fmt(t, "%02x", h->bytes[i]);
}

/* ---- the canonical request ---- */

static void put_path(struct text *t, const char *path)
{
	char *plain;

	if (web_decode(path, strlen(path), false, &plain) < 0)
		return;
	text_url(t, plain, strlen(plain), "/");
	free(plain);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_query(struct text *t, const struct web_request *r)
{
	char *pairs[WEB_MAX_PARAMS];

	for (size_t i = 0; i < r->n_params; i++) {
		struct text pair = {0};

		text_url(&pair, r->params[i].name, strlen(r->params[i].name),
			 "");
		text_str(&pair, "=");
		text_url(&pair, r->params[i].value, strlen(r->params[i].value),
			 "");
		pairs[i] = text_take(&pair);
		if (!pairs[i])
			pairs[i] = strdup("");
	}
	qsort(pairs, r->n_params, sizeof(pairs[0]), by_name);
	for (size_t i = 0; i < r->n_params; i++) {
		text_str(t, i ? "&" : "");
		text_str(t, pairs[i] ? pairs[i] : "");
		free(pairs[i]);
	}
}

/* Trimmed, and runs of spaces as one. */
static void put_value(struct text *t, const char *value)
{
	value += strspn(value, " ");
	for (; *value; value++) {
		size_t spaces = strspn(value, " ");

		if (spaces && !value[spaces])
			break;
		if (spaces)
			value += spaces - 1;
		text_add(t, value, 1);
	}
}

static void put_headers(struct text *t, const struct web_request *r,
			const char *names)
{
	char list[1024], *save = NULL;

	snprintf(list, sizeof(list), "%s", names);
	for (char *name = strtok_r(list, ";", &save); name;
	     name = strtok_r(NULL, ";", &save)) {
		const char *value = web_header(r, name);

		text_fmt(t, "%s:", name);
		put_value(t, value ? value : "");
		text_str(t, "\n");
	}
}

static void put_request(struct text *t, const struct web_request *r,
			const struct claim *c)
{
	const char *payload = web_header(r, "x-amz-content-sha256");

	text_fmt(t, "%s\n", r->method);
	put_path(t, r->path);
	text_str(t, "\n");
	put_query(t, r);
	text_str(t, "\n");
	put_headers(t, r, c->headers);
	text_fmt(t, "\n%s\n%s", c->headers, payload ? payload : EMPTY_SHA256);
}

/* ---- the signature ---- */

static void sign(struct text *t, const struct claim *c, const char *secret,
		 const char *what)
{
	struct text first = {0};
	struct hash h;

	text_fmt(&first, "AWS4%s", secret);
	h = hmac(first.at ? first.at : "", first.n, c->date);
	if (first.at)
		OPENSSL_cleanse(first.at, first.n);
	text_done(&first);
	h = hmac(h.bytes, sizeof(h.bytes), c->region);
	h = hmac(h.bytes, sizeof(h.bytes), "s3");
	h = hmac(h.bytes, sizeof(h.bytes), "aws4_request");
	h = hmac(h.bytes, sizeof(h.bytes), what);
	put_hex(t, &h);
}

static bool is_fresh(const char *when)
{
	struct tm tm = {0};
	int64_t skew;

	if (!when || !strptime(when, "%Y%m%dT%H%M%SZ", &tm))
		return false;
	skew = clock_wall_ms() / 1000 - (int64_t)timegm(&tm);
	return skew > -SKEW_S && skew < SKEW_S;
}

static bool is_right(struct web_request *r, const struct claim *c,
		     const char *secret, const char *when)
{
	struct text request = {0}, what = {0}, signature = {0};
	struct hash h;
	bool right = false;

	put_request(&request, r, c);
	if (request.at && EVP_Digest(request.at, request.n, h.bytes, NULL,
				     EVP_sha256(), NULL) == 1) {
		text_fmt(&what, "AWS4-HMAC-SHA256\n%s\n%s/%s/s3/aws4_request\n",
			 when, c->date, c->region);
		put_hex(&what, &h);
		sign(&signature, c, secret, what.at ? what.at : "");
		right = signature.n == 64 && strlen(c->signature) == 64 &&
			CRYPTO_memcmp(signature.at, c->signature, 64) == 0;
	}
	text_done(&request);
	text_done(&what);
	text_done(&signature);
	return right;
}

const char *s3d_auth(struct web_request *r, const char *access_key,
		     const char *secret)
{
	const char *header = web_header(r, "Authorization");
	const char *when = web_header(r, "x-amz-date");
	struct claim c;

	if (!header)
		return "AccessDenied";
	if (!parse_claim(header, &c))
		return "AuthorizationHeaderMalformed";
	if (strcmp(c.access_key, access_key) != 0)
		return "InvalidAccessKeyId";
	if (!is_fresh(when))
		return "RequestTimeTooSkewed";
	return is_right(r, &c, secret, when) ? NULL : "SignatureDoesNotMatch";
}
