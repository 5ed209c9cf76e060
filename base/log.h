/*
 * One line a message, to stderr (foreground) or syslog (daemon), or a file.
 *
 * Library code below fs/ and cli/ reports through struct op and does not log
 * what its caller will; it may log what nobody waits for (a site's breaker
 * opened, a copy quarantined, a background fetch that failed).
 *
 * Secrets: never pass a token, key, signed URL or Authorization header.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_BASE_LOG_H
#define LAKEFUSE_BASE_LOG_H

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* path: a file to append to (0600), NULL: stderr, "syslog": syslog(3). */
int log_open(const char *path, enum log_level level);
void log_set_level(enum log_level level);

/* Control characters in the message are written as \xNN. */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
