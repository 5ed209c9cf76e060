/*
 * Text that grows: the bodies of answers (JSON, XML) are written with it.
 *
 * A page of a listing has 1,000 rows of 20 fields; writing them straight into
 * one buffer costs a tenth of building a tree of JSON values first.  Names are
 * written as the bytes they are, also where they are not UTF-8.
 *
 * Ownership: text_done() frees the bytes; text_take() gives them away.
 * Running out of memory is remembered and told by text_failed() at the end, so
 * that writers need no check at every step.
 * Threads: one at a time.
 */
#ifndef LAKEFUSE_SERVE_TEXT_H
#define LAKEFUSE_SERVE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *at; /* NUL-terminated once anything was added */
	size_t n;
	size_t room;
	bool failed;
};

void text_add(struct text *t, const void *data, size_t n);
void text_str(struct text *t, const char *s);
void text_fmt(struct text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes; text inside an XML element. */
void text_json(struct text *t, const char *s, size_t n);
void text_xml(struct text *t, const char *s);

/* Percent-encodes all but unreserved characters (RFC 3986) and those in keep. */
void text_url(struct text *t, const char *s, size_t n, const char *keep);

/* The standard alphabet, with padding. */
void text_base64(struct text *t, const void *data, size_t n);

/* 2026-01-31T12:34:56.789Z */
void text_time(struct text *t, int64_t us);

bool text_failed(const struct text *t);
char *text_take(struct text *t);
void text_done(struct text *t);

#endif
