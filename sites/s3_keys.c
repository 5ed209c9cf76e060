#include "sites/s3_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/auto.h"
#include "base/lock.h"
#include "base/op.h"

#define FILE_MAX 16384

struct guarded {
	struct s3_key key;
	struct timespec mtime; /* of the file key came from */
	ino_t inode;
};

struct s3_keys {
	char *path; /* NULL: anonymous */
	struct mutex lock;
	struct guarded guarded;
};

static struct guarded *held(struct s3_keys *keys) REQUIRES(keys->lock)
{
	return &keys->guarded;
}

void s3_key_done(struct s3_key *key)
{
	OPENSSL_cleanse(key, sizeof(*key));
}

/* Parsing */

/* Trims in place; returns where the text begins. */
static char *trim(char *text)
{
	size_t n;

	text += strspn(text, " \t\r");
	n = strlen(text);
	while (n > 0 && strchr(" \t\r", text[n - 1]))
		text[--n] = '\0';
	return text;
}

/* What goes into a header: printable, without blanks. */
static int set(char *to, size_t room, const char *from)
{
	size_t n = strlen(from);

	if (n == 0 || n >= room)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (from[i] <= ' ' || from[i] > '~')
			return -EINVAL;
	memcpy(to, from, n + 1);
	return 0;
}

static int take_setting(char *line, struct s3_key *key)
{
	char *value = strchr(line, '=');

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	line = trim(line);
	value = trim(value);
	if (strcmp(line, "aws_access_key_id") == 0)
		return set(key->id, sizeof(key->id), value);
	if (strcmp(line, "aws_secret_access_key") == 0)
		return set(key->secret, sizeof(key->secret), value);
	if (strcmp(line, "aws_session_token") == 0)
		return set(key->token, sizeof(key->token), value);
	return 0; /* region and the like are for others */
}

static int take_line(char *line, unsigned n, struct s3_key *key)
{
	switch (n) {
	case 0:
		return set(key->id, sizeof(key->id), line);
	case 1:
		return set(key->secret, sizeof(key->secret), line);
	case 2:
		return set(key->token, sizeof(key->token), line);
	default:
		return -EINVAL;
	}
}

/* A file with any [section] or known setting is a profile file. */
static bool is_profile(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '[' ||
	       strstr(text, "aws_access_key_id") != NULL;
}

int s3_key_parse(char *text, struct s3_key *ret)
{
	struct s3_key key = {0};
	bool profile = is_profile(text);
	bool in_default = true;
	unsigned n = 0;
	int rc = 0;
	char *rest = text;
	char *line;

	while (rc == 0 && (line = strsep(&rest, "\n"))) {
		line = trim(line);
		if (*line == '\0' || *line == '#' || *line == ';')
			continue;
		if (!profile)
			rc = take_line(line, n++, &key);
		else if (*line == '[')
			in_default = strcmp(line, "[default]") == 0;
		else if (in_default)
			rc = take_setting(line, &key);
	}
	if (rc == 0 && (!key.id[0] || !key.secret[0]))
		rc = -EINVAL;
	if (rc == 0)
		*ret = key;
	s3_key_done(&key);
	return rc;
}

/* The file */

static int read_text(struct op *op, const char *path, int fd, char *text)
{
	size_t n = 0;

	while (n < FILE_MAX) {
		ssize_t got = read(fd, text + n, FILE_MAX - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return op_fail(op, -EACCES, "credentials %s: %s", path,
				       strerror(errno));
		if (got == 0)
			break;
		n += (size_t)got;
	}
	text[n] = '\0';
	return 0;
}

static int load(struct op *op, const char *path, struct guarded *ret)
{
	static const char what[] = "an AWS profile or two lines with key id "
				   "and secret";
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	auto_free char *text = NULL;
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0)
		return op_fail(op, errno == ENOENT ? -ENOENT : -EACCES,
			       "credentials %s: %s; write %s there, or say "
			       "credentials: anonymous",
			       path, strerror(errno), what);
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return op_fail(op, -EINVAL, "credentials %s: should be %s",
			       path, what);
	if (st.st_mode & 077)
		return op_fail(op, -EACCES,
			       "credentials %s: others can read it; run "
			       "chmod 600 %s",
			       path, path);
	text = malloc(FILE_MAX + 1);
	if (!text)
		return op_fail(op, -ENOMEM, "credentials %s: no memory", path);
	rc = read_text(op, path, fd, text);
	if (rc == 0) {
		rc = s3_key_parse(text, &ret->key);
		if (rc < 0)
			op_fail(op, rc, "credentials %s: should be %s", path,
				what);
	}
	OPENSSL_cleanse(text, FILE_MAX + 1);
	ret->mtime = st.st_mtim;
	ret->inode = st.st_ino;
	return rc;
}

static bool is_current(const struct guarded *g, const struct stat *st)
{
	return g->inode == st->st_ino &&
	       g->mtime.tv_sec == st->st_mtim.tv_sec &&
	       g->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

int s3_keys_get(struct op *op, struct s3_keys *keys, struct s3_key *ret)
{
	struct guarded fresh = {0};
	struct stat st;
	bool good;
	int rc;

	if (!keys->path) {
		*ret = (struct s3_key){.anonymous = true};
		return 0;
	}
	/* A file that is being replaced is not there for a moment. */
	good = stat(keys->path, &st) < 0;
	mutex_lock(&keys->lock);
	good = good || is_current(held(keys), &st);
	*ret = held(keys)->key;
	mutex_unlock(&keys->lock);
	if (good)
		return 0;

	rc = load(op, keys->path, &fresh);
	if (rc == 0) {
		*ret = fresh.key;
		mutex_lock(&keys->lock);
		*held(keys) = fresh;
		mutex_unlock(&keys->lock);
	} else {
		s3_key_done(ret);
	}
	s3_key_done(&fresh.key);
	return rc;
}

static int default_path(struct op *op, char **ret)
{
	const char *path = getenv("AWS_SHARED_CREDENTIALS_FILE");
	const char *home = getenv("HOME");
	char *copy = NULL;

	if (path && *path)
		copy = strdup(path);
	else if (!home)
		return op_fail(op, -EINVAL,
			       "S3 needs credentials: a file's path, or "
			       "anonymous");
	else if (asprintf(&copy, "%s/.aws/credentials", home) < 0)
		copy = NULL;
	if (!copy)
		return op_fail(op, -ENOMEM, "credentials: no memory");
	*ret = copy;
	return 0;
}

int s3_keys_open(struct op *op, const char *credentials, struct s3_keys **ret)
{
	struct s3_keys *keys = calloc(1, sizeof(*keys));
	int rc = 0;

	if (!keys)
		return op_fail(op, -ENOMEM, "credentials: no memory");
	mutex_init(&keys->lock, RANK_SITES);
	if (!credentials || strcmp(credentials, "adc") == 0) {
		rc = default_path(op, &keys->path);
	} else if (strcmp(credentials, "anonymous") != 0) {
		keys->path = strdup(credentials);
		if (!keys->path)
			rc = op_fail(op, -ENOMEM, "credentials: no memory");
	}
	if (rc == 0 && keys->path)
		rc = load(op, keys->path, &keys->guarded);
	if (rc < 0)
		s3_keys_close(keys);
	else
		*ret = keys;
	return rc;
}

void s3_keys_close(struct s3_keys *keys)
{
	if (!keys)
		return;
	s3_key_done(&keys->guarded.key);
	mutex_done(&keys->lock);
	free(keys->path);
	free(keys);
}
