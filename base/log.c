#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const int to_syslog[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
static const char *const words[] = {"error", "warning", "info", "debug"};

static atomic_int level = LOG_LEVEL_INFO;
static atomic_int log_fd = STDERR_FILENO;
static atomic_bool use_syslog;

int log_open(const char *path, enum log_level lvl)
{
	int fd;

	log_set_level(lvl);
	if (!path)
		return 0;
	if (strcmp(path, "syslog") == 0) {
		openlog("lakefuse", LOG_PID, LOG_DAEMON);
		atomic_store(&use_syslog, true);
		return 0;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
		  0600);
	if (fd < 0)
		return -errno;
	atomic_store(&log_fd, fd);
	return 0;
}

void log_set_level(enum log_level lvl)
{
	atomic_store(&level, (int)lvl);
}

/* What a site or a file name brings must not forge a line of the log. */
static size_t escape(char *to, size_t room, const char *from)
{
	size_t n = 0;

	for (; *from && n + 5 < room; from++) {
		unsigned char c = (unsigned char)*from;

		if (c >= 0x20 && c != 0x7f)
			to[n++] = (char)c;
		else
			n += (size_t)snprintf(to + n, 5, "\\x%02x", c);
	}
	return n;
}

static void write_line(enum log_level lvl, const char *message)
{
	char line[1200];
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(line, sizeof(line), "%FT%T", &tm);
	n += (size_t)snprintf(line + n, sizeof(line) - n,
			      ".%03ldZ %s: ", now.tv_nsec / 1000000,
			      words[lvl]);
	n += escape(line + n, sizeof(line) - n - 1, message);
	line[n++] = '\n';
	/* One write a line: lines of several threads never mix. */
	if (write(atomic_load(&log_fd), line, n) < 0)
		return; /* nobody is left to tell */
}

static void log_at(enum log_level lvl, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));

static void log_at(enum log_level lvl, const char *fmt, va_list args)
{
	char message[1024];

	if ((int)lvl > atomic_load(&level))
		return;
	vsnprintf(message, sizeof(message), fmt, args);
	if (atomic_load(&use_syslog)) {
		char safe[1100];

		safe[escape(safe, sizeof(safe), message)] = '\0';
		syslog(to_syslog[lvl], "%s", safe);
	} else {
		write_line(lvl, message);
	}
}

#define LOG_FUNCTION(name, lvl)           \
	void name(const char *fmt, ...)   \
	{                                 \
		va_list args;             \
                                          \
		va_start(args, fmt);      \
		log_at((lvl), fmt, args); \
		va_end(args);             \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
