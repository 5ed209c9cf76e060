#include "sites/creds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/op.h"
#include "sites/url.h"

#define TOKEN_MAX 16384

struct creds {
	char *path; /* NULL: anonymous */
	struct mutex lock;
	/* Under the lock: */
	char *header;
	struct stat seen; /* the file that header came from */
};

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
	       a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool is_token(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* text becomes the token alone.  Returns what is wrong with it, or NULL. */
static const char *trim_token(char *text)
{
	size_t skip = strspn(text, " \t\r\n");
	size_t n;

	memmove(text, text + skip, strlen(text + skip) + 1);
	n = strlen(text);
	while (n && strchr(" \t\r\n", text[n - 1]))
		n--;
	text[n] = '\0';
	if (!n)
		return "it is empty";
	if (text[0] == '{')
		return "it is a JSON key, which is not supported yet; put an "
		       "access token into a file and name that";
	if (!is_token(text))
		return "it holds more than one access token in one line";
	return NULL;
}

static int read_token(struct op *op, const char *path, char **ret_header,
		      struct stat *ret_seen)
{
	char *text auto_free = calloc(1, TOKEN_MAX + 1);
	int fd auto_close = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *wrong;
	ssize_t n;

	if (!text)
		return op_fail(op, -ENOMEM, "no memory");
	if (fd < 0 || fstat(fd, ret_seen) < 0)
		return op_fail(op, -EACCES, "credentials file %s: %s", path,
			       strerror(errno));
	n = read(fd, text, TOKEN_MAX);
	if (n < 0)
		return op_fail(op, -EACCES, "credentials file %s: %s", path,
			       strerror(errno));
	wrong = n == TOKEN_MAX ? "it is too big for a token" : trim_token(text);
	if (wrong)
		return op_fail(op, -EACCES, "credentials file %s: %s", path,
			       wrong);
	if (asprintf(ret_header, "Authorization: Bearer %s", text) < 0)
		return op_fail(op, -ENOMEM, "no memory");
	return 0;
}

/* The file as it is now, if it is another than before. */
static int refresh(struct op *op, struct creds *creds) REQUIRES(creds->lock)
{
	struct stat now;
	struct stat seen;
	char *header = NULL;
	int rc;

	if (creds->header && stat(creds->path, &now) == 0 &&
	    same_file(&now, &creds->seen))
		return 0;
	rc = read_token(op, creds->path, &header, &seen);
	if (rc < 0)
		return rc;
	free(creds->header);
	creds->header = header;
	creds->seen = seen;
	return 0;
}

int creds_header(struct op *op, struct creds *creds, char **ret_header)
{
	char *copy = NULL;
	int rc;

	if (!creds->path) {
		*ret_header = NULL;
		return 0;
	}
	mutex_lock(&creds->lock);
	rc = refresh(op, creds);
	if (rc < 0 && creds->header) {
		/* Being replaced just now: the old one may still do. */
		log_warn("%s; going on with the token read before", op->why);
		op_forgive(op);
		rc = 0;
	}
	if (!rc)
		copy = strdup(creds->header);
	mutex_unlock(&creds->lock);
	if (rc < 0)
		return rc;
	if (!copy)
		return op_fail(op, -ENOMEM, "no memory");
	*ret_header = copy;
	return 0;
}

/* A first look, so that a wrong path is told at the start. */
static int try_file(struct op *op, struct creds *creds)
{
	char *header = NULL;
	int rc = creds_header(op, creds, &header);

	free(header);
	if (rc < 0)
		return rc == -EACCES ? -EINVAL : rc;
	if (creds->seen.st_mode & S_IROTH)
		log_warn("credentials file %s can be read by everybody: "
			 "chmod 600 it",
			 creds->path);
	return 0;
}

int creds_new(struct op *op, const char *spec, const char *endpoint,
	      struct creds **ret)
{
	bool adc = !spec || !strcmp(spec, "adc");
	bool anonymous = spec && !strcmp(spec, "anonymous");
	struct creds *creds;
	int rc = 0;

	if (adc && !endpoint_is_local(endpoint))
		return op_fail(op, -EINVAL,
			       "credentials: adc is not supported yet; give "
			       "the path of a file with an access token, or "
			       "anonymous");
	creds = calloc(1, sizeof(*creds));
	if (!creds)
		return op_fail(op, -ENOMEM, "no memory");
	mutex_init(&creds->lock, RANK_BASE);
	if (!adc && !anonymous) {
		creds->path = strdup(spec);
		rc = creds->path ? try_file(op, creds)
				 : op_fail(op, -ENOMEM, "no memory");
	}
	if (rc < 0) {
		creds_free(creds);
		return rc;
	}
	*ret = creds;
	return 0;
}

void creds_free(struct creds *creds)
{
	if (!creds)
		return;
	if (creds->header)
		explicit_bzero(creds->header, strlen(creds->header));
	free(creds->header);
	free(creds->path);
	mutex_done(&creds->lock);
	free(creds);
}
