/*
 * /_lakefuse/...: faults, counters and the log of requests, on every port.
 * Never subject to faults, never counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/web_private.h"

#define PREFIX "/_lakefuse/"
#define JSON_TYPE "application/json"

static void show_faults(struct web_request *r)
{
	char *text = faults_show(r->web->faults);

	text_str(&r->reply.body, text ? text : "[]");
	free(text);
	web_reply(r, 200, JSON_TYPE);
}

static void set_faults(struct web_request *r)
{
	char why[160];

	if (faults_set(r->web->faults, r->body.at ? r->body.at : "", r->body.n,
		       why, sizeof(why)) < 0) {
		text_fmt(&r->reply.body, "%s\n", why);
		web_reply(r, 400, "text/plain");
		return;
	}
	show_faults(r);
}

static void clear_faults(struct web_request *r)
{
	faults_clear(r->web->faults);
	show_faults(r);
}

static void show_requests(struct web_request *r)
{
	traffic_show(r->web->traffic, &r->reply.body);
	web_reply(r, 200, JSON_TYPE);
}

static void reset_requests(struct web_request *r)
{
	traffic_reset(r->web->traffic);
	show_requests(r);
}

static void show_log(struct web_request *r)
{
	traffic_show_log(r->web->traffic, &r->reply.body);
	web_reply(r, 200, JSON_TYPE);
}

static const struct web_route routes[] = {
	{"GET", PREFIX "faults", TRAFFIC_OTHER, show_faults, NULL},
	{"POST", PREFIX "faults", TRAFFIC_OTHER, set_faults, NULL},
	{"DELETE", PREFIX "faults", TRAFFIC_OTHER, clear_faults, NULL},
	{"GET", PREFIX "requests", TRAFFIC_OTHER, show_requests, NULL},
	{"DELETE", PREFIX "requests", TRAFFIC_OTHER, reset_requests, NULL},
	{"GET", PREFIX "log", TRAFFIC_OTHER, show_log, NULL},
};

bool web_is_admin(const struct web_request *r)
{
	return strncmp(r->path, PREFIX, strlen(PREFIX)) == 0;
}

void web_admin(struct web_request *r)
{
	if (web_match(r, r->path, routes, sizeof(routes) / sizeof(routes[0])))
		r->route->handle(r);
	else
		web_reply(r, 404, "text/plain");
}
