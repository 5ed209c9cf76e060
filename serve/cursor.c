/*
 * 8 bytes of generation, then the name's bytes; in base64 with the alphabet
 * for URLs, because not every client encodes a '+' in a query.
 */
#include "serve/cursor.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "serve/depot.h"
#include "serve/text.h"

#define TOKEN_MAX ((8 + DEPOT_NAME_MAX + 2 + 2) / 3 * 4)

static void translate(char *s, size_t n, const char *from, const char *to)
{
	for (size_t i = 0; i < n; i++) {
		const char *hit = s[i] ? strchr(from, s[i]) : NULL;

		if (hit)
			s[i] = to[hit - from];
	}
}

void cursor_put(struct text *t, const struct depot_place *place)
{
	unsigned char bytes[8 + sizeof(place->name)];
	size_t begin = t->n;

	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char)(place->generation >> (56 - 8 * i));
	memcpy(bytes + 8, place->name, place->n);
	text_base64(t, bytes, 8 + place->n);
	if (!text_failed(t))
		translate(t->at + begin, t->n - begin, "+/", "-_");
}

int cursor_parse(const char *token, struct depot_place *ret_place)
{
	unsigned char bytes[TOKEN_MAX];
	char plain[TOKEN_MAX + 1];
	size_t n = strlen(token);
	uint64_t generation = 0;
	int got;

	if (n % 4 || n < 12 || n > TOKEN_MAX)
		return -EINVAL;
	memcpy(plain, token, n + 1);
	translate(plain, n, "-_", "+/");
	got = EVP_DecodeBlock(bytes, (const unsigned char *)plain, (int)n);
	got -= (token[n - 1] == '=') + (token[n - 2] == '=');
	if (got < 8 || (size_t)got - 8 > sizeof(ret_place->name))
		return -EINVAL;
	for (int i = 0; i < 8; i++)
		generation = generation << 8 | bytes[i];
	ret_place->generation = (int64_t)generation;
	ret_place->n = (size_t)got - 8;
	memcpy(ret_place->name, bytes + 8, ret_place->n);
	return 0;
}
