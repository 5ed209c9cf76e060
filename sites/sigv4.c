#include "sites/sigv4.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/auto.h"
#include "base/clock.h"

#define SHA256_SIZE 32
#define SHA256_HEX (2 * SHA256_SIZE + 1)

void sigv4_time(char time[17], int64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / (int64_t)NS_PER_S);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(time, 17, "%Y%m%dT%H%M%SZ", &tm);
}

static void to_hex(char hex[SHA256_HEX], const uint8_t *bytes)
{
	for (size_t i = 0; i < SHA256_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

static int sha256_hex(char hex[SHA256_HEX], const char *text)
{
	uint8_t sum[EVP_MAX_MD_SIZE];

	if (!EVP_Digest(text, strlen(text), sum, NULL, EVP_sha256(), NULL))
		return -EIO;
	to_hex(hex, sum);
	return 0;
}

static int hmac(uint8_t to[SHA256_SIZE], const void *key, size_t n_key,
		const char *text)
{
	uint8_t sum[EVP_MAX_MD_SIZE];

	if (!HMAC(EVP_sha256(), key, (int)n_key, (const uint8_t *)text,
		  strlen(text), sum, NULL))
		return -EIO;
	memcpy(to, sum, SHA256_SIZE);
	OPENSSL_cleanse(sum, sizeof(sum));
	return 0;
}

/* date, region, service and a fixed word, each signed under the one before. */
static int signing_key(uint8_t key[SHA256_SIZE],
		       const struct sigv4_scope *scope)
{
	auto_free char *first = NULL;
	char date[9];
	int rc;

	if (asprintf(&first, "AWS4%s", scope->secret) < 0) {
		first = NULL;
		return -ENOMEM;
	}
	snprintf(date, sizeof(date), "%.8s", scope->time);
	rc = hmac(key, first, strlen(first), date);
	OPENSSL_cleanse(first, strlen(first));
	if (rc == 0)
		rc = hmac(key, key, SHA256_SIZE, scope->region);
	if (rc == 0)
		rc = hmac(key, key, SHA256_SIZE, scope->service);
	if (rc == 0)
		rc = hmac(key, key, SHA256_SIZE, "aws4_request");
	return rc;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct sigv4_header *)a)->name,
		      ((const struct sigv4_header *)b)->name);
}

/*
 * The canonical request, with the names of the signed headers in *ret_names
 * (the caller's, also on failure).
 */
static int canonical(const struct sigv4_request *request, char **ret_text,
		     char **ret_names)
{
	struct sigv4_header sorted[SIGV4_HEADERS_MAX];
	size_t n_names = 0;
	size_t n_text = 0;
	FILE *names;
	FILE *text;

	if (request->n_headers > SIGV4_HEADERS_MAX)
		return -EINVAL;
	memcpy(sorted, request->headers,
	       request->n_headers * sizeof(*request->headers));
	qsort(sorted, request->n_headers, sizeof(*sorted), by_name);

	names = open_memstream(ret_names, &n_names);
	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < request->n_headers; i++)
		fprintf(names, "%s%s", i ? ";" : "", sorted[i].name);
	if (fclose(names) != 0)
		return -ENOMEM;

	text = open_memstream(ret_text, &n_text);
	if (!text)
		return -ENOMEM;
	fprintf(text, "%s\n%s\n%s\n", request->method, request->path,
		request->query);
	for (size_t i = 0; i < request->n_headers; i++)
		fprintf(text, "%s:%s\n", sorted[i].name, sorted[i].value);
	fprintf(text, "\n%s\n%s", *ret_names, request->body_sha256);
	return fclose(text) == 0 ? 0 : -ENOMEM;
}

static int signature(const struct sigv4_scope *scope, const char *request,
		     char hex[SHA256_HEX])
{
	auto_free char *to_sign = NULL;
	uint8_t key[SHA256_SIZE];
	uint8_t sum[SHA256_SIZE];
	char request_hex[SHA256_HEX];
	int rc;

	rc = sha256_hex(request_hex, request);
	if (rc < 0)
		return rc;
	if (asprintf(&to_sign,
		     "AWS4-HMAC-SHA256\n%s\n%.8s/%s/%s/aws4_request\n%s",
		     scope->time, scope->time, scope->region, scope->service,
		     request_hex) < 0) {
		to_sign = NULL;
		return -ENOMEM;
	}
	rc = signing_key(key, scope);
	if (rc == 0)
		rc = hmac(sum, key, sizeof(key), to_sign);
	OPENSSL_cleanse(key, sizeof(key));
	if (rc == 0)
		to_hex(hex, sum);
	return rc;
}

int sigv4_sign(const struct sigv4_request *request,
	       const struct sigv4_scope *scope, char **ret_authorization)
{
	auto_free char *text = NULL;
	auto_free char *names = NULL;
	char hex[SHA256_HEX];
	char *value;
	int rc;

	rc = canonical(request, &text, &names);
	if (rc == 0)
		rc = signature(scope, text, hex);
	if (rc < 0)
		return rc;
	if (asprintf(&value,
		     "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request,"
		     "SignedHeaders=%s,Signature=%s",
		     scope->key_id, scope->time, scope->region, scope->service,
		     names, hex) < 0)
		return -ENOMEM;
	*ret_authorization = value;
	return 0;
}
