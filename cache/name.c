#include "cache/name.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sites/sites.h"

const char *const name_suffixes[N_NAMES] = {".whole", ".data", ".map"};

int gen_key_make(struct gen_key *key, const char *lake_id,
		 const struct object_ref *ref)
{
	unsigned char sum[EVP_MAX_MD_SIZE] = {0};
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int rc = -ENOMEM;

	memset(key, 0, sizeof(*key));
	key->generation = ref->generation;
	if (ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, lake_id, strlen(lake_id)) == 1 &&
	    EVP_DigestUpdate(ctx, "\n", 1) == 1 &&
	    EVP_DigestUpdate(ctx, ref->name, strlen(ref->name)) == 1 &&
	    EVP_DigestFinal_ex(ctx, sum, NULL) == 1) {
		memcpy(key->hash, sum, GEN_HASH_SIZE);
		rc = 0;
	}
	EVP_MD_CTX_free(ctx);
	return rc;
}

void name_make(char name[NAME_SIZE], const struct gen_key *key,
	       const char *suffix)
{
	char *p = name;

	for (int i = 0; i < GEN_HASH_SIZE; i++)
		p += sprintf(p, "%02x", key->hash[i]);
	sprintf(p, "-%016" PRIx64 "%s", key->generation, suffix);
}

int name_open_subdir(int dirfd, unsigned first, bool make)
{
	char name[4];
	int fd;

	snprintf(name, sizeof(name), "%02x", first & 0xff);
	fd = openat(dirfd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && make) {
		if (mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST)
			return -errno;
		fd = openat(dirfd, name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool name_parse(const char *name, unsigned first, struct gen_key *key)
{
	char again[NAME_SIZE];

	memset(key, 0, sizeof(*key));
	if (strlen(name) < 2 * GEN_HASH_SIZE + 17)
		return false;
	for (int i = 0; i < 2 * GEN_HASH_SIZE; i++) {
		int digit = hex_digit(name[i]);

		if (digit < 0)
			return false;
		key->hash[i / 2] = (uint8_t)(key->hash[i / 2] << 4 | digit);
	}
	for (int i = 0; i < 16; i++) {
		int digit = hex_digit(name[2 * GEN_HASH_SIZE + 1 + i]);

		if (digit < 0)
			return false;
		key->generation = key->generation << 4 | (unsigned)digit;
	}
	for (int i = 0; i < N_NAMES; i++) {
		name_make(again, key, name_suffixes[i]);
		if (strcmp(again, name) == 0)
			return key->hash[0] == first;
	}
	return false;
}
