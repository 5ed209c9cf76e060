/*
 * lakefuse serve: objects from a directory over GCS JSON and S3, until SIGTERM
 * or SIGINT.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/op.h"
#include "base/savefile.h"
#include "serve/serve.h"

/* A stop that takes longer than this is ended by force. */
#define STOP_S 2

struct options {
	struct serve_config config;
	const char *gcs, *s3;
	const char *port_file;
	const char *token_file;
	const char *secret_file;
	bool help;
};

enum kind { TEXT, FLAG };

static const struct option_row {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *value;
	const char *help;
} rows[] = {
#define ROW(name, kind, field, value, help)                              \
	{                                                                \
		name, kind, offsetof(struct options, field), value, help \
	}
	ROW("dir", TEXT, config.dir, "DIR", "where objects are kept"),
	ROW("gcs", TEXT, gcs, "PORT", "serve GCS JSON there (0: any port)"),
	ROW("s3", TEXT, s3, "PORT", "serve S3 there (0: any port)"),
	ROW("bind", TEXT, config.bind, "ADDRESS", "default: 127.0.0.1"),
	ROW("bucket", TEXT, config.bucket, "NAME", "made if it is missing"),
	ROW("access-key", TEXT, config.access_key, "KEY",
	    "check S3 signatures; needs --secret-file"),
	ROW("secret-file", TEXT, secret_file, "FILE", "the key's secret"),
	ROW("token-file", TEXT, token_file, "FILE",
	    "the bearer token GCS requests must carry"),
	ROW("port-file", TEXT, port_file, "FILE",
	    "write the ports there as JSON"),
	ROW("sync", FLAG, config.sync, NULL,
	    "acknowledge a put only when it is on the disk"),
	ROW("help", FLAG, help, NULL, "this text"),
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static int usage(FILE *to, int code)
{
	fprintf(to, "Usage: lakefuse serve --dir DIR [OPTION...]\n");
	for (size_t i = 0; i < N_ROWS; i++)
		fprintf(to, "  --%-12s %-8s %s\n", rows[i].name,
			rows[i].value ? rows[i].value : "", rows[i].help);
	return code;
}

static bool parse(int argc, char **argv, struct options *o)
{
	struct option longs[N_ROWS + 1] = {0};
	int c, index;

	for (size_t i = 0; i < N_ROWS; i++) {
		longs[i].name = rows[i].name;
		longs[i].has_arg = rows[i].kind == TEXT;
		longs[i].val = 1;
	}
	optind = 1;
	while ((c = getopt_long(argc, argv, "", longs, &index)) != -1) {
		char *field = (char *)o;

		if (c != 1)
			return false;
		field += rows[index].offset;
		if (rows[index].kind == TEXT)
			*(const char **)(void *)field = optarg;
		else
			*(bool *)(void *)field = true;
	}
	return optind == argc;
}

static bool parse_port(const char *text, int *ret_port)
{
	char *end;
	long port = text ? strtol(text, &end, 10) : SERVE_PORT_OFF;

	if (text && (*end || end == text || port < 0 || port > 65535))
		return false;
	*ret_port = (int)port;
	return true;
}

/* The first line of a file, allocated. */
static int read_secret(struct op *op, const char *path, char **ret_secret)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buffer[4096];
	ssize_t n;

	if (fd < 0)
		return op_fail(op, -errno, "%s", path);
	n = read(fd, buffer, sizeof(buffer) - 1);
	if (n < 0)
		return op_fail(op, -errno, "%s", path);
	buffer[n] = '\0';
	buffer[strcspn(buffer, "\r\n")] = '\0';
	if (!buffer[0])
		return op_fail(op, -EINVAL, "%s is empty", path);
	*ret_secret = strdup(buffer);
	explicit_bzero(buffer, sizeof(buffer));
	return *ret_secret ? 0 : op_fail(op, -ENOMEM, "%s", path);
}

static int describe(const struct serve *s, char *to, size_t room)
{
	int gcs = serve_gcs_port(s), s3 = serve_s3_port(s);
	int n = snprintf(to, room, "{");

	if (gcs != SERVE_PORT_OFF)
		n += snprintf(to + n, room - (size_t)n, "\"gcs\":%d", gcs);
	if (s3 != SERVE_PORT_OFF)
		n += snprintf(to + n, room - (size_t)n, "%s\"s3\":%d",
			      n > 1 ? "," : "", s3);
	return n + snprintf(to + n, room - (size_t)n, "}\n");
}

static int tell_ports(struct op *op, const struct serve *s, const char *path)
{
	auto_free char *dir = path ? strdup(path) : NULL;
	auto_free char *base = path ? strdup(path) : NULL;
	auto_close int dirfd = -1;
	char text[64];
	int n = describe(s, text, sizeof(text));

	if (path) {
		int rc;

		if (!dir || !base)
			return op_fail(op, -ENOMEM, "%s", path);
		dirfd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dirfd < 0)
			return op_fail(op, -errno, "%s", path);
		rc = save_file(op, dirfd, basename(base), text, (size_t)n);
		if (rc < 0)
			return rc;
	}
	fputs(text, stdout);
	fflush(stdout);
	return 0;
}

static void give_up(int signal)
{
	(void)signal;
	_exit(0);
}

static int run(struct op *op, const struct options *o)
{
	struct serve *s;
	sigset_t stop;
	int rc, signal;

	/* Before any thread is started, so that all of them inherit it. */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	rc = serve_start(op, &o->config, &s);
	if (rc < 0)
		return rc;
	rc = tell_ports(op, s, o->port_file);
	if (rc == 0)
		sigwait(&stop, &signal);
	/* What a broken client or disk holds up does not hold us up. */
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = give_up}, NULL);
	alarm(STOP_S);
	serve_stop(s);
	return rc;
}

static int prepare(struct op *op, struct options *o, char **token,
		   char **secret)
{
	int rc = 0;

	if (o->token_file)
		rc = read_secret(op, o->token_file, token);
	if (rc == 0 && o->secret_file)
		rc = read_secret(op, o->secret_file, secret);
	o->config.token = *token;
	o->config.secret = *secret;
	return rc;
}

int cmd_serve(int argc, char **argv)
{
	struct options o = {.config = {.bind = "127.0.0.1"}};
	auto_free char *token = NULL;
	auto_free char *secret = NULL;
	struct op op;
	int rc;

	if (!parse(argc, argv, &o))
		return usage(stderr, 2);
	if (o.help)
		return usage(stdout, 0);
	if (!o.config.dir || (!o.gcs && !o.s3) ||
	    !parse_port(o.gcs, &o.config.gcs_port) ||
	    !parse_port(o.s3, &o.config.s3_port) ||
	    !o.config.access_key != !o.secret_file)
		return usage(stderr, 2);
	op_init(&op, 0);
	rc = prepare(&op, &o, &token, &secret);
	if (rc == 0)
		rc = run(&op, &o);
	if (rc < 0)
		fprintf(stderr, "lakefuse serve: %s: %s\n", op.why,
			strerror(-rc));
	return rc < 0 ? 1 : 0;
}
