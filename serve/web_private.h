/* What the web_*.c files share.  Nobody else includes this. */
#ifndef LAKEFUSE_SERVE_WEB_PRIVATE_H
#define LAKEFUSE_SERVE_WEB_PRIVATE_H

#include <sys/types.h>

#include <microhttpd.h>

#include "serve/web.h"

/* web.c */
struct web_request *web_request_new(struct web *web,
				    const struct web_face *face,
				    struct MHD_Connection *conn,
				    const char *target);
void web_request_free(struct web_request *r);
/* The route, the plan, and whatever the handler wants before the body. */
void web_request_begin(struct web_request *r, const char *method);
bool web_client_left(struct web_request *r);

/* web_body.c: queues r->reply. */
enum MHD_Result web_send(struct web_request *r);
/* Makes the connection's end a reset, not an orderly close. */
void web_reset(struct web_request *r);

/* web_admin.c: true if the request was for it; it has its reply then. */
bool web_is_admin(const struct web_request *r);
void web_admin(struct web_request *r);

#endif
